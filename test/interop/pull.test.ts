import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command, newPoint, Server } from './support/commands.js';
import { decodeFile, makeAsf, newFolder } from './support/content.js';
import { indexOfRun } from './support/frame-crc.js';
import { FfmpegPlayer } from './support/players.js';
import { itNeeds, program } from './support/programs.js';
import { freePort, VlcServer } from './support/vlc-server.js';

const VLC = [program('vlc'), program('setpriv'), program('ffmpeg')];

/** The consecutive pictures that both have, from where the second begins. */
function sharedRun(whole: readonly string[], part: readonly string[]): number {
  let best = 0;
  for (let start = 0; start < part.length; start++) {
    const at = whole.indexOf(part[start]!);
    if (at === -1) continue;
    let length = 0;
    while (start + length < part.length && whole[at + length] === part[start + length]) length++;
    best = Math.max(best, length);
  }
  return best;
}

describe('pull, probe and relay with a server of VLC', () => {
  let file: string;

  beforeAll(async () => {
    file = await makeAsf('source.asf', { duration: 60 });
  });

  itNeeds(
    VLC,
    'probe describes it, pull records its pictures unchanged, relay makes it a point of our own',
    async () => {
      const vlc = await VlcServer.start(file);
      const server = await Server.start();
      const point = newPoint();
      // At first VLC has no header, and says nothing.
      const relay = new Command('wmcast', ['relay', vlc.url, server.url(point), '--retry', 'forever', '--json']);
      await relay.event('ready');
      const recorded = join(newFolder(), 'vlc.asf');
      const pull = new Command('wmcast', ['pull', vlc.url, '-o', recorded, '-t', '6', '--json']);
      const probe = new Command('wmcast', ['probe', vlc.url, '--json']);
      expect(await probe.event('probe')).toMatchObject({
        server: 'Cougar 4.1.0.3921',
        features: ['broadcast'],
        live: true,
        // In the order in which VLC happened to detect them.
        streams: expect.arrayContaining([
          expect.objectContaining({ codec: 'WMV2', width: 320, height: 240 }),
          expect.objectContaining({ codec: 'WMA 2' }),
        ]),
      });
      const player = new FfmpegPlayer(server.url(point, 'mmsh'));
      await player.decodes(75, 2);
      // VLC lets clients join anywhere and marks every picture as a key frame.
      expect(player.problems.filter((line) => !line.includes('first frame is no keyframe'))).toEqual([]);
      expect({ ...(await pull.ends()), log: pull.log }).toMatchObject({ code: 0 });
      await player.stop();
      expect(await relay.stop('SIGTERM')).toMatchObject({ code: 143 });
      expect(relay.events.at(-1)).toMatchObject({ event: 'done' });

      const original = await decodeFile(file);
      const copy = await decodeFile(recorded);
      // VLC lets a client join in the middle of a group of pictures; from the next key frame on they equal those of the
      // file.
      expect(copy.size).toBe('320x240');
      expect(copy.pictures.length).toBeGreaterThanOrEqual(140);
      expect(sharedRun(original.pictures, copy.pictures)).toBeGreaterThanOrEqual(copy.pictures.length - 30);
      expect(sharedRun(original.pictures, player.crc.pictures)).toBeGreaterThanOrEqual(45);
      process.stdout.write(
        `  of ${copy.pictures.length} pictures ${sharedRun(original.pictures, copy.pictures)} in a row are those of the file\n`,
      );
    },
  );
});

