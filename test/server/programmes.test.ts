import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../../src/server/config-file.js';
import { type TestHeaderOptions, testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { parseResponse, type RawPeer, type WirePacket, wirePackets } from '../support/wire.js';
import { BOTH_STREAMS, kindsOf, NEW, PLAY } from '../wmsp/station.js';
import { ServerStation } from './station.js';

const open: Array<{ close(): Promise<void> }> = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

const SECONDS = 0.6;
const PACKETS = 6;

function asf(options: TestHeaderOptions): Buffer {
  const packets = Array.from(
    { length: PACKETS },
    (_, index) => testPacket((index * SECONDS * 1000) / PACKETS, { key: true, number: index }).bytes,
  );
  return Buffer.concat([testHeader(options).bytes, ...packets]);
}

function wsx(attributes: string, ...sources: string[]): string {
  return `<?wsx version="1.0"?><smil${attributes}>${sources.map((src) => `<media src="${src}"/>`).join('')}</smil>`;
}

interface Studio extends ServerStation {
  readonly warnings: string[];
  readonly folder: string;
}

/** A server whose content folder has two files, a list of both that is played for ever, and one that ends. */
async function studio(points: (folder: string) => string): Promise<Studio> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'wmcast-')));
  open.push({ close: () => rm(folder, { recursive: true }) });
  await mkdir(join(folder, 'news'));
  await Promise.all([
    writeFile(join(folder, 'one.wmv'), asf({ title: 'one' })),
    writeFile(join(folder, 'two.wmv'), asf({ title: 'two' })),
    writeFile(join(folder, 'news', '1.wmv'), asf({ title: 'news 1' })),
    writeFile(join(folder, 'news', '2.wmv'), asf({ title: 'news 2' })),
    writeFile(join(folder, 'news', 'ever.wsx'), wsx(' repeatCount="indefinite"', '../one.wmv', '/two.wmv')),
    writeFile(join(folder, 'ends.wsx'), wsx('', 'one.wmv', 'two.wmv')),
    writeFile(join(folder, 'gaps.wsx'), wsx(' repeatCount="indefinite"', 'gone.wmv', 'one.wmv')),
  ]);
  const warnings: string[] = [];
  const config = parseConfig(`content: { folder: ${folder} }\npoints: [${points(folder)}]`, 'serve.yaml');
  const made = await ServerStation.open(
    { ...config, host: '127.0.0.1', httpPort: 0 },
    { warning: (message) => warnings.push(message) },
  );
  open.push(made);
  return Object.assign(made, { warnings, folder });
}

async function play(server: ServerStation, path: string): Promise<RawPeer> {
  const peer = await server.peer();
  peer.request(`GET ${path} HTTP/1.1`, NEW, 'Host: x', ...PLAY, ...BOTH_STREAMS);
  return peer;
}

/** What a player has got, once the letters of its packets fit. */
function seen(peer: RawPeer, wanted: RegExp): Promise<readonly WirePacket[]> {
  return peer.until((bytes) => {
    const packets = wirePackets(parseResponse(bytes)?.body ?? Buffer.alloc(0));
    return wanted.test(kindsOf(packets).join('')) ? packets : undefined;
  });
}

function titleAt({ server }: ServerStation, path: string): string | undefined {
  const header = server.points.get(path)?.broadcast.header;
  const found = header?.objects.find((object) => object.type === 'contentDescription');
  return found?.type === 'contentDescription' ? found.title : undefined;
}

/** The titles of a point, each as often as it begins, until there are so many. */
async function titles(server: ServerStation, path: string, count: number): Promise<string[]> {
  const found: string[] = [];
  const { broadcast } = server.server.points.get(path)!;
  const follower = {
    started: () => void found.push(titleAt(server, path) ?? ''),
    packet: () => 0,
    ended: () => {},
  };
  broadcast.follow(follower);
  await until(`${count} entries`, () => found.length >= count);
  broadcast.unfollow(follower);
  return found.slice(0, count);
}

