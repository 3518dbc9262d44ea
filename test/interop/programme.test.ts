import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Server } from './support/commands.js';
import { decodeFile, makeAsf, newContentFolder, newFolder } from './support/content.js';
import { type FrameCrc, indexOfRun } from './support/frame-crc.js';
import { FfmpegPlayer } from './support/players.js';

const SECONDS = 6;
const FPS = 25;

function playlist(...sources: string[]): string {
  const entries = sources.map((source) => `  <media src="${source}"/>`);
  return ['<?wsx version="1.0"?>', '<smil>', ...entries, '</smil>', ''].join('\n');
}

describe('points that play files', () => {
  let server: Server;
  let first: FrameCrc;
  let second: FrameCrc;

  beforeAll(async () => {
    const folder = newContentFolder();
    await Promise.all([
      makeAsf('first.wmv', { duration: SECONDS, folder }),
      makeAsf('second.wmv', { duration: SECONDS, filter: 'negate', folder }),
      writeFile(join(folder, 'day.wsx'), playlist('first.wmv', 'second.wmv')),
    ]);
    [first, second] = await Promise.all(
      ['first.wmv', 'second.wmv'].map((name) => decodeFile(join(folder, name))) as [
        Promise<FrameCrc>,
        Promise<FrameCrc>,
      ],
    );
    const config = join(newFolder(), 'serve.yaml');
    const points = [
      '{ path: /channel, source: day.wsx, onDemand: true }',
      '{ path: /loop, source: first.wmv, onDemand: true }',
    ];
    await writeFile(config, `content: { folder: ${folder} }\npoints: [${points.join(', ')}]\n`);
    server = await Server.start('--config', config);
  });

  afterAll(() => server?.stop());

  it('ffmpeg plays two files over the switch, and a second one that comes later is at the same moment', async () => {
    const early = new FfmpegPlayer(server.url('/channel', 'mmsh'));
    // A new player gets a few seconds of what was sent before it came, not all of it.
    await early.decodes((SECONDS - 1) * FPS, 0);
    const late = new FfmpegPlayer(server.url('/channel', 'mmsh'));
    const [{ code }, { code: lateCode }] = await Promise.all([early.ends(), late.ends()]);
    expect([code, lateCode]).toEqual([0, 0]);
    const all = [...first.pictures, ...second.pictures];
    expect(early.crc.pictures).toEqual(all);
    expect(early.soundSeconds).toBeGreaterThan(2 * SECONDS - 0.4);
    const { pictures } = late.crc;
    expect(indexOfRun(all, pictures)).toBe(all.length - pictures.length);
    expect(pictures.length).toBeGreaterThan(second.pictures.length);
    expect(pictures.length).toBeLessThan(all.length);
    process.stdout.write(`  first: ${early.summary}; later: ${late.summary}\n`);
  });

  it('ffmpeg plays a file that begins again as one stream whose times go on', async () => {
    const started = performance.now();
    const player = new FfmpegPlayer(server.url('/loop', 'mmsh'));
    const frames = Math.round(2.5 * SECONDS * FPS);
    await player.decodes(frames, 2 * SECONDS);
    const seconds = (performance.now() - started) / 1000;
    await player.stop();
    const rounds = [...first.pictures, ...first.pictures, ...first.pictures];
    expect(player.crc.pictures.slice(0, frames)).toEqual(rounds.slice(0, frames));
    const { times } = player.crc;
    expect(
      times.every((time, index) => index === 0 || (time > times[index - 1]! && time - times[index - 1]! < 0.2)),
    ).toBe(true);
    // What is decoded was sent at its own pace, not faster.
    expect(seconds).toBeGreaterThan(2.5 * SECONDS - 1);
    expect(player.problems).toEqual([]);
    process.stdout.write(`  ${player.summary} after ${seconds.toFixed(1)} s\n`);
  });
});
