import { PACKET_PAIR } from '../../src/mmsp/messages/base.js';
import * as client from '../../src/mmsp/messages/client.js';
import { wrapMessages } from '../../src/mmsp/messages/frame.js';
import { buildResendRequest } from '../../src/mmsp/messages/resend.js';
import { slowness } from '../support/patience.js';
import { until } from '../support/until.js';
import { Content } from '../wmsp/content.js';
import { Station, SUBSCRIBER } from './station.js';

let station: Station;
afterEach(async () => {
  await station.close();
  expect(station.errors).toEqual([]);
});

describe('a session of MMSP, live', () => {
  beforeEach(async () => {
    station = await Station.open();
  });

  it('[MMSP-152] is greeted, [MMSP-157] and given its funnel', async () => {
    const peer = await station.connect();
    await peer.greet();
    expect(peer.order).toEqual(['connectedEx', 'funnelInfo', 'connectedFunnel']);
    expect(peer.messages[0]).toMatchObject({
      hr: 0,
      serverVersion: '9.5.6001.18281',
      scheme: 'NTLM',
      upgrade: undefined,
    });
  });

  it('[MMSP-124] may skip FunnelInfo', async () => {
    const peer = await station.connect();
    peer.send(
      client.buildConnect(0, SUBSCRIBER),
      client.buildConnectFunnel({ transport: 'tcp', address: '1.2.3.4', port: 1 }),
    );
    await peer.next('connectedFunnel');
  });

  it('[MMSP-155] gets three messages of random bytes for a packet pair over TCP', async () => {
    const peer = await station.connect();
    peer.send(client.buildConnect(PACKET_PAIR.possible, SUBSCRIBER));
    expect(await peer.next('connectedEx')).toMatchObject({ incarnation: PACKET_PAIR.possible });
    peer.send(client.buildFunnelInfo(PACKET_PAIR.tcp));
    const pair = [await peer.next('funnelInfo'), await peer.next('funnelInfo'), await peer.next('funnelInfo')];
    expect(pair.map(({ incarnation, pair: bytes }) => [incarnation, bytes.length])).toEqual([
      [PACKET_PAIR.tcp, 432],
      [PACKET_PAIR.tcp, 432],
      [PACKET_PAIR.tcp, 976],
    ]);
    expect(pair[0]!.pair.equals(pair[1]!.pair)).toBe(false);
  });

  it('[MMSP-154] gets one FunnelInfo without a packet pair, whatever it asks for', async () => {
    const peer = await station.connect();
    // As FFmpeg sends it.
    peer.send(client.buildConnect(0, SUBSCRIBER), client.buildFunnelInfo(0x00f0f0f0));
    expect(await peer.next('funnelInfo')).toMatchObject({ incarnation: PACKET_PAIR.none, pair: Buffer.alloc(0) });
  });

  it('[MMSP-145] has a unique id', async () => {
    const ids = new Set<number>();
    for (let index = 0; index < 5; index++) {
      const peer = await station.connect();
      await peer.greet();
      ids.add((peer.messages[1] as { clientId: number }).clientId);
    }
    expect(ids.size).toBe(5);
  });

  it('[MMSP-053] opens as file 1, with only the attribute of a broadcast', async () => {
    const peer = await station.connect();
    const file = await peer.open('live');
    expect(file).toMatchObject({
      hr: 0,
      incarnation: 9,
      openFileId: 1,
      attributes: 0x02000000,
      duration: 0,
      packetCount: 0,
    });
    const header = Buffer.concat(peer.data.map(({ payload }) => payload));
    expect(header.length).toBe(file.headerSize);
    expect(peer.order.indexOf('readBlock')).toBeLessThan(peer.order.indexOf('data'));
  });

  it('[MMSP-170] learns that it plays before the first packet, [MMSP-174] and is numbered from 0', async () => {
    const peer = await station.connect();
    await peer.play('live');
    station.packets(5);
    const data = await peer.dataCount(5);
    expect(peer.order).toEqual(['streamSwitch', 'startedPlaying', 'data', 'data', 'data', 'data', 'data']);
    expect(data.map(({ flags, incarnation }) => [flags, incarnation])).toEqual(
      [0, 1, 2, 3, 4].map((flags) => [flags, 10]),
    );
    expect(data[0]!.location).toBe(0);
  });

  it('gets all streams if it never selects any', async () => {
    const peer = await station.connect();
    await peer.open('live');
    peer.data.length = 0;
    peer.send(client.buildStartPlaying({ openFileId: 1, incarnation: 10 }));
    await peer.next('startedPlaying');
    station.packets(2);
    await peer.dataCount(2);
  });

  it('[MMSP-169] gets nothing after it turned all streams off, and goes on at a key frame', async () => {
    const peer = await station.connect();
    await peer.play('live');
    station.packets(3);
    await peer.dataCount(3);
    peer.send(client.buildStreamSwitch([1, 2].map((source) => ({ source, destination: undefined, level: 2 }))));
    await peer.next('streamSwitch');
    station.packets(4);
    peer.send(client.buildStreamSwitch([1, 2].map((destination) => ({ source: undefined, destination, level: 0 }))));
    await peer.next('streamSwitch');
    station.packets(2);
    const data = await peer.dataCount(5);
    // Those in between were not sent, and took no number.
    expect(data.map(({ location }) => location)).toEqual([0, 1, 2, 7, 8]);
    expect(data.map(({ flags }) => flags)).toEqual([0, 1, 2, 3, 4]);
  });

  it('[MMSP-178] stops and starts again, and its numbers go on', async () => {
    const peer = await station.connect();
    await peer.play('live');
    station.packets(3);
    await peer.dataCount(3);
    peer.send(client.buildStopPlaying(1, 10));
    expect(await peer.next('endOfStream')).toEqual({ type: 'endOfStream', hr: 0, incarnation: 10 });
    peer.send(client.buildStartPlaying({ openFileId: 1, incarnation: 11 }));
    await peer.next('startedPlaying');
    station.packets(1);
    await until('a packet of the second start', () => peer.data.some(({ incarnation }) => incarnation === 11));
    const first = peer.data.find(({ incarnation }) => incarnation === 11)!;
    expect(first.flags).toBe(3);
  });

  it('[MMSP-147] gets another entry over TCP: the change, its header, its data', async () => {
    const peer = await station.connect();
    await peer.play('live');
    station.packets(2);
    await peer.dataCount(2);
    peer.order.length = 0;
    station.end(true);
    station.header(false);
    const change = await peer.next('streamChange');
    expect(peer.messages.at(-2)).toMatchObject({ type: 'endOfStream', hr: 1 });
    station.packets(2);
    await until(
      'data of the next entry',
      () => peer.data.filter(({ incarnation }) => incarnation === 0xff).length >= 3,
    );
    const [header] = peer.data.filter(({ incarnation }) => incarnation === 0xff);
    expect(header).toMatchObject({ flags: 0x0c, location: 0 });
    expect(header!.payload.length).toBe(change.headerSize);
  });

  it('[MMSP-046] learns of the end with hr 0', async () => {
    const peer = await station.connect();
    await peer.play('live');
    station.packets(2);
    station.end();
    expect(await peer.next('endOfStream')).toEqual({ type: 'endOfStream', hr: 0, incarnation: 10 });
  });

  it('[MMSP-158] is refused content that does not exist', async () => {
    const peer = await station.connect();
    await peer.greet();
    peer.send(client.buildOpenFile(9, 'nothing'));
    expect(await peer.next('openFile')).toMatchObject({ hr: 0xc00d001a, incarnation: 9 });
    // The client may try another name.
    peer.send(client.buildOpenFile(10, 'live'));
    expect(await peer.next('openFile')).toMatchObject({ hr: 0, incarnation: 10 });
  });

  it('[MMSP-163] ignores requests that name another file', async () => {
    const peer = await station.connect();
    await peer.open('live');
    const before = peer.order.length;
    peer.send(
      client.buildReadBlock(7, 3),
      client.buildStartPlaying({ openFileId: 7, incarnation: 9 }),
      client.buildStreamSwitch([]),
    );
    await peer.next('streamSwitch');
    expect(peer.order.slice(before)).toEqual(['streamSwitch']);
  });

  it('[MMSP-180] ends when it closes its file', async () => {
    const peer = await station.connect();
    await peer.play('live');
    peer.send(client.buildCloseFile(1));
    await peer.ends();
    await until('no players', () => station.server.players === 0);
  });

  it.each([
    ['StartPlaying before OpenFile', () => client.buildStartPlaying({ openFileId: 1, incarnation: 9 })],
    ['a second Connect', () => client.buildConnect(0, SUBSCRIBER)],
    ['ReadBlock before OpenFile', () => client.buildReadBlock(1, 2)],
  ])('is closed for %s', async (_, message) => {
    const peer = await station.connect();
    await peer.greet();
    peer.send(message());
    await peer.ends();
  });

  it('opens one file, and is closed if it names another one before the answer', async () => {
    const peer = await station.connect();
    await peer.greet();
    const both = [client.buildOpenFile(9, 'live'), client.buildOpenFile(10, 'live')];
    peer.socket.write(Buffer.concat(both.map((message, index) => wrapMessages(message, 3 + index, 0))));
    await peer.ends();
    expect(peer.order).toEqual(['connectedEx', 'funnelInfo', 'connectedFunnel']);
  });

  it('is closed for bytes that are not MMSP', async () => {
    const peer = await station.connect();
    peer.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.padEnd(64));
    await peer.ends();
  });

  it('[MMSP-183] leaves if its connection is lost, with a report', async () => {
    const peer = await station.connect();
    await peer.play('live');
    station.packets(2);
    await peer.dataCount(2);
    peer.close();
    await until('the report', () => station.played.length === 1);
    expect(station.played).toMatchObject([
      { protocol: 'MMSP', path: '/live', client: 'NSPlayer/9.0.0.4503', transport: 'tcp', packets: 2 },
    ]);
  });
});