describe('pull of content on demand from a server of our own', () => {
  let server: Server;
  let file: string;

  beforeAll(async () => {
    file = await makeAsf('film.asf', { duration: 8 });
    server = await Server.start('--content', dirname(file));
  });

  for (const options of [[], ['--pipelined'], ['--strict'], ['--pipelined', '--strict'], ['--as-server']]) {
    it(`records every picture and every sound ${options.join(' ')}`.trim(), async () => {
      const recorded = join(newFolder(), 'copy.asf');
      const pull = new Command('wmcast', ['pull', server.url('/film.asf'), '-o', recorded, '--json', ...options]);
      expect({ ...(await pull.ends()), log: pull.log }).toMatchObject({ code: 0 });
      const original = await decodeFile(file);
      const copy = await decodeFile(recorded);
      expect(copy.pictures).toEqual(original.pictures);
      expect(copy.sounds).toEqual(original.sounds);
      expect(copy.times).toEqual(original.times);
    });
  }

  it('records from the middle, and a single stream', async () => {
    const folder = newFolder();
    const pull = (name: string, ...options: string[]) =>
      new Command('wmcast', ['pull', server.url('/film.asf'), '-o', join(folder, name), ...options]).ends();
    expect((await pull('middle.asf', '--start', '4', '-t', '2')).code).toBe(0);
    const original = await decodeFile(file);
    const middle = await decodeFile(join(folder, 'middle.asf'));
    // It begins with a key frame, of which there is one per second, at 4 s or the previous one.
    expect([75, 100]).toContain(indexOfRun(original.pictures, middle.pictures.slice(0, 40)));
    expect((await pull('sound.asf', '--streams', '2')).code).toBe(0);
    const sound = await decodeFile(join(folder, 'sound.asf'));
    expect([sound.pictures, sound.sounds]).toEqual([[], original.sounds]);
  });
});

describe('pull from a server of our own', () => {
  it('records exactly the pictures that were pushed', async () => {
    const server = await Server.start();
    const point = newPoint();
    const folder = newFolder();
    const push = await server.publish(point, '--archive', join(folder, 'pushed.asf'));
    const pull = new Command('wmcast', [
      'pull',
      server.url(point),
      '-o',
      join(folder, 'pulled.asf'),
      '-t',
      '5',
      '--json',
    ]);
    expect((await pull.ends()).code).toBe(0);
    await push.stop('SIGTERM');
    const pushed = await decodeFile(join(folder, 'pushed.asf'));
    const pulled = await decodeFile(join(folder, 'pulled.asf'));
    expect(pulled.pictures.length).toBeGreaterThanOrEqual(115);
    expect(indexOfRun(pushed.pictures, pulled.pictures)).toBeGreaterThanOrEqual(0);
    // A WMA decoder needs the block before the first one.
    expect(indexOfRun(pushed.sounds, pulled.sounds.slice(2, -1))).toBeGreaterThanOrEqual(0);
  });

  it('survives a server that stops and comes back: one file, with times that only rise', async () => {
    const port = String(await freePort());
    const first = await Server.start('--http-port', port);
    const point = newPoint();
    const push = await first.publish(point, '--retry', '0');
    const recorded = join(newFolder(), 'kept.asf');
    const pull = new Command('wmcast', ['pull', first.url(point), '-o', recorded, '--retry', 'forever', '--json']);
    const { packets: before } = await pull.event('stats', ({ packets }) => Number(packets) > 60);
    await first.stop('SIGKILL');
    await push.ends();
    await pull.event('reconnect');
    const second = await Server.start('--http-port', port);
    await second.publish(point);
    const from = pull.events.length;
    const isBack = (packets: unknown) => Number(packets) > Number(before) + 60;
    await pull.event('stats', ({ reconnects, packets }) => Number(reconnects) > 0 && isBack(packets), { from });
    const { code } = await pull.stop('SIGINT');
    expect(code).toBe(130);
    expect(pull.events.at(-1)).toMatchObject({ event: 'done', files: [{ path: recorded }] });
    const copy = await decodeFile(recorded);
    expect(copy.pictures.length).toBeGreaterThan(50);
    expect(copy.times).toEqual([...copy.times].sort((a, b) => a - b));
  });

  it('leaves a playable file when it is killed', async () => {
    const server = await Server.start();
    const point = newPoint();
    await server.publish(point);
    const recorded = join(newFolder(), 'killed.asf');
    const pull = new Command('wmcast', ['pull', server.url(point), '-o', recorded, '--json']);
    await pull.event('stats', ({ packets }) => Number(packets) > 100);
    await pull.stop('SIGKILL');
    expect(statSync(recorded).size).toBeGreaterThan(50_000);
    expect((await decodeFile(recorded)).pictures.length).toBeGreaterThan(25);
  });
});
