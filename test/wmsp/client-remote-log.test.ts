import type { WmspClient } from '../../src/wmsp/client/client.js';
import {
  CLIENT_ID,
  COUGAR,
  dataPackets,
  described,
  ENTRY,
  HEADER,
  head,
  media,
  ordinary,
  packets,
  playing,
  receive,
  type Script,
  ScriptedServer,
  type SeenRequest,
} from './client-support.js';
import { Content } from './content.js';
import { Station } from './station.js';

let server: ScriptedServer;
afterEach(() => server?.close());

const FAST = 'Supported: com.microsoft.wm.fastcache, com.microsoft.wm.predstrm, com.microsoft.wm.sswitch';
const SUBSCRIPTION = 'Cache-Control: no-cache, x-wms-event-subscription="remote-log"';
const SENT = media(20);

/** A server that can send fast and plays as it is told. */
function fast(subscription: string, ...body: Buffer[]): Script {
  return ({ type }, reply) => {
    if (type === 'Describe') reply.send(described(ENTRY, COUGAR, CLIENT_ID, FAST, subscription)).end();
    else if (type === 'Play') reply.send(playing(COUGAR, CLIENT_ID, FAST, subscription), ...body).end();
    else reply.send(head('HTTP/1.0 200 OK', COUGAR, 'Cache-Control: no-cache', 'Content-Length: 0')).end();
  };
}

const WHOLE = [ENTRY, dataPackets(SENT), packets.E(0)];
const ANOTHER = Buffer.concat([
  packets.M('playlist-gen-id=8, broadcast-id=0, features="seekable"\0'),
  packets.H(HEADER.bytes),
]);

async function serve(script: Script): Promise<void> {
  server = await ScriptedServer.listen(script);
}

interface RemoteEvent {
  readonly type: number;
  readonly reason: number;
  /** The content descriptions: name, value type and value. */
  readonly descriptions: ReadonlyArray<ReadonlyArray<readonly [name: string, type: number, value: string]>>;
}

/** Parses a remote event as MS-WMSP 2.2.5 and 2.2.4 define it. */
function readEvent({ body }: SeenRequest): RemoteEvent {
  let rest = Buffer.from(body, 'latin1');
  const take = (end: string): string => {
    const at = rest.indexOf(end);
    expect(at).toBeGreaterThanOrEqual(0);
    const text = rest.subarray(0, at).toString('utf8');
    rest = rest.subarray(at + end.length);
    return text;
  };
  const counted = (): string => {
    const length = Number(take(','));
    const text = rest.subarray(0, length).toString('utf8');
    rest = rest.subarray(length);
    return text;
  };
  expect(take('\r\n')).toBe('1');
  expect(take(',')).toBe('1');
  const type = Number(take(','));
  const reason = Number(take('\r\n'));
  const descriptions: Array<Array<readonly [string, number, string]>> = [];
  while (rest.length > 0) {
    const items: Array<readonly [string, number, string]> = [];
    for (;;) {
      const name = counted();
      expect(take(',')).toBe('');
      const valueType = Number(take(','));
      items.push([name, valueType, counted()]);
      if (rest[0] === 0x2c) rest = rest.subarray(1);
      else break;
    }
    expect(take('\r\n')).toBe('');
    descriptions.push(items);
  }
  return { type, reason, descriptions };
}

const logOf = (event: RemoteEvent) => event.descriptions[1]!.find(([name]) => name === '@.REMOTE_LOG')![2];