describe('a point whose source is a playlist', () => {
  it('[WMSP-206] is at the same moment for all players, and announces its entries', async () => {
    const server = await studio(() => '{ path: /x, source: news/ever.wsx }');
    await until('the first entry', () => server.server.points.get('/x')!.broadcast.live);
    const early = await play(server, '/x');
    await seen(early, /HD/);
    const late = await play(server, '/x');
    const [one, other] = await Promise.all([seen(early, /HDE1C0M?HD/), seen(late, /HDE1C0M?HD/)]);
    const secondOf = (packets: readonly WirePacket[]) => {
      const change = packets.findIndex(({ id }) => id === 'C');
      return packets.slice(change).find(({ id }) => id === 'D')!.payload;
    };
    expect(secondOf(other)).toEqual(secondOf(one));
    expect(server.server.points.get('/x')!.broadcast.players).toBe(2);
    expect(server.warnings).toEqual([]);
  });

  it('is paced', async () => {
    const server = await studio(() => '{ path: /x, source: news/ever.wsx }');
    const started = performance.now();
    expect(await titles(server, '/x', 4)).toEqual(['one', 'two', 'one', 'two']);
    expect(performance.now() - started).toBeGreaterThan(2.5 * SECONDS * 1000);
  });

  it('ends with a playlist that ends, is not played again by itself, and leaves the point to the next source', async () => {
    const server = await studio(() => '{ path: /x, source: [ends.wsx, one.wmv] }');
    expect(await titles(server, '/x', 3)).toEqual(['one', 'two', 'one']);
    expect(server.warnings).toEqual(['/x: ends.wsx has ended.', '/x: It comes from one.wmv now.']);
  });

  it('begins with its first player, and again with the next one after its end', async () => {
    const server = await studio(() => '{ path: /x, onDemand: true, source: ends.wsx }');
    const point = server.server.points.get('/x')!;
    for (let round = 0; round < 2; round++) {
      expect(point.broadcast.live).toBe(false);
      const player = await play(server, '/x');
      await seen(player, /HDE1C0M?HDE0$/);
      await until('the end', () => !point.broadcast.live);
    }
  });

  it('passes over what is missing, and warns of it once', async () => {
    const server = await studio(() => '{ path: /x, source: gaps.wsx }');
    await until('some packets', () => server.server.points.get('/x')!.broadcast.counters.packetsIn > 3 * PACKETS);
    expect(server.warnings).toEqual([
      expect.stringMatching(/^\/x: \/gaps\.wsx:1:\d+ cannot be played: There is nothing at \/gone\.wmv\.$/),
    ]);
  });
});

describe('a point whose source is a file or a folder', () => {
  it.each([
    ['a file of the content folder', () => 'one.wmv', ['one']],
    ['a file anywhere', (folder: string) => join(folder, 'news', '2.wmv'), ['news 2']],
    ['a folder, again and again', () => 'news/', ['news 1', 'news 2', 'news 1']],
    ['a folder anywhere', (folder: string) => join(folder, 'news'), ['news 1', 'news 2', 'news 1']],
  ])('plays %s', async (_, source, expected) => {
    const server = await studio((folder) => `{ path: /x, source: { programme: ${JSON.stringify(source(folder))} } }`);
    expect(await titles(server, '/x', expected.length)).toEqual(expected);
    expect(server.warnings).toEqual([]);
  });

  it('goes on without another header when it is one file, which begins again', async () => {
    const server = await studio(() => '{ path: /x, source: one.wmv }');
    const { broadcast } = server.server.points.get('/x')!;
    await until('three rounds', () => broadcast.counters.packetsIn > 3 * PACKETS);
    expect(broadcast.generation).toBe(1);
  });

  it.each([
    ['no such file', 'gone.wmv', /gone\.wmv is no \.asf, \.wmv, \.wma or \.wsx file/],
    ['a path that leaves the content folder', '../one.wmv', /not allowed/],
  ])('warns of %s', async (_, source, message) => {
    const server = await studio(() => `{ path: /x, source: ${source} }`);
    await until('a warning', () => server.warnings.length > 0);
    expect(server.warnings[0]).toMatch(/^\/x cannot be pulled from /);
    expect(server.warnings[0]).toMatch(message);
  });
});

