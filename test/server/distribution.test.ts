import { closeAll, origin, server, Tap } from '../proxy/house.js';
import { slowness } from '../support/patience.js';
import { until } from '../support/until.js';
import { parseResponse, wirePackets } from '../support/wire.js';
import { BOTH_STREAMS, NEW, PLAY } from '../wmsp/station.js';
import type { ServerStation } from './station.js';

const taps: Tap[] = [];
afterEach(async () => {
  for (const each of taps.splice(0)) await each.close();
  await closeAll();
});

const isLive = (station: ServerStation, path = '/live') => station.server.points.get(path)?.broadcast.live === true;

describe('a distribution server', () => {
  it('asks its origin for a fast start as a relaying server, and gives its players one', async () => {
    const { tap, station } = await origin({});
    const encoder = await station.push('/live');
    await until('the origin is live', () => isLive(station));
    for (let count = 0; count < 50; count++) encoder.key();
    const distribution = await server(`points: [{ path: /live, source: 'http://127.0.0.1:${tap.port}/live' }]`);
    await until('the distribution server is live', () => isLive(distribution));
    const play = tap.heads.find((head) => head.includes('xPlayStrm=1'))!;
    expect(play).toMatch(/\r\nUser-Agent: NSServer\/9\./);
    for (const token of ['LinkBW', 'AccelBW', 'AccelDuration', 'BurstBW', 'BurstDuration']) {
      expect(Number(new RegExp(`${token}=(\\d+)`).exec(play)?.[1])).toBeGreaterThan(0);
    }
    // Its players begin with what it got at once; nothing new comes.
    const peer = await distribution.peer();
    peer.request('GET /live HTTP/1.0', NEW, ...PLAY, ...BOTH_STREAMS);
    await peer.until((bytes) => {
      const kinds = wirePackets(parseResponse(bytes)?.body ?? Buffer.alloc(0)).map(({ id }) => id);
      return kinds.filter((kind) => kind === 'D').length >= 20 ? true : undefined;
    });
    expect(tap.count('play')).toBe(1);
  });
});

describe('a ring of servers', () => {
  // Where each server leads: a point that is pulled from the next one, or a proxy for it.
  it.each(['point proxy', 'proxy point', 'proxy proxy', 'point point proxy', 'proxy point proxy point'])(
    'ends at once, with a message that says so: %s',
    async (kinds) => {
      const links = kinds.split(' ');
      const stations: Array<Awaited<ReturnType<typeof server>>> = [];
      const ways: Tap[] = [];
      for (const [index] of links.entries()) {
        const tap = await new Tap(() => stations[(index + 1) % links.length]!.port).listen();
        taps.push(tap);
        ways.push(tap);
      }
      for (const [index, kind] of links.entries()) {
        const next = `http://127.0.0.1:${ways[index]!.port}`;
        const text =
          kind === 'point'
            ? `points: [{ path: /live, onDemand: true, source: '${next}/live' }]`
            : `proxy: { origin: '${next}', name: ring-${index} }`;
        stations.push(await server(text));
      }
      const started = performance.now();
      const answer = await stations[0]!.ask('GET /live HTTP/1.1', NEW, 'Host: x');
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(performance.now() - started).toBeLessThan(8_000 * slowness());
      const warnings = stations.flatMap((station) => station.warnings);
      expect(warnings.filter((text) => /a loop of proxies|in a ring/.test(text)).length).toBeGreaterThan(0);
      // Every hop was asked a few times, not for ever.
      for (const way of ways) expect(way.requests.length).toBeLessThan(20);
      expect(await stations[0]!.ask('GET /api/status HTTP/1.1', 'Host: localhost')).toMatchObject({ status: 200 });
    },
    30_000,
  );
});