describe('the remote-log event', () => {
  it('[WMSP-161] [WMSP-012] is sent on its own connection when content received fast has been consumed', async () => {
    await serve(fast(SUBSCRIPTION, ...WHOLE));
    const { packets: received } = await receive({ url: server.url(), speed: 5 });
    expect(received).toEqual(SENT);
    expect(server.of('Play')[0]!.pragma).toContain('Speed=5.000');
    const [event] = server.of('SendEvent');
    expect(server.requests.map(({ type }) => type)).toEqual(['Describe', 'Play', 'Log', 'SendEvent']);
    expect(server.requests.filter(({ connection }) => connection === event!.connection)).toHaveLength(1);
    expect(logOf(readEvent(event!))).toContain('<x-duration>2</x-duration>');
  });

  it('[WMSP-161] is not sent before the last packet has been consumed', async () => {
    await serve(fast(SUBSCRIPTION, ...WHOLE));
    let taken = 0;
    await receive({ url: server.url(), speed: 5 }, ({ type }) => {
      if (type !== 'packet') return;
      taken++;
      expect(server.of('SendEvent')).toHaveLength(0);
    });
    expect(taken).toBe(SENT.length);
    expect(server.of('SendEvent')).toHaveLength(1);
  });

  it('[WMSP-097] is a POST with this head', async () => {
    await serve(fast(SUBSCRIPTION, ...WHOLE));
    await receive({ url: server.url('/x?y=1'), speed: 5 });
    const event = server.of('SendEvent')[0]!;
    expect(event.line).toBe('POST /x?y=1 HTTP/1.0');
    expect(event.field('Content-Type')).toBe('application/x-wms-sendevent');
    expect(event.field('User-Agent')).toBe('NSPlayer/12.0.7680.0');
    const names = event.pragma.map((token) => token.split('=')[0]);
    expect(names).toEqual(['no-cache', 'client-id', 'xClientGUID']);
  });

  it('[WMSP-131] [WMSP-132] [WMSP-133] says who played what, and how', async () => {
    await serve(fast(SUBSCRIPTION, ...WHOLE));
    await receive({ url: server.url(), speed: 5 });
    const request = server.of('SendEvent')[0]!;
    const event = readEvent(request);
    const guid = request.pragma.find((token) => token.startsWith('xClientGUID='))!.slice('xClientGUID='.length);
    expect(event).toMatchObject({ type: 30, reason: 0 });
    expect(event.descriptions).toEqual([
      [
        ['context-type', 3, '2'],
        ['WMS_USER_AGENT', 31, 'NSPlayer/12.0.7680.0'],
        ['WMS_USER_GUID', 31, guid],
      ],
      [
        ['context-type', 3, '5'],
        ['@WMS_COMMAND_CONTEXT_URL', 31, server.url()],
        ['@.REMOTE_LOG', 31, expect.stringMatching(/^<XML>\r\n<Summary>[^<]*<\/Summary>/)],
      ],
    ]);
    expect(logOf(event)).toContain('<protocol>Cache</protocol>');
  });

  it('[WMSP-158] [WMSP-191] makes the Log a Streaming Log', async () => {
    await serve(fast(SUBSCRIPTION, ...WHOLE));
    await receive({ url: server.url(), speed: 5 });
    const [log] = server.of('Log');
    expect(log!.body).toContain('<audiocodec>-</audiocodec>');
    expect(log!.body).toContain('<c-pkts-received>20</c-pkts-received>');
    expect(log!.body).toContain('<protocol>http</protocol>');
  });

  it.each([
    ['nobody wants it', 'Cache-Control: no-cache', 5],
    ['other events are wanted', 'Cache-Control: x-wms-event-subscription="remote-open, remote-close"', 5],
    ['the speed is left to the server', SUBSCRIPTION, 1],
  ])('[WMSP-161] is not sent if %s; the Log is then the legacy one', async (_why, subscription, speed) => {
    await serve(fast(subscription, ...WHOLE));
    await receive({ url: server.url(), speed });
    expect(server.of('SendEvent')).toHaveLength(0);
    expect(server.of('Log')[0]!.body).toMatch(/<audiocodec>[^-<]/);
  });

  it('is not sent if logs are off', async () => {
    await serve(fast(SUBSCRIPTION, ...WHOLE));
    await receive({ url: server.url(), speed: 5, log: false });
    expect(server.requests.map(({ type }) => type)).toEqual(['Describe', 'Play']);
  });

  it('counts the whole entry if the connection was replaced in its middle', async () => {
    let plays = 0;
    const whole = fast(SUBSCRIPTION);
    await serve((request, reply) => {
      if (request.type !== 'Play') whole(request, reply);
      else if (plays++ === 0)
        reply.send(playing(COUGAR, CLIENT_ID, SUBSCRIPTION), ENTRY, dataPackets(SENT.slice(0, 11))).end();
      else
        reply
          .send(playing(COUGAR, CLIENT_ID, SUBSCRIPTION), ENTRY, dataPackets(SENT.slice(11), 11), packets.E(0))
          .end();
    });
    await receive({ url: server.url(), speed: 5, reconnect: { retries: 1, initialDelay: 1 } });
    expect(server.of('SendEvent')).toHaveLength(1);
    expect(logOf(readEvent(server.of('SendEvent')[0]!))).toMatch(/<c-starttime>0<.*<x-duration>2</s);
  });

  it('is sent once for the first entry of a playlist, and not for one that was not requested fast', async () => {
    await serve(
      fast(SUBSCRIPTION, ENTRY, dataPackets(SENT), packets.E(1), packets.C(), ANOTHER, dataPackets(SENT), packets.E(0)),
    );
    const { shape } = await receive({ url: server.url(), speed: 5 });
    expect(shape).toBe('H 20 E1 H 20 E0');
    expect(server.of('SendEvent')).toHaveLength(1);
    const kinds = server.of('Log').map(({ body }) => (body.includes('<audiocodec>-<') ? 'streaming' : 'legacy'));
    expect(kinds.sort()).toEqual(['legacy', 'streaming']);
  });

  it('[WMSP-012] reaches our own server if that wants it', async () => {
    const content = await Content.create();
    const events: string[] = [];
    const station = await Station.open({ content, onEvent: (path, body) => events.push(`${path} ${body}`) });
    try {
      await content.media('clip.wmv', { seconds: 4 });
      let over = false;
      const receiving = receive({ url: `http://127.0.0.1:${station.port}/clip.wmv`, speed: 5 }).finally(() => {
        over = true;
      });
      await station.tickUntil(() => over);
      expect((await receiving).error).toBeUndefined();
      expect(events).toHaveLength(1);
      expect(events[0]).toMatch(/^\/clip\.wmv 1\r\n1,30,0\r\n12,context-type,3,1,2,/);
      expect(events[0]).toContain('<x-duration>4</x-duration>');
    } finally {
      await station.close();
      await content.close();
    }
  });

  it('of a client of a proxy is forwarded in the name of that client', async () => {
    let client: WmspClient | undefined;
    server = await ScriptedServer.listen(
      ordinary((reply) => reply.send(playing(COUGAR, CLIENT_ID), ENTRY, dataPackets(media(5)), packets.E(0)).end()),
    );
    const event = Buffer.from('x-wms-event: remote-log');
    await receive({ url: server.url() }, ({ type }, receiving) => {
      if (type !== 'header' || client) return;
      client = receiving;
      client.forward(event, 'NSPlayer/7.1.0.3055');
    });
    const request = await server.request('SendEvent');
    expect([request.body, request.field('User-Agent')]).toEqual([event.toString(), 'NSPlayer/7.1.0.3055']);
    expect(request.pragma).toContain('client-id=123');
  });
});
