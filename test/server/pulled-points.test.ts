import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileSource } from '../../src/media/file-source.js';
import { parseConfig } from '../../src/server/config-file.js';
import { ownPathOf } from '../../src/server/points/own-addresses.js';
import { PublishingPoints } from '../../src/server/points/points.js';
import { PointPull } from '../../src/server/points/pull.js';
import { connectRemote } from '../../src/server/points/remote.js';
import { connectRequest, untilShape } from '../msbd/support.js';
import { slowness } from '../support/patience.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { RawPeer } from '../support/wire.js';
import { ServerStation, type TestEncoder } from './station.js';

const open: Array<{ close(): Promise<void> }> = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

/** Returns a TCP port that is free at the moment. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function station(text: string, httpPort = 0): Promise<ServerStation & { warnings: string[] }> {
  const warnings: string[] = [];
  const config = { ...parseConfig(text, 'serve.yaml'), host: '127.0.0.1', httpPort };
  const made = await ServerStation.open(config, { warning: (message) => warnings.push(message) });
  open.push(made);
  return Object.assign(made, { warnings });
}

/** Pushes key frames until a condition is true. */
const keyUntil = (encoder: TestEncoder, what: string, holds: () => boolean) =>
  until(what, () => {
    encoder.key();
    return holds();
  });

const isLive = ({ server }: ServerStation, path: string) => server.points.get(path)?.broadcast.live === true;

const PLAY = [
  'User-Agent: NSPlayer/12.0',
  'Pragma: xPlayStrm=1',
  'Pragma: stream-switch-count=2',
  'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
];

describe('a point with sources', () => {
  it('plays the best available source, at worst a file, and returns to a better one when it is back', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wmcast-'));
    open.push({ close: () => rm(folder, { recursive: true }) });
    const file = join(folder, 'slate.asf');
    const packets = Array.from({ length: 20 }, (_, index) => testPacket(index * 100, { key: true }).bytes);
    await writeFile(file, Buffer.concat([testHeader({ title: 'slate' }).bytes, ...packets]));
    const port = await freePort();
    const origin = await ServerStation.open({ httpPort: port });
    const points = new PublishingPoints({ newPoints: 'any' });
    const point = points.configure('/x');
    const warnings: string[] = [];
    const pull = new PointPull({
      point,
      sources: [
        {
          name: `http://127.0.0.1:${port}/live`,
          open: (chain) => connectRemote(`http://127.0.0.1:${port}/live`, { onNote: () => {}, chain, retries: 0 }),
        },
      ],
      filler: { name: 'slate.asf', open: () => fileSource({ path: file, loop: true, pace: true, live: true }) },
      onWarning: (text) => warnings.push(text),
      timers: { tick: 10, returnAfter: 50, backOff: { initialDelay: 20, maxDelay: 50 } },
    });
    open.push(pull);
    const title = () => {
      const described = point.broadcast.header?.objects.find((object) => object.type === 'contentDescription');
      return described?.type === 'contentDescription' ? described.title : undefined;
    };
    let ends = 0;
    point.broadcast.follow({ started: () => {}, packet: () => 0, ended: () => ends++ });
    await until('the filler', () => title() === 'slate');
    const encoder = await origin.push('/live', { title: 'live' });
    await keyUntil(encoder, 'the stream', () => title() === 'live');
    await origin.close();
    await until('the filler', () => title() === 'slate');
    const again = await ServerStation.open({ httpPort: port });
    open.push(again);
    const second = await again.push('/live', { title: 'live' });
    await keyUntil(second, 'the stream to be back', () => title() === 'live');
    expect(ends).toBe(0);
    expect(warnings[0]).toMatch(/^\/x cannot be pulled from http:\/\/127\.0\.0\.1:\d+\/live: /);
    expect(warnings).toContain(`/x: It comes from http://127.0.0.1:${port}/live now.`);
    expect(warnings).toContain('/x: It comes from slate.asf now.');
    expect(warnings.length).toBeLessThan(12);
  });

  it('takes several sources, a filler file, and pulling on demand from the configuration', () => {
    const text = 'points: [{ path: /x, source: [http://a/1, msbd://b/2], filler: slate.wmv, onDemand: true }]';
    expect(parseConfig(text, 'serve.yaml').points[0]).toMatchObject({
      source: ['http://a/1', 'msbd://b/2'],
      filler: 'slate.wmv',
      onDemand: true,
    });
    for (const bad of ['[]', '[ftp://a/1]', '[http://a/1, 7]']) {
      expect(() => parseConfig(`points: [{ path: /x, source: ${bad} }]`, 'serve.yaml')).toThrow('source');
    }
  });

  it('takes a push while its source delivers nothing, and only then', async () => {
    const origin = await station('');
    const encoder = await origin.push('/live', { title: 'pulled' });
    const server = await station(`points: [{ path: /x, source: "http://127.0.0.1:${origin.port}/live" }]`);
    const point = server.server.points.get('/x')!;
    await keyUntil(encoder, 'the point to be live', () => point.broadcast.live);
    expect(point.publisher?.remoteAddress).toBe(`http://127.0.0.1:${origin.port}/live`);
    expect((await server.setUp('/x')).response.status).toBe(409);
    encoder.peer.close();
    await until('the point to be free', async () => (await server.setUp('/x')).response.status === 204);
    const pushing = await server.push('/x', { title: 'pushed' });
    await keyUntil(pushing, 'the push', () => point.broadcast.live && point.publisher?.protocol === undefined);
  });
});

