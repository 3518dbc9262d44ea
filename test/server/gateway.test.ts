import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { CommandReader } from '../../src/asf/command-stream.js';
import { findFfmpeg } from '../../src/capture/find.js';
import type { AsfEvent } from '../../src/media/events.js';
import { defaultConfig, type ServerConfig } from '../../src/server/config.js';
import { parseConfig } from '../../src/server/config-file.js';
import { MediaServer } from '../../src/server/server.js';
import { WmspClient } from '../../src/wmsp/client/client.js';
import { until } from '../support/until.js';

const folder = mkdtempSync(join(tmpdir(), 'wmcast-gateway-'));
const { path: ffmpeg } = await findFfmpeg();
let film: Buffer;

beforeAll(async () => {
  const { stdout } = await execa(
    ffmpeg,
    [
      ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=s=160x120:r=25:d=20', '-f', 'lavfi', '-i', 'sine=d=20'],
      ...['-c:v', 'mpeg2video', '-c:a', 'mp2', '-f', 'mpegts', '-'],
    ],
    { encoding: 'buffer' },
  );
  film = Buffer.from(stdout);
});

const cleanups: Array<() => unknown> = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A web server, its requests so far, and how many of them are open. */
interface Station {
  readonly url: string;
  readonly server: Server;
  requests: number;
  readonly open: Set<ServerResponse>;
}

