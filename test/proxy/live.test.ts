import type { ServerStation } from '../server/station.js';
import { until } from '../support/until.js';
import { parseResponse, wirePackets } from '../support/wire.js';
import { BOTH_STREAMS, NEW, PLAY } from '../wmsp/station.js';
import { closeAll, origin, reverse, server } from './house.js';

afterEach(closeAll);

async function watch(station: ServerStation, ...lines: string[]) {
  const peer = await station.peer();
  peer.request('GET /live HTTP/1.0', NEW, ...PLAY, ...BOTH_STREAMS, ...lines);
  await peer.until((bytes) =>
    wirePackets(parseResponse(bytes)?.body ?? Buffer.alloc(0)).length > 1 ? true : undefined,
  );
  return peer;
}

describe('a live stream through a proxy', () => {
  it('[WMSP-267] [WMSP-013] comes over one connection for all players, whose origin allows that', async () => {
    const { tap, station } = await origin({});
    const encoder = await station.push('/live');
    const proxy = await reverse(tap.port);
    await until('the point is live', () => station.server.points.get('/live')?.broadcast.live === true);
    encoder.key();
    const players = await Promise.all(Array.from({ length: 10 }, () => watch(proxy)));
    for (let count = 0; count < 5; count++) encoder.key();
    for (const player of players) {
      await player.until((bytes) => {
        const kinds = wirePackets(parseResponse(bytes)!.body).map(({ id }) => id);
        return kinds.filter((kind) => kind === 'D').length >= 5 ? true : undefined;
      });
    }
    expect(tap.count('play')).toBe(1);
    expect(proxy.server.stats().proxy).toMatchObject({ streams: 1 });
    expect(station.server.stats().players).toBe(1);
    const [first] = players;
    expect(parseResponse(first!.received)!.field('Cache-Control')).toContain('x-wms-proxy-split');
  });

  it('comes over a connection for each player, whose origin does not allow more', async () => {
    const { tap, station } = await origin({}, 'points: [{ path: /live, proxySplit: false }]');
    const encoder = await station.push('/live');
    const proxy = await reverse(tap.port);
    await until('the point is live', () => station.server.points.get('/live')?.broadcast.live === true);
    encoder.key();
    const [one] = [await watch(proxy), await watch(proxy)];
    expect(station.server.stats().players).toBe(2);
    one.close();
    await until('one has gone', () => station.server.stats().players === 1);
  });

  it('ends for its players when the origin ends it, and begins again for the next ones', async () => {
    const { tap, station } = await origin({});
    const proxy = await reverse(tap.port);
    for (let round = 0; round < 2; round++) {
      const encoder = await station.push('/live');
      await until('it is live', () => station.server.points.get('/live')?.broadcast.live === true);
      encoder.key();
      const player = await watch(proxy);
      encoder.end();
      await player.until((bytes) => {
        const kinds = wirePackets(parseResponse(bytes)!.body).map(({ id }) => id);
        return kinds.includes('E') ? true : undefined;
      });
    }
  });

  it('goes through a chain of proxies, and a loop of them is refused', async () => {
    const { tap, station } = await origin({});
    const encoder = await station.push('/live');
    await until('it is live', () => station.server.points.get('/live')?.broadcast.live === true);
    encoder.key();
    const near = await reverse(tap.port);
    const far = await reverse(near.port);
    await watch(far);
    const [play] = tap.heads.filter((head) => head.includes('xPlayStrm=1'));
    expect(/\r\nVia: ([^\r]*)/.exec(play!)![1]!.split(', ')).toHaveLength(2);
    expect(play).toContain('Max-Forwards: 8');
    expect(play).toContain(`proxy-client-agent="${NEW.slice('User-Agent: '.length)}"`);

    const own = await server('proxy: { origin: "http://127.0.0.1:1" }');
    const self = await reverse(own.port);
    expect((await self.ask('GET /x HTTP/1.0', NEW)).status).toBe(503);
    const turning = await server(`proxy: { forward: true }\nprivateSources: [loopback]`);
    const via = 'Via: HTTP/1.1 a (WMCacheProxy/9.5.6001.1)';
    const named = await reverse(tap.port, { more: ', name: a' });
    for (const asked of [via, 'Max-Forwards: 0']) {
      expect((await named.ask('GET /live HTTP/1.0', NEW, asked)).status).toBe(500);
    }
    expect((await turning.ask(`GET http://127.0.0.1:${turning.port}/x HTTP/1.0`, NEW)).status).toBe(404);
  });
});
