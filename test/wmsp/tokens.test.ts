import { parseResponse, type WireResponse, wirePackets } from '../support/wire.js';
import { Content } from './content.js';
import { BOTH_STREAMS, clientIdOf, NEW, PLAY, Station } from './station.js';

// [MS-WMSP] 2.2.1.4: the tokens that are defined for responses, and those of them that clients below 9.0 know.
const IN_RESPONSES = new Set([
  ...['no-cache', 'client-id', 'timeout', 'features', 'xresetstrm', 'accelbw', 'accelduration'],
  ...['burstbw', 'burstduration', 'speed', 'playlist-gen-id', 'expect-new-header'],
  ...['packet-pair-experiment', 'pipeline-experiment', 'pipeline-result'],
]);
const BELOW_9 = new Set(['no-cache', 'client-id', 'timeout', 'features', 'xresetstrm', 'accelbw', 'accelduration']);
/** All tokens that a request may have. */
const ALL_TOKENS = [
  ...PLAY,
  ...BOTH_STREAMS,
  'Pragma: LinkBW=2147483647, AccelBW=2147483647, AccelDuration=18000, Speed=5.000',
  'Pragma: BurstBW=2147483647, BurstDuration=5000, client-lag=100, request-context=2',
  'Pragma: playlist-seek-id=1, playlist-gen-id=1, pl-offset=1, version11-enabled=1',
  'Pragma: packet-pair-experiment=1, pipeline-experiment=1, xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}',
  'Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.predstrm, com.microsoft.wm.startupprofile',
];
const REQUEST_HEADERS = [
  'X-Accept-Authentication',
  'X-Accept-Proxy-Authentication',
  'X-Proxy-Client-Verb',
  'User-Agent',
];
const HEADERS_OF_9 = ['Supported', 'X-StartupProfile'];

let content: Content;
let station: Station;

beforeEach(async () => {
  content = await Content.create();
  station = await Station.open({ content, onEvent: () => undefined });
  for (const name of ['a', 'b']) await content.media(`${name}.wmv`, { seconds: 20 });
  await content.playlist('list.wsx', 'a.wmv', 'b.wmv');
});

afterEach(async () => {
  await station.close();
  await content.close();
});

/** The heads of the responses to each type of request, with everything that a client may ask for. */
async function responsesFor(agent: string): Promise<WireResponse[]> {
  const all: WireResponse[] = [];
  const other = ALL_TOKENS.filter((line) => !/xPlayStrm|stream-switch/.test(line));
  for (const path of ['/a.wmv', '/list.wsx']) {
    const described = await station.ask(`GET ${path} HTTP/1.1`, agent, ...other);
    const id = `Pragma: client-id=${clientIdOf(described)}`;
    const post = (...lines: string[]) =>
      station.ask(`POST ${path} HTTP/1.1`, agent, id, ...other, 'Content-Length: 0', ...lines);
    const peer = await station.peer();
    peer.request(`GET ${path} HTTP/1.1`, agent, id, ...ALL_TOKENS);
    const played = await peer.until(parseResponse);
    all.push(
      described,
      played,
      await post('Pragma: xKeepAliveInPause=1'),
      await post('Pragma: stream-switch-entry=ffff:1:0'),
      await post('Pragma: log-line=1 2 3'),
      await post('Content-Type: application/x-wms-getcontentinfo'),
      await post('Content-Type: application/x-wms-sendevent'),
      await post('Pragma: xStopStrm=1'),
      await post('Pragma: nonsense'),
    );
    peer.close();
    const pipeline = await station.peer();
    pipeline.request(`GET ${path} HTTP/1.1`, agent, id, ...other, 'Pragma: pipeline-request=1');
    all.push(await pipeline.until(parseResponse));
    all.push(await station.ask(`GET ${path} HTTP/1.1`, agent, id, ...other, 'Pragma: xPlayNextEntry=1'));
    const lost = await station.play(`GET ${path} HTTP/1.0`, agent, 'Pragma: client-id=12', ...ALL_TOKENS);
    all.push(lost.response, await station.ask('GET /nothing HTTP/1.0', agent, ...ALL_TOKENS));
  }
  return all;
}

const names = ({ pragma }: WireResponse) => pragma.map((token) => token.split('=')[0]!.toLowerCase());

