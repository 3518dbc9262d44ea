import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseHeader } from '../../src/asf/header.js';
import { Child } from './support/child.js';
import { Server } from './support/commands.js';
import { decodeFile, makeAsf, newContentFolder, newFolder, withoutIndex } from './support/content.js';
import { type FrameCrc, indexOfRun } from './support/frame-crc.js';
import { MpvRemote } from './support/mpv-remote.js';
import { FfmpegPlayer, LibmmsPlayer, MplayerPlayer, VlcPlayer } from './support/players.js';
import { library, program } from './support/programs.js';
import { Together } from './support/together.js';

const FPS = 10;
/** The length of the long file, in seconds. */
const LENGTH = 300;
/** The key-frame interval, in seconds. */
const GOP = 2;
/** The seconds that libmms adds to a time, since it counts from the first packet. */
const PREROLL = 3.1;
const PACKET_SIZE = 1400;

const LONG = 'long.wmv';
const WITHOUT_INDEX = 'long-without-index.wmv';
const PAUSED = 'paused.wmv';
const PAUSED_SECONDS = 12;
const PAUSED_FPS = 25;

const mpv = program('mpv');
const vlc = [program('vlc'), program('setpriv')];
const python = program('python3');
const libmms = [python, library('libmms.so.0')];

/** Expects consecutive pictures of the file, with its times. @returns when the first one is shown, in seconds */
function expectRun(file: FrameCrc, { pictures, times }: FrameCrc): number {
  const at = file.times.indexOf(times[0]!);
  expect(at).toBeGreaterThanOrEqual(0);
  expect(times).toEqual(file.times.slice(at, at + times.length));
  expect(pictures).toEqual(file.pictures.slice(at, at + pictures.length));
  return times[0]!;
}

