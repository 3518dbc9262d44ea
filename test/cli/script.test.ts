import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { findFfmpeg } from '../../src/capture/find.js';
import { probeCommand } from '../../src/cli/probe.js';
import { pushCommand } from '../../src/cli/push.js';
import { defaultConfig, type ServerConfig } from '../../src/server/config.js';
import { MediaServer } from '../../src/server/server.js';
import { hlsStation, tsSegments } from '../support/hls-station.js';
import { until } from '../support/until.js';
import { newFolder, removeFolders, runCommand } from './run.js';

afterAll(removeFolders);

const servers: MediaServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function serve(config: Partial<ServerConfig> = {}): Promise<MediaServer> {
  const server = await MediaServer.start({ ...defaultConfig(), host: '127.0.0.1', httpPort: 0, ...config });
  servers.push(server);
  return server;
}

const texts = (events: ReadonlyArray<Record<string, unknown>>) =>
  events.filter(({ event }) => event === 'command').map(({ type, text }) => `${String(type)} ${String(text)}`);

/** Waits for a point to be live. */
async function live(server: MediaServer, path: string): Promise<void> {
  await until(`${path} to be live`, () => server.points.find(path)?.broadcast.live);
}

describe('--script', () => {
  it('sends commands to players and to the archive, whose header gets the markers', async () => {
    const folder = newFolder();
    const [script, archive] = [join(folder, 'script.txt'), join(folder, 'archive.asf')];
    await writeFile(script, 'TEXT Hello\n0:01 MARKER Chapter one\n0:06 URL http://example.com/\n7 EVENT e\n');
    const server = await serve();
    const url = `${server.baseUrl}/live`;
    const pushing = runCommand(
      pushCommand(),
      '-i',
      'synthetic:',
      '-t',
      '8',
      '--script',
      script,
      '--archive',
      archive,
      url,
    );
    await live(server, '/live');
    const received = join(folder, 'received.asf');
    await server.points.find('/live')!.broadcast.nextHeader(1);
    const pulled = await execa('node', ['bin/wmcast.js', 'pull', url, '-o', received, '--json']);
    expect((await pushing).error).toBeUndefined();
    const events = pulled.stdout.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(texts(events)).toEqual(['TEXT Hello', 'URL http://example.com/', 'EVENT e']);
    for (const path of [archive, received]) {
      const { events: probed } = await runCommand(probeCommand(), '--json', path);
      expect(probed[0]).toMatchObject({ commands: [{ type: 'TEXT' }, { type: 'URL' }, { type: 'EVENT' }] });
    }
    const { output } = await runCommand(probeCommand(), archive);
    expect(output).toMatch(/^Marker +0:00:01 Chapter one$/m);
    expect(output).toMatch(/^Command +0:00:00 TEXT Hello$/m);
    expect(output).not.toMatch(/^Note/m);
    const { path: ffmpeg } = await findFfmpeg();
    const { stderr } = await execa(ffmpeg, ['-hide_banner', '-i', archive], { reject: false });
    expect(stderr).toMatch(/Chapter #0:0: start 1\.\d+/);
    expect(stderr).toMatch(/Chapter one/);
  });

  it('that cannot be read, or is wrong, is refused before anything is sent', async () => {
    const script = join(newFolder(), 'script.txt');
    await writeFile(script, 'TEXT a\nnonsense\n');
    const errorOf = async (path: string) =>
      (await runCommand(pushCommand(), '-i', 'synthetic:', '--script', path, 'http://127.0.0.1:1/x')).error;
    expect(await errorOf(script)).toMatchObject({ code: 'WM_USAGE', message: expect.stringContaining('script.txt:2') });
    expect(await errorOf(`${script}.none`)).toMatchObject({ code: 'WM_NO_INPUT' });
  });
});

describe('a command for a point', () => {
  it('is sent by the administration, if the point adds a stream for it, and recorded', async () => {
    const folder = newFolder();
    const config = defaultConfig();
    const server = await serve({ points: [{ path: '/live', scripts: true, archive: folder }, ...config.points] });
    const url = `${server.baseUrl}/live`;
    const command = (path: string, body: unknown) =>
      fetch(`${server.baseUrl}/api/points/${path}/command`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      });
    expect((await command('live', { type: 'TEXT', text: 'x' })).status).toBe(409);
    const pushing = runCommand(pushCommand(), '-i', 'synthetic:', '-t', '2', url);
    await live(server, '/live');
    expect((await command('live', { type: 'TEXT', text: 'Now' })).status).toBe(204);
    expect((await command('live', { type: 'text' })).status).toBe(400);
    expect((await command('live', { type: 'TEXT', text: 'x'.repeat(3000) })).status).toBe(400);
    expect((await command('none', { type: 'TEXT', text: 'x' })).status).toBe(404);
    await pushing;
    await server.close();
    const { readdirSync } = await import('node:fs');
    const [file = ''] = readdirSync(folder);
    const { events } = await runCommand(probeCommand(), '--json', join(folder, file));
    expect(events[0]).toMatchObject({ commands: [{ type: 'TEXT', text: 'Now' }] });
  });
});

