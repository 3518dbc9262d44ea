import type { Clock } from '../../src/media/pacing.js';
import type { ReconnectReport } from '../../src/media/reconnect.js';
import { MsbdClient } from '../../src/msbd/client/client.js';
import { testHeader, testPacket } from '../support/stream.js';
import { shapeOf } from '../wmsp/client-support.js';
import {
  connectResponse,
  END,
  emptyStreamInfo,
  indPacket,
  media,
  receive,
  type Script,
  ScriptedServer,
  Station,
  streamInfo,
  wire,
} from './support.js';

const SENT = media(20);
const START = Buffer.concat([connectResponse(), streamInfo(1)]);
const packetsFrom = (list: readonly Buffer[], firstId = 0, streamId = 1) =>
  Buffer.concat(list.map((payload, index) => indPacket(firstId + index, streamId, payload)));

/** A clock whose waits end at once. */
const noWait: Clock = { now: () => performance.now(), sleep: () => Promise.resolve() };

let server: ScriptedServer;
let station: Station | undefined;
afterEach(async () => {
  await server?.close();
  await station?.close();
  station = undefined;
});

async function serve(script: Script): Promise<string> {
  server = await ScriptedServer.listen(script);
  return server.url();
}

describe('MsbdClient', () => {
  it('[MSBD-004] [MSBD-055] [MSBD-082] yields packets from TCP, and closes at the end', async () => {
    let closed: () => void = () => {};
    const whenClosed = new Promise<void>((resolve) => (closed = resolve));
    const url = await serve((socket) => {
      socket.on('close', closed);
      socket.write(Buffer.concat([START, packetsFrom(SENT), END]));
    });
    const { events, payloads, error, client } = await receive({ url });
    expect(error).toBeUndefined();
    expect(shapeOf(events)).toBe('H 20 E0');
    expect(payloads).toEqual(SENT);
    expect(client.stats).toMatchObject({ packets: 20, bytes: 8000, lostPackets: 0, damagedPackets: 0, reconnects: 0 });
    expect(client.description).toMatchObject({ url, live: true, transport: 'msbd', bitRate: 364_000 });
    await whenClosed;
  });

  it('does not pile up answers for a server that asks and does not read', async () => {
    const url = await serve((socket) => {
      socket.pause();
      const pings = Buffer.concat(Array.from({ length: 4096 }, () => wire(1)));
      const ask = () => void socket.write(pings, (error) => error || ask());
      socket.write(connectResponse(), ask);
    });
    const { error } = await receive({ url });
    expect(error).toMatchObject({ code: 'WM_PROTOCOL', message: expect.stringContaining('does not read the answers') });
  });

  it('[MSBD-013] reads packets that arrive byte by byte', async () => {
    const bytes = Buffer.concat([START, packetsFrom(SENT.slice(0, 2)), END]);
    const url = await serve((socket) => {
      socket.setNoDelay(true);
      let at = 0;
      const next = () => {
        if (at < bytes.length) socket.write(bytes.subarray(at, ++at), next);
      };
      next();
    });
    expect((await receive({ url })).payloads).toEqual(SENT.slice(0, 2));
  });

  it('[MSBD-080] [MSBD-079] answers pings, and sends nothing before REQ_CONNECT', async () => {
    const url = await serve((socket) => {
      socket.write(Buffer.concat([START, packetsFrom(SENT.slice(0, 1)), wire(1), packetsFrom(SENT.slice(1, 2), 1)]));
      socket.on('data', () => socket.write(END));
    });
    expect(shapeOf((await receive({ url })).events)).toBe('H 2 E0');
    expect(server.received[0]!.subarray(34)).toEqual(wire(2));
    expect(server.received[0]!.toString('utf16le', 20, 34)).toBe('NetShow');
  });

  it('asks for the channel of the URL', async () => {
    await serve((socket) => socket.write(Buffer.concat([START, packetsFrom(SENT), END])));
    await receive({ url: server.url('/live/a') });
    expect(server.received[0]!.toString('utf16le', 20)).toBe('live/a');
  });

  it('[MSBD-037] [MSBD-083] begins another entry with another stream', async () => {
    const url = await serve((socket) => {
      const other = Buffer.concat([streamInfo(2, { title: 'Another' }), indPacket(5, 1, SENT[3]!)]);
      socket.write(
        Buffer.concat([START, packetsFrom(SENT.slice(0, 3)), other, packetsFrom(SENT.slice(0, 2), 3, 2), END]),
      );
    });
    expect(shapeOf((await receive({ url })).events)).toBe('H 3 E1 H 2 E0');
  });

  it('[MSBD-037] loses nothing if a server goes on under a wStreamId that it did not announce', async () => {
    const sent = media(57);
    const notes: string[] = [];
    const url = await serve((socket) => {
      socket.write(Buffer.concat([START, packetsFrom(sent.slice(0, 5)), packetsFrom(sent.slice(5), 5, 0x123), END]));
    });
    const { events, payloads, client, error } = await receive({ url, onNote: (text) => notes.push(text) });
    expect(error).toBeUndefined();
    expect(shapeOf(events)).toBe('H 57 E0');
    expect(payloads).toEqual(sent);
    expect(client.stats.lostPackets).toBe(0);
    expect(notes).toEqual([expect.stringContaining('wStreamId 291')]);
  });

  it('[MSBD-037] counts late packets of an earlier stream as lost', async () => {
    const url = await serve((socket) => {
      const other = Buffer.concat([streamInfo(2, { title: 'Another' }), packetsFrom(SENT.slice(3, 5), 3, 1)]);
      socket.write(
        Buffer.concat([START, packetsFrom(SENT.slice(0, 3)), other, packetsFrom(SENT.slice(0, 2), 5, 2), END]),
      );
    });
    const { events, client } = await receive({ url });
    expect(shapeOf(events)).toBe('H 3 E1 H 2 E0');
    expect(client.stats.lostPackets).toBe(2);
  });

  it('[MSBD-058] [MSBD-059] takes any first number, and counts missing packets across its wrap', async () => {
    const url = await serve((socket) => {
      const numbers = [0xfffffffe, 0xffffffff, 2, 3];
      const packets = numbers.map((id, index) => indPacket(id, 1, SENT[index]!));
      socket.write(Buffer.concat([START, ...packets, END]));
    });
    const { events, client } = await receive({ url });
    expect(shapeOf(events)).toBe('H 4 E0');
    expect(client.stats.lostPackets).toBe(2);
  });

  it('recognises parity packets by their flags, and by the number that they repeat', async () => {
    const parity = Buffer.from(SENT[1]!);
    parity.set([0x92, 0x32, 0x00]);
    const url = await serve((socket) => {
      const list = [
        indPacket(0, 1, SENT[0]!),
        indPacket(1, 1, SENT[1]!),
        indPacket(1, 1, parity),
        indPacket(2, 1, SENT[2]!),
      ];
      socket.write(Buffer.concat([START, ...list, END]));
    });
    const { payloads, client } = await receive({ url });
    expect(payloads).toEqual(SENT.slice(0, 3));
    expect(client.stats).toMatchObject({ packets: 3, parityPackets: 1, lostPackets: 0 });
  });

  it('drops what it cannot read, and says so; or ends, if it is strict', async () => {
    const notes: string[] = [];
    const broken = Buffer.alloc(10, 0xff);
    const url = await serve((socket) => {
      const list = [
        indPacket(0, 1, SENT[0]!),
        indPacket(1, 1, broken),
        indPacket(2, 1, Buffer.alloc(401)),
        indPacket(3, 1, SENT[1]!),
      ];
      socket.write(Buffer.concat([START, ...list, END]));
    });
    const { events, client } = await receive({ url, onNote: (text) => notes.push(text) });
    expect(shapeOf(events)).toBe('H 2 E0');
    expect(client.stats.damagedPackets).toBe(2);
    expect(notes).toHaveLength(1);
    const strict = await receive({ url, tolerant: false });
    expect(strict.error).toMatchObject({ code: 'WM_PROTOCOL' });
    expect(shapeOf(strict.events)).toBe('H 1 E0');
  });

  it('begins with a key frame', async () => {
    const list = [0, 1, 2, 3].map((index) => testPacket(index * 100, { key: index >= 2 }).bytes);
    const url = await serve((socket) => socket.write(Buffer.concat([START, packetsFrom(list), END])));
    expect((await receive({ url })).payloads).toEqual(list.slice(2));
  });

  it.each([
    ['nothing follows at all', Buffer.concat([connectResponse(), emptyStreamInfo()]), 'WM_NO_INPUT', ''],
    ['the connection is lost', Buffer.concat([START, packetsFrom(SENT)]), 'WM_SERVER_GONE', 'H 20 E0'],
    ['it is lost after IND_EOS', Buffer.concat([START, packetsFrom(SENT), wire(9)]), undefined, 'H 20 E0'],
    ['it is refused', connectResponse(0x80070005), 'WM_AUTH_REFUSED', ''],
    ['it is not MSBD', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'WM_PROTOCOL', ''],
    ['the header is malformed', Buffer.concat([connectResponse(), wire(5, Buffer.alloc(100, 1))]), 'WM_PROTOCOL', ''],
    ['a packet states a wrong size', Buffer.concat([START, wire(10, Buffer.alloc(8, 0))]), 'WM_PROTOCOL', 'H E0'],
  ])('reports the outcome if %s', async (_, bytes, code, shape) => {
    const url = await serve((socket) => socket.end(bytes));
    const { error, events } = await receive({ url });
    if (code === undefined) expect(error).toBeUndefined();
    else expect(error).toMatchObject({ code });
    expect(shapeOf(events)).toBe(shape);
  });

  it('reports that nobody listens there, and that nothing arrives in time', async () => {
    const url = await serve(() => {});
    const slow = await receive({ url, timeouts: { answer: 50 } });
    expect(slow.error).toMatchObject({ code: 'WM_UNREACHABLE' });
    await server.close();
    expect((await receive({ url })).error).toMatchObject({
      code: 'WM_UNREACHABLE',
      message: expect.stringContaining(url),
    });
    const stalled = await serve((socket) => socket.write(Buffer.concat([START, packetsFrom(SENT)])));
    const { error, events } = await receive({ url: stalled, timeouts: { data: 200 } });
    expect(error).toMatchObject({ code: 'WM_SERVER_GONE' });
    expect(shapeOf(events)).toBe('H 20 E0');
  });

  it('reconnects, and goes on without what was sent twice', async () => {
    const reports: ReconnectReport[] = [];
    const url = await serve((socket, count) => {
      if (count === 1) socket.end(Buffer.concat([START, packetsFrom(SENT.slice(0, 12))]));
      else if (count === 2) socket.end(connectResponse(0xc00d0033));
      else socket.write(Buffer.concat([connectResponse(), streamInfo(7), packetsFrom(SENT.slice(8), 100, 7), END]));
    });
    const { events, payloads, error, client } = await receive({
      url,
      clock: noWait,
      reconnect: { retries: 2 },
      onReconnect: (report) => reports.push(report),
    });
    expect(error).toBeUndefined();
    expect(shapeOf(events)).toBe('H 20 E0');
    expect(payloads).toEqual(SENT);
    expect(client.stats).toMatchObject({ reconnects: 2, packets: 20, lostPackets: 0 });
    expect(reports.map(({ attempt, error: { code } }) => [attempt, code])).toEqual([
      [1, 'WM_SERVER_GONE'],
      [2, 'WM_NO_INPUT'],
    ]);
  });

  it.each([
    ['access denied', connectResponse(0x80070005)],
    ['HTTP', Buffer.from('HTTP/1.1 403 Forbidden\r\n\r\n')],
    ['a malformed header', Buffer.concat([connectResponse(), wire(5, Buffer.alloc(100, 1))])],
    [
      'garbage between packets',
      Buffer.concat([START, packetsFrom(SENT.slice(0, 2)), Buffer.from('20 bytes of garbage!')]),
    ],
  ])('goes on after a cut, even if the server answers for a while with %s', async (_, answer) => {
    const url = await serve((socket, count) => {
      if (count === 1) socket.end(Buffer.concat([START, packetsFrom(SENT.slice(0, 12))]));
      else if (count < 5) socket.end(answer);
      else socket.write(Buffer.concat([connectResponse(), streamInfo(7), packetsFrom(SENT.slice(8), 100, 7), END]));
    });
    const { error, payloads } = await receive({ url, clock: noWait, reconnect: { retries: 5 } });
    expect(error).toBeUndefined();
    expect(payloads).toEqual(SENT);
  });

  it('gives up after some attempts, and at once if it never received anything', async () => {
    const url = await serve((socket, count) =>
      socket.end(count === 1 ? Buffer.concat([START, packetsFrom(SENT)]) : wire(6)),
    );
    const { error } = await receive({ url, clock: noWait, reconnect: { retries: 3 } });
    expect(error).toMatchObject({ code: 'WM_SERVER_GONE' });
    expect(server.received).toHaveLength(4);
    await server.close();
    const never = await receive({ url, clock: noWait, reconnect: { retries: 3 } });
    expect(never.error).toMatchObject({ code: 'WM_UNREACHABLE' });
  });

  it('ends early when it is closed', async () => {
    const url = await serve((socket) => socket.write(Buffer.concat([START, packetsFrom(SENT)])));
    const { error, events } = await receive({ url }, (event, client) => {
      if (event.type === 'packet') void client.close();
    });
    expect(error).toBeUndefined();
    expect(events.at(-1)).toEqual({ type: 'end', moreEntries: false, reason: 0 });
  });

  it('does not read more than it can hold from a faster server', async () => {
    let sent = 0;
    const big = testPacket(0, { key: true, packetSize: 60_000, dataSize: 59_000 }).bytes;
    const url = await serve((socket) => {
      socket.write(Buffer.concat([connectResponse(), streamInfo(1, { packetSize: 60_000 })]));
      const more = () => {
        while (sent < 1_000 && socket.write(indPacket(sent++, 1, big)));
        if (sent >= 1_000) socket.write(END);
      };
      socket.on('drain', more);
      more();
    });
    let [taken, ahead] = [0, 0];
    for await (const event of new MsbdClient({ url })) {
      if (event.type !== 'packet') continue;
      taken++;
      ahead = Math.max(ahead, sent - taken);
      // Slower than the server, which runs in the meantime.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(taken).toBe(1_000);
    expect(ahead * big.length).toBeLessThan(40_000_000);
  });

  it('describes the stream without requesting more', async () => {
    station = await Station.open({}, { title: 'Täst' });
    const url = `msbd://127.0.0.1:${station.port}`;
    const description = await MsbdClient.describe({ url });
    expect(description).toMatchObject({ url, title: 'Täst', live: true, bitRate: 364_000, group: undefined });
    expect(description.header.streams).toHaveLength(2);
    await expect(MsbdClient.describe({ url: `${url}/nothing` })).rejects.toMatchObject({ code: 'WM_NO_INPUT' });
  });

  it('receives from our own server what was fed to it, byte for byte', async () => {
    station = await Station.open();
    const { broadcast } = station;
    const sent: Buffer[] = [];
    const receiving = receive({ url: `msbd://127.0.0.1:${station.port}` }, ({ type }) => {
      if (type === 'header') sent.push(...station!.feed(25));
      else if (sent.length === 25) {
        sent.push(...station!.feed(25, { dataSize: 200 }));
        void broadcast.close();
      }
    });
    const { events, payloads, client } = await receiving;
    expect(shapeOf(events)).toBe('H 50 E0');
    expect(payloads).toEqual(sent);
    expect(client.stats.lostPackets).toBe(0);
    expect(events[0]).toMatchObject({ header: { packetSize: testHeader().packetSize } });
  });
});