describe('an entry that is injected', () => {
  it('plays next for everybody, and then the programme goes on', async () => {
    const server = await studio(() => '{ path: /x, source: news/ever.wsx }');
    const all = titles(server, '/x', 5);
    await until('the first entry', () => titleAt(server, '/x') === 'one');
    await server.server.inject('/x', 'news/');
    expect(await all).toEqual(['one', 'news 1', 'news 2', 'two', 'one']);
  });

  it('goes to the source that plays, whichever of several that is', async () => {
    const server = await studio(() => '{ path: /x, source: [gone.wmv, news/ever.wsx] }');
    const all = titles(server, '/x', 3);
    await until('the first entry', () => titleAt(server, '/x') === 'one');
    await server.server.inject('/x', 'news/2.wmv');
    expect(await all).toEqual(['one', 'news 2', 'two']);
  });

  it('comes over the API, too', async () => {
    const server = await studio(() => '{ path: /x, source: news/ever.wsx }, { path: /y }');
    const all = titles(server, '/x', 3);
    await until('the first entry', () => titleAt(server, '/x') === 'one');
    const inject = async (name: string, body: string) => {
      const head = [`POST /api/points/${name}/inject HTTP/1.1`, 'Host: localhost', 'Content-Type: application/json'];
      const peer = await server.peer();
      peer.send(`${[...head, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`);
      const status = await peer.until((bytes) => parseResponse(bytes)?.status);
      peer.close();
      return status;
    };
    expect(await inject('x', '{"source": "news/2.wmv"}')).toBe(204);
    expect(await all).toEqual(['one', 'news 2', 'two']);
    expect(await inject('x', '{"source": "gone.wmv"}')).toBe(404);
    expect(await inject('y', '{"source": "one.wmv"}')).toBe(400);
    expect(await inject('x', '{"source": 1}')).toBe(400);
    expect(await inject('x', 'x')).toBe(400);
    expect(await inject('z', '{"source": "one.wmv"}')).toBe(404);
  });

  it('must exist and end, and its point must have a programme', async () => {
    const server = await studio(() => '{ path: /x, source: one.wmv }, { path: /y }');
    await expect(server.server.inject('/x', 'gone.wmv')).rejects.toMatchObject({ code: 'WM_NO_INPUT' });
    await expect(server.server.inject('/x', 'news/ever.wsx')).rejects.toMatchObject({ code: 'WM_USAGE' });
    await expect(server.server.inject('/y', 'one.wmv')).rejects.toMatchObject({ code: 'WM_USAGE' });
  });
});

describe('the source of a point in the configuration', () => {
  it('needs a content folder where it is relative', async () => {
    const config = (source: string) => parseConfig(`points: [{ path: /x, source: ${source} }]`, 'serve.yaml');
    await expect(ServerStation.open(config('[push, day.wsx]'))).rejects.toMatchObject({
      code: 'WM_CONFIG',
      message: expect.stringContaining('/x: source day.wsx is relative to the content folder'),
    });
    const server = await ServerStation.open(config('/nowhere/day.wsx'));
    await server.close();
  });

  it('is a URL, a path, push, or an object that says which', () => {
    const text = (source: string) => parseConfig(`points: [{ path: /x, source: ${source} }]`, 'serve.yaml');
    for (const good of [
      'music',
      '/srv/a.wsx',
      'push',
      '{ url: "http://a/" }',
      '{ programme: x }',
      '[push, a.wmv]',
      '{ encode: "http://a/b.m3u8", profile: av300 }',
    ]) {
      expect(() => text(good)).not.toThrow();
    }
    for (const bad of ['ftp://a/', 'encoder:8080', '{ url: a.wmv }', '""', '{ push: false }']) {
      expect(() => text(bad)).toThrow('source');
    }
  });
});
