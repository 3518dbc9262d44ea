import { createSocket, type Socket } from 'node:dgram';
import { parsePacket } from '../../src/asf/packet.js';
import { buildPacket, packetFields } from '../../src/asf/packet-build.js';
import { buildPackets } from '../../src/msbd/messages/packet.js';
import { testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { shapeOf } from '../wmsp/client-support.js';
import {
  connectRequest,
  connectResponse,
  END,
  emptyStreamInfo,
  indPacket,
  media,
  receive,
  ScriptedServer,
  Station,
  shape,
  streamInfo,
  untilShape,
  wire,
  wireMessages,
} from './support.js';

const LOOPBACK = '127.0.0.1';
// A different group for each test, so that no test receives the packets of another.
let groups = 0;
const newGroup = () => `239.255.${process.pid % 250}.${++groups}`;

let station: Station | undefined;
let server: ScriptedServer | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await station?.close();
  await server?.close();
  station = undefined;
  server = undefined;
});

/** A port that is free at the moment. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, LOOPBACK, resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

/** Listens to a group, and records the datagrams. */
async function listen(
  address: string,
  port: number,
): Promise<{ datagrams: Buffer[]; until(count: number): Promise<Buffer[]> }> {
  const datagrams: Buffer[] = [];
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  sockets.push(socket);
  socket.on('message', (bytes) => datagrams.push(bytes));
  await new Promise<void>((resolve) => socket.bind(port, address, resolve));
  socket.addMembership(address, LOOPBACK);
  return {
    datagrams,
    until: async (count) => {
      await until(`${count} datagrams`, () => datagrams.length >= count);
      return datagrams;
    },
  };
}

