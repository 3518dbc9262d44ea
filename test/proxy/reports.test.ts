import { ruleOf } from '../../src/auth/access.js';
import { ReadQueue } from '../../src/media/on-demand/read-queue.js';
import { ProxyContent } from '../../src/proxy/content.js';
import { Upstream } from '../../src/proxy/upstream.js';
import { Refusal } from '../../src/refusal.js';
import { type ClientLogFields, clientLogXml } from '../../src/wmlog/client-log.js';
import { parseLog } from '../../src/wmlog/log.js';
import { readRemoteLog, remoteLogEvent } from '../../src/wms/remote-event.js';
import type { ServerStation } from '../server/station.js';
import { until } from '../support/until.js';
import { BOTH_STREAMS, clientIdOf, NEW, PLAY } from '../wmsp/station.js';
import { closeAll, folder, origin, reverse } from './house.js';

afterEach(closeAll);

const KEPT = 'no-cache, proxy-public, max-age=60';
const ALL = `${KEPT}, x-wms-event-subscription="remote-open,remote-close,remote-log"`;
const FIELDS: ClientLogFields = {
  now: new Date(0),
  usedUrl: 'http://proxy/clip.wmv',
  requestedUrl: 'http://proxy/clip.wmv',
  startTime: 0,
  duration: 1_000,
  receiving: 1_000,
  rate: 1,
  reconnected: false,
  playerId: '{3300AD50-2C39-46C0-AE0A-AC7B8159E203}',
  playerVersion: '12.0.7680.0',
  userAgent: 'NSPlayer/12.0.7680.0',
  fileLength: 2,
  fileSize: 1_000,
  averageBandwidth: 300_000,
  audioCodecs: ['Windows_Media_Audio_9'],
  videoCodecs: [],
  bytes: 1_000,
  packets: 10,
  descriptions: [],
};

async function described(proxy: ServerStation): Promise<number> {
  return clientIdOf(await proxy.ask('GET /clip.wmv HTTP/1.1', NEW, 'Host: x'));
}

async function submit(proxy: ServerStation, id: number, text: string) {
  const peer = await proxy.peer();
  peer.request(
    'POST /clip.wmv HTTP/1.1',
    NEW,
    `Pragma: client-id=${id}`,
    'Content-Type: application/x-wms-LogStats;charset=UTF-8',
    `Content-Length: ${Buffer.byteLength(text)}`,
  );
  peer.send(text);
  await peer.until((bytes) => (bytes.includes('HTTP/1.1 204') ? true : undefined));
}

describe('the reports of players behind a proxy', () => {
  it('[WMSP-258] [WMLOG-012] forwards rendering logs, what is one in a legacy log, and no streaming logs', async () => {
    const events: string[] = [];
    const { tap } = await origin({ 'clip.wmv': { seconds: 2 } });
    tap.cacheControl = ALL;
    tap.onBody = (body) => events.push(body);
    const proxy = await reverse(tap.port, { cache: await folder() });
    const id = await described(proxy);
    for (const kind of ['streaming', 'rendering', 'legacy'] as const)
      await submit(proxy, id, clientLogXml(kind, FIELDS));
    await until('two events', () => events.length === 2);
    for (const text of events) {
      const remote = readRemoteLog(Buffer.from(text))!;
      expect(remote).toMatchObject({ userAgent: 'NSPlayer/12.0.7680.0', url: `http://127.0.0.1:${tap.port}/clip.wmv` });
      const log = parseLog(remote.log);
      expect(log.kind).toBe('rendering');
      expect(log.values).toMatchObject({ 'c-ip': '127.0.0.1', 's-ip': '127.0.0.1', 's-proxied': '1' });
      expect(log.values['cs-User-Agent']).toMatch(/^_via_HTTP\/1\.0_WMCacheProxy\//);
    }
    // An origin that does not want logs gets only what is a rendering log by itself.
    tap.cacheControl = KEPT;
    const other = await reverse(tap.port);
    const another = await described(other);
    for (const kind of ['legacy', 'rendering'] as const) await submit(other, another, clientLogXml(kind, FIELDS));
    await until('three events', () => events.length === 3);
  });

  it('[WMSP-258] tells an origin that subscribes when a copy is opened and closed, and of logs that came as events', async () => {
    const events: string[] = [];
    const { tap } = await origin({ 'clip.wmv': { seconds: 2 } });
    tap.cacheControl = ALL;
    tap.onBody = (body) => events.push(body);
    const proxy = await reverse(tap.port, { cache: await folder() });
    const player = await proxy.peer();
    player.request('GET /clip.wmv HTTP/1.0', NEW, ...PLAY, ...BOTH_STREAMS);
    await until('the copy to be opened', () => events.includes('1\r\n1,28,0\r\n'));
    player.close();
    await until('the copy to be closed', () => events.includes('1\r\n1,29,0\r\n'), 60_000);
    const event = remoteLogEvent({
      userAgent: 'NSPlayer/12.0.7680.0',
      guid: FIELDS.playerId,
      url: 'http://proxy/clip.wmv',
      log: clientLogXml('rendering', FIELDS),
    });
    const peer = await proxy.peer();
    peer.request(
      'POST /clip.wmv HTTP/1.0',
      NEW,
      'Content-Type: application/x-wms-sendevent',
      `Content-Length: ${event.length}`,
    );
    peer.send(event);
    await until('the log', () => events.some((text) => readRemoteLog(Buffer.from(text)) !== undefined));
  }, 60_000);

  it('[WMSP-258] forwards the logs of players of other protocols by the path that they play', async () => {
    const events: string[] = [];
    const { tap } = await origin({ 'clip.wmv': { seconds: 2 } });
    tap.cacheControl = ALL;
    tap.onBody = (body) => events.push(body);
    const rule = ruleOf({});
    const missing = new Refusal('not-found', 'Nothing.');
    const proxy = new ProxyContent({
      local: { find: async ({ path }) => (path === '/own' ? { redirect: 'x', proxy: false } : { rule, missing }) },
      origin: `http://127.0.0.1:${tap.port}`,
      upstream: new Upstream({ name: 'here' }),
      rule,
      reads: new ReadQueue(),
      own: async () => undefined,
      clients: () => 3,
    });
    const log = parseLog(clientLogXml('rendering', FIELDS));
    await proxy.report('/own', { log, address: '192.0.2.7', agent: 'WMPlayer/11.0' });
    await proxy.report('/clip.wmv', { log, address: '192.0.2.7', agent: 'WMPlayer/11.0' });
    await until('the log', () => events.length > 0);
    const values = parseLog(readRemoteLog(Buffer.from(events[0]!))!.log).values;
    expect([events.length, values]).toMatchObject([1, { 'c-ip': '192.0.2.7', 's-totalclients': '3' }]);
    await proxy.close();
  });
});
