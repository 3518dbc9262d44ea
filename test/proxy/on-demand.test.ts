import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../support/until.js';
import { madeFile } from '../wmsp/content.js';
import { closeAll, folder, origin, received, reverse } from './house.js';

afterEach(closeAll);

const url = (port: number, path = '/clip.wmv') => `http://127.0.0.1:${port}${path}`;
const KEPT = 'no-cache, proxy-public, max-age=60';
/** Without x-wms-content-size the origin is asked for packets, not for bytes. */
const PACKETS_ONLY = 'no-cache, proxy-public, must-revalidate';

async function sizeOf(path: string): Promise<number> {
  const names = (await readdir(path)).filter((name) => name.endsWith('.asf'));
  const all = await Promise.all(names.map((name) => stat(join(path, name))));
  return all.reduce((sum, { size }) => sum + size, 0);
}

describe('a proxy with a cache', () => {
  it('[WMSP-266] [WMSP-178] gives a file of its origin, and from the cache the second time, the same in every byte', async () => {
    const { tap, station, media } = await origin({ 'clip.wmv': { seconds: 8 } });
    const cache = await folder();
    const proxy = await reverse(tap.port, { cache });
    const direct = await received(url(station.port));
    const first = await received(url(proxy.port));
    expect(Buffer.concat(first.packets).equals(Buffer.concat(direct.packets))).toBe(true);
    expect(first.header.equals(direct.header)).toBe(true);
    expect(media.get('clip.wmv')!.includes(Buffer.concat(first.packets))).toBe(true);
    // The origin gives the file as it is, so that the copy is made from that.
    expect(tap.requests).toEqual(['info', 'describe', 'range']);
    const second = await received(url(proxy.port));
    expect(Buffer.concat(second.packets).equals(Buffer.concat(direct.packets))).toBe(true);
    expect(tap.requests.slice(3)).toEqual(['info']);
    expect(proxy.server.stats().proxy).toMatchObject({ hits: 1, requests: 2, copies: 1, fetches: 1, checks: 2 });
    expect(proxy.server.stats().proxy!.fetchedBytes).toBe(Buffer.concat(direct.packets).length);
    expect(second.description.cacheControl).toEqual(first.description.cacheControl);
    expect(proxy.warnings).toEqual([]);
  });

  it('[WMSP-138] [WMSP-147] asks an origin that gives no bytes as a player of packets, as fast as it sends', async () => {
    const { tap, station } = await origin({ 'clip.wmv': { seconds: 6 } });
    tap.cacheControl = PACKETS_ONLY;
    const proxy = await reverse(tap.port, { cache: await folder() });
    const direct = await received(url(station.port));
    const first = await received(url(proxy.port));
    expect(Buffer.concat(first.packets).equals(Buffer.concat(direct.packets))).toBe(true);
    expect(tap.requests.filter((kind) => kind !== 'keepalive')).toEqual(['info', 'describe', 'play']);
    const [info, , play] = tap.heads;
    expect(info).toMatch(/^POST \/clip\.wmv HTTP\/1\.1\r\n/);
    expect(info).toMatch(/\r\nContent-Length: 1(?:\r\n|$)/);
    for (const head of [info, play]) expect(head).toContain('User-Agent: WMCacheProxy/9.5.6001.1');
    expect(play).toMatch(/BurstBW=\d+/);
    expect(play).toContain('Speed=1000.000');
    await received(url(proxy.port));
    expect(tap.count('play')).toBe(1);
  });

  it('[WMSP-169] [WMSP-170] [WMSP-067] says for whom it asks, and which way the request came', async () => {
    const { tap } = await origin({ 'clip.wmv': { seconds: 1 } });
    tap.cacheControl = PACKETS_ONLY;
    const proxy = await reverse(tap.port, { more: ', name: two' });
    await received(url(proxy.port), { userAgent: 'NSPlayer/11.0.5721.5145' });
    for (const head of tap.heads.filter((each) => !/xKeepAlive/.test(each))) {
      expect(head).toContain('Via: HTTP/1.1 two (WMCacheProxy/9.5.6001.1)');
      expect(head).toContain('proxy-client-agent="NSPlayer/11.0.5721.5145"');
      expect(head).toContain('X-Proxy-Client-Verb: GET');
      expect(head).toContain('Max-Forwards: 9');
    }
  });

  it('fetches content once for many players at the same time', async () => {
    const { tap, station } = await origin({ 'clip.wmv': { seconds: 6 } });
    tap.cacheControl = PACKETS_ONLY;
    const proxy = await reverse(tap.port, { cache: await folder() });
    const direct = Buffer.concat((await received(url(station.port))).packets);
    const all = await Promise.all(Array.from({ length: 50 }, () => received(url(proxy.port))));
    for (const { packets } of all) expect(Buffer.concat(packets).equals(direct)).toBe(true);
    expect(tap.count('play')).toBe(1);
    const { fetches, fetchedBytes, requests } = proxy.server.stats().proxy!;
    expect([fetches, requests]).toEqual([1, 50]);
    expect(fetchedBytes).toBeLessThanOrEqual(direct.length);
  }, 30_000);

  it('[WMSP-005] asks nothing while its copy is fresh, also after a restart', async () => {
    const { tap } = await origin({ 'clip.wmv': { seconds: 2 } });
    tap.cacheControl = KEPT;
    const cache = await folder();
    const proxy = await reverse(tap.port, { cache });
    const first = await received(url(proxy.port));
    const { length } = tap.requests;
    await received(url(proxy.port));
    await proxy.close();
    const again = await reverse(tap.port, { cache });
    const second = await received(url(again.port));
    expect(Buffer.concat(second.packets).equals(Buffer.concat(first.packets))).toBe(true);
    expect(tap.requests.slice(length)).toEqual([]);
  });

  it('[WMSP-006] asks for each session if it has to, and refuses when it cannot ask', async () => {
    const { tap } = await origin({ 'clip.wmv': { seconds: 2 } });
    tap.cacheControl = `${KEPT}, proxy-revalidate`;
    const proxy = await reverse(tap.port, { cache: await folder() });
    for (let session = 0; session < 3; session++) await received(url(proxy.port));
    expect([tap.count('info'), tap.count('play') + tap.count('range')]).toEqual([3, 1]);
    tap.down = true;
    tap.cut();
    await expect(received(url(proxy.port))).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
    tap.down = false;
    await received(url(proxy.port));
  });

  it.each([
    ['no-cache, proxy-public, no-store', 'WMSP-007'],
    ['no-cache, private', 'WMSP-008'],
    ['no-cache', 'WMSP-178'],
  ])('keeps nothing of "%s", which each player reads from the origin ([%s])', async (cacheControl) => {
    const { tap, station } = await origin({ 'clip.wmv': { seconds: 2 } });
    tap.cacheControl = cacheControl;
    const cache = await folder();
    const proxy = await reverse(tap.port, { cache });
    const direct = await received(url(station.port));
    for (let session = 1; session <= 2; session++) {
      const through = await received(url(proxy.port));
      expect(Buffer.concat(through.packets).equals(Buffer.concat(direct.packets))).toBe(true);
      expect(tap.count('play')).toBe(session);
    }
    expect((await readdir(cache)).filter((name) => name !== 'in-use')).toEqual([]);
  });

  it('fetches once for all players who come together', async () => {
    const { tap } = await origin({ 'clip.wmv': { seconds: 4 } });
    tap.cacheControl = PACKETS_ONLY;
    const proxy = await reverse(tap.port, { cache: await folder() });
    const all = await Promise.all(Array.from({ length: 20 }, () => received(url(proxy.port))));
    const [one] = all;
    for (const each of all) expect(Buffer.concat(each.packets).equals(Buffer.concat(one!.packets))).toBe(true);
    expect([tap.count('play'), tap.count('describe')]).toEqual([1, 1]);
  });

  it('seeks to what is not there by one request, and joins the parts', async () => {
    const { tap, station } = await origin({ 'clip.wmv': { seconds: 300 } });
    tap.cacheControl = PACKETS_ONLY;
    const cache = await folder();
    const proxy = await reverse(tap.port, { cache });
    const part = { startTime: 200_000, maxDuration: 5_000 };
    const direct = await received(url(station.port), part);
    const through = await received(url(proxy.port), part);
    expect(Buffer.concat(through.packets).equals(Buffer.concat(direct.packets))).toBe(true);
    expect(direct.packets.length).toBeGreaterThan(50);
    expect(tap.count('play')).toBe(1);
    expect(tap.heads.find((head) => head.includes('xPlayStrm=1'))).toContain('stream-time=200000');
    // What is there is not fetched again.
    const plays = tap.count('play');
    const again = await received(url(proxy.port), { startPacket: 200 * 15 + 15, maxDuration: 2_000 });
    expect(again.packets.length).toBeGreaterThan(20);
    expect(tap.count('play')).toBeLessThanOrEqual(plays + 1);
  });

  it('finds their places for players who seek to many places at once', async () => {
    const { tap, station } = await origin({ 'clip.wmv': { seconds: 300 } });
    tap.cacheControl = PACKETS_ONLY;
    const proxy = await reverse(tap.port, { cache: await folder() });
    const parts = Array.from({ length: 12 }, (_, part) => ({ startTime: 20_000 + part * 20_000, maxDuration: 1_000 }));
    const [direct, through] = await Promise.all(
      [station, proxy].map(({ port }) => Promise.all(parts.map((part) => received(url(port), part)))),
    );
    for (const [part, { packets }] of direct!.entries()) {
      expect(Buffer.concat(through![part]!.packets).equals(Buffer.concat(packets))).toBe(true);
    }
  }, 60_000);

  it('continues a copy that a stopped proxy has left, and what is there is not fetched again', async () => {
    const { tap, station } = await origin({ 'clip.wmv': { seconds: 30 } });
    tap.cacheControl = PACKETS_ONLY;
    const cache = await folder();
    const proxy = await reverse(tap.port, { cache });
    await received(url(proxy.port), { maxDuration: 5_000 });
    await proxy.close();
    const size = await sizeOf(cache);
    expect(size).toBeGreaterThan(5 * 15 * 400);
    expect(size).toBeLessThan(30 * 15 * 400);
    const again = await reverse(tap.port, { cache });
    const direct = await received(url(station.port));
    const whole = await received(url(again.port));
    expect(Buffer.concat(whole.packets).equals(Buffer.concat(direct.packets))).toBe(true);
    const second = tap.heads.filter((head) => head.includes('xPlayStrm=1'))[1];
    expect(Number(/packet-num=(\d+)/.exec(second!)![1])).toBeGreaterThanOrEqual(75);
    expect(Number(/packet-num=(\d+)/.exec(second!)![1])).toBeLessThan(450);
  });

  it('reconnects to an origin that breaks off, and goes on where it was', async () => {
    const { tap, station } = await origin({ 'clip.wmv': { seconds: 20 } });
    tap.cacheControl = PACKETS_ONLY;
    const proxy = await reverse(tap.port, { cache: await folder() });
    const through = received(url(proxy.port));
    await until('the first packets', () => tap.count('play') === 1);
    await new Promise((resolve) => setImmediate(resolve));
    tap.cut();
    const direct = await received(url(station.port));
    expect(Buffer.concat((await through).packets).equals(Buffer.concat(direct.packets))).toBe(true);
  });

  it('gives new content to new players when the origin has changed it', async () => {
    const { tap, station, path } = await origin({ 'clip.wmv': { seconds: 2 } });
    const cache = await folder();
    const proxy = await reverse(tap.port, { cache });
    const before = await received(url(proxy.port));
    await writeFile(join(path, 'clip.wmv'), madeFile({ seconds: 3, title: 'another' }));
    const direct = await received(url(station.port));
    const after = await received(url(proxy.port));
    expect(after.packets.length).toBeGreaterThan(before.packets.length);
    expect(Buffer.concat(after.packets).equals(Buffer.concat(direct.packets))).toBe(true);
    await until('one copy', async () => (await readdir(cache)).filter((name) => name.endsWith('.asf')).length === 1);
  });

  it('serves what does not fit the cache from memory', async () => {
    const { tap, station } = await origin({ 'clip.wmv': { seconds: 200 } });
    tap.cacheControl = PACKETS_ONLY;
    const cache = await folder();
    const more = `, cache: { folder: ${cache}, maxSize: 1 }`;
    const proxy = await reverse(tap.port, { more });
    const direct = await received(url(station.port), { maxDuration: 20_000 });
    const through = await received(url(proxy.port), { maxDuration: 20_000 });
    expect(Buffer.concat(through.packets).equals(Buffer.concat(direct.packets))).toBe(true);
    expect((await readdir(cache)).filter((name) => name !== 'in-use')).toEqual([]);
  });

  it('says what its origin says: nothing there, or nothing that it can read', async () => {
    const { tap } = await origin({ 'clip.wmv': { seconds: 1 } });
    const proxy = await reverse(tap.port);
    await expect(received(url(proxy.port, '/gone.wmv'))).rejects.toMatchObject({ code: 'WM_NO_INPUT' });
    tap.change = () => Buffer.from('garbage\r\n\r\n');
    await expect(received(url(proxy.port))).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
  });
});
