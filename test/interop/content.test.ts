import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, newPoint, Server } from './support/commands.js';
import { decodeFile, makeAsf, newFolder, withSinglePayloads } from './support/content.js';
import type { FrameCrc } from './support/frame-crc.js';
import { FfmpegPlayer, MplayerPlayer } from './support/players.js';
import { itNeeds, missing, program } from './support/programs.js';

/** The pushed content. */
interface Content {
  readonly arguments: readonly string[];
  /** The content types that it has. */
  readonly file: string;
  /** How it is held back until the players are ready; `loop` needs no holding, because it lasts. */
  readonly kind: 'encoding' | 'file' | 'loop';
}

/** The pushed content, and the output of two players that share no protocol code. */
interface Received {
  readonly file: FrameCrc;
  readonly ffmpeg: FfmpegPlayer;
  /** MPlayer, where it is installed, and its output for the file on disk. */
  readonly mplayer?: { readonly live: MplayerPlayer; readonly disk: MplayerPlayer };
}

const SECONDS = 5;
const LOOP_SECONDS = 24;
const FPS = 25;
/** The number of pictures of the second round that a looping player must show. */
const SECOND_ROUND = 50;

/** A live encoding of the test picture; its archive is the file. */
function encoding(...options: string[]): () => Promise<Content> {
  return async () => {
    const file = join(newFolder(), 'archive.asf');
    return { arguments: ['--archive', file, ...options], file, kind: 'encoding' };
  };
}

/** A file made by ffmpeg, whose packets are sent unchanged. */
function copied(make: () => Promise<string>, kind: 'file' | 'loop' = 'file'): () => Promise<Content> {
  return async () => {
    const file = await make();
    return { arguments: kind === 'loop' ? ['-i', file, '--copy', '--loop'] : ['-i', '-', '--copy'], file, kind };
  };
}

const CONTENTS = {
  audioOnly: encoding('--no-video'),
  videoOnly: encoding('--no-audio'),
  packets3200: encoding('--packet-size', '3200'),
  packets8000: encoding('--packet-size', '8000', '--video-bitrate', '1M'),
  singlePayloads: copied(async () =>
    withSinglePayloads(await makeAsf('media.asf', { duration: SECONDS, videoBitrate: 1_000_000 })),
  ),
  highBitrate: copied(() =>
    makeAsf('high.asf', { duration: SECONDS, videoBitrate: 6_000_000, size: '640x360', noise: true }),
  ),
  version1: copied(() => makeAsf('version1.asf', { duration: SECONDS, video: 'wmv1', audio: 'wmav1' })),
  loop: copied(() => makeAsf('loop.asf', { duration: LOOP_SECONDS }), 'loop'),
} as const;

type Name = keyof typeof CONTENTS;

const hasMplayer = missing([program('mplayer')]).length === 0;

