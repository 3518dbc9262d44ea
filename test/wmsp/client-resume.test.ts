import fc from 'fast-check';
import { liveHeader } from '../../src/asf/edit.js';
import { WmError } from '../../src/errors.js';
import type { AsfEvent } from '../../src/media/events.js';
import type { Clock } from '../../src/media/pacing.js';
import { backOff } from '../../src/media/reconnect.js';
import { WmspClient } from '../../src/wmsp/client/client.js';
import { testHeader } from '../support/stream.js';
import {
  CLIENT_ID,
  COUGAR,
  dataPackets,
  described,
  ENTRY,
  fileHeader,
  HEADER,
  head,
  LIVE_HEADER,
  METADATA,
  media,
  ordinary,
  packets,
  playing,
  QUICK,
  receive,
  type Script,
  ScriptedServer,
  shapeOf,
} from './client-support.js';

let server: ScriptedServer;
afterEach(() => server?.close());

const SENT = media(20);
const WHOLE = Buffer.concat(SENT);

async function serve(script: Script): Promise<void> {
  server = await ScriptedServer.listen(script);
}

/** A clock whose waits end at once, and how long they would have been. */
function noWait(): Clock & { readonly waits: number[] } {
  const waits: number[] = [];
  return {
    waits,
    now: () => performance.now(),
    sleep: (milliseconds) => {
      waits.push(milliseconds);
      return Promise.resolve();
    },
  };
}

const RETRY = { reconnect: { retries: 3 }, random: () => 1 };

/** The packet-num of a Play. */
const packetNumber = (pragma: readonly string[]) =>
  Number(pragma.find((token) => token.startsWith('packet-num='))!.slice('packet-num='.length));

/** A file server that honours packet-num. */
function fileServer(cut: (play: number) => number): Script {
  let plays = 0;
  return ordinary((reply, { pragma }) => {
    const wanted = packetNumber(pragma);
    const from = wanted === 0xffffffff ? 0 : wanted;
    const all = Buffer.concat([
      Buffer.from(playing(COUGAR, CLIENT_ID)),
      ENTRY,
      dataPackets(SENT.slice(from), from),
      packets.E(0),
    ]);
    const size = cut(plays++);
    reply.send(all.subarray(0, size));
    if (size < all.length) reply.end();
  });
}

