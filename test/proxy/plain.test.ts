import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { removeUsers, usersFile } from '../server/users.js';
import { until } from '../support/until.js';
import { parseResponse } from '../support/wire.js';
import { closeAll, folder, origin, received, reverse } from './house.js';

const servers: Server[] = [];
afterEach(async () => {
  await closeAll();
  for (const each of servers.splice(0)) {
    each.closeAllConnections();
    await new Promise((resolve) => each.close(resolve));
  }
});
afterAll(removeUsers);

const at = (port: number, path = '/clip.wmv') => `http://127.0.0.1:${port}${path}`;
const get = (port: number, headers: Record<string, string> = {}, path = '/clip.wmv', method = 'GET') =>
  fetch(at(port, path), { method, headers: { 'User-Agent': 'VLC/3.0.20 LibVLC/3.0.20', ...headers } });
const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer());
/** Requests for plain bytes, without those of this proxy for its own copy. */
const forwarded = (heads: readonly string[]) => heads.filter((head) => head.includes('User-Agent: VLC'));

/** A web server with a picture, and with something that never ends. */
async function webServer(picture: Buffer): Promise<{ port: number; open: () => number }> {
  let open = 0;
  const made = createServer((request, response) => {
    if (request.method === 'POST') {
      response.writeHead(405, { Allow: 'GET' }).end();
      return;
    }
    const isEndless = request.url === '/endless';
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const body = from === undefined ? picture : picture.subarray(Number(from), Number(to) + 1);
    response.writeHead(from === undefined ? 200 : 206, {
      'Content-Type': 'image/jpeg',
      'Set-Cookie': 'session=secret',
      ...(isEndless ? {} : { 'Content-Length': body.length }),
      ...(from === undefined ? {} : { 'Content-Range': `bytes ${from}-${to}/${picture.length}` }),
    });
    if (!isEndless) {
      response.end(body);
      return;
    }
    const isPlain = request.headers['user-agent']?.startsWith('VLC');
    if (isPlain) open++;
    const timer = setInterval(() => response.write(picture), 5);
    response.on('close', () => {
      clearInterval(timer);
      if (isPlain) open--;
    });
  });
  servers.push(made);
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  const address = made.address();
  return { port: typeof address === 'object' && address ? address.port : 0, open: () => open };
}

