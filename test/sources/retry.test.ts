import { buildNsc, parseNsc } from '../../src/announce/nsc.js';
import { type ErrorCode, errorTable, WmError } from '../../src/errors.js';
import { HeaderFields } from '../../src/http/message.js';
import { retryAfterOf } from '../../src/http/status-error.js';
import type { AsfEvent } from '../../src/media/events.js';
import type { Clock } from '../../src/media/pacing.js';
import { mayRetry } from '../../src/media/reconnect.js';
import { MulticastSource } from '../../src/sources/multicast.js';
import type { SourceOptions } from '../../src/sources/source.js';
import { openSourceUrl } from '../../src/sources/table.js';
import { ReconnectingPush } from '../../src/wmhttp/client/reconnecting-push.js';
import { field, PeerServer } from '../http/peer.js';
import { testHeader, testPacket } from '../support/stream.js';
import {
  CLIENT_ID,
  COUGAR,
  dataPackets,
  described,
  head,
  LIVE_HEADER,
  media,
  packets,
  playing,
  QUICK,
  type Reply,
  ScriptedServer,
  shapeOf,
} from '../wmsp/client-support.js';

let server: ScriptedServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** A clock whose waits end at once, and that records how long they would have been. */
function noWait(): Clock & { readonly waits: number[] } {
  const waits: number[] = [];
  return {
    waits,
    now: () => performance.now(),
    sleep: (milliseconds) => {
      waits.push(milliseconds);
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}

const LIVE = Buffer.concat([
  packets.M('playlist-gen-id=7, broadcast-id=1, features="broadcast"\0'),
  packets.H(LIVE_HEADER.bytes),
]);
const GARBAGE = Buffer.from('20 bytes of garbage!');

/** Responses of a server while it, or a proxy in front of it, restarts. */
const INSTEAD: ReadonlyArray<readonly [name: string, answer: (reply: Reply) => void]> = [
  [
    'a web page',
    (reply) => reply.send(head('HTTP/1.1 200 OK', 'Server: nginx', 'Content-Type: text/html'), '<html></html>').end(),
  ],
  [
    'an announcement',
    (reply) => reply.send(head('HTTP/1.1 200 OK'), '<asx><entry><ref href="mms://h/x"/></entry></asx>').end(),
  ],
  [
    'an announcement that cannot be read',
    (reply) => reply.send(head('HTTP/1.1 200 OK'), '#EXTM3U\n#EXT-X-VERSION:3\n').end(),
  ],
  ['something other than HTTP', (reply) => reply.send('SSH-2.0-OpenSSH_9.6\r\n\r\n').end()],
  ['garbage in place of a header', (reply) => reply.send(head('HTTP/1.0 200 OK', COUGAR), packets.H(GARBAGE)).end()],
  ['no body', (reply) => reply.send(head('HTTP/1.0 200 OK', COUGAR)).end()],
  ['nothing', (reply) => reply.destroy()],
  ...[400, 401, 403, 404, 405, 408, 410, 425, 429, 500, 502, 503, 504].map(
    (status) =>
      [`${status}`, (reply: Reply) => reply.send(head(`HTTP/1.1 ${status} No`, 'Server: nginx')).end()] as const,
  ),
];

/** A live stream that is cut after 5 packets; then the test's response three times; then 5 more packets and the end. */
async function interrupted(answer: (reply: Reply) => void, end: Buffer = Buffer.alloc(0)): Promise<string> {
  let plays = 0;
  let away = 0;
  server = await ScriptedServer.listen((request, reply) => {
    if (request.type === 'Log') reply.send(head('HTTP/1.0 200 OK', COUGAR, 'Content-Length: 0')).end();
    else if (plays === 1 && away++ < 3) answer(reply);
    else if (request.type === 'Describe') reply.send(described(LIVE, COUGAR, CLIENT_ID)).end();
    else {
      const from = 5 * plays++;
      const rest = plays === 1 ? end : packets.E(0);
      reply.send(playing(COUGAR, CLIENT_ID), LIVE, dataPackets(media(5, from), from), rest).end();
    }
  });
  return server.url();
}

async function received(url: string, options: SourceOptions): Promise<{ shape: string; error: unknown }> {
  const events: AsfEvent[] = [];
  try {
    for await (const event of openSourceUrl(url, { ...QUICK, ...options })) events.push(event);
  } catch (error) {
    return { shape: shapeOf(events), error };
  }
  return { shape: shapeOf(events), error: undefined };
}

const FOREVER = { retries: Number.POSITIVE_INFINITY };

describe('a pull that has worked', () => {
  it.each(INSTEAD)('continues after a cut although the server answers for a while: %s', async (_, answer) => {
    const clock = noWait();
    const { shape, error } = await received(await interrupted(answer), { clock, reconnect: FOREVER });
    expect([shape, error]).toEqual(['H 10 E0', undefined]);
    expect(clock.waits.length).toBeGreaterThanOrEqual(4);
  });

  it('continues after garbage between packets', async () => {
    const { shape, error } = await received(await interrupted((reply) => reply.destroy(), GARBAGE), {
      clock: noWait(),
      reconnect: FOREVER,
    });
    expect([shape, error]).toEqual(['H 10 E0', undefined]);
  });

  it('waits as long as the server requests', async () => {
    const clock = noWait();
    const busy = (reply: Reply) => reply.send(head('HTTP/1.1 429 No', 'Retry-After: 77')).end();
    await received(await interrupted(busy), { clock, reconnect: FOREVER });
    expect(clock.waits.filter((wait) => wait === 77_000)).toHaveLength(3);
  });

  it('gives up after the maximum number of attempts', async () => {
    const url = await interrupted((reply) => reply.send(head('HTTP/1.1 403 No')).end());
    expect(await received(url, { clock: noWait(), reconnect: { retries: 2 } })).toMatchObject({
      shape: 'H 5 E0',
      error: { code: 'WM_AUTH_REFUSED' },
    });
  });

  it('does not continue if it is strict about the protocol', async () => {
    const url = await interrupted(INSTEAD[0]![1]);
    expect(await received(url, { clock: noWait(), reconnect: FOREVER, tolerant: false })).toMatchObject({
      error: { code: 'WM_PROTOCOL' },
    });
  });
});

describe('a pull that has never worked', () => {
  it.each(INSTEAD)('is retried only after temporary failures: %s', async (name, answer) => {
    let count = 0;
    server = await ScriptedServer.listen((_, reply) => {
      count++;
      answer(reply);
    });
    await received(server.url(), { clock: noWait(), reconnect: { retries: 2, first: true } });
    const isPassing = ['no body', 'nothing', '408', '425', '429', '500', '502', '503', '504'].includes(name);
    // A redirect is tried at its target, which does not exist.
    expect(count).toBe(isPassing ? 3 : 1);
  });
});

describe('a push that has worked', () => {
  const OK = 'HTTP/1.1 204 No Content\r\nServer: Cougar/9.6\r\nSet-Cookie: push-id=7\r\nContent-Length: 0\r\n\r\n';

  const SAID: ReadonlyArray<readonly [name: string, answer: string]> = [
    ['a web page', 'HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 2\r\n\r\nhi'],
    ['something other than HTTP', 'SSH-2.0-OpenSSH_9.6\r\n\r\n'],
    ...[400, 401, 403, 404, 408, 409, 429, 503].map(
      (status) => [`${status}`, `HTTP/1.1 ${status} No\r\nRetry-After: 77\r\nContent-Length: 0\r\n\r\n`] as const,
    ),
  ];

  it.each(SAID)('continues after a cut although the server answers for a while: %s', async (name, answer) => {
    const peers = await PeerServer.listen();
    const clock = noWait();
    const connecting = ReconnectingPush.connect({ url: `http://127.0.0.1:${peers.port}/x`, reconnect: FOREVER, clock });
    const setUp = async (text: string) => {
      const peer = await peers.accept();
      await peer.bytes(Number(field(await peer.head(), 'Content-Length')));
      peer.send(text);
      return peer;
    };
    const first = await setUp(OK);
    const push = await connecting;
    push.write({ type: 'header', header: testHeader() });
    push.write({ type: 'packet', packet: testPacket(0) });
    await first.head();
    await first.bytes(LIVE_HEADER.bytes.length + 8);
    first.destroy();
    for (let count = 0; count < 3; count++) (await setUp(answer)).socket.end();
    await setUp(OK);
    // The first connection broke on its second use, so from then on no connection is used twice.
    const peer = await peers.accept();
    expect(await peer.head()).toContain('pushstart');
    if (/^\d/.test(name)) expect(clock.waits).toContain(77_000);
    push.abort();
    await peers.close();
    await push.close().catch(() => {});
  });
});

describe('a multicast', () => {
  it('is retried without its .nsc file, or when nothing arrives, if the options say so', async () => {
    const nsc = buildNsc({ address: '239.255.77.1', port: 9, formats: [{ id: 1, header: LIVE_HEADER.bytes }] });
    server = await ScriptedServer.listen((_, reply) => reply.send(head('HTTP/1.1 503 No')).end());
    const clock = noWait();
    const reports: string[] = [];
    await received(server.url('/x.nsc'), {
      clock,
      reconnect: { retries: 2, first: true },
      onReconnect: ({ error }) => reports.push(error.code),
    });
    expect(reports).toEqual(['WM_UNREACHABLE', 'WM_UNREACHABLE']);
    const source = new MulticastSource(
      {
        url: server.url('/x.nsc'),
        interface: '127.0.0.1',
        now: () => performance.now() * 200,
        read: async () => parseNsc(nsc, 'x.nsc'),
      },
      { clock, reconnect: { retries: 2, first: true }, onReconnect: ({ error }) => reports.push(error.message) },
    );
    const drain = async () => {
      for await (const _ of source);
    };
    expect(String(await drain().catch((error: unknown) => error))).toMatch(/^WmError: Nothing came from the group/);
    expect(reports.slice(2)).toHaveLength(2);
  });
});

describe('the table', () => {
  it('has every code, and distinguishes connections that never worked', () => {
    const rows = (Object.keys(errorTable) as ErrorCode[]).map((code) => {
      const error = new WmError(code, 'x');
      return [code, mayRetry(error, false), mayRetry(error, true)];
    });
    expect(rows.filter(([, before]) => before).map(([code]) => code)).toEqual(['WM_UNREACHABLE', 'WM_SERVER_GONE']);
    expect(rows.filter(([, , after]) => !after).map(([code]) => code)).toEqual([
      ...[
        'WM_FAILED',
        'WM_UNEXPECTED',
        'WM_PORT_IN_USE',
        'WM_FFMPEG_FAILED',
        'WM_PACKAGER_FAILED',
        'WM_DISK',
        'WM_USAGE',
        'WM_FFMPEG_MISSING',
        'WM_CONFIG',
      ],
    ]);
    expect(mayRetry(new WmError('WM_PUSH_REFUSED', 'x', { passing: true }), false)).toBe(true);
    expect(mayRetry(new Error('x'), true)).toBe(false);
  });

  it.each([
    ['120', 120_000],
    ['Thu, 01 Jan 1970 00:01:00 GMT', 60_000],
    ['0', 0],
    ['999999', 3_600_000],
    ['-5', undefined],
    ['soon', undefined],
  ])('Retry-After: %s', (text, expected) => {
    expect(retryAfterOf(new HeaderFields([['Retry-After', text]]), 0)).toBe(expected);
  });
});