describe('content on demand whose connection breaks', () => {
  const size = playing(COUGAR, CLIENT_ID).length + ENTRY.length + dataPackets(SENT).length + packets.E(0).length;

  it('continues with the next packet, wherever it was cut', async () => {
    const results = new Map<string, number>();
    for (let at = 0; at <= size; at += 97) {
      await serve(fileServer((play) => (play === 0 ? at : size * 2)));
      const {
        shape,
        packets: got,
        error,
      } = await receive({
        url: server.url(),
        log: false,
        ...RETRY,
        reconnect: { retries: 3, first: true },
        clock: noWait(),
      });
      results.set(`${shape} ${String(error)} ${Buffer.concat(got).equals(WHOLE)}`, at);
      await server.close();
    }
    expect([...results.keys()]).toEqual(['H 20 E0 undefined true']);
    await serve(() => {});
  });

  it('asks for the packet after the last one in the same session, and begins another session if that is refused', async () => {
    let refuse = false;
    await serve((request, reply) => {
      if (refuse && request.type === 'Play' && request.pragma.includes('client-id=123')) {
        refuse = false;
        reply.send(head('HTTP/1.0 400 No', COUGAR)).end();
      } else {
        const cutAfter = playing(COUGAR, CLIENT_ID).length + ENTRY.length + dataPackets(SENT.slice(0, 5)).length;
        const plays = server.of('Play').length;
        if (plays === 1 && request.type === 'Play') refuse = true;
        fileServer(() => (plays === 1 ? cutAfter : 1e9))(request, reply);
      }
    });
    const { shape, client } = await receive({ url: server.url(), log: false, ...RETRY, clock: noWait() });
    expect(shape).toBe('H 20 E0');
    expect(server.requests.map(({ type }) => type)).toEqual(['Describe', 'Play', 'Play', 'Describe', 'Play']);
    expect(server.of('Play').map(({ pragma }) => packetNumber(pragma))).toEqual([0xffffffff, 5, 5]);
    expect(client.stats).toMatchObject({ packets: 20, reconnects: 1 });
  });

  it('keeps the times of a file that has no File ID, as FFmpeg makes it', async () => {
    const sent = [...media(5), ...media(5, 8)];
    const nameless = packets.H(fileHeader(sent.length, { fileId: '0'.repeat(32) }).bytes);
    await serve((request, reply) => {
      const isFirst = server.of('Play').length < 2;
      if (request.type === 'Describe') reply.send(described(nameless, COUGAR, CLIENT_ID)).end();
      else if (request.type !== 'Play') reply.end();
      else if (isFirst) reply.send(playing(COUGAR, CLIENT_ID), nameless, dataPackets(sent.slice(0, 5))).end();
      else reply.send(playing(COUGAR, CLIENT_ID), nameless, dataPackets(sent.slice(5), 5), packets.E(0)).end();
    });
    const { packets: got } = await receive({ url: server.url(), log: false, ...RETRY, clock: noWait() });
    expect(got).toEqual(sent);
  });

  it('drops packets that a server repeats because it starts elsewhere', async () => {
    const cutAfter = playing(COUGAR, CLIENT_ID).length + ENTRY.length + dataPackets(SENT.slice(0, 7)).length + 30;
    await serve(
      ordinary((reply) => {
        const all = Buffer.concat([Buffer.from(playing(COUGAR, CLIENT_ID)), ENTRY, dataPackets(SENT), packets.E(0)]);
        reply.send(server.of('Play').length === 1 ? all.subarray(0, cutAfter) : all).end();
      }),
    );
    const { shape, packets: got } = await receive({ url: server.url(), ...RETRY, clock: noWait() });
    expect(shape).toBe('H 20 E0');
    expect(Buffer.concat(got).equals(WHOLE)).toBe(true);
  });

  it('is complete without its $E if all packets have arrived', async () => {
    await serve(ordinary((reply) => reply.send(playing(COUGAR, CLIENT_ID), ENTRY, dataPackets(SENT)).end()));
    expect(await receive({ url: server.url() })).toMatchObject({ shape: 'H 20 E0', error: undefined });
  });

  it('ends with the error if no retry is configured', async () => {
    await serve(ordinary((reply) => reply.send(playing(COUGAR), ENTRY, dataPackets(SENT.slice(0, 3))).end()));
    const { shape, error } = await receive({ url: server.url() });
    expect(shape).toBe('H 3 E0');
    expect(error).toMatchObject({ code: 'WM_SERVER_GONE' });
  });

  it('is fetched again if it is plain ASF, without repeating packets', async () => {
    const bytes = Buffer.concat([HEADER.bytes, WHOLE]);
    await serve((_, reply) => {
      const part = server.requests.length === 1 ? bytes.subarray(0, bytes.length - 1000) : bytes;
      reply.send(head('HTTP/1.0 200 OK'), part).end();
    });
    const { shape, packets: got } = await receive({ url: server.url(), ...RETRY, clock: noWait() });
    expect(shape).toBe('H 20 E0');
    expect(Buffer.concat(got).equals(WHOLE)).toBe(true);
  });

  it.each([
    ['says how long it is', 'HTTP/1.1 200 OK', (size: number) => [`Content-Length: ${size}`], 1],
    ['only ends, twice in the same place', 'HTTP/1.0 200 OK', () => [], 2],
  ])('is taken as it is if it is plain ASF of a file that is cut, and %s', async (_, line, fields, requests) => {
    const bytes = Buffer.concat([HEADER.bytes, WHOLE]).subarray(0, -1000);
    await serve((_request, reply) => reply.send(head(line, ...fields(bytes.length)), bytes).end());
    const notes: string[] = [];
    const options = { url: server.url(), ...RETRY, clock: noWait(), onNote: (text: string) => notes.push(text) };
    const { shape, error } = await receive(options);
    expect([shape, error]).toEqual(['H 17 E0', undefined]);
    expect(server.requests).toHaveLength(requests);
    expect(notes).toEqual(['The file on the server is cut: it ends after 17 packets.']);
  });

  it('goes on in its times if it is plain ASF of joined recordings', async () => {
    const live = liveHeader(HEADER).bytes;
    await serve((_, reply) => reply.send(head('HTTP/1.0 200 OK'), live, WHOLE, live, WHOLE).end());
    const { shape, events } = await receive({ url: server.url(), ...RETRY, clock: noWait() });
    expect(shape).toBe('H 40 E0');
    const times = events.flatMap((event) => (event.type === 'packet' ? [event.packet.sendTime] : []));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times.at(-1)).toBeGreaterThan(times[19]!);
  });
});