/** By then, everything sent over the loopback before has been read: the sockets belong to this process. */
async function nextPoll(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function open(fec?: number): Promise<{ address: string; port: number }> {
  const group = { address: newGroup(), port: await freePort() };
  station = await Station.open({ multicast: { ...group, interface: LOOPBACK, fec } });
  return group;
}

describe('multicast delivery', () => {
  it('[MSBD-003] [MSBD-004] [MSBD-047] [MSBD-049] [MSBD-050] [MSBD-056] sends packets to the group that RES_CONNECT names, everything else by TCP', async () => {
    const { address, port } = await open();
    const heard = await listen(address, port);
    const player = await station!.player(2);
    const [response] = wireMessages(player.received);
    expect(response).toMatchObject({ id: 8, hr: 0 });
    expect(response!.bytes.readUInt16LE(20)).toBe(2);
    expect(response!.bytes.readUInt16BE(22)).toBe(port);
    expect([...response!.bytes.subarray(24, 28)].join('.')).toBe(address);
    const sent = station!.feed(3);
    await heard.until(3);
    station!.header({ title: 'Another' });
    sent.push(...station!.feed(2));
    const datagrams = await heard.until(5);
    station!.tick(120_000);
    station!.end();
    await untilShape(player, /^CSS\?ES$/);
    const messages = datagrams.map((bytes) => wireMessages(bytes));
    expect(messages.every((list) => list.length === 1 && list[0]!.id === 10)).toBe(true);
    expect(datagrams.map((bytes) => bytes.subarray(24))).toEqual(sent);
    const numbers = datagrams.map((bytes) => bytes.readUInt32LE(16));
    expect(numbers).toEqual([0, 1, 2, 3, 4]);
    const announced = wireMessages(player.received).filter(({ id }) => id === 5);
    expect(datagrams.map((bytes) => bytes.readUInt16LE(20))).toEqual(
      [0, 0, 0, 1, 1].map((index) => announced[index]!.bytes.readUInt16LE(16)),
    );
  });

  it('[MSBD-026] [MSBD-028] announces an entry that has the same header as the last, and sends it under another wStreamId', async () => {
    const { address, port } = await open(3);
    const heard = await listen(address, port);
    const player = await station!.player(2);
    station!.feed(2);
    station!.broadcast.write({ type: 'end', moreEntries: true, reason: 1 });
    station!.header();
    station!.feed(2);
    await untilShape(player, /^CSS$/);
    // Two packets and the parity packet that ends their span, and two more.
    const datagrams = await heard.until(5);
    const [first, second] = wireMessages(player.received)
      .filter(({ id }) => id === 5)
      .map(({ bytes }) => bytes.readUInt16LE(16));
    expect(second).not.toBe(first);
    expect(datagrams.map((bytes) => bytes.readUInt16LE(20))).toEqual([first, first, first, second, second]);
  });

  it('sends once for any number of clients, and stops when the last has gone', async () => {
    const { address, port } = await open();
    const heard = await listen(address, port);
    const players = await Promise.all([station!.player(2), station!.player(2), station!.player(1)]);
    station!.feed(2);
    await untilShape(players[2]!, /^CSPP$/);
    await heard.until(2);
    expect(station!.server.clients).toBe(3);
    for (const player of players.slice(0, 2)) player.close();
    await until('one client to be left', () => station!.server.clients <= 1);
    expect(station!.broadcast.players).toBe(1);
    station!.feed(1);
    await untilShape(players[2]!, /^CSPPP$/);
    const again = await station!.player(2);
    expect(shape(again.received)).toBe('CS');
    station!.feed(1);
    expect((await heard.until(3)).map((bytes) => bytes.readUInt32LE(16))).toEqual([0, 1, 3]);
  });

  it('[MSBD-073] goes on after the end of a stream if it waits for another', async () => {
    const { address, port } = { address: newGroup(), port: await freePort() };
    station = await Station.open({ hold: 3_000, multicast: { address, port, interface: LOOPBACK } });
    const heard = await listen(address, port);
    const players = await Promise.all([station.player(2), station.player(2)]);
    station.feed(1);
    await heard.until(1);
    station.end();
    station.header();
    for (const player of players) await untilShape(player, /^CSES$/);
    station.feed(1);
    expect((await heard.until(2)).map((bytes) => bytes.readUInt32LE(16))).toEqual([0, 1]);
  });

  it('[MSBD-063] [MSBD-064] sends a parity packet after each span, with the number of the packet before it', async () => {
    const { address, port } = await open(3);
    const heard = await listen(address, port);
    const player = await station!.player(2);
    const sent = station!.feed(5);
    await heard.until(6);
    station!.end();
    const datagrams = await heard.until(7);
    await untilShape(player, /^CSES$/);
    expect(datagrams.map((bytes) => bytes.readUInt32LE(16))).toEqual([0, 1, 2, 2, 3, 4, 4]);
    const payloads = datagrams.map((bytes) => bytes.subarray(24));
    expect(payloads.map((bytes) => bytes.toString('hex', 0, 3))).toEqual([
      ...['821100', '822100', '823100', '924200'],
      ...['821101', '822101', '923201'],
    ]);
    const data = [0, 1, 2, 4, 5].map((index) => payloads[index]!.subarray(3));
    expect(data).toEqual(sent.map((bytes) => bytes.subarray(3)));
    const parity = data[0]!.map((byte, index) => byte ^ data[1]![index]! ^ data[2]![index]!);
    expect(payloads[3]!.subarray(3)).toEqual(Buffer.from(parity));
  });

  it('protects packets without Error Correction Data too, if there is room in their padding', async () => {
    const { address, port } = await open(2);
    const heard = await listen(address, port);
    const player = await station!.player(2);
    const bare = (dataSize: number, sendTime: number) => {
      const { padding: _, paddingType: __, ...rest } = packetFields(testPacket(sendTime, { key: true }));
      const payloads = [{ ...rest.payloads[0]!, data: Buffer.alloc(dataSize, 7) }];
      return parsePacket(buildPacket({ ...rest, payloads, errorCorrection: Buffer.alloc(0), packetSize: 400 }));
    };
    const roomy = [bare(100, 0), bare(120, 100)];
    const largest = 400 - (bare(100, 0).end - 100);
    for (const packet of [...roomy, bare(largest, 200)]) station!.broadcast.write({ type: 'packet', packet });
    const datagrams = await heard.until(4);
    player.close();
    const payloads = datagrams.map((bytes) => bytes.subarray(24));
    expect(payloads.map(({ length }) => length)).toEqual([400, 400, 400, 400]);
    expect(payloads.map((bytes) => bytes.toString('hex', 0, 3)).slice(0, 3)).toEqual(['821100', '822100', '923200']);
    expect(payloads[3]).toEqual(bare(largest, 200).bytes);
    const [first] = parsePacket(payloads[0]!).payloads;
    const [original] = roomy[0]!.payloads;
    expect(payloads[0]!.subarray(first!.dataStart, first!.dataStart + 100)).toEqual(
      roomy[0]!.bytes.subarray(original!.dataStart, original!.dataStart + 100),
    );
  });

  it('[MSBD-043] refuses packets that fit no datagram', async () => {
    await open();
    station!.header({ packetSize: 65_500 });
    const peer = await station!.peer();
    peer.send(connectRequest(2));
    expect(wireMessages(await peer.untilClosed())[0]!.hr).toBe(0x80070057);
    await station!.player(1);
  });
});

describe('reception from a group', () => {
  it('[MSBD-056] yields what was fed to the server, byte for byte, and its end', async () => {
    await open();
    const sent: Buffer[] = [];
    const url = `msbd://${LOOPBACK}:${station!.port}/?multicast&interface=${LOOPBACK}`;
    let fed = false;
    const { events, payloads, error, client } = await receive({ url }, (event) => {
      if (event.type === 'header' && !fed) {
        fed = true;
        sent.push(...station!.feed(20));
      } else if (event.type === 'packet' && sent.length === 20) {
        sent.push(...station!.feed(1));
        // So that the end, which travels by another way, does not overtake the last datagram.
        void nextPoll().then(() => station!.end());
      }
    });
    expect(error).toBeUndefined();
    expect(shapeOf(events)).toBe('H 21 E0');
    expect(payloads).toEqual(sent);
    expect(client.stats).toMatchObject({ lostPackets: 0, packets: 21 });
    expect(client.description!.group!.address).toMatch(/^239\.255\./);
  });

  /** A server that sends these datagrams once the client listens, then the end. */
  async function receiveDatagrams(datagrams: readonly Buffer[], options: { first?: Buffer } = {}) {
    const group = { address: newGroup(), port: await freePort() };
    const sender = createSocket('udp4');
    sockets.push(sender);
    await new Promise<void>((resolve) => sender.bind(0, LOOPBACK, resolve));
    sender.setMulticastInterface(LOOPBACK);
    const send = (bytes: Buffer) =>
      new Promise<void>((resolve) => sender.send(bytes, group.port, group.address, () => resolve()));
    let began = false;
    server = await ScriptedServer.listen((socket) => {
      socket.write(Buffer.concat([connectResponse(0, group), streamInfo(1)]));
      // The client does not say when it has joined, so the first datagram is sent until it is heard.
      const knock = setInterval(() => {
        if (!began) void send(options.first ?? indPacket(0, 1, SENT[0]!));
      }, 20);
      socket.on('close', () => clearInterval(knock));
      listening = async () => {
        began = true;
        clearInterval(knock);
        for (const bytes of datagrams) await send(bytes);
        await nextPoll();
        socket.write(END);
      };
    });
    let listening: () => Promise<void> = async () => {};
    return receive({ url: `${server.url()}/?multicast&interface=${LOOPBACK}` }, (event) => {
      if (event.type === 'packet' && !began) void listening();
    });
  }

  const SENT = media(12);
  const numbered = SENT.map((payload, index) => indPacket(index, 1, payload));

  it('puts datagrams in order, and takes each once', async () => {
    const order = [2, 1, 3, 3, 5, 4, 1, 6, 7, 8, 11, 10, 9, 9];
    const { payloads, client } = await receiveDatagrams(order.map((index) => numbered[index]!));
    expect(payloads).toEqual(SENT);
    expect(client.stats).toMatchObject({ packets: 12, lostPackets: 0 });
  });

  it('[MSBD-059] counts those that never arrive', async () => {
    const { payloads, client } = await receiveDatagrams(numbered.filter((_, index) => index !== 3 && index !== 7));
    expect(payloads).toEqual(SENT.filter((_, index) => index !== 3 && index !== 7));
    expect(client.stats.lostPackets).toBe(2);
  });

  it('rebuilds a lost one from a parity packet', async () => {
    const span = SENT.slice(1, 4).map((bytes, index) => {
      const marked = Buffer.from(bytes);
      marked.set([0x82, 0x01 | ((index + 1) << 4), 9]);
      return marked;
    });
    const parity = Buffer.alloc(400);
    for (const bytes of span) for (let at = 3; at < 400; at++) parity[at]! ^= bytes[at]!;
    parity.set([0x92, 0x42, 9]);
    const datagrams = [indPacket(1, 1, span[0]!), indPacket(3, 1, span[2]!), indPacket(3, 1, parity)];
    const { payloads, client } = await receiveDatagrams([...datagrams, ...numbered.slice(4)]);
    expect(payloads).toHaveLength(12);
    expect(payloads[2]!.subarray(3)).toEqual(SENT[2]!.subarray(3));
    expect(client.stats).toMatchObject({ packets: 12, lostPackets: 0, recoveredPackets: 1, parityPackets: 1 });
  });

  it('[MSBD-084] ignores datagrams that are something else, truncated, or inconsistent', async () => {
    const bad = [
      Buffer.from('MSB '),
      Buffer.alloc(0),
      Buffer.alloc(2000, 0xff),
      numbered[1]!.subarray(0, 20),
      numbered[1]!.subarray(0, 300),
      Buffer.concat([numbered[1]!, Buffer.alloc(1)]),
      wire(9),
      emptyStreamInfo(),
      streamInfo(2),
      indPacket(1, 3, SENT[5]!),
      buildPackets([{ location: 1, bytes: Buffer.alloc(9, 0xff) }], 1, 0),
    ];
    const { payloads, error, client } = await receiveDatagrams([...bad.slice(0, -2), ...numbered.slice(1)]);
    expect(error).toBeUndefined();
    expect(payloads).toEqual(SENT);
    expect(client.stats.damagedPackets).toBe(0);
  });

  it('reports that nothing arrives in the group', async () => {
    const group = { address: newGroup(), port: await freePort() };
    server = await ScriptedServer.listen((socket) =>
      socket.write(Buffer.concat([connectResponse(0, group), streamInfo(1)])),
    );
    const url = `${server.url()}/?multicast&interface=${LOOPBACK}`;
    const { error } = await receive({ url, timeouts: { data: 150 } });
    expect(error).toMatchObject({ code: 'WM_SERVER_GONE', message: expect.stringContaining(group.address) });
    const nowhere = await receive({ url: `${server.url()}/?multicast&interface=203.0.113.9` });
    expect(nowhere.error).toMatchObject({ code: 'WM_USAGE' });
  });
});