describe('a point that is pulled on demand', () => {
  it.each(['WMSP', 'plain HTTP', 'MSBD'])('starts only when the first player asks by %s', async (how) => {
    const origin = await station('');
    await keyUntil(await origin.push('/live'), 'the origin', () => isLive(origin, '/live'));
    const server = await station(
      `msbd: { port: 0 }\npoints: [{ path: /x, onDemand: true, source: "http://127.0.0.1:${origin.port}/live" }]`,
    );
    const point = server.server.points.get('/x')!;
    expect((await server.ask('GET /api/status HTTP/1.1')).status).toBe(200);
    expect(point.publisher).toBeUndefined();
    const peer = how === 'MSBD' ? await RawPeer.connect(server.server.ports.msbd!) : await server.peer();
    open.push({ close: async () => peer.close() });
    if (how === 'MSBD') {
      peer.send(connectRequest(1, 'x'));
      await untilShape(peer, /^CS/);
    } else {
      peer.request('GET /x?MSWMExt=.asf HTTP/1.0', ...(how === 'WMSP' ? PLAY : ['User-Agent: VLC']));
      await peer.until((bytes) => (bytes.includes('200 OK') ? true : undefined));
    }
    expect(point.broadcast.live).toBe(true);
    expect(point.publisher).toBeDefined();
  });

  it('reports at once that it is offline if its source is', async () => {
    const dead = await freePort();
    const server = await station(`points: [{ path: /x, onDemand: true, source: "http://127.0.0.1:${dead}/live" }]`);
    const started = performance.now();
    const response = await server.ask('GET /x HTTP/1.1', 'User-Agent: NSPlayer/12.0');
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(performance.now() - started).toBeLessThan(10_000 * slowness());
  });
});

describe('a source on this very server', () => {
  it('is followed internally, under any of its names', async () => {
    const port = await freePort();
    const server = await station(
      `points: [{ path: /live }, { path: /copy, source: "http://localhost:${port}/live" }, { path: /third, source: "mms://127.0.0.1:${port}/copy" }]`,
      port,
    );
    const encoder = await server.push('/live', { title: 'mine' });
    const third = server.server.points.get('/third')!.broadcast;
    await keyUntil(encoder, 'the last point to have packets', () => third.live && third.counters.packetsIn > 3);
    // There are no players, because there is no connection to ourselves.
    expect(server.server.points.get('/live')!.broadcast.players).toBe(0);
    expect(server.server.points.get('/copy')!.broadcast.players).toBe(0);
    const asked = await server.ask('GET /third HTTP/1.1', 'User-Agent: NSPlayer/12.0');
    expect(asked.status).toBe(200);
    expect(server.warnings).toEqual([]);
    encoder.end();
    await until('the last point to end', () => !third.live);
  });

  it('is rejected if it is the point itself', async () => {
    const port = await freePort();
    const server = await station(`points: [{ path: /x, source: "http://127.0.0.1:${port}/x" }]`, port);
    await until('a warning', () => server.warnings.length > 0);
    expect(server.warnings[0]).toBe(
      `/x cannot be pulled from http://127.0.0.1:${port}/x: /x names itself as its source.`,
    );
  });

  it.each([2, 3])('ends a ring of %i points that wait for players at once', async (count) => {
    const port = await freePort();
    const points = Array.from(
      { length: count },
      (_, index) => `{ path: /p${index}, onDemand: true, source: "http://127.0.0.1:${port}/p${(index + 1) % count}" }`,
    );
    const server = await station(`points: [${points.join(', ')}]`, port);
    const started = performance.now();
    const response = await server.ask('GET /p0 HTTP/1.1', 'User-Agent: NSPlayer/12.0');
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(performance.now() - started).toBeLessThan(10_000 * slowness());
    for (const { feeder } of server.server.points) expect(feeder).toBeDefined();
  });

  it('is recognized by addresses and names of this host, and by its ports', async () => {
    const ports = { http: 8080, https: 8443, msbd: 7007 };
    expect(await ownPathOf('http://127.0.0.1:8080/a%20b?x=1', ports)).toBe('/a b');
    expect(await ownPathOf('mms://localhost:8080/live', ports)).toBe('/live');
    const all = { ...ports, mms: 1755, rtsp: 5554 };
    for (const url of ['rtsp://[::1]:5554/live', 'rtspt://localhost:5554/live', 'rtspu://127.0.0.1:5554/live']) {
      expect(await ownPathOf(url, all)).toBe('/live');
    }
    for (const port of ['', ':1755', ':5554', ':8080']) {
      expect(await ownPathOf(`mms://localhost${port}/live`, all)).toBe('/live');
    }
    expect(await ownPathOf('mmst://localhost/live', all)).toBe('/live');
    expect(await ownPathOf('mmsu://localhost:5554/live', all)).toBeUndefined();
    expect(await ownPathOf('rtsp://localhost/live', all)).toBeUndefined();
    expect(await ownPathOf('https://[::1]:8443/live', ports)).toBe('/live');
    expect(await ownPathOf('msbd://127.0.0.1/live', ports)).toBe('/live');
    for (const other of [
      'http://127.0.0.1:8081/',
      'http://192.0.2.1:8080/',
      'http://127.0.0.1/',
      'https://127.0.0.1:8080/',
      'ftp://127.0.0.1:8080/',
      'x.nsc',
    ]) {
      expect(await ownPathOf(other, ports)).toBeUndefined();
    }
    expect(await ownPathOf('http://127.0.0.1:8080/', { https: 8443 })).toBeUndefined();
  });
});