describe('retrying', () => {
  it('waits longer each time, with some randomness, and gives up after a number of failures in a row', async () => {
    await serve(ordinary((reply) => reply.send(playing(COUGAR), ENTRY, dataPackets(SENT.slice(0, 1))).end()));
    const clock = noWait();
    const reports: number[] = [];
    let asked = 0;
    await server.close();
    await serve((request, reply) => {
      if (request.type === 'Play' && asked++ > 0) reply.send(head('HTTP/1.0 503 No', COUGAR)).end();
      else ordinary((play) => play.send(playing(COUGAR), ENTRY, dataPackets(SENT.slice(0, 1))).end())(request, reply);
    });
    const { error, client } = await receive({
      url: server.url(),
      ...RETRY,
      clock,
      onReconnect: ({ attempt }) => reports.push(attempt),
    });
    expect(error).toMatchObject({ code: 'WM_UNREACHABLE' });
    expect(clock.waits).toEqual([500, 1000, 2000]);
    expect(reports).toEqual([1, 2, 3]);
    expect(client.stats.reconnects).toBe(3);
  });

  it('never retries permanent errors, nor the first attempt unless that is wanted', async () => {
    await serve((_, reply) => reply.send(head('HTTP/1.0 503 No', COUGAR)).end());
    expect((await receive({ url: server.url(), ...RETRY, clock: noWait() })).error).toBeInstanceOf(WmError);
    expect(server.requests).toHaveLength(1);
    await receive({ url: server.url(), reconnect: { retries: 2, first: true }, clock: noWait() });
    expect(server.requests).toHaveLength(1 + 3);
    await server.close();
    await serve((_, reply) => reply.send(head('HTTP/1.0 404 No', COUGAR)).end());
    await receive({ url: server.url(), reconnect: { retries: 2, first: true }, clock: noWait() });
    expect(server.requests).toHaveLength(1);
  });

  it('ends at once if the source is closed while it waits', async () => {
    await serve((_, reply) => reply.send(head('HTTP/1.0 503 No', COUGAR)).end());
    const client = new WmspClient({
      url: server.url(),
      reconnect: { retries: 1, first: true, initialDelay: 60_000 },
      onReconnect: () => void client.close(),
    });
    for await (const event of client) expect(event).toBeUndefined();
  });

  it('has bounds', () => {
    const policy = { retries: 1, initialDelay: 100, maxDelay: 1000 };
    expect([1, 2, 3, 4, 5, 99].map((attempt) => backOff(policy, attempt, () => 1))).toEqual([
      100, 200, 400, 800, 1000, 1000,
    ]);
    expect(backOff(policy, 1, () => 0)).toBe(50);
  });
});

describe('a live stream whose connection breaks', () => {
  const entry = (header = LIVE_HEADER) => Buffer.concat([packets.M(METADATA), packets.H(header.bytes)]);

  /** Each Play gets the next of the bodies; the last one ends with a $E. */
  function liveServer(...bodies: Buffer[]): Script {
    return (request, reply) => {
      const play = server.of('Play').length;
      const isLast = play >= bodies.length;
      if (request.type === 'Describe') reply.send(described(entry(), COUGAR, CLIENT_ID)).end();
      else if (request.type === 'Play') {
        reply.send(playing(COUGAR, CLIENT_ID), bodies[play - 1]!, isLast ? packets.E(0) : '').end();
      } else reply.end();
    };
  }

  const times = (events: readonly AsfEvent[]) =>
    events.flatMap((event) => (event.type === 'packet' ? [event.packet.sendTime] : []));

  it('continues as one stream, without repeated packets', async () => {
    await serve(
      liveServer(
        Buffer.concat([entry(), dataPackets(media(10), 100)]),
        Buffer.concat([entry(), dataPackets(media(10, 4), 0)]),
      ),
    );
    const { shape, events } = await receive({ url: server.url(), ...RETRY, clock: noWait() });
    expect(shape).toBe('H 14 E0');
    expect(times(events)).toEqual(Array.from({ length: 14 }, (_, index) => index * 100));
    expect(server.requests.map(({ type }) => type).filter((type) => type !== 'Log')).toEqual([
      'Describe',
      'Play',
      'Describe',
      'Play',
    ]);
  });

  it('preserves the gap, and joins a stream that starts over', async () => {
    await serve(
      liveServer(
        Buffer.concat([entry(), dataPackets(media(10))]),
        Buffer.concat([entry(), dataPackets(media(10, 50))]),
        Buffer.concat([entry(testHeader({ fileId: '77'.repeat(16) })), dataPackets(media(10))]),
      ),
    );
    const { shape, events } = await receive({ url: server.url(), ...RETRY, clock: noWait() });
    expect(shape).toBe('H 30 E0');
    const all = times(events);
    expect(all.slice(9, 11)).toEqual([900, 5000]);
    expect(all).toEqual([...all].sort((a, b) => a - b));
    expect(all.at(-1)! - all[20]!).toBe(900);
  });

  it('yields another header if it comes back as another stream', async () => {
    await serve(
      liveServer(
        Buffer.concat([entry(), dataPackets(media(10))]),
        Buffer.concat([entry(testHeader({ title: 'Other' })), dataPackets(media(10))]),
      ),
    );
    expect((await receive({ url: server.url(), ...RETRY, clock: noWait() })).shape).toBe('H 10 E1 H 10 E0');
  });
});

