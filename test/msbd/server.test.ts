import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { Broadcast } from '../../src/media/broadcast.js';
import { Channel } from '../../src/msbd/server/channel.js';
import { Connection } from '../../src/msbd/server/connection.js';
import { MsbdServer } from '../../src/msbd/server/server.js';
import { DEFAULT_TIMERS } from '../../src/msbd/server/session.js';
import { type SessionInfo, SessionRegistry, type SessionReport } from '../../src/playback/registry.js';
import { Refusal } from '../../src/refusal.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { connectRequest, Station, shape, untilShape, type WireMessage, wire, wireMessages } from './support.js';

let station: Station;
afterEach(() => station?.close());

const ids = (messages: readonly WireMessage[]) =>
  messages.filter(({ id }) => id === 10).map(({ bytes }) => bytes.readUInt32LE(16));
const streamIds = (messages: readonly WireMessage[]) =>
  messages.filter(({ id }) => id === 5 || id === 10).map(({ id, bytes }) => bytes.readUInt16LE(id === 5 ? 16 : 20));
const payloads = (messages: readonly WireMessage[]) =>
  messages.filter(({ id }) => id === 10).map(({ bytes }) => bytes.subarray(24));

describe('MSBD over TCP', () => {
  it('[MSBD-004] [MSBD-055] [MSBD-069] [MSBD-048] [MSBD-046] answers, describes, and sends packets on the same connection', async () => {
    station = await Station.open();
    const player = await station.player();
    station.feed(3);
    const messages = await untilShape(player, /^CSPPP$/);
    expect(messages[0]!.hr).toBe(0);
    expect(messages[0]!.bytes.subarray(16)).toEqual(Buffer.alloc(20));
  });

  it('[MSBD-057] [MSBD-059] numbers packets from 0, one by one, also across streams', async () => {
    station = await Station.open();
    const player = await station.player();
    station.feed(3);
    await untilShape(player, /^CSPPP$/);
    station.header({ title: 'Another' });
    station.feed(2);
    expect(ids(await untilShape(player, /^CSPPPSPP$/))).toEqual([0, 1, 2, 3, 4]);
  });

  it('[MSBD-058] begins at a number other than 0 for a client that joins later: all get the same bytes', async () => {
    station = await Station.open();
    const first = await station.player();
    station.feed(30);
    await untilShape(first, /^CSP{30}$/);
    const second = await station.player();
    station.feed(1);
    const [all, some] = [await untilShape(first, /^CSP{31}$/), await untilShape(second, /^CSP+$/)];
    const late = ids(some);
    expect(late[0]).toBeGreaterThan(0);
    expect(late.at(-1)).toBe(30);
    expect(late).toEqual(late.map((_, index) => late[0]! + index));
    expect(some.slice(2).map(({ bytes }) => bytes)).toEqual(all.slice(-late.length).map(({ bytes }) => bytes));
  });

  it('[MSBD-054] [MSBD-062] sends each ASF packet whole, with its padding', async () => {
    station = await Station.open();
    const player = await station.player();
    const sent = [...station.feed(2, { dataSize: 100 }), ...station.feed(1, { dataSize: 360 })];
    expect(sent.every(({ length }) => length === 400)).toBe(true);
    expect(payloads(await untilShape(player, /^CSPPP$/))).toEqual(sent);
  });

  it('[MSBD-026] [MSBD-028] [MSBD-060] [MSBD-083] announces another header by IND_STREAMINFO with a new wStreamId', async () => {
    station = await Station.open();
    const player = await station.player();
    station.feed(1);
    station.header({ title: 'Another' });
    station.feed(1);
    station.header({ title: 'A third' });
    station.feed(1);
    const messages = await untilShape(player, /^CSPSPSP$/);
    const seen = streamIds(messages);
    expect([seen[0], seen[2], seen[4]]).toEqual([seen[1], seen[3], seen[5]]);
    expect(new Set(seen).size).toBe(3);
    for (const id of seen) expect(id <= 0x7ff || (id >= 0x8000 && id <= 0x87ff)).toBe(true);
    expect(messages[3]!.bytes.toString('utf16le', 48)).toContain('Another');
  });

  it('[MSBD-072] [MSBD-074] [MSBD-075] [MSBD-076] [MSBD-052] ends with IND_EOS and an empty IND_STREAMINFO, and closes later', async () => {
    station = await Station.open();
    const player = await station.player();
    station.feed(1);
    await untilShape(player, /^CSP$/);
    station.end();
    const messages = await untilShape(player, /^CSPES$/);
    expect(messages[3]!.size).toBe(16);
    expect(messages[4]).toMatchObject({ size: 48, hr: 0xc00d0033 });
    expect(messages[4]!.bytes.subarray(16)).toEqual(Buffer.alloc(32));
    expect(player.ended).toBe(false);
    station.tick(30_000);
    await player.untilClosed();
  });

  it('[MSBD-073] [MSBD-028] waits for another stream if told so, and announces it after IND_EOS', async () => {
    station = await Station.open({ hold: 3_000 });
    const player = await station.player();
    station.feed(1);
    await untilShape(player, /^CSP$/);
    station.end();
    station.header();
    station.feed(1);
    const messages = await untilShape(player, /^CSPESP$/);
    const seen = streamIds(messages);
    expect(seen[2]).toBe(seen[3]);
    expect(seen[2]).not.toBe(seen[0]);
    expect(messages[4]!.size).toBeGreaterThan(48);
    expect(ids(messages)).toEqual([0, 1]);
  });

  it('[MSBD-074] says that nothing follows when the wait for another stream is over', async () => {
    station = await Station.open({ hold: 20 });
    const player = await station.player();
    station.end();
    const messages = await untilShape(player, /^CSES$/);
    expect(messages[3]!.size).toBe(48);
  });

  it('[MSBD-022] [MSBD-023] [MSBD-071] answers REQ_STREAMINFO with the same body, and goes on', async () => {
    station = await Station.open();
    const player = await station.player();
    station.feed(1);
    await untilShape(player, /^CSP$/);
    player.send(wire(3));
    const messages = await untilShape(player, /^CSPs$/);
    expect(messages[3]!.bytes.subarray(16)).toEqual(messages[1]!.bytes.subarray(16));
    station.feed(1);
    expect(ids(await untilShape(player, /^CSPsP$/))).toEqual([0, 1]);
  });

  it('[MSBD-018] [MSBD-077] [MSBD-078] pings over the connection, and drops a client that does not answer', async () => {
    station = await Station.open();
    const [alive, silent] = [await station.player(), await station.player()];
    station.tick(120_000);
    await untilShape(silent, /^CS\?$/);
    await untilShape(alive, /^CS\?$/);
    alive.send(wire(2));
    alive.send(wire(3));
    await untilShape(alive, /^CS\?s$/);
    station.tick(120_000);
    await silent.untilClosed();
    await untilShape(alive, /^CS\?s\?$/);
    expect(station.server.clients).toBe(1);
  });

  it('[MSBD-065] sends nothing to a client that does not ask, and finally drops it', async () => {
    station = await Station.open();
    const idle = await station.peer();
    const player = await station.player();
    station.feed(1);
    await untilShape(player, /^CSP$/);
    expect(idle.received).toHaveLength(0);
    station.tick(10_000);
    expect(await idle.untilClosed()).toHaveLength(0);
  });

  it('[MSBD-001] [MSBD-066] [MSBD-067] [MSBD-070] refuses multicast delivery if it has none, and closes', async () => {
    station = await Station.open();
    const peer = await station.peer();
    peer.send(connectRequest(2));
    const [answer, ...more] = wireMessages(await peer.untilClosed());
    expect(answer).toMatchObject({ id: 8, hr: 0xc00d001a, size: 36 });
    expect(more).toEqual([]);
  });

  it.each([
    ['a channel that does not exist', 'nothing', 0xc00d001a],
    ['one that it may not have', 'secret', 0x80070005],
    ['one that is full', 'full', 0xc00d0025],
    ['one that cannot be opened', 'broken', 0xc00d0033],
  ])('[MSBD-043] [MSBD-070] refuses %s', async (_, channel, hr) => {
    const content = {
      open: async (name: string) => {
        if (name === 'secret') throw new Refusal('forbidden', 'No.');
        if (name === 'full') throw new Refusal('busy', 'No room.');
        if (name === 'broken') throw new Error('The test broke it.');
        return undefined;
      },
    };
    const errors: unknown[] = [];
    station = await Station.open({ content, onError: (error) => errors.push(error) });
    const peer = await station.peer();
    peer.send(connectRequest(1, channel));
    expect(wireMessages(await peer.untilClosed())).toMatchObject([{ id: 8, hr }]);
    expect(errors).toHaveLength(channel === 'broken' ? 1 : 0);
  });

  it('[MSBD-043] refuses clients if nothing is live', async () => {
    station = await Station.open({}, null);
    const early = await station.peer();
    early.send(connectRequest());
    expect(wireMessages(await early.untilClosed())[0]).toMatchObject({ id: 8, hr: 0xc00d0033 });
    station.header();
    station.end();
    const late = await station.peer();
    late.send(connectRequest());
    expect(wireMessages(await late.untilClosed())[0]).toMatchObject({ id: 8, hr: 0xc00d0033 });
  });

  it('[MSBD-043] refuses one client too many', async () => {
    let places = 2;
    station = await Station.open({
      content: {
        open: async (_channel, { signal }) => {
          if (places === 0) throw new Refusal('busy', 'All places are taken.');
          places--;
          signal.addEventListener('abort', () => places++);
          return station.broadcast;
        },
      },
    });
    await station.player();
    const second = await station.player();
    const third = await station.peer();
    third.send(connectRequest());
    expect(wireMessages(await third.untilClosed())[0]).toMatchObject({ id: 8, hr: 0xc00d0025 });
    second.close();
    await until('a place to be free', () => places > 0);
    await station.player();
  });

  it('[MSBD-034] refuses a stream whose header or packets are too large', async () => {
    station = await Station.open({}, { ballast: 66_000 });
    const peer = await station.peer();
    peer.send(connectRequest());
    expect(wireMessages(await peer.untilClosed())[0]).toMatchObject({ id: 8, hr: 0xc00d0033 });
    station.header({ packetSize: 65_520 });
    const other = await station.peer();
    other.send(connectRequest());
    expect(wireMessages(await other.untilClosed())[0]).toMatchObject({ id: 8, hr: 0xc00d0033 });
  });

  it('ends the stream for clients that it cannot give another header', async () => {
    station = await Station.open();
    const player = await station.player();
    station.header({ ballast: 66_000 });
    await untilShape(player, /^CSES$/);
    station.header();
    await station.player();
  });

  it('[MSBD-041] passes the named channel and the client to the content', async () => {
    const asked: unknown[] = [];
    station = await Station.open({
      content: {
        open: async (channel, client) => {
          asked.push([channel, client]);
          return station.broadcast;
        },
      },
    });
    await station.player(1, 'live/a\0');
    expect(asked).toEqual([['live/a', expect.objectContaining({ remoteAddress: '127.0.0.1', local: true })]]);
  });

  it('[MSBD-045] says if the header is in an .nsc file', async () => {
    station = await Station.open({ inNsc: (broadcast) => broadcast === station.broadcast });
    const player = await station.player();
    expect(wireMessages(player.received)[0]!.bytes.readUInt32LE(16)).toBe(2);
  });

  it('reports who plays, and what they received', async () => {
    const told: SessionInfo[] = [];
    const reports: SessionReport[] = [];
    const registry = new SessionRegistry({
      now: () => station.now,
      onBegin: (info) => told.push(info),
      onEnd: (report) => reports.push(report),
    });
    station = await Station.open({ registry });
    const player = await station.player(1, 'live');
    station.feed(2);
    await untilShape(player, /^CSPP$/);
    station.now += 1_500;
    player.close();
    await until('a report', () => reports.length > 0);
    expect(told).toMatchObject([{ path: '/live', remoteAddress: '127.0.0.1', protocol: 'MSBD', transport: 'tcp' }]);
    expect(reports).toMatchObject([{ path: '/live', milliseconds: 1_500, packets: 2, skippedPackets: 0 }]);
    expect(reports[0]!.bytes).toBeGreaterThan(2 * testPacket(0).bytes.length);
  });

  it('tells all clients that nothing follows if it is closed', async () => {
    station = await Station.open();
    const player = await station.player();
    await station.server.close();
    expect(shape(await player.untilClosed())).toBe('CSES');
  });

  it('[MSBD-043] [MSBD-085] answers a second REQ_CONNECT, sends the client nothing more, and closes', async () => {
    station = await Station.open();
    const player = await station.player();
    player.send(connectRequest());
    await until('no clients', () => station.server.clients === 0);
    station.feed(2);
    const messages = wireMessages(await player.untilClosed());
    expect(messages.map(({ id, hr }) => [id, hr])).toEqual([
      [8, 0],
      [5, 0],
      [8, 0x80070057],
    ]);
    const eager = await station.peer();
    eager.send(Buffer.concat([connectRequest(), connectRequest()]));
    expect(shape(await eager.untilClosed())).toBe('CSC');
    expect(station.server.clients).toBe(0);
  });

  it('[MSBD-043] answers a REQ_CONNECT that waits for its channel if it is closed', async () => {
    let answer: (broadcast: Broadcast) => void = () => {};
    const opening = new Promise<Broadcast>((resolve) => (answer = resolve));
    let asked: () => void = () => {};
    const whenAsked = new Promise<void>((resolve) => (asked = resolve));
    station = await Station.open({
      content: {
        open: () => {
          asked();
          return opening;
        },
      },
    });
    const peer = await station.peer();
    peer.send(connectRequest());
    await whenAsked;
    await station.server.close();
    answer(station.broadcast);
    expect(wireMessages(await peer.untilClosed())).toMatchObject([{ id: 8, hr: 0xc00d0033 }]);
    expect(station.server.clients).toBe(0);
  });

  it.each([
    ['an undefined type', wire(0x0b)],
    ['RES_PING', wire(2)],
    ['another wVersion', Buffer.from(connectRequest()).fill(0x05, 4, 5)],
    ['something else', Buffer.from('GET / HTTP/1.0\r\n\r\n')],
  ])('[MSBD-012] [MSBD-086] closes at once and silently if a connection begins with %s', async (_, bytes) => {
    station = await Station.open();
    const peer = await station.peer();
    peer.send(bytes);
    expect(await peer.untilClosed()).toHaveLength(0);
  });

  it('[MSBD-086] closes at once if a later message has another wVersion', async () => {
    station = await Station.open();
    const player = await station.player();
    player.send(Buffer.from(wire(2)).fill(0x07, 4, 5));
    expect(shape(await player.untilClosed())).toBe('CS');
  });

  it('[MSBD-005] listens on IPv4 addresses only', async () => {
    station = await Station.open();
    const other = new MsbdServer({ content: { open: async () => undefined } });
    await expect(other.listen(0, '::1')).rejects.toMatchObject({ code: 'WM_FAILED' });
    await expect(other.listen(station.port, '127.0.0.1')).rejects.toMatchObject({ code: 'WM_PORT_IN_USE' });
    const everywhere = new MsbdServer({ content: { open: async () => undefined } });
    const port = await everywhere.listen(0, '::');
    const refused = await new Promise<string>((resolve) => {
      const socket = connect({ host: '::1', port });
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      socket.on('connect', () => resolve('connected'));
    });
    expect(refused).not.toBe('connected');
    await everywhere.close();
  });
});

