import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { QuestionPool } from '../../src/proxy/question-pool.js';
import type { ContentInfoClient } from '../../src/wmsp/client/content-info.js';
import { removeUsers, usersFile } from '../server/users.js';
import { until } from '../support/until.js';
import { NEW } from '../wmsp/station.js';
import { closeAll, folder, origin, received, reverse } from './house.js';

afterEach(closeAll);
afterAll(removeUsers);

const url = (port: number) => `http://127.0.0.1:${port}/clip.wmv`;
const CHECKED = 'no-cache, proxy-public, must-revalidate';
const INFO = ['POST /clip.wmv HTTP/1.1', 'User-Agent: WMCacheProxy/9.5.6001.1', 'Host: x', 'Content-Length: 1'];
const info = (...more: string[]) => [...INFO, 'Content-Type: application/x-wms-getcontentinfo', ...more, '', 'x'];

/** A proxy that has the whole file. */
async function filled() {
  const { tap, station, path } = await origin({ 'clip.wmv': { seconds: 2 } });
  tap.cacheControl = CHECKED;
  const cache = await folder();
  const proxy = await reverse(tap.port, { cache });
  await received(url(proxy.port));
  return { tap, station, proxy, cache, path };
}

describe('the checks of a proxy', () => {
  it('[WMSP-006] use one connection for one session after the other', async () => {
    const { tap, proxy } = await filled();
    const { connections } = tap;
    const checks = tap.count('info');
    for (let session = 0; session < 5; session++) await received(url(proxy.port));
    expect([tap.count('info') - checks, tap.connections - connections]).toEqual([5, 0]);
  });

  it('[WMSP-006] are shared by sessions that came before the question was sent, and by no others', async () => {
    const { tap, proxy } = await filled();
    const checks = tap.count('info');
    let release = () => {};
    tap.hold = new Promise((resolve) => {
      release = resolve;
    });
    const ask = () => proxy.ask('GET /clip.wmv HTTP/1.1', NEW, 'Host: x');
    const first = ask();
    await until('the first question', () => tap.count('info') === checks + 1);
    const others = Array.from({ length: 20 }, ask);
    // All of them have come when one more request is answered.
    expect((await proxy.ask('GET /api/status HTTP/1.1', 'Host: localhost')).status).toBe(200);
    // Their question, which comes after the answer to the first, never gets through.
    tap.hold = new Promise(() => {});
    tap.down = true;
    release();
    expect((await first).status).toBe(200);
    await until('the second question', () => tap.count('info') === checks + 2);
    tap.cut();
    const answers = new Set((await Promise.all(others)).map(({ status }) => status));
    expect([...answers]).toEqual([503]);
    tap.down = false;
    tap.hold = undefined;
    const before = tap.count('info');
    expect((await ask()).status).toBe(200);
    expect(tap.count('info')).toBe(before + 1);
  });

  it('are not shared with a request that others on the way may refuse', async () => {
    const { tap, proxy } = await filled();
    const checks = tap.count('info');
    const plain = () => proxy.ask(...info());
    await Promise.all([
      plain(),
      proxy.ask(...info('Max-Forwards: 3')),
      proxy.ask(...info('Via: 1.1 elsewhere')),
      plain(),
    ]);
    expect(tap.count('info') - checks).toBeGreaterThanOrEqual(3);
  });

  it('refuse a request that has come round instead of waiting for itself', async () => {
    const { tap, proxy } = await origin({ 'clip.wmv': { seconds: 1 } }).then(async ({ tap: way }) => ({
      tap: way,
      proxy: await reverse(way.port, { more: ', name: ring' }),
    }));
    let release = () => {};
    tap.hold = new Promise((resolve) => {
      release = resolve;
    });
    const first = proxy.ask('GET /clip.wmv HTTP/1.1', NEW, 'Host: x');
    await until('the question', () => tap.count('info') === 1);
    expect((await proxy.ask(...info('Via: HTTP/1.1 ring (WMCacheProxy/9.5)'))).status).toBe(500);
    release();
    expect((await first).status).toBe(200);
  });

  it('with credentials use no connection of others', async () => {
    const users = await usersFile({ anna: [] });
    const { tap } = await origin(
      { 'clip.wmv': { seconds: 2 } },
      `users: ${users}\naccess: { play: { users: [anna] } }\nbasicWithoutTls: true`,
    );
    const proxy = await reverse(tap.port, { cache: await folder() });
    const login = `Authorization: Basic ${Buffer.from('anna:anna-secret').toString('base64')}`;
    for (let session = 0; session < 3; session++) {
      expect((await proxy.ask('GET /clip.wmv HTTP/1.1', NEW, 'Host: x', login)).status).toBe(200);
      const { connections } = tap;
      expect((await proxy.ask('GET /clip.wmv HTTP/1.1', NEW, 'Host: x')).status).toBe(401);
      expect(tap.connections).toBeLessThanOrEqual(connections + 1);
    }
  });

  it('do not write to the disk while the origin says the same', async () => {
    const { proxy, cache } = await filled();
    const facts = join(cache, (await readdir(cache)).find((name) => name.endsWith('.json'))!);
    const before = await stat(facts);
    for (let session = 0; session < 3; session++) await received(url(proxy.port));
    expect((await stat(facts)).ino).toBe(before.ino);
  });
});

describe('connections that wait for the next question', () => {
  const client = () => {
    const made = { open: true, close: () => void (made.open = false) };
    return made as unknown as ContentInfoClient & { open: boolean };
  };

  it('are bounded, for each origin and for all, and closed with the proxy', () => {
    const pool = new QuestionPool();
    const all = Array.from({ length: 400 }, client);
    for (const [index, each] of all.entries()) pool.give(`http://${Math.floor(index / 10)}`, each);
    expect(pool.size).toBe(256);
    expect(all.slice(0, 10).filter(({ open }) => open)).toHaveLength(8);
    pool.close();
    expect([pool.size, all.some(({ open }) => open)]).toEqual([0, false]);
  });

  it('are given once, only to their origin, and not when they have ended', () => {
    const pool = new QuestionPool();
    const [one, two] = [client(), client()];
    pool.give('http://a', one);
    pool.give('http://a', two);
    two.open = false;
    expect(pool.take('http://b')).toBeUndefined();
    expect(pool.take('http://a')).toBe(one);
    expect(pool.take('http://a')).toBeUndefined();
    expect(pool.size).toBe(0);
  });
});