describe('a session of MMSP by UDP', () => {
  beforeEach(async () => {
    station = await Station.open();
  });

  it('[MMSP-167] gets header and data as datagrams', async () => {
    const peer = await station.connect();
    await peer.play('live', {}, 'udp');
    station.packets(3);
    const data = await peer.dataCount(3);
    expect(data.map(({ flags, incarnation }) => [flags, incarnation])).toEqual([0, 1, 2].map((flags) => [flags, 10]));
  });

  it('[MMSP-177] gets what it asks for again, unchanged', async () => {
    const peer = await station.connect();
    await peer.play('live', {}, 'udp');
    station.packets(4);
    await peer.dataCount(4);
    const { clientId } = peer.messages.find(({ type }) => type === 'funnelInfo') as { clientId: number };
    peer.datagram(buildResendRequest({ clientId, sourceId: 1, numbers: [2, 1] }));
    const data = await peer.dataCount(6);
    expect(data.slice(4)).toEqual([data[2], data[1]]);
  });

  it('[MMSP-176] gets nothing for another id or another file', async () => {
    const peer = await station.connect();
    await peer.play('live', {}, 'udp');
    station.packets(4);
    await peer.dataCount(4);
    const { clientId } = peer.messages.find(({ type }) => type === 'funnelInfo') as { clientId: number };
    peer.datagram(buildResendRequest({ clientId: clientId ^ 1, sourceId: 1, numbers: [0] }));
    peer.datagram(buildResendRequest({ clientId, sourceId: 2, numbers: [0] }));
    peer.datagram(buildResendRequest({ clientId, sourceId: 1, numbers: [77, 3] }));
    const data = await peer.dataCount(5);
    expect(data.slice(4)).toEqual([data[3]]);
  });

  it('[MMSP-148] asks for the header of the next entry itself', async () => {
    const peer = await station.connect();
    await peer.play('live', {}, 'udp');
    station.packets(2);
    await peer.dataCount(2);
    station.end(true);
    station.header(false);
    await peer.next('streamChange');
    expect(peer.data).toHaveLength(2);
    peer.send(client.buildReadBlock(1, 3));
    await peer.next('readBlock');
    await until('the header', () => peer.data.some(({ incarnation, flags }) => incarnation === 3 && flags === 0x0c));
    peer.send(client.buildStartPlaying({ openFileId: 1, incarnation: 12 }));
    await peer.next('startedPlaying');
    station.packets(2);
    await until('data of the next entry', () => peer.data.some(({ incarnation }) => incarnation === 12));
  });
});