describe('fan-out', () => {
  it('writes the same buffer to all clients that keep up', async () => {
    station = await Station.open();
    const players = await Promise.all([station.player(), station.player(), station.player()]);
    const before = station.broadcast.counters.bytesOut;
    station.feed(5);
    for (const player of players) await untilShape(player, /^CSP{5}$/);
    expect(station.broadcast.counters.bytesOut - before).toBe(3 * 5 * (400 + 24));
    const [first, ...others] = players.map(({ received }) => received.subarray(-5 * 424));
    for (const other of others) expect(other).toEqual(first);
  });

  it('skips to a key frame for a client that does not read, drops it in the end, and disturbs no other client', async () => {
    station = await Station.open();
    let now = 0;
    const broadcast = new Broadcast({
      batchInterval: 0,
      burst: 100,
      maxBacklog: 200_000,
      patience: 20_000,
      now: () => now,
    });
    const reports: SessionReport[] = [];
    const registry = new SessionRegistry({ onEnd: (report) => reports.push(report) });
    const server = new MsbdServer({ content: { open: async () => broadcast }, registry });
    station.port = await server.listen(0, '127.0.0.1');
    broadcast.write({
      type: 'header',
      header: testHeader({ packetSize: 8_000 }),
    });
    const stuck = await station.player();
    stuck.socket.pause();
    const reader = await station.player();
    let sent = 0;
    const feed = async (until: () => boolean) => {
      while (!until()) {
        broadcast.write({
          type: 'packet',
          packet: testPacket(sent * 10, { key: sent % 50 === 0, packetSize: 8_000, dataSize: 7_900 }),
        });
        sent++;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await feed(() => broadcast.counters.skippedPackets > 100);
    expect(reports).toEqual([]);
    now = 25_000;
    await feed(() => reports.length > 0);
    expect(broadcast.counters.droppedPlayers).toBe(1);
    expect(reports[0]!.skippedPackets).toBeGreaterThan(100);
    const total = sent;
    await reader.until((bytes) =>
      bytes.length >= total * 8_024 + wireMessages(bytes)[1]!.size + 36 ? true : undefined,
    );
    expect(ids(wireMessages(reader.received))).toEqual(Array.from({ length: total }, (_, index) => index));
    await server.close();
  });
});

describe('hostile clients', () => {
  const bad = (at: number, value: number) => {
    const bytes = wire(1);
    bytes.writeUInt32LE(value, at);
    return bytes;
  };

  it.each([
    ['another signature', bad(0, 0x12345678)],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a cbMessage of 0', bad(8, 0)],
    ['a cbMessage of 15', bad(8, 15)],
    ['a cbMessage of 65536', bad(8, 65_536)],
    ['a REQ_STREAMINFO first', wire(3)],
    ['an IND_PACKET', wire(10, Buffer.alloc(100, 0xff))],
  ])('[MSBD-009] [MSBD-014] lose their connection by %s, and no other client does', async (_, bytes) => {
    station = await Station.open();
    const player = await station.player();
    const peer = await station.peer();
    peer.send(bytes);
    expect(await peer.untilClosed()).toHaveLength(0);
    station.feed(1);
    await untilShape(player, /^CSP$/);
  });

  it('that send less than they announce are dropped, like silent ones', async () => {
    station = await Station.open();
    const peer = await station.peer();
    const lie = connectRequest();
    lie.writeUInt32LE(0xffff, 8);
    peer.send(lie);
    await new Promise((resolve) => setImmediate(resolve));
    station.tick(10_000);
    expect(await peer.untilClosed()).toHaveLength(0);
  });

  it('that flood the server with requests and never read are dropped', async () => {
    station = await Station.open({}, { ballast: 60_000 });
    const peer = await station.player();
    peer.socket.pause();
    peer.send(Buffer.concat(Array<Buffer>(10_000).fill(wire(3))));
    await until('no clients', () => station.server.clients === 0);
    await station.player();
  });

  it('that ask slowly and never read are dropped before they fill the memory', async () => {
    const broadcast = new Broadcast({ batchInterval: 0 });
    broadcast.write({ type: 'header', header: testHeader({ ballast: 60_000 }) });
    // Like a client that reads nothing.
    const socket = new Duplex({ read: () => {}, write: () => {} });
    const players = new Set<Connection>();
    const connection = new Connection(socket as unknown as Socket, {
      options: { content: { open: async () => broadcast } },
      timers: { ...DEFAULT_TIMERS, ping: 0 },
      now: () => 0,
      players,
      registry: new SessionRegistry(),
      channel: async () => new Channel(broadcast),
      group: async () => undefined,
    });
    socket.emit('data', connectRequest());
    await until('a player', () => players.size > 0);
    for (let asked = 0; asked < 1_000 && !socket.destroyed; asked++) {
      socket.emit('data', wire(3));
      connection.tick(0);
    }
    expect(socket.destroyed).toBe(true);
    expect(socket.writableLength).toBeLessThan(9 * 1024 * 1024);
  });
});