describe('plain HTTP through a proxy', () => {
  it('gets a file from the cache, whole or a range of it, and the origin sends it once', async () => {
    const { tap, media, station } = await origin({ 'clip.wmv': { seconds: 20 } });
    const proxy = await reverse(tap.port, { cache: await folder() });
    const direct = await received(at(station.port));
    const file = Buffer.concat([direct.header, ...direct.packets]);
    expect(media.get('clip.wmv')!.subarray(0, file.length).equals(file)).toBe(true);
    const all = await Promise.all([1, 2, 3].map(() => get(proxy.port)));
    for (const answer of all) {
      expect([answer.status, answer.headers.get('content-length')]).toEqual([200, String(file.length)]);
      expect((await bytesOf(answer)).equals(file)).toBe(true);
    }
    const part = await get(proxy.port, { Range: 'bytes=1000-70999' });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 1000-70999/${file.length}`]);
    expect((await bytesOf(part)).equals(file.subarray(1_000, 71_000))).toBe(true);
    const tail = await get(proxy.port, { Range: 'bytes=-5' });
    expect((await bytesOf(tail)).equals(file.subarray(-5))).toBe(true);
    expect((await get(proxy.port, { Range: `bytes=${file.length}-` })).status).toBe(416);
    const head = await get(proxy.port, {}, '/clip.wmv', 'HEAD');
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(file.length)]);
    expect([tap.count('range'), forwarded(tap.heads)]).toEqual([1, []]);
    expect(proxy.server.stats().proxy).toMatchObject({ fetches: 1 });
  });

  it('gets what may not be kept from the origin each time', async () => {
    const { tap, media } = await origin({ 'clip.wmv': { seconds: 2 } });
    tap.cacheControl = 'no-cache, no-store, proxy-public';
    const proxy = await reverse(tap.port, { cache: await folder(), more: ', name: here' });
    for (let round = 1; round <= 2; round++) {
      const whole = await get(proxy.port);
      expect((await bytesOf(whole)).equals(media.get('clip.wmv')!)).toBe(true);
      expect(forwarded(tap.heads)).toHaveLength(round);
    }
    expect(forwarded(tap.heads)[0]).toContain('Via: HTTP/1.1 here (WMCacheProxy/');
    expect(proxy.server.stats().proxy).toMatchObject({ copies: 0 });
    expect((await get(proxy.port, {}, '/nothing.wmv')).status).toBe(404);
  });

  it('gets what is not ASF from a web server as that gives it', async () => {
    const picture = randomBytes(700_000);
    const web = await webServer(picture);
    const proxy = await reverse(web.port, { cache: await folder() });
    const answer = await get(proxy.port, {}, '/picture.jpg');
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('set-cookie')]).toEqual([
      ...[200, 'image/jpeg', null],
    ]);
    expect((await bytesOf(answer)).equals(picture)).toBe(true);
    const part = await get(proxy.port, { Range: 'bytes=10-19' }, '/picture.jpg');
    expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 10-19/700000']);
    expect((await bytesOf(part)).equals(picture.subarray(10, 20))).toBe(true);
    const peer = await proxy.peer();
    peer.request('GET /endless HTTP/1.1', 'Host: x', 'User-Agent: VLC/3.0.20');
    await peer.until((bytes) => (bytes.length > 100_000 ? true : undefined));
    expect(web.open()).toBe(1);
    peer.close();
    await until('the connection to the web server has ended', () => web.open() === 0);
    await until('the proxy has no player', () => proxy.server.stats().players === 0);
  });

  it('gets one live stream for all', async () => {
    const { tap, station } = await origin({});
    const encoder = await station.push('/live');
    await until('the point is live', () => station.server.points.get('/live')?.broadcast.live === true);
    encoder.key();
    const proxy = await reverse(tap.port);
    const peers = await Promise.all([1, 2, 3].map(() => proxy.peer()));
    for (const peer of peers) {
      peer.request('GET /live HTTP/1.1', 'Host: x', 'User-Agent: VLC/3.0.20');
      const { status } = await peer.until(parseResponse);
      expect(status).toBe(200);
    }
    for (let count = 0; count < 3; count++) encoder.key();
    for (const peer of peers) await peer.until((bytes) => (bytes.length > 500 ? true : undefined));
    expect(tap.count('play')).toBe(1);
    for (const peer of peers) peer.close();
    await until('nobody plays', () => proxy.server.stats().players === 0);
  });

  it('is checked with the origin for each client, with its challenge', async () => {
    const users = await usersFile({ anna: [], bert: [] });
    const { tap } = await origin(
      { 'clip.wmv': { seconds: 2 } },
      `users: ${users}\naccess: { play: { users: [anna] } }\nbasicWithoutTls: true`,
    );
    const proxy = await reverse(tap.port, { cache: await folder() });
    const login = (name: string) => ({
      Authorization: `Basic ${Buffer.from(`${name}:${name}-secret`).toString('base64')}`,
    });
    const stranger = await get(proxy.port);
    expect([stranger.status, /Basic/.test(stranger.headers.get('www-authenticate') ?? '')]).toEqual([401, true]);
    const anna = await get(proxy.port, login('anna'));
    expect([anna.status, (await bytesOf(anna)).length > 1_000]).toEqual([200, true]);
    for (const answer of [await get(proxy.port, login('bert')), await get(proxy.port)]) {
      expect([401, 403]).toContain(answer.status);
      expect((await bytesOf(answer)).length).toBeLessThan(200);
    }
  });
});
