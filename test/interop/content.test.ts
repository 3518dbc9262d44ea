import { join } from 'node:path';
import { stopAll } from './support/child.js';
import { newPoint, Server } from './support/commands.js';
import { decodeFile, makeAsf, newFolder, removeFolders, withSinglePayloads } from './support/content.js';
import type { FrameCrc } from './support/frame-crc.js';
import { FfmpegPlayer, MplayerPlayer } from './support/players.js';
import { itNeeds, program } from './support/programs.js';

/** What is pushed, and the file that holds the same. */
interface Content {
  readonly arguments: readonly string[];
  readonly file: string;
}

/** What was pushed, and what came out of two players that share no code of the protocol. */
interface Received {
  readonly file: FrameCrc;
  readonly ffmpeg: FfmpegPlayer;
  readonly mplayer: MplayerPlayer;
  /** MPlayer, playing the file from the disk. */
  readonly mplayerFile: MplayerPlayer;
}

const SECONDS = 5;
const LOOP_SECONDS = 24;
const FPS = 25;
/** A block of WMA decodes to 2048 samples of two channels, 16 bits each. */
const SOUND_PIECE_BYTES = 2048 * 2 * 2;
/** Pictures of the second round that a looping player must show. */
const SECOND_ROUND = 50;

/** A live encoding of the test picture; its archive is the file. */
function encoding(...options: string[]): () => Promise<Content> {
  return async () => {
    const file = join(newFolder(), 'archive.asf');
    return { arguments: ['--duration', String(SECONDS), '--archive', file, ...options], file };
  };
}

/** A file made by ffmpeg, whose packets are sent as they are. */
function copied(make: () => Promise<string>, ...options: string[]): () => Promise<Content> {
  return async () => {
    const file = await make();
    return { arguments: ['--input', file, '--copy', ...options], file };
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
  loop: copied(() => makeAsf('loop.asf', { duration: LOOP_SECONDS }), '--loop'),
} as const;

type Name = keyof typeof CONTENTS;

describe('what is received over mmsh is what was sent', () => {
  const received = new Map<Name, Promise<Received>>();
  let server: Server;

  async function play(name: Name): Promise<Received> {
    const content = await CONTENTS[name]();
    const point = newPoint();
    const push = await server.publish(point, ...content.arguments);
    const frames = name === 'loop' ? ['-frames', String(LOOP_SECONDS * FPS + SECOND_ROUND)] : [];
    const ffmpeg = new FfmpegPlayer(server.url(point, 'mmsh'));
    const mplayer = new MplayerPlayer(server.url(point, 'mmsh'), frames);
    if (name === 'loop') {
      await ffmpeg.decodes(LOOP_SECONDS * FPS + SECOND_ROUND, LOOP_SECONDS, 60_000);
      await mplayer.ends(60_000);
      await ffmpeg.stop();
      await push.stop();
    } else {
      expect(await push.ends(60_000)).toEqual({ code: 0, signal: null });
      expect((await ffmpeg.ends()).code).toBe(0);
      expect((await mplayer.ends()).code).toBe(0);
    }
    const mplayerFile = new MplayerPlayer(content.file);
    await mplayerFile.ends();
    return { file: await decodeFile(content.file), ffmpeg, mplayer, mplayerFile };
  }

  function outcome(name: Name): Promise<Received> {
    return received.get(name)!;
  }

  beforeAll(async () => {
    server = await Server.start();
    // At the same time, since every one of them takes as long as it plays.
    for (const name of Object.keys(CONTENTS) as Name[]) {
      const outcome = play(name);
      // The test that waits for it tells of its failure.
      outcome.catch(() => {});
      received.set(name, outcome);
    }
  }, 30_000);

  afterAll(async () => {
    await stopAll();
    removeFolders();
  });

  function samePictures({ file, ffmpeg, mplayer, mplayerFile }: Received): void {
    expect(file.pictures.length).toBeGreaterThanOrEqual((SECONDS - 1) * FPS);
    expect(ffmpeg.crc.size).toBe(file.size);
    expect(ffmpeg.crc.pictures).toEqual(file.pictures);
    expect(mplayer.pictures).toEqual(mplayerFile.pictures);
  }

  /** @param ahead pieces of sound in packets ahead of the first key frame, where no player starts */
  function sameSound({ file, ffmpeg, mplayer, mplayerFile }: Received, ahead = 0): void {
    expect(file.soundSeconds).toBeGreaterThanOrEqual(SECONDS - 1);
    expect(ffmpeg.crc.sounds).toEqual(file.sounds.slice(ahead));
    const onDisk = mplayerFile.sound.subarray(ahead * SOUND_PIECE_BYTES);
    expect(mplayer.sound.length).toBe(onDisk.length);
    expect(mplayer.sound.equals(onDisk)).toBe(true);
  }

  function noProblems({ ffmpeg, mplayer }: Received): void {
    expect(ffmpeg.problems).toEqual([]);
    expect(mplayer.problems).toEqual([]);
  }

  const needs = [program('ffmpeg'), program('mplayer')];
  const titles: ReadonlyArray<readonly [Name, string]> = [
    ['packets3200', 'packets of 3200 bytes'],
    ['packets8000', 'packets of 8000 bytes'],
    ['singlePayloads', 'a file of single-payload packets with padding, copied'],
    ['highBitrate', 'a file of 6 Mbit/s, copied'],
    ['version1', 'a file of WMV 7 and WMA 1, copied'],
  ];
  for (const [name, title] of titles) {
    itNeeds(
      needs,
      title,
      async () => {
        const result = await outcome(name);
        noProblems(result);
        samePictures(result);
        sameSound(result, name === 'singlePayloads' ? 1 : 0);
        process.stdout.write(`  ${title}: ${result.ffmpeg.summary}; ${result.mplayer.summary}\n`);
      },
      90_000,
    );
  }

  itNeeds(needs, 'sound alone', async () => {
    const result = await outcome('audioOnly');
    noProblems(result);
    sameSound(result);
    expect(result.ffmpeg.frames).toBe(0);
  });

  itNeeds(needs, 'pictures alone', async () => {
    const result = await outcome('videoOnly');
    noProblems(result);
    samePictures(result);
    expect(result.ffmpeg.soundSeconds).toBe(0);
  });

  itNeeds(
    needs,
    `a loop of ${LOOP_SECONDS} s: the second round goes on where the first one ended`,
    async () => {
      const { file, ffmpeg, mplayer, mplayerFile } = await outcome('loop');
      expect(file.pictures).toHaveLength(LOOP_SECONDS * FPS);
      const rounds = (pictures: readonly string[]) => [pictures, pictures.slice(0, SECOND_ROUND)];
      const length = file.pictures.length;
      const cut = (pictures: readonly string[], end: number) => [
        pictures.slice(0, end),
        pictures.slice(length, length + SECOND_ROUND),
      ];
      expect(cut(ffmpeg.crc.pictures, length)).toEqual(rounds(file.pictures));
      // MPlayer does not show the last picture of a file.
      expect(mplayerFile.pictures).toHaveLength(length - 1);
      expect(cut(mplayer.pictures, length - 1)).toEqual(rounds(mplayerFile.pictures));
      const steps = ffmpeg.crc.times.slice(1).map((time, index) => time - ffmpeg.crc.times[index]!);
      // One picture after the other, at 25 a second give or take the millisecond of ASF and a gap at the seam.
      expect(Math.min(...steps)).toBeGreaterThan(0.03);
      expect(Math.max(...steps)).toBeLessThan(0.15);
    },
    90_000,
  );
});