describe('pausing and seeking', () => {
  it('[WMSP-156] [WMSP-160] [WMSP-196] stops, keeps the session alive, and continues with the next packet', async () => {
    await serve((request, reply) => {
      if (request.type === 'Describe') {
        reply.send(described(ENTRY, COUGAR, 'Pragma: client-id=123, timeout=1000, features="seekable"')).end();
      } else if (request.type === 'Play') {
        const from = packetNumber(request.pragma);
        const rest = from === 0xffffffff ? SENT.slice(0, 5) : SENT.slice(from);
        reply.send(playing(COUGAR), ENTRY, dataPackets(rest, from === 0xffffffff ? 0 : from));
        if (from !== 0xffffffff) reply.send(packets.E(0)).end();
      } else reply.send(head('HTTP/1.0 200 OK', COUGAR, 'Content-Length: 0')).end();
    });
    let waited: Promise<unknown> | undefined;
    const { shape, packets: got } = await receive({ url: server.url() }, (event, client) => {
      if (event.type !== 'packet' || event.packet.sendTime !== 400) return;
      client.pause();
      // The Log of what was streamed, then the first KeepAlive after a second.
      waited = server.request('KeepAlive').then(() => client.resume());
    });
    await waited;
    expect(shape).toBe('H 20 E0');
    expect(Buffer.concat(got).equals(WHOLE)).toBe(true);
    const kinds = server.requests.map(({ type }) => type);
    expect(kinds.slice(0, 5)).toEqual(['Describe', 'Play', 'Log', 'KeepAlive', 'Play']);
    expect(server.of('KeepAlive')[0]!.line).toBe('POST /x HTTP/1.0');
  });

  it('[WMSP-160] seeks with a Stop and another Play', async () => {
    await serve(
      ordinary((reply, { pragma }) => {
        const sought = pragma.includes('stream-time=1500');
        reply.send(playing(COUGAR), ENTRY, dataPackets(SENT.slice(sought ? 15 : 0), sought ? 15 : 0));
        if (sought) reply.send(packets.E(0)).end();
      }),
    );
    const { events } = await receive({ url: server.url() }, (event, client) => {
      if (event.type === 'packet' && event.packet.sendTime === 300) client.seek(1500);
    });
    const times = events.flatMap((event) => (event.type === 'packet' ? [event.packet.sendTime] : []));
    expect(times).toEqual([0, 100, 200, 300, 1500, 1600, 1700, 1800, 1900]);
    expect(server.of('Log').length).toBe(2);
  });
});

describe('whatever a server sends', () => {
  it('ends in events and a WmError, and never in a hang', async () => {
    const good = Buffer.concat([
      Buffer.from(playing(COUGAR, CLIENT_ID)),
      ENTRY,
      dataPackets(SENT.slice(0, 3)),
      packets.E(1),
      packets.C(),
      ENTRY,
      dataPackets(SENT.slice(0, 3)),
      packets.E(0),
    ]);
    let bytes = good;
    await serve((request, reply) => {
      if (request.type === 'Describe') reply.send(described(ENTRY, COUGAR, CLIENT_ID)).end();
      else reply.send(request.type === 'Play' ? bytes : head('HTTP/1.0 200 OK', COUGAR)).end();
    });
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.nat(good.length),
        fc.boolean(),
        async (changes, cut, tolerant) => {
          bytes = Buffer.from(good.subarray(0, cut % 3 === 0 ? cut : good.length));
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          const timeouts = { connect: 1_000, answer: 200, data: 200, side: 100 };
          const { error, events } = await receive({ url: server.url(), tolerant, timeouts });
          if (error !== undefined) expect(error).toBeInstanceOf(WmError);
          if (events.length > 0) expect(shapeOf(events)).toMatch(/^H.*E0$/);
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);

  it('is held back while it is not consumed', async () => {
    const many = media(200);
    let sent = 0;
    await serve(
      ordinary((reply) => {
        reply.send(playing(COUGAR), ENTRY);
        const more = () => {
          while (sent < 60_000) {
            sent += 200;
            if (!reply.socket.write(dataPackets(many, sent))) {
              reply.socket.once('drain', more);
              return;
            }
          }
          reply.send(packets.E(0)).end();
        };
        more();
      }),
    );
    const client = new WmspClient({ url: server.url(), ...QUICK, log: false });
    const events = client[Symbol.asyncIterator]();
    await events.next();
    await events.next();
    let last = -1;
    while (last !== sent) {
      last = sent;
      for (let turn = 0; turn < 300; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    // 60000 packets are 24 MB; only what the sockets hold is waiting.
    expect(sent).toBeLessThan(40_000);
    for (let next = await events.next(); !next.done; next = await events.next());
    expect(client.stats.packets).toBe(60_000);
  });
});
