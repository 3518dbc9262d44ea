import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Server } from './support/commands.js';
import { type ContentOptions, decodeFile, makeAsf, newContentFolder, withoutIndex } from './support/content.js';
import { MpvRemote } from './support/mpv-remote.js';
import type { Player } from './support/player.js';
import { FfmpegPlayer, LibmmsPlayer, MplayerPlayer, MpvPlayer, VlcPlayer, XinePlayer } from './support/players.js';
import { library, program, type Requirement } from './support/programs.js';
import { Together } from './support/together.js';

const SECONDS = 7;
const FPS = 25;
const KIB = 1024;
/** A fifth of a second of pictures. */
const VLC_SLACK = 10;

/** The served files, by file name. */
const MADE: Readonly<Record<string, Partial<ContentOptions>>> = {
  'index.wmv': {},
  'packets1400.wmv': { packetSize: 1400 },
  'packets8000.wmv': { packetSize: 8000, videoBitrate: 1_000_000 },
  'sound.wma': { video: 'none' },
  'two.wmv': { secondVideo: true },
};
const CONTENTS: ReadonlyArray<readonly [file: string, title: string, pictures: number]> = [
  ['index.wmv', 'a file with an index', SECONDS * FPS],
  ['without-index.wmv', 'a file whose index is cut off', SECONDS * FPS],
  ['packets1400.wmv', 'packets of 1400 bytes', SECONDS * FPS],
  ['packets8000.wmv', 'packets of 8000 bytes', SECONDS * FPS],
  ['sound.wma', 'only sound', 0],
  ['two.wmv', 'two videos and sound', 2 * SECONDS * FPS],
];

/** A player that can play any URL and, with the same decoders, a file on disk. */
interface PlayerKind {
  readonly name: string;
  readonly needs: readonly Requirement[];
  play(url: string): Player;
  playFile(path: string): Player;
  /** Expects the same output from both. */
  compare(served: Player, fromDisk: Player): void;
}

function sameFrames(served: Player, fromDisk: Player): void {
  const frames = (player: Player) => {
    const { size, pictures, sounds, times } = (player as FfmpegPlayer).crc;
    return { size, pictures, sounds, times };
  };
  expect(frames(served)).toEqual(frames(fromDisk));
}

const python = program('python3');
const mpv = program('mpv');
const vlc = [program('vlc'), program('setpriv')];
const vlcOptions = ['--play-and-exit', '--no-drop-late-frames', '--no-skip-frames'];

const PLAYERS: readonly PlayerKind[] = [
  {
    name: 'ffmpeg',
    needs: [],
    play: (url) => new FfmpegPlayer(url),
    playFile: (path) => new FfmpegPlayer(path),
    compare: sameFrames,
  },
  {
    name: 'mpv',
    needs: [mpv],
    play: (url) => new MpvPlayer('mpv', url),
    playFile: (path) => new MpvPlayer('mpv', path),
    compare: sameFrames,
  },
  {
    name: 'libmms',
    needs: [python, library('libmms.so.0')],
    play: (url) => new LibmmsPlayer(url),
    // It plays only one of several videos.
    playFile: (path) => new FfmpegPlayer(path, [], ['0:v:0?', '0:a']),
    compare: sameFrames,
  },
  {
    name: 'MPlayer',
    needs: [program('mplayer')],
    play: (url) => new MplayerPlayer(url),
    playFile: (path) => new MplayerPlayer(path),
    compare: (served, fromDisk) => {
      const outcome = (player: Player) => {
        const { pictures, sound } = player as MplayerPlayer;
        return { pictures, sound: createHash('md5').update(sound).digest('hex'), bytes: sound.length };
      };
      expect(outcome(served)).toEqual(outcome(fromDisk));
    },
  },
  {
    name: 'xine',
    needs: [python, library('libxine.so.2')],
    play: (url) => new XinePlayer(url),
    playFile: (path) => new XinePlayer(path),
    compare: (served, fromDisk) => expect(served.frames).toBe(fromDisk.frames),
  },
  {
    name: 'VLC',
    needs: vlc,
    play: (url) => new VlcPlayer(url, vlcOptions),
    playFile: (path) => new VlcPlayer(path, vlcOptions),
    // It reports its counts ten times a second until it exits, and counts everything twice.
    compare: (served, fromDisk) => expect(Math.abs(served.frames - fromDisk.frames)).toBeLessThanOrEqual(VLC_SLACK),
  },
];

describe('files on demand, played whole', () => {
  const folder = newContentFolder();
  const together = new Together();
  let server: Server;

  const url = (file: string) => server.url(`/${file}`, 'mmsh');
  const onDisk = (file: string) => join(folder, file);

  beforeAll(async () => {
    const made = Object.entries(MADE).map(([name, options]) =>
      makeAsf(name, { duration: SECONDS, folder, ...options }),
    );
    await Promise.all(made);
    await withoutIndex(onDisk('index.wmv'), 'without-index.wmv');
    server = await Server.start('--content', folder);
    together.start();
  });

  for (const [file, title, pictures] of CONTENTS) {
    for (const { name, needs, play, playFile, compare } of PLAYERS) {
      together.it(needs, `${title}: ${name} decodes what is in the file`, async () => {
        const [served, fromDisk] = [play(url(file)), playFile(onDisk(file))];
        expect(await served.ends()).toEqual({ code: 0, signal: null });
        await fromDisk.ends();
        expect(served.problems).toEqual([]);
        compare(served, fromDisk);
        if (name !== 'ffmpeg') return;
        expect(served.frames).toBe(pictures);
        expect(served.soundSeconds).toBeGreaterThan(SECONDS - 0.2);
        process.stdout.write(`  ${title}: ${served.summary}\n`);
      });
    }
  }

  for (const stream of ['0:v:0', '0:v:1']) {
    together.it([], `ffmpeg plays stream ${stream} of two videos when it is told to`, async () => {
      const player = new FfmpegPlayer(url('two.wmv'), [], [stream]);
      await player.ends();
      const { pictures } = await decodeFile(onDisk('two.wmv'), [], [stream]);
      expect(pictures).toHaveLength(SECONDS * FPS);
      expect(player.crc.pictures).toEqual(pictures);
    });
  }

  together.it([mpv], 'mpv plays the second of two videos when it is told to', async () => {
    const player = new MpvRemote(url('two.wmv'), ['--vid=2', '--untimed', '--no-audio']);
    await player.ends();
    expect(player.problems).toEqual([]);
    expect(player.endReason).toBe('eof');
    const { pictures } = await decodeFile(onDisk('two.wmv'), [], ['0:v:1']);
    expect(player.pictures).toEqual(pictures);
  });

  together.it(vlc, '[WMSP-050] VLC turns off one of two videos and gets only the other one', async () => {
    const player = new VlcPlayer(url('two.wmv'), vlcOptions);
    expect(await player.logs('stream-switch-entry=')).toContain('ffff:1:0 ffff:2:2 ffff:3:0');
    await player.ends();
    const { size } = await stat(onDisk('two.wmv'));
    const received = player.inputKilobytes * KIB;
    process.stdout.write(`  VLC without the second video: ${received} of ${size} bytes\n`);
    // It pads each packet that was cut; packets that contained nothing else are missing entirely.
    expect(received).toBeLessThan(0.95 * size);
  });

  it('leaves no connections open', async () => {
    await server.next('stats', ({ connections, players }) => connections === 0 && players === 0);
  });
});