describe('seeking in files on demand, and pausing', () => {
  const folder = newContentFolder();
  const together = new Together();
  let server: Server;
  let long: FrameCrc;
  let paused: FrameCrc;

  const url = (file: string) => server.url(`/${file}`, 'mmsh');
  const onDisk = (file: string) => join(folder, file);

  beforeAll(async () => {
    const slow = { fps: FPS, keyFrameInterval: GOP * FPS, size: '160x120', videoBitrate: 60_000 };
    await Promise.all([
      makeAsf(LONG, { duration: LENGTH, folder, packetSize: PACKET_SIZE, ...slow }),
      makeAsf(PAUSED, { duration: PAUSED_SECONDS, folder }),
    ]);
    await withoutIndex(onDisk(LONG), WITHOUT_INDEX);
    [long, paused] = await Promise.all([decodeFile(onDisk(LONG), ['-copyts']), decodeFile(onDisk(PAUSED))]);
    server = await Server.start('--content', folder);
    together.start();
  });

  for (const [file, title] of [
    [LONG, 'with an index'],
    [WITHOUT_INDEX, 'without an index'],
  ] as const) {
    together.it(
      [],
      `ffmpeg -ss, ${title}: begins at the key frame before the time and shows what is there`,
      async () => {
        // Some in the middle, one at the first key frames, one in the last group of pictures.
        const targets = [0.5, 3, 77.7, 100, 222.22, 298.9];
        const players = targets.map(
          (target) => new FfmpegPlayer(url(file), ['-copyts', '-noaccurate_seek', '-ss', String(target), '-t', '3']),
        );
        for (const [index, player] of players.entries()) {
          const target = targets[index]!;
          expect((await player.ends()).code).toBe(0);
          expect(player.problems).toEqual([]);
          const first = expectRun(long, player.crc);
          expect(first).toBeLessThanOrEqual(target);
          expect(first).toBeGreaterThan(target - GOP - 1 / FPS);
          expect(player.frames).toBeGreaterThanOrEqual(Math.min(LENGTH - target, 2) * FPS - 1);
          expect(player.soundSeconds).toBeGreaterThan(Math.min(LENGTH - target, 2) - 0.2);
        }
      },
    );
  }

  together.it([], 'ffmpeg -ss beyond the end shows the last pictures and ends', async () => {
    const player = new FfmpegPlayer(url(LONG), ['-copyts', '-noaccurate_seek', '-ss', String(LENGTH + 100)]);
    expect((await player.ends()).code).toBe(0);
    expect(expectRun(long, player.crc)).toBeGreaterThan(LENGTH - 2 * GOP);
    // After a seek ffmpeg computes its position one packet too far, and takes the last packet for the data after it.
    expect(player.crc.times.at(-1)).toBeGreaterThan(LENGTH - 3 / FPS);
  });

  together.it([mpv], 'mpv --start begins at the key frame before the time', async () => {
    const target = 251;
    const player = new MpvRemote(url(LONG), [`--start=${target}`, '--length=2', '--untimed', '--no-audio']);
    await player.ends();
    // FFmpeg's reader reports this about whatever it is reading when mpv, at its own end, interrupts it: mpv closes
    // both connections first, and until then the server has sent only whole packets.
    expect(player.problems.filter((line) => !/Read (?:ext|data packet) header failed/.test(line))).toEqual([]);
    // Its decoder begins at the key frame, but does not show anything before the time.
    const at = indexOfRun(long.pictures, player.pictures);
    expect(long.times[at]).toBeCloseTo(player.times[0]!, 0);
    expect(player.times[0]).toBeLessThanOrEqual(target);
    expect(player.times[0]).toBeGreaterThan(target - GOP - 1 / FPS);
    expect(player.times.at(-1)).toBeGreaterThanOrEqual(target + 2 - 2 / FPS);
  });

  together.it(libmms, 'libmms seeks to a time: the key frame before it, including its preroll', async () => {
    const target = 280;
    const player = new LibmmsPlayer(url(LONG), ['time', target]);
    await player.ends();
    expect(player.problems).toEqual([]);
    const first = expectRun(long, player.crc);
    expect(first).toBeLessThanOrEqual(target + PREROLL);
    expect(first).toBeGreaterThan(target + PREROLL - GOP - 1 / FPS);
    expect(player.crc.times.at(-1)).toBe(long.times.at(-1));
  });

  together.it(libmms, '[WMSP-046] libmms seeks to a byte, and gets the file from there on', async () => {
    const bytes = await readFile(onDisk(LONG));
    const { length } = parseHeader(bytes).bytes;
    const packet = Math.floor(((bytes.length - length) * 0.97) / PACKET_SIZE);
    const at = length + packet * PACKET_SIZE;
    const player = new LibmmsPlayer(url(LONG), ['byte', at]);
    const rest = join(newFolder(), 'rest.asf');
    await writeFile(rest, Buffer.concat([bytes.subarray(0, length), bytes.subarray(at)]));
    const file = await decodeFile(rest, ['-copyts', '-v', 'fatal']);
    await player.ends();
    expect(player.crc.times).toEqual(file.times);
    expect(player.crc.pictures).toEqual(file.pictures);
    expect(player.crc.sounds).toEqual(file.sounds);
  });

  together.it(
    [python, library('libxine.so.2')],
    'xine seeks to a time and plays from the key frame before it to the end',
    async () => {
      const target = 295;
      const script = fileURLToPath(new URL('./support/xine-seek.py', import.meta.url));
      const player = new Child('python3', [script, url(LONG), String(target * 1000)]);
      expect((await player.ends()).code).toBe(0);
      const positions = player.output.map(Number);
      // It reports its position ten times a second.
      expect(positions[0]).toBeLessThanOrEqual(target * 1000 + 300);
      expect(positions[0]).toBeGreaterThan((target - GOP) * 1000 - 300);
      expect(positions.at(-1)).toBeGreaterThan((LENGTH - 0.5) * 1000);
    },
  );

  together.it(vlc, 'VLC --start-time seeks by bytes, plays the rest and ends', async () => {
    const target = 292;
    const player = new VlcPlayer(url(LONG), ['--play-and-exit', `--start-time=${target}`]);
    const asked = await player.logs('stream-offset=0:');
    expect(asked).toBeDefined();
    expect((await player.ends()).code).toBe(0);
    process.stdout.write(`  ${player.summary}\n`);
    // It computes the position of a time from the size of the file, and counts everything twice.
    const seconds = player.frames / 2 / FPS;
    expect(seconds).toBeGreaterThan(LENGTH - target - 3);
    expect(seconds).toBeLessThan(LENGTH - target + GOP + 6);
  });

  together.it([program('mplayer')], 'MPlayer, which cannot seek, plays all of it if told to', async () => {
    const player = new MplayerPlayer(url(PAUSED), ['-ss', '5']);
    const disk = new MplayerPlayer(onDisk(PAUSED));
    await Promise.all([player.ends(), disk.ends()]);
    expect(player.problems).toEqual([]);
    expect(player.log).toContain('End of file');
    expect(player.pictures).toEqual(disk.pictures);
  });

  together.it(
    [mpv],
    'mpv pauses while the server keeps sending, continues where it was, and misses nothing',
    async () => {
      const player = new MpvRemote(url(PAUSED));
      await player.until('time-pos', (time) => Number(time) >= 1);
      player.set('pause', true);
      await player.until('pause', (value) => value === true);
      const before = player.value('time-pos');
      const cached = Number(player.value('demuxer-cache-duration'));
      await player.until('demuxer-cache-duration', (seconds) => Number(seconds) >= cached + 1.5);
      expect(player.value('time-pos')).toBe(before);
      player.set('pause', false);
      await player.ends();
      expect(player.endReason).toBe('eof');
      expect(player.problems).toEqual([]);
      expect(player.pictures).toEqual(paused.pictures);
    },
  );

  together.it([mpv], 'mpv seeks again and again, and still plays to the end', async () => {
    const player = new MpvRemote(url(PAUSED), ['--cache=no']);
    await player.until('time-pos', (time) => Number(time) >= 0);
    // Each time it receives some seconds, in total more than the file has.
    for (let round = 0; round < 12; round++) {
      const target = round % 2 === 0 ? 8 : 2;
      player.set('time-pos', target);
      await player.until('time-pos', (time) => Math.abs(Number(time) - target) < 1);
    }
    await player.ends();
    expect(player.endReason).toBe('eof');
    expect(player.pictures.at(-1)).toBe(paused.pictures.at(-1));
  });

  together.it(
    vlc,
    '[WMSP-046] VLC pauses by hanging up, comes back at the byte where it was, and misses nothing',
    async () => {
      const options = ['--play-and-exit', '--no-drop-late-frames', '--no-skip-frames'];
      const [whole, player] = [new VlcPlayer(onDisk(PAUSED), options), new VlcPlayer(url(PAUSED), options)];
      await player.decodes(2 * 2 * PAUSED_FPS, 0);
      player.command('pause');
      await player.logs('closing stream');
      player.command('pause');
      const back = await player.logs('request-context=3');
      expect(back).toMatch(/stream-offset=0:[1-9]/);
      expect((await player.ends()).code).toBe(0);
      await whole.ends();
      process.stdout.write(`  ${player.summary}, ${whole.frames} without a pause\n`);
      expect(Math.abs(player.frames - whole.frames)).toBeLessThanOrEqual(10);
    },
  );

  it('leaves no connections open', async () => {
    const stats = await server.next('stats', ({ connections }) => connections === 0);
    expect(stats).toMatchObject({ connections: 0, players: 0 });
  });
});