describe('servers that pull from each other', () => {
  it('end a ring at once, instead of waiting for each other', async () => {
    const [a, b, c] = [await freePort(), await freePort(), await freePort()];
    const text = (next: number) => `points: [{ path: /x, onDemand: true, source: "http://127.0.0.1:${next}/x" }]`;
    const first = await station(text(b), a);
    await station(text(c), b);
    await station(text(a), c);
    const started = performance.now();
    const response = await first.ask('GET /x HTTP/1.1', 'User-Agent: NSPlayer/12.0');
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(performance.now() - started).toBeLessThan(10_000 * slowness());
  });

  it('end a ring over RTSP as well, and name the content that is their own', async () => {
    const [a, b, c] = [await freePort(), await freePort(), await freePort()];
    const text = (own: number, next: number) =>
      `rtsp: { port: ${own}, rtpPort: 0 }\npoints: [{ path: /x, onDemand: true, source: "rtsp://127.0.0.1:${next}/x" }]`;
    const first = await station(text(a, b));
    await station(text(b, c));
    await station(text(c, a));
    const itself = await freePort();
    const alone = await station(text(itself, itself));
    for (const each of [first, alone]) {
      const started = performance.now();
      const response = await each.ask('GET /x HTTP/1.1', 'User-Agent: NSPlayer/12.0');
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(performance.now() - started).toBeLessThan(10_000 * slowness());
    }
  });

  it.each([1, 2, 3])('end a ring of playlists on %i of them', async (count) => {
    const ports = [await freePort(), await freePort(), await freePort()].slice(0, count);
    const stations = [];
    for (const [index, port] of ports.entries()) {
      const folder = await mkdtemp(join(tmpdir(), 'wmcast-'));
      open.push({ close: () => rm(folder, { recursive: true }) });
      const next = `http://127.0.0.1:${ports[(index + 1) % count]}/p.wsx`;
      await writeFile(join(folder, 'p.wsx'), `<?wsx version="1.0"?><smil><media src="${next}"/></smil>`);
      stations.push(await station(`content: { folder: ${folder} }\nprivateSources: [loopback]`, port));
    }
    const started = performance.now();
    const response = await stations[0]!.ask('GET /p.wsx HTTP/1.1', 'User-Agent: NSPlayer/12.0');
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(performance.now() - started).toBeLessThan(10_000 * slowness());
    expect(stations[0]!.warnings.join()).toContain('cannot be played');
  });

  it('play the content of the last one', async () => {
    const origin = await station('');
    await keyUntil(await origin.push('/x'), 'the origin', () => isLive(origin, '/x'));
    let next = origin;
    for (let hop = 0; hop < 3; hop++) {
      next = await station(`points: [{ path: /x, onDemand: true, source: "http://127.0.0.1:${next.port}/x" }]`);
    }
    expect((await next.ask('GET /x HTTP/1.1', 'User-Agent: NSPlayer/12.0')).status).toBe(200);
  });

  it('play the content of the last one over RTSP, by UDP and TCP', async () => {
    const rtsp = 'rtsp: { port: 0, rtpPort: 0 }\n';
    const origin = await station(rtsp);
    await keyUntil(await origin.push('/x'), 'the origin', () => isLive(origin, '/x'));
    let next = origin;
    for (const scheme of ['rtsp', 'rtspt', 'rtspu']) {
      const source = `${scheme}://127.0.0.1:${next.server.ports.rtsp}/x`;
      next = await station(`${rtsp}points: [{ path: /x, onDemand: true, source: "${source}" }]`);
    }
    expect((await next.ask('GET /x HTTP/1.1', 'User-Agent: NSPlayer/12.0')).status).toBe(200);
  });
});