describe('the titles of a radio station', () => {
  it('become TEXT commands', async () => {
    const { path: ffmpeg } = await findFfmpeg();
    const { stdout: mp3 } = await execa(
      ffmpeg,
      ['-v', 'error', '-f', 'lavfi', '-i', 'sine=d=6', '-b:a', '64k', '-f', 'mp3', '-'],
      { encoding: 'buffer' },
    );
    const interval = 4000;
    const station = createServer((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'audio/mpeg', 'icy-name': 'Radio', 'icy-metaint': interval });
      for (let at = 0, count = 0; at + interval <= mp3.length; at += interval, count++) {
        response.write(mp3.subarray(at, at + interval));
        const title = count % 4 === 0 ? `StreamTitle='Song ${count / 4}';` : '';
        const block = Buffer.alloc(1 + 16 * Math.ceil(title.length / 16));
        block[0] = (block.length - 1) / 16;
        block.write(title, 1);
        response.write(block);
      }
      response.end();
    });
    station.listen(0, '127.0.0.1');
    await once(station, 'listening');
    const folder = newFolder();
    const server = await serve();
    const archive = join(folder, 'radio.asf');
    const input = `http://127.0.0.1:${(station.address() as AddressInfo).port}/`;
    await runCommand(pushCommand(), '-i', input, '--archive', archive, `${server.baseUrl}/radio`);
    station.close();
    const { events } = await runCommand(probeCommand(), '--json', archive);
    const { commands } = events[0] as unknown as { commands: Array<{ type: string; text: string }> };
    expect(commands.map(({ type, text }) => `${type} ${text}`)).toEqual(['TEXT Song 0', 'TEXT Song 1', 'TEXT Song 2']);
  });
});

describe('the titles of inputs that play in turn', () => {
  /** Pushes inputs to a server; returns the commands in the archive of what was sent. */
  async function commandsOf(...options: string[]): Promise<string[]> {
    const server = await serve();
    const folder = newFolder();
    const archive = join(folder, 'archive.asf');
    const { error } = await runCommand(pushCommand(), ...options, '--archive', archive, `${server.baseUrl}/live`);
    expect(error).toBeUndefined();
    const found: string[] = [];
    // Another header begins another file.
    for (const name of (await readdir(folder)).sort((a, b) => a.length - b.length)) {
      const { events } = await runCommand(probeCommand(), '--json', join(folder, name));
      const { commands = [] } = events[0] as unknown as { commands?: Array<{ type: string; text: string }> };
      found.push(...commands.map(({ type, text }) => `${type} ${text}`));
    }
    return found;
  }

  async function song(path: string, ...texts: string[]): Promise<string> {
    const { path: ffmpeg } = await findFfmpeg();
    const metadata = texts.flatMap((text) => ['-metadata', text]);
    await execa(ffmpeg, ['-v', 'error', '-y', '-f', 'lavfi', '-i', 'sine=d=2', ...metadata, path]);
    return path;
  }

  it('are sent when each goes on the air: those of files, of lists, and of what is sent to it', async () => {
    const folder = newFolder();
    const { path: ffmpeg } = await findFfmpeg();
    const segments = await tsSegments(ffmpeg, folder, 2);
    const list = '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,News\n0.ts\n#EXTINF:2,Sport\n1.ts\n#EXT-X-ENDLIST\n';
    const station = await hlsStation((path) => (path === 'list.m3u8' ? list : segments[Number.parseInt(path, 10)]));
    await song(join(folder, 'one.mp3'), 'title=First', 'artist=Band');
    await song(join(folder, 'zwei ö.mp3'), 'title=Not this');
    await song(join(folder, 'untitled.mp3'));
    const m3u = join(folder, 'list.m3u');
    const entries = ['one.mp3', '#EXTINF:2,Zweite', 'zwei ö.mp3', 'untitled.mp3', `${station.url}/list.m3u8`];
    await writeFile(m3u, `\ufeff#EXTM3U\r\n${entries.join('\r\n')}\r\n`);
    const commands = await commandsOf('-i', m3u, '--no-video');
    station.close();
    expect(commands).toEqual(['TEXT Band - First', 'TEXT Zweite', 'TEXT ', 'TEXT News', 'TEXT Sport']);
  });

  it('are those of a list if the inputs are copied', async () => {
    const folder = newFolder();
    const list = join(folder, 'list.m3u');
    await writeFile(list, '#EXTINF:1,Alpha\nsynthetic:duration=1\n#EXTINF:1,Beta\nsynthetic:duration=1,seed=2\n');
    expect(await commandsOf('-i', list)).toEqual(['TEXT Alpha', 'TEXT Beta']);
  });
});
