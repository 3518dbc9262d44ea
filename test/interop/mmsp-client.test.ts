import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, stopAll } from './support/child.js';
import { Command, newPoint, Server } from './support/commands.js';
import { decodeFile, newFolder, removeFolders } from './support/content.js';
import { FfmpegPlayer } from './support/players.js';
import { itNeeds, program } from './support/programs.js';
import { UnicastServer } from './support/unicast.js';
import { freePort } from './support/vlc-server.js';

const SECONDS = 6;
const FFMPEG = [program('ffmpeg')];

describe('the commands, over MMSP', () => {
  let streams: UnicastServer;

  beforeAll(async () => {
    streams = await UnicastServer.start('mms', { 'film.wmv': SECONDS });
  });

  afterAll(async () => {
    await streams.stop();
    await stopAll();
    removeFolders();
  });

  /** Pulls into a file. @returns it, and what the command said */
  async function pull(url: string, ...args: string[]) {
    const file = join(newFolder(), 'pulled.wmv');
    const command = new Command('wmcast', ['pull', url, '-o', file, '--json', '-v', ...args]);
    const { code } = await command.ends();
    return { file, code, log: command.log.join('\n'), done: command.events.at(-1) };
  }

  for (const scheme of ['mmst', 'mmsu', 'mms']) {
    itNeeds(FFMPEG, `pull records exactly the pictures of a file, ${scheme}`, async () => {
      const { file, code } = await pull(streams.url(scheme, '/film.wmv'));
      expect(code).toBe(0);
      const [copy, original] = await Promise.all([decodeFile(file), decodeFile(`${streams.folder}/film.wmv`)]);
      expect(copy.pictures).toEqual(original.pictures);
    });
  }

  itNeeds(FFMPEG, 'pull records a live stream, and chooses streams', async () => {
    const { file, code } = await pull(streams.url('mmsu', streams.point), '-t', '2', '--streams', '2');
    expect(code).toBe(0);
    const { pictures, sounds } = await decodeFile(file);
    expect(pictures).toEqual([]);
    expect(sounds.length).toBeGreaterThan(20);
  });

  it('pull says which way it took, and why the others failed', async () => {
    const { log } = await pull(streams.server.url('/film.wmv', 'mms'));
    expect(log).toMatch(/RTSP over UDP to \S+ does not work: [^\n]+ Going on with RTSP over TCP/);
    expect(log).toMatch(/MMS over TCP to \S+ does not work: [^\n]+ Going on with HTTP/);
    expect(log).toMatch(/HTTP to \S+ works\./);
  });

  it('probe describes a file and a point', async () => {
    const probe = async (path: string) => {
      const command = new Command('wmcast', ['probe', streams.url('mmst', path), '--json']);
      return command.event('probe');
    };
    expect(await probe('/film.wmv')).toMatchObject({
      transport: 'mmst',
      server: expect.stringContaining('Windows Media Services 9'),
      features: ['seekable', 'stridable'],
      live: false,
      streams: [expect.objectContaining({ codec: 'WMV2' }), expect.objectContaining({ codec: 'WMA 2' })],
    });
    expect(await probe(streams.point)).toMatchObject({ live: true, features: ['broadcast'] });
    const missing = new Command('wmcast', ['probe', streams.url('mmst', '/nothing'), '--json']);
    expect((await missing.ends()).code).toBe(66);
  });

  itNeeds(FFMPEG, 'relay, the source of a point and an announcement take it', async () => {
    const config = join(newFolder(), 'serve.yaml');
    const source = streams.url('mmsu', streams.point);
    await writeFile(config, `points: [{ path: /copy, source: "${source}" }]\n`);
    const other = await Server.start('--config', config);
    const relay = new Command('wmcast', ['relay', streams.url('mmst', streams.point), other.url('/relayed'), '--json']);
    await relay.event('ready');
    for (const point of ['/copy', '/relayed']) {
      const player = new FfmpegPlayer(other.url(point, 'mmsh'));
      await player.decodes(50, 2);
      await player.stop();
    }
    await relay.stop();
    await other.stop();
    const list = join(newFolder(), 'list.asx');
    await writeFile(list, `<asx><entry><ref href="${streams.url('mmsu', '/film.wmv')}"/></entry></asx>`);
    const { file, code } = await pull(list);
    expect(code).toBe(0);
    expect((await decodeFile(file)).pictures.length).toBeGreaterThan(SECONDS * 20);
  });

  it.each(['ntlm', 'basic'])('logs in with %s, and never shows the password', async (scheme) => {
    const folder = newFolder();
    const [users, config] = [join(folder, 'users.yaml'), join(folder, 'serve.yaml')];
    const environment = { WMCAST_USER: 'alice', WMCAST_PASSWORD: 'a secret word' };
    const command = (...args: string[]) =>
      new Child(process.execPath, [fileURLToPath(new URL('../../bin/wmcast.js', import.meta.url)), ...args], {
        environment,
      });
    expect((await command('users', 'add', 'alice', '--file', users, '--json').ends()).code).toBe(0);
    await writeFile(config, `users: ${users}\nauthentication: [${scheme}]\naccess: {play: {users: ['*']}}\n`);
    const server = await Server.start('--config', config, '--mms-port', '0', '--content', streams.folder);
    const { ports } = (await server.event('ready')) as unknown as { ports: { mms: number } };
    const url = `mmst://127.0.0.1:${ports.mms}/film.wmv`;
    const file = join(folder, 'pulled.wmv');
    const pulled = command('pull', url, '-o', file, '--json', '-v');
    const { code } = await pulled.ends();
    expect([code, pulled.describe('')]).toEqual([0, expect.anything()]);
    expect([...pulled.output, ...pulled.log, ...server.log].join('\n')).not.toContain('secret');
    const stranger = new Command('wmcast', ['pull', url, '-o', join(folder, 'no.wmv'), '--json']);
    expect((await stranger.ends()).code).toBe(77);
    await server.stop();
  });

  it('a point never pulls from itself', async () => {
    const config = join(newFolder(), 'serve.yaml');
    const point = newPoint();
    const port = await freePort();
    await writeFile(
      config,
      `mms: { port: ${port} }\npoints: [{ path: ${point}, source: "mmst://127.0.0.1:${port}${point}" }]\n`,
    );
    const server = new Server('wmcast', [
      'serve',
      '--config',
      config,
      '--host',
      '127.0.0.1',
      '--http-port',
      '0',
      '--json',
    ]);
    await server.event('ready');
    const pulled = new Command('wmcast', ['probe', `mmst://127.0.0.1:${port}${point}`, '--json']);
    expect((await pulled.ends()).code).not.toBe(0);
    expect(server.log.join('\n') + JSON.stringify(server.events)).toMatch(/itself|own/);
    await server.stop();
  });
});
