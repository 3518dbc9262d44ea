import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { until } from '../support/until.js';
import { madeFile } from '../wmsp/content.js';
import { NEW } from '../wmsp/station.js';
import { closeAll, folder, origin, received, reverse } from './house.js';

const scripted: Server[] = [];
afterEach(async () => {
  for (const each of scripted.splice(0)) {
    each.closeAllConnections();
    await new Promise((resolve) => each.close(resolve));
  }
  await closeAll();
});

const url = (port: number, path = '/clip.wmv') => `http://127.0.0.1:${port}${path}`;
const PACKETS_ONLY = 'no-cache, proxy-public, must-revalidate';

/** An origin that answers everything in one way. */
async function answering(
  status: number,
  fields: Record<string, string>,
  body = '',
): Promise<{ port: number; asked: () => number }> {
  let asked = 0;
  const made = createServer((_, response) => {
    asked++;
    response.writeHead(status, { Server: 'Cougar/9.5.6001.18281', ...fields });
    response.end(body);
  });
  scripted.push(made);
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  const address = made.address();
  return { port: typeof address === 'object' && address ? address.port : 0, asked: () => asked };
}

describe('a proxy whose origin is too old for proxies', () => {
  it.each([
    ['GetContentInfo', ['POST WMCacheProxy', 'GET NSServer', 'GET NSServer']],
    ['Describe, for a player with credentials', ['GET WMCacheProxy', 'GET NSServer', 'GET NSServer']],
  ])(
    '[WMSP-180] asks as a relaying server on another connection after the status 400 to %s',
    async (what, expected) => {
      const seen: string[] = [];
      const connections = new Set<unknown>();
      const made = createServer((request, response) => {
        const agent = request.headers['user-agent'] ?? '';
        seen.push(`${request.method} ${agent.split('/')[0]}`);
        if (seen.length <= 2) connections.add(request.socket);
        const isKnown = agent.startsWith('NSServer');
        response.writeHead(isKnown ? 200 : 400, { Server: 'Cougar/4.1.0.3934', 'Content-Type': 'text/html' });
        response.end();
      });
      scripted.push(made);
      await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
      const address = made.address();
      const proxy = await reverse(typeof address === 'object' && address ? address.port : 0);
      const login = `Authorization: Basic ${Buffer.from('a:b').toString('base64')}`;
      await proxy.ask('GET /clip.wmv HTTP/1.1', NEW, 'Host: x', ...(what === 'GetContentInfo' ? [] : [login]));
      expect(seen.slice(0, 3)).toEqual(expected);
      expect(connections.size).toBe(2);
    },
  );
});

describe('a proxy whose origin', () => {
  it.each([
    [404, {}, 404],
    [410, {}, 410],
    [403, {}, 403],
    [500, {}, 503],
    [503, { 'Retry-After': '7' }, 503],
    [429, {}, 503],
    [400, {}, 503],
    [302, { Location: '/again' }, 500],
    [302, { Location: 'gopher://x/' }, 501],
    [200, { 'Cache-Control': 'no-cache, proxy-public', 'Content-Type': 'text/html' }, 503],
  ])('answers %s %j answers %s itself', async (status, fields, expected) => {
    const { port, asked } = await answering(status, fields as Record<string, string>, '<html>');
    const proxy = await reverse(port, { cache: await folder() });
    const answer = await proxy.ask('GET /clip.wmv HTTP/1.1', NEW, 'Host: x');
    expect(answer.status).toBe(expected);
    expect(answer.field('Retry-After')).toBe((fields as Record<string, string>)['Retry-After']);
    expect(asked()).toBeLessThan(15);
  });

  it.each([
    ['more packets than it says', (head: Buffer) => head.writeBigUInt64LE(5n, head.length - 10)],
    ['a number of packets that nothing can hold', (head: Buffer) => head.writeBigUInt64LE(2n ** 62n, head.length - 10)],
  ])('sends %s is not believed', async (_, harm) => {
    const { tap, path } = await origin({});
    const file = madeFile({ seconds: 4 });
    const dataObject = file.indexOf(Buffer.from('3626b2758e66cf11a6d900aa0062ce6c', 'hex'));
    harm(file.subarray(0, dataObject + 50));
    await writeFile(join(path, 'clip.wmv'), file);
    tap.cacheControl = PACKETS_ONLY;
    const cache = await folder();
    const proxy = await reverse(tap.port, { cache });
    const through = await received(url(proxy.port)).catch((error: unknown) => error);
    // The origin here mends such files itself; whatever comes of it, the proxy answers and lives.
    expect(through).toBeDefined();
    expect((await proxy.ask('GET /api/status HTTP/1.1', 'Host: localhost')).status).toBe(200);
  });

  it('changes the content while it is fetched ends its players, and gives the new one to the next', async () => {
    const { tap, station, path } = await origin({ 'clip.wmv': { seconds: 60 } });
    tap.cacheControl = PACKETS_ONLY;
    const proxy = await reverse(tap.port, { cache: await folder() });
    const through = received(url(proxy.port)).catch((error: unknown) => error);
    await until('the fill', () => tap.count('play') === 1);
    await writeFile(join(path, 'clip.wmv'), madeFile({ seconds: 3, title: 'another' }));
    tap.cut();
    await until('the change is noticed', () => proxy.warnings.some((text) => /has changed at its origin/.test(text)));
    const direct = await received(url(station.port));
    const next = await received(url(proxy.port));
    expect(Buffer.concat(next.packets).equals(Buffer.concat(direct.packets))).toBe(true);
    tap.down = true;
    await proxy.close();
    await through;
  }, 60_000);

  it('changes the content under the same header is noticed by its ETag, also while the copy is fresh', async () => {
    const { tap, path } = await origin({ 'clip.wmv': { seconds: 60 } });
    tap.cacheControl = 'no-cache, proxy-public, max-age=600';
    const proxy = await reverse(tap.port, { cache: await folder() });
    const through = received(url(proxy.port)).catch((error: unknown) => error);
    await until('the fill', () => tap.count('play') === 1);
    const other = madeFile({ seconds: 60 });
    // One byte of the last packet's media.
    other.writeUInt8(other.readUInt8(other.length - 200) ^ 1, other.length - 200);
    await writeFile(join(path, 'clip.wmv'), other);
    tap.cut();
    await until('the change is noticed', () => proxy.warnings.some((text) => /has changed at its origin/.test(text)));
    await through;
    const before = tap.count('info');
    const again = await received(url(proxy.port));
    expect(tap.count('info')).toBe(before + 1);
    expect(other.includes(Buffer.concat(again.packets))).toBe(true);
  }, 60_000);

  it('sends garbage among its packets is asked again, and then given up, within bounds', async () => {
    const { tap } = await origin({ 'clip.wmv': { seconds: 20 } });
    tap.cacheControl = PACKETS_ONLY;
    const proxy = await reverse(tap.port, { cache: await folder() });
    tap.change = (piece) => (piece.length < 2_000 ? piece : Buffer.alloc(piece.length, 0xff));
    const outcome = await received(url(proxy.port), { timeouts: { data: 8_000 } }).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(Error);
    expect(tap.count('play')).toBeLessThan(20);
  }, 60_000);
});