async function station(answer: (response: ServerResponse) => void): Promise<Station> {
  const open = new Set<ServerResponse>();
  const server = createServer((_request, response) => {
    made.requests++;
    open.add(response);
    response.on('close', () => open.delete(response));
    answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const made: Station = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/film.ts`,
    server,
    requests: 0,
    open,
  };
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return made;
}

const sendsFilm = (response: ServerResponse) => {
  response.writeHead(200, { 'Content-Type': 'video/mp2t' });
  // Not the end: a station goes on.
  response.write(film);
};

async function serve(points: unknown[]): Promise<{ server: MediaServer; warnings: string[] }> {
  const warnings: string[] = [];
  const config: ServerConfig = {
    ...parseConfig(JSON.stringify({ points }), 'test'),
    host: '127.0.0.1',
    httpPort: 0,
  };
  const server = await MediaServer.start(config, {
    warning: (message) => warnings.push(message),
  });
  cleanups.push(() => server.close());
  return { server, warnings };
}

/** Plays until a number of packets has arrived; returns the header's streams. */
async function play(url: string, packets: number): Promise<string> {
  const client = new WmspClient({ url });
  let streams = '';
  let count = 0;
  for await (const event of client as AsyncIterable<AsfEvent>) {
    if (event.type === 'header') streams = event.header.streams.map(({ type }) => type).join('+');
    if (event.type === 'packet' && ++count >= packets) break;
  }
  await client.close();
  return streams;
}

/** False for a process that has ended, and for one that nobody has waited for yet. */
function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

describe('a point that encodes', () => {
  it('runs one encoder from its first player to its last', async () => {
    const source = await station(sendsFilm);
    const { server } = await serve([{ path: '/tv', source: { encode: source.url, profile: 'av100' } }]);
    const url = `${server.baseUrl}/tv`;
    expect(source.requests).toBe(0);
    const begun = performance.now();
    expect(await Promise.all([play(url, 20), play(url, 20)])).toEqual(['video+audio', 'video+audio']);
    process.stdout.write(`  first 20 packets of a gateway point after ${Math.round(performance.now() - begun)} ms\n`);
    // One look at the picture, one encoder.
    expect(source.requests).toBe(2);
    expect(source.open.size).toBe(1);
    await until('the encoder to end', () => source.open.size === 0, 15_000);
  });

  it('starts nothing for those who may not play', async () => {
    const source = await station(sendsFilm);
    const access = { play: { addresses: ['192.0.2.1'] } };
    const { server } = await serve([{ path: '/tv', source: { encode: source.url }, access }]);
    await expect(play(`${server.baseUrl}/tv`, 1)).rejects.toThrow();
    expect(source.requests).toBe(0);
  });

  it('starts again when its source dies, for the same players', async () => {
    const source = await station(sendsFilm);
    const { server } = await serve([{ path: '/tv', source: { encode: source.url, profile: 'av100' } }]);
    let died = false;
    let headers = 0;
    let after = 0;
    const client = new WmspClient({ url: `${server.baseUrl}/tv` });
    for await (const event of client as AsyncIterable<AsfEvent>) {
      if (event.type === 'header') headers++;
      if (event.type !== 'packet') continue;
      if (!died) {
        died = true;
        for (const response of source.open) response.destroy();
      } else if (source.requests > 3 && ++after > 20) break;
    }
    await client.close();
    expect(headers).toBe(1);
  });

  it('is offline for a page instead of media, and says why', async () => {
    const source = await station((response) => {
      response.writeHead(200, { 'Content-Type': 'text/html' });
      response.end('<!doctype html><html><body>Maintenance</body></html>');
    });
    const { server, warnings } = await serve([{ path: '/tv', source: { encode: source.url } }]);
    await expect(play(`${server.baseUrl}/tv`, 1)).rejects.toThrow();
    expect(warnings.join('\n')).toMatch(/\/tv cannot be pulled from http.*(?:not media|cannot be opened)/);
  });

  it('encodes what a command writes, and ends the command with the encoder', async () => {
    const marker = join(folder, 'pid');
    const graph = '-f lavfi -i testsrc2=s=160x120:r=25 -f lavfi -i sine';
    const encode = `!echo $$ > ${marker}; ${ffmpeg} -v error -re ${graph} -c:v mpeg2video -c:a mp2 -f mpegts -; sleep 100`;
    const { server } = await serve([{ path: '/cmd', source: { encode, profile: 'av100' } }]);
    expect(await play(`${server.baseUrl}/cmd`, 20)).toBe('video+audio');
    const pid = Number(readFileSync(marker, 'utf8'));
    const runs = () => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    expect(runs()).toBe(true);
    await until('the command to end', () => !runs(), 15_000);
  });

  it('keeps its players and their header when its source comes back in another format', async () => {
    const { stdout: other } = await execa(
      ffmpeg,
      [
        ...'-v error -f lavfi -i testsrc2=s=320x180:r=15:d=20 -f lavfi -i sine=d=20:sample_rate=48000'.split(' '),
        ...'-c:v mpeg1video -r 30 -c:a ac3 -ac 2 -f mpegts -'.split(' '),
      ],
      { encoding: 'buffer' },
    );
    let isOther = false;
    const source = await station((response) => {
      response.writeHead(200, { 'Content-Type': 'video/mp2t' });
      response.write(isOther ? other : film);
    });
    const { server } = await serve([{ path: '/tv', source: { encode: source.url } }]);
    const client = new WmspClient({ url: `${server.baseUrl}/tv` });
    let [headers, after] = [0, 0];
    let seen = 0;
    for await (const event of client as AsyncIterable<AsfEvent>) {
      if (event.type === 'header') headers++;
      if (event.type !== 'packet') continue;
      if (!isOther) {
        isOther = true;
        seen = source.requests;
        for (const response of source.open) response.destroy();
      } else if (source.requests > seen && ++after > 100) break;
    }
    await client.close();
    expect(headers).toBe(1);
  });

  it('is offline for a command that hangs, which ends with its process group', async () => {
    const marker = join(folder, 'hanging');
    const { server, warnings } = await serve([
      {
        path: '/cmd',
        source: { encode: `!sleep 1000 & echo $! > ${marker}; wait` },
      },
    ]);
    await expect(play(`${server.baseUrl}/cmd`, 1)).rejects.toThrow();
    await until('a reason', () => warnings.some((text) => text.includes('/cmd cannot be pulled')), 60_000);
    const pid = Number(readFileSync(marker, 'utf8'));
    await server.close();
    await until('the command to end', () => !isRunning(pid));
  }, 90_000);

  it('ends its encoder too if its process is killed while the source is silent', async () => {
    // Half of it, and then nothing, so that ffmpeg has nothing to write to the broken pipe either.
    const source = await station((response) => {
      response.writeHead(200, { 'Content-Type': 'video/mp2t' });
      response.write(film.subarray(0, film.length >> 1));
    });
    const config = join(folder, 'killed.yaml');
    const text = {
      host: '127.0.0.1',
      httpPort: 0,
      points: [{ path: '/tv', source: { encode: source.url, profile: 'av100' } }],
    };
    writeFileSync(config, JSON.stringify(text));
    const serving = execa('node', ['bin/wmcast.js', 'serve', '--config', config, '--json'], {
      reject: false,
      buffer: false,
    });
    cleanups.push(() => serving.kill('SIGKILL'));
    let output = '';
    serving.stdout.on('data', (chunk: Buffer) => {
      output += String(chunk);
    });
    const port = await until('the server', () => /"http":(\d+)/.exec(output)?.[1], 60_000);
    // It stays, so that the encoder does, too.
    const playing = play(`http://127.0.0.1:${port}/tv`, Number.POSITIVE_INFINITY).catch(() => {});
    const encoders = () => childrenOf(serving.pid!).filter((pid) => commandOf(pid).endsWith('pipe:1\0'));
    const encoder = await until('the encoder', () => encoders()[0], 60_000);
    let [written, quietSince] = ['', performance.now()];
    await until(
      'the encoder to have nothing to write',
      () => {
        const now = /wchar: (\d+)/.exec(readFileSync(`/proc/${encoder}/io`, 'latin1'))?.[1] ?? '';
        if (now !== written || Number(now) < 10_000) [written, quietSince] = [now, performance.now()];
        return performance.now() - quietSince > 2_000;
      },
      60_000,
    );
    serving.kill('SIGKILL');
    await serving;
    await until('the encoder to end', () => !isRunning(encoder));
    await playing;
  }, 120_000);

  it('sends the titles of a radio station to its players', async () => {
    const { stdout: mp3 } = await execa(ffmpeg, [...'-v error -f lavfi -i sine=d=20 -b:a 64k -f mp3 -'.split(' ')], {
      encoding: 'buffer',
    });
    const block = Buffer.alloc(33);
    block[0] = 2;
    block.write("StreamTitle='Lied';", 1);
    const source = await station((response) => {
      response.writeHead(200, {
        'Content-Type': 'audio/mpeg',
        'icy-name': 'Radio',
        'icy-metaint': 4000,
      });
      response.write(Buffer.concat([mp3.subarray(0, 4000), block]));
      for (let at = 4000; at < mp3.length; at += 4000) {
        const part = mp3.subarray(at, at + 4000);
        response.write(part.length === 4000 ? Buffer.concat([part, Buffer.alloc(1)]) : part);
      }
    });
    const { server } = await serve([{ path: '/radio', source: { encode: source.url } }]);
    const client = new WmspClient({ url: `${server.baseUrl}/radio` });
    let reader: CommandReader | undefined;
    let found: string | undefined;
    for await (const event of client as AsyncIterable<AsfEvent>) {
      if (event.type === 'header') reader = new CommandReader(event.header);
      if (event.type === 'packet') found = reader?.read(event.packet)[0]?.text;
      if (found !== undefined) break;
    }
    await client.close();
    expect(found).toBe('Lied');
  });

  it('makes a point of each entry of a list, none of which costs a process', async () => {
    const source = await station(sendsFilm);
    const list = join(folder, 'list.m3u');
    const entries = Array.from({ length: 50 }, (_, index) => `#EXTINF:-1,Radio ${index}\n${source.url}?${index}\n`);
    writeFileSync(list, `#EXTM3U\n${entries.join('')}`);
    const { server } = await serve([{ path: '/radio', source: { encode: list, profile: 'a32' } }]);
    expect([...server.points].map(({ path }) => path)).toEqual(
      expect.arrayContaining(['/radio/radio-0', '/radio/radio-49']),
    );
    expect(source.requests).toBe(0);
    expect(await play(`${server.baseUrl}/radio/radio-7`, 5)).toBe('audio');
    expect(source.requests).toBe(1);
  });

  it('adds and removes the points of a list with its entries, and leaves those that stay alone', async () => {
    const source = await station(sendsFilm);
    const list = join(folder, 'changing.m3u');
    const write = (...names: string[]) =>
      writeFileSync(list, names.map((name) => `#EXTINF:-1,${name}\n${source.url}?${name}\n`).join(''));
    write('one', 'two');
    const points = [
      { path: '/tv', source: { encode: list, profile: 'a32' } },
      { path: '/tv/own', source: { encode: source.url, profile: 'a32' } },
    ];
    const configOf = (config: unknown[]): ServerConfig => ({
      ...parseConfig(JSON.stringify({ points: config }), 'test'),
      ...{ host: '127.0.0.1', httpPort: 0 },
    });
    let current = configOf(points);
    const server = await MediaServer.start(current, {}, { load: () => Promise.resolve(current) });
    cleanups.push(() => server.close());
    const paths = () => [...server.points].map(({ path }) => path).sort();
    expect(paths()).toEqual(['/tv', '/tv/one', '/tv/own', '/tv/two']);
    const stays = server.points.get('/tv/two');
    const reload = async (config: unknown[]) => {
      current = configOf(config);
      await server.reload();
    };
    write('two', 'three');
    await reload(points);
    await until('the points to change', () => paths().join() === '/tv,/tv/own,/tv/three,/tv/two');
    expect(server.points.get('/tv/two')).toBe(stays);
    expect(await play(`${server.baseUrl}/tv/three`, 5)).toBe('audio');
    // A list that cannot be read ends nothing.
    rmSync(list);
    await reload(points);
    expect(paths()).toEqual(['/tv', '/tv/own', '/tv/three', '/tv/two']);
    await reload(points.slice(1));
    await until('the points to go', () => paths().join() === '/tv/own');
  });

  it.each([
    [{ encode: '' }, /encode/],
    [{ encode: 'http://x/', profile: 'av301' }, /must be a profile/],
  ])('with the source %j is refused', (source, message) => {
    expect(() => parseConfig(JSON.stringify({ points: [{ path: '/x', source }] }), 'test')).toThrow(message);
    expect(defaultConfig().points).toEqual([]);
  });
});