describe('the contents of a response', () => {
  it.each([
    'NSPlayer/4.1.0.3856',
    'NSPlayer/7.10.0.3059',
    'NSServer/4.1.0.3920',
    'NSPlayer/8.0',
    'NSPlayer/9.0',
    'NSPlayer/12.0',
  ])('[WMSP-272] include nothing that is defined only for requests: %s', async (agent) => {
    for (const response of await responsesFor(`User-Agent: ${agent}`)) {
      expect(names(response).filter((name) => !IN_RESPONSES.has(name))).toEqual([]);
      for (const name of REQUEST_HEADERS) expect(response.field(name)).toBeUndefined();
    }
  });

  it.each(['NSPlayer/4.1.0.3856', 'NSPlayer/7.10.0.3059', 'NSServer/4.1.0.3920', 'NSPlayer/8.0'])(
    '[WMSP-273] include nothing that came with 9.0 for clients below: %s',
    async (agent) => {
      for (const response of await responsesFor(`User-Agent: ${agent}`)) {
        expect(names(response).filter((name) => !BELOW_9.has(name))).toEqual([]);
        for (const name of HEADERS_OF_9) expect(response.field(name)).toBeUndefined();
        expect(response.field('Cache-Control')).not.toContain('event-subscription');
        const described = response.field('Content-Type') === 'application/vnd.ms.wms-hdr.asfv1';
        if (described) expect(wirePackets(response.body).map(({ id }) => id)).toEqual(['H']);
      }
    },
  );

  it('[WMSP-273] include all of that for clients from 9.0', async () => {
    const said = new Set((await responsesFor(NEW)).flatMap(names));
    for (const name of IN_RESPONSES) {
      // Only one of two accelerations is granted.
      if (!/^accel|^pipeline-result/.test(name)) expect(said).toContain(name);
    }
  });

  it('[WMSP-233] [WMSP-231] include no $P for clients below 9.0, even if they ask for them', async () => {
    for (const agent of ['NSPlayer/4.1', 'NSPlayer/8.0', 'NSServer/4.1']) {
      const response = await station.ask(
        'GET /a.wmv HTTP/1.0',
        `User-Agent: ${agent}`,
        'Pragma: packet-pair-experiment=1',
      );
      expect(wirePackets(response.body).map(({ id }) => id)).toEqual(['H']);
      expect(response.pragma.join()).not.toContain('experiment');
    }
  });

  it('[WMSP-273] are an error if a client below 9.0 uses features of 9.0', async () => {
    const agent = 'User-Agent: NSPlayer/8.0';
    const id = `Pragma: client-id=${clientIdOf(await station.ask('GET /a.wmv HTTP/1.1', agent))}`;
    for (const token of ['pipeline-request=1', 'xPlayNextEntry=1'])
      expect((await station.ask('GET /a.wmv HTTP/1.1', agent, id, `Pragma: ${token}`)).status).toBe(400);
  });
});

describe('Cache-Control', () => {
  it.each(['/a.wmv', '/list.wsx'])(
    '[WMSP-004] begins with no-cache, and directives follow, each after a comma: %s',
    async (path) => {
      for (const agent of ['NSPlayer/4.1', 'NSPlayer/12.0']) {
        for (const lines of [[], [...PLAY, ...BOTH_STREAMS]]) {
          const peer = await station.peer();
          peer.request(`GET ${path} HTTP/1.0`, `User-Agent: ${agent}`, ...lines);
          const { field } = await peer.until(parseResponse);
          const directive = String.raw`[a-z-]+(?:=(?:\d+|"[a-z, -]+"))?`;
          expect(field('Cache-Control')).toMatch(new RegExp(`^no-cache(?:, ?${directive})+$`));
        }
      }
    },
  );

  it('[WMSP-004] of a request has no effect', async () => {
    const ask = (...lines: string[]) => station.ask('GET /a.wmv HTTP/1.0', NEW, ...lines);
    const plain = await ask();
    const other = await ask(
      'Cache-Control: only-if-cached, max-age=0, x-wms-stream-type="broadcast", x-wms-proxy-split',
    );
    expect([other.status, other.field('Cache-Control')]).toEqual([200, plain.field('Cache-Control')]);
    expect(other.body.equals(plain.body)).toBe(true);
  });
});