describe('a session of MMSP, on demand', () => {
  let content: Content;
  beforeEach(async () => {
    content = await Content.create();
    await content.media('film.wmv', { seconds: 4 });
    station = await Station.open({ content });
  });
  afterEach(() => content.close());

  it('[MMSP-056] learns the facts of the file', async () => {
    const peer = await station.connect();
    const file = await peer.open('film.wmv');
    expect(file).toMatchObject({ attributes: 0x01800000, packetCount: 60, packetSize: expect.any(Number) });
    expect(file.duration).toBeGreaterThan(3.5);
  });

  it('starts where it asks: by time, by packet', async () => {
    const peer = await station.connect();
    await peer.play('film.wmv', { position: 2 });
    const [first] = await peer.dataCount(1);
    expect(first!.location).toBe(30);
    peer.send(client.buildStopPlaying(1, 10));
    await peer.next('endOfStream');
    peer.data.length = 0;
    peer.send(client.buildStartPlaying({ openFileId: 1, incarnation: 11, location: 45 }));
    await peer.next('startedPlaying');
    const [second] = await peer.dataCount(1);
    expect(second).toMatchObject({ location: 45, incarnation: 11 });
  });

  it('[MMSP-097] ends where it asks', async () => {
    const peer = await station.connect();
    await peer.play('film.wmv', { stop: { milliseconds: 1_000, relative: false } });
    await peer.next('endOfStream');
    expect(peer.data.at(-1)!.location).toBeLessThan(50);
  });

  it('[MMSP-172] learns of the end without delay if it asked for acceleration', async () => {
    const peer = await station.connect();
    const begun = performance.now();
    await peer.play('film.wmv', {
      acceleration: { bitsPerSecond: 100_000_000, milliseconds: 60_000 },
      linkBandwidth: 0x7fffffff,
    });
    await peer.next('endOfStream');
    expect(peer.data.at(-1)!.location).toBe(59);
    // The file lasts 4 s.
    expect(performance.now() - begun).toBeLessThan(3_000 * slowness());
  });

  it('[MMSP-175] strides', async () => {
    const peer = await station.connect();
    await peer.open('film.wmv');
    peer.data.length = 0;
    peer.send(client.buildStartStriding({ openFileId: 1, incarnation: 10, position: 0, rate: 5 }));
    expect(await peer.next('startStriding')).toMatchObject({ hr: 0, incarnation: 10 });
    await peer.next('endOfStream');
    expect(peer.data.length).toBeLessThan(20);
  });
});