describe('content received over mmsh equals the content sent', () => {
  const received = new Map<Name, Promise<Received>>();
  let server: Server;
  // A slow machine takes longer to start players than a stream lasts.
  let everybodyPlays: Promise<unknown>;

  /** Publishes content. @returns its end, to be called when the players are ready */
  async function publish(point: string, content: Content): Promise<(ffmpeg: FfmpegPlayer) => Promise<void>> {
    const stdin = content.kind === 'file' ? 'pipe' : 'ignore';
    const live = server.next('point', (event) => event['point'] === point && event['what'] === 'publishing');
    const push = new Command('wmpush', [server.url(point), '--json', ...content.arguments], { stdin });
    const bytes = content.kind === 'file' ? await readFile(content.file) : undefined;
    const half = Math.floor((bytes?.length ?? 0) / 2);
    if (bytes) push.stdin.write(bytes.subarray(0, half));
    await live;
    return async (ffmpeg) => {
      if (bytes) {
        push.stdin.end(bytes.subarray(half));
        expect(await push.ends()).toEqual({ code: 0, signal: null });
      } else {
        const hasVideo = !content.arguments.includes('--no-video');
        const hasAudio = !content.arguments.includes('--no-audio');
        const [frames, seconds] =
          content.kind === 'loop' ? [LOOP_SECONDS * FPS + SECOND_ROUND, LOOP_SECONDS] : [SECONDS * FPS, SECONDS];
        await ffmpeg.decodes(hasVideo ? frames : 0, hasAudio ? seconds : 0);
        await push.stop('SIGINT');
      }
    };
  }

  async function play(name: Name): Promise<Received> {
    const content = await CONTENTS[name]();
    const point = newPoint();
    const end = await publish(point, content);
    const loops = name === 'loop';
    const frames = loops ? ['-frames', String(LOOP_SECONDS * FPS + SECOND_ROUND)] : [];
    const ffmpeg = new FfmpegPlayer(server.url(point, 'mmsh'));
    const live = hasMplayer ? new MplayerPlayer(server.url(point, 'mmsh'), frames) : undefined;
    await everybodyPlays;
    if (loops) await live?.ends();
    await end(ffmpeg);
    expect((await ffmpeg.ends()).code).toBe(0);
    if (live) expect((await live.ends()).code).toBe(0);
    const file = await decodeFile(content.file);
    if (!live) return { file, ffmpeg };
    const disk = new MplayerPlayer(content.file);
    await disk.ends();
    return { file, ffmpeg, mplayer: { live, disk } };
  }

  function outcome(name: Name): Promise<Received> {
    return received.get(name)!;
  }

  beforeAll(async () => {
    // Every player gets everything from the first packet on.
    const config = join(newFolder(), 'serve.yaml');
    await writeFile(config, 'live: {burst: 600}\n');
    server = await Server.start('--config', config);
    const players = Object.keys(CONTENTS).length * (hasMplayer ? 2 : 1);
    everybodyPlays = server.event('stats', (stats) => stats['players'] === players);
    // In parallel, since each of them takes as long as the content lasts.
    for (const name of Object.keys(CONTENTS) as Name[]) {
      const outcome = play(name);
      // The test that waits for it reports its failure.
      outcome.catch(() => {});
      received.set(name, outcome);
    }
  });

  /**
   * One test for each player.
   *
   * @param kinds the content types
   */
  function isReceived(name: Name, title: string, kinds: readonly ('pictures' | 'sound')[]): void {
    it(`${title}: ffmpeg`, async () => {
      const { file, ffmpeg } = await outcome(name);
      expect(ffmpeg.problems).toEqual([]);
      expect(ffmpeg.crc.size).toBe(file.size);
      expect(ffmpeg.crc.pictures).toEqual(file.pictures);
      expect(ffmpeg.crc.sounds).toEqual(file.sounds);
      const least = SECONDS - 1;
      expect(file.pictures.length).toBeGreaterThanOrEqual(kinds.includes('pictures') ? least * FPS : 0);
      expect(file.soundSeconds).toBeGreaterThanOrEqual(kinds.includes('sound') ? least : 0);
      process.stdout.write(`  ${title}: ${ffmpeg.summary}\n`);
    });

    itNeeds([program('mplayer')], `${title}: MPlayer`, async () => {
      const { live, disk } = (await outcome(name)).mplayer!;
      expect(live.problems).toEqual([]);
      expect(live.pictures).toEqual(disk.pictures);
      expect(live.sound.length).toBe(disk.sound.length);
      expect(live.sound.equals(disk.sound)).toBe(true);
      expect(disk.pictures.length + disk.sound.length).toBeGreaterThan(0);
      process.stdout.write(`  ${title}: ${live.summary}\n`);
    });
  }

  isReceived('audioOnly', 'sound alone', ['sound']);
  isReceived('videoOnly', 'pictures alone', ['pictures']);
  isReceived('packets3200', 'packets of 3200 bytes', ['pictures', 'sound']);
  isReceived('packets8000', 'packets of 8000 bytes', ['pictures', 'sound']);
  // Its first sound is in its own packet, before the first key frame.
  isReceived('singlePayloads', 'single-payload packets with padding, copied', ['pictures', 'sound']);
  isReceived('highBitrate', '6 Mbit/s, copied', ['pictures', 'sound']);
  isReceived('version1', 'WMV 7 and WMA 1, copied', ['pictures', 'sound']);

  const loopTitle = `a loop of ${LOOP_SECONDS} s goes on in its second round where the first one ended`;
  /** The first round up to `end`, and the start of the second one. */
  const cut = (pictures: readonly string[], end: number) => [
    pictures.slice(0, end),
    pictures.slice(LOOP_SECONDS * FPS, LOOP_SECONDS * FPS + SECOND_ROUND),
  ];
  const rounds = (pictures: readonly string[]) => [pictures, pictures.slice(0, SECOND_ROUND)];

  it(`${loopTitle}: ffmpeg`, async () => {
    const { file, ffmpeg } = await outcome('loop');
    expect(file.pictures).toHaveLength(LOOP_SECONDS * FPS);
    expect(cut(ffmpeg.crc.pictures, LOOP_SECONDS * FPS)).toEqual(rounds(file.pictures));
    const steps = ffmpeg.crc.times.slice(1).map((time, index) => time - ffmpeg.crc.times[index]!);
    // One picture after the other, at 25 per second except for the millisecond resolution of ASF and a gap at the seam.
    expect(Math.min(...steps)).toBeGreaterThan(0.03);
    expect(Math.max(...steps)).toBeLessThan(0.15);
  });

  itNeeds([program('mplayer')], `${loopTitle}: MPlayer`, async () => {
    const { live, disk } = (await outcome('loop')).mplayer!;
    // It does not show the last picture of a file.
    expect(disk.pictures).toHaveLength(LOOP_SECONDS * FPS - 1);
    expect(cut(live.pictures, LOOP_SECONDS * FPS - 1)).toEqual(rounds(disk.pictures));
  });
});
