import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { headerObjectSize, parseHeader } from '../../src/asf/header.js';
import { parsePacket } from '../../src/asf/packet.js';
import { PACKET_PAIR } from '../../src/mmsp/messages/base.js';
import * as client from '../../src/mmsp/messages/client.js';
import { TcpPacketReader } from '../../src/mmsp/messages/frame.js';
import { buildResendRequest } from '../../src/mmsp/messages/resend.js';
import { basicResponse, ntlmToken, readChallengeToken } from '../../src/mmsp/messages/token.js';
import { Refusal } from '../../src/refusal.js';
import { PACKET_SIZE } from '../support/stream.js';
import { until } from '../support/until.js';
import { Content } from '../wmsp/content.js';
import { type Peer, Station, SUBSCRIBER } from './station.js';

let station: Station;
afterEach(async () => {
  await station.close();
  expect(station.errors).toEqual([]);
});

/** The TcpMessageHeader packets and Data packets that a peer receives, as they come. */
function recorded(peer: Peer): { messages: Buffer[]; data: Buffer[] } {
  const reader = new TcpPacketReader({ takesData: true });
  const seen = { messages: [] as Buffer[], data: [] as Buffer[] };
  peer.socket.on('data', (bytes) => {
    for (const packet of reader.push(bytes)) {
      if (packet.type === 'data') seen.data.push(Buffer.from(packet.bytes));
      else seen.messages.push(Buffer.from(packet.field));
    }
  });
  return seen;
}

describe('an MMSP server, in detail', () => {
  beforeEach(async () => {
    station = await Station.open();
  });

  it('[MMSP-033] [MMSP-002] sends messages over TCP and nothing else by UDP than Data', async () => {
    const peer = await station.connect();
    await peer.play('live', {}, 'udp');
    const datagrams: Buffer[] = [];
    peer.udp!.on('message', (bytes) => datagrams.push(bytes));
    station.packets(3);
    await peer.dataCount(3);
    peer.send(client.buildStopPlaying(1, 10));
    await peer.next('endOfStream');
    // PacketSize, little-endian.
    expect(datagrams.every((bytes) => bytes.readUInt16LE(6) === bytes.length)).toBe(true);
  });

  it('[MMSP-037] [MMSP-040] offers a packet pair to those that ask for one, and names its version', async () => {
    for (const [asked, offered] of [
      [PACKET_PAIR.possible, PACKET_PAIR.possible],
      [PACKET_PAIR.none, PACKET_PAIR.none],
    ] as const) {
      const peer = await station.connect();
      const seen = recorded(peer);
      peer.send(client.buildConnect(asked, SUBSCRIBER));
      expect(await peer.next('connectedEx')).toMatchObject({ incarnation: offered });
      const count = seen.messages[0]!.readUInt32LE(48);
      expect(seen.messages[0]!.toString('utf16le', 64, 64 + count * 2)).toMatch(/^\d+\.\d+\.\d+\.\d+\0$/);
    }
  });

  it('[MMSP-052] [MMSP-057] repeats the incarnation of OpenFile, and fills unused fields with zeros', async () => {
    const peer = await station.connect();
    await peer.greet();
    const seen = recorded(peer);
    peer.send(client.buildOpenFile(77, 'live'));
    expect(await peer.next('openFile')).toMatchObject({ incarnation: 77 });
    const [message] = seen.messages;
    expect(message!.length).toBe(120);
    for (const [from, to] of [
      [24, 28],
      [44, 60],
      [80, 116],
    ] as const) {
      expect(message!.subarray(from, to).every((byte) => byte === 0)).toBe(true);
    }
  });

  it('[MMSP-017] [MMSP-018] sends the Header Object and 50 bytes of the Data Object', async () => {
    const peer = await station.connect();
    const file = await peer.open('live');
    const header = Buffer.concat(peer.data.map(({ payload }) => payload));
    expect(header.length).toBe(headerObjectSize(header) + 50);
    expect(header.length).toBe(file.headerSize);
    expect(peer.data.map(({ location }) => location)).toEqual(peer.data.map((_, index) => index));
    expect(parseHeader(header).streams).toHaveLength(2);
  });

  it('[MMSP-019] [MMSP-022] numbers live packets in a virtual file, and AFFlags from 0', async () => {
    const peer = await station.connect();
    await peer.play('live');
    station.packets(300);
    const data = await peer.dataCount(300);
    expect(data.map(({ location }) => location)).toEqual(data.map((_, index) => index));
    expect(data.map(({ flags }) => flags)).toEqual(data.map((_, index) => index & 0xff));
  });

  it('[MMSP-021] marks packets with the low 8 bits of the incarnation', async () => {
    const peer = await station.connect();
    await peer.play('live', { incarnation: 0x12345642 });
    station.packets(2);
    expect((await peer.dataCount(2)).map(({ incarnation }) => incarnation)).toEqual([0x42, 0x42]);
    peer.send(client.buildStopPlaying(1, 0x12345642));
    expect(await peer.next('endOfStream')).toMatchObject({ incarnation: 0x12345642 });
  });

  it('[MMSP-023] begins with AFFlags 0 if 255 would be next', async () => {
    const peer = await station.connect();
    await peer.play('live');
    station.packets(255);
    const sent = await peer.dataCount(255);
    expect(sent.at(-1)!.flags).toBe(0xfe);
    peer.send(client.buildStopPlaying(1, 10));
    await peer.next('endOfStream');
    peer.send(client.buildStartPlaying({ openFileId: 1, incarnation: 11 }));
    await peer.next('startedPlaying');
    station.packets(1);
    const again = await until('a packet', () => peer.data.find(({ incarnation }) => incarnation === 11));
    expect(again.flags).toBe(0);
  });

  it('[MMSP-025] cuts padding, [MMSP-079] but not for Windows Media Services 4', async () => {
    for (const [subscriber, isWhole] of [
      [SUBSCRIBER, false],
      ['Spooooon!; {3300AD50-2C39-46c0-AE0A-000000000000}', true],
    ] as const) {
      const peer = await station.connect();
      await peer.open('live', 'tcp', subscriber);
      peer.data.length = 0;
      peer.send(client.buildStartPlaying({ openFileId: 1, incarnation: 10 }));
      await peer.next('startedPlaying');
      station.packets(1);
      const [first] = await peer.dataCount(1);
      expect(first!.payload.length === PACKET_SIZE).toBe(isWhole);
      expect(parsePacket(first!.payload).payloads).toHaveLength(1);
    }
  });

  it('[MMSP-171] sends all streams to clients that select none', async () => {
    const peer = await station.connect();
    await peer.open('live', 'tcp', 'Spoooon!');
    peer.data.length = 0;
    peer.send(client.buildStartPlaying({ openFileId: 1, incarnation: 10 }));
    station.packets(2);
    await peer.dataCount(2);
  });

  it('[MMSP-173] [MMSP-104] leaves out packets without selected streams, which take no number', async () => {
    const content = await Content.create();
    await content.media('film.wmv', { seconds: 2 });
    await station.close();
    station = await Station.open({ content });
    const counts: number[] = [];
    for (const level of [0, 1, 2]) {
      const peer = await station.connect();
      await peer.open('film.wmv');
      peer.data.length = 0;
      peer.send(
        client.buildStreamSwitch([
          { source: undefined, destination: 1, level },
          { source: 2, destination: undefined, level: 2 },
        ]),
        client.buildStartPlaying({ openFileId: 1, incarnation: 10 }),
      );
      await peer.next('endOfStream');
      counts.push(peer.data.length);
      expect(peer.data.map(({ flags }) => flags)).toEqual(peer.data.map((_, index) => index));
    }
    // Two seconds of video: all pictures, the key frames, none.
    expect(counts).toEqual([20, 2, 0]);
    await content.close();
  });

  it('[MMSP-047] names the newest start at the end', async () => {
    const peer = await station.connect();
    await peer.play('live');
    peer.send(client.buildStopPlaying(1, 10));
    expect(await peer.next('endOfStream')).toMatchObject({ incarnation: 10 });
    peer.send(client.buildStartPlaying({ openFileId: 1, incarnation: 23 }));
    await peer.next('startedPlaying');
    station.packets(1);
    station.end();
    expect(await peer.next('endOfStream')).toMatchObject({ incarnation: 23, hr: 0 });
  });

  it('[MMSP-146] says whether another entry follows', async () => {
    const peer = await station.connect();
    await peer.play('live');
    station.packets(1);
    await peer.dataCount(1);
    station.end(true);
    station.header(false);
    expect(await peer.next('endOfStream')).toMatchObject({ hr: 1 });
    station.packets(1);
    station.end();
    expect(await peer.next('endOfStream')).toMatchObject({ hr: 0 });
  });

  it('[MMSP-153] agrees to the packet pair that was asked for', async () => {
    for (const asked of [PACKET_PAIR.possible, PACKET_PAIR.tcp, PACKET_PAIR.udp]) {
      const peer = await station.connect();
      peer.send(client.buildConnect(PACKET_PAIR.possible, SUBSCRIBER), client.buildFunnelInfo(asked));
      const isUdp = asked === PACKET_PAIR.udp;
      const answer = await peer.next('funnelInfo');
      expect(answer.incarnation).toBe(isUdp ? PACKET_PAIR.udp : PACKET_PAIR.tcp);
      expect(answer.pair.length > 0).toBe(!isUdp);
    }
  });

  it('[MMSP-164] [MMSP-020] sends two datagrams of a pair before the header', async () => {
    const peer = await station.connect();
    const udp = createSocket('udp4');
    peer.udp = udp;
    const datagrams: Buffer[] = [];
    udp.on('message', (bytes) => datagrams.push(bytes));
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    peer.send(client.buildConnect(PACKET_PAIR.possible, SUBSCRIBER), client.buildFunnelInfo(PACKET_PAIR.udp));
    await peer.next('funnelInfo');
    peer.send(client.buildConnectFunnel({ transport: 'udp', address: '1.2.3.4', port: udp.address().port }));
    await peer.next('connectedFunnel');
    peer.send(client.buildOpenFile(9, 'live'));
    await peer.next('openFile');
    peer.send(client.buildReadBlock(1, 2));
    await peer.next('readBlock');
    await until('the header', () => datagrams.some((bytes) => bytes[5] === 0x0c));
    expect(datagrams.slice(0, 2).map((bytes) => [bytes.readUInt32LE(0), bytes[4], bytes[5], bytes.length])).toEqual([
      [0xf0f0f000, 0xff, 0x10, 1472],
      [0xf0f0f001, 0xff, 0x10, 1472],
    ]);
  });

  it('[MMSP-156] sends datagrams to the address of the connection only', async () => {
    const other = createSocket('udp4');
    const strays: Buffer[] = [];
    other.on('message', (bytes) => strays.push(bytes));
    const peer = await station.connect();
    await peer.play('live', {}, 'udp');
    other.bind(peer.udp!.address().port, '127.0.0.2');
    await once(other, 'listening');
    // The funnel names 192.168.0.129.
    station.packets(2);
    await peer.dataCount(2);
    expect(strays).toEqual([]);
    other.close();
  });

  it('[MMSP-168] drops the rest of a header that is cancelled', async () => {
    station.broadcast.write({ type: 'end', moreEntries: true, reason: 0 });
    const peer = await station.connect();
    await peer.greet('udp');
    peer.send(client.buildOpenFile(9, 'live'));
    await peer.next('openFile');
    peer.send(client.buildReadBlock(1, 2), client.buildCancelReadBlock(2), client.buildReadBlock(1, 3));
    await until('the second header', () =>
      peer.data.some(({ incarnation, flags }) => incarnation === 3 && flags === 0x0c),
    );
    expect(peer.data.filter(({ incarnation }) => incarnation === 2)).toEqual([]);
  });

  it('[MMSP-049] resends only for the id of the session', async () => {
    const [one, two] = [await station.connect(), await station.connect()];
    await one.play('live', {}, 'udp');
    await two.play('live', {}, 'udp');
    station.packets(3);
    await one.dataCount(3);
    await two.dataCount(3);
    const idOf = (peer: Peer) =>
      (peer.messages.find(({ type }) => type === 'funnelInfo') as { clientId: number }).clientId;
    expect(idOf(one)).not.toBe(idOf(two));
    // Both have the same address, so the id decides.
    one.datagram(buildResendRequest({ clientId: idOf(two), sourceId: 1, numbers: [1] }));
    await two.dataCount(4);
    expect(one.data).toHaveLength(3);
  });

  it('[MMSP-184] limits the requests to resend that it answers', async () => {
    const peer = await station.connect();
    await peer.play('live', {}, 'udp');
    station.packets(1);
    await peer.dataCount(1);
    const { clientId } = peer.messages.find(({ type }) => type === 'funnelInfo') as { clientId: number };
    for (let index = 0; index < 1_000; index++)
      peer.datagram(buildResendRequest({ clientId, sourceId: 1, numbers: [0] }));
    peer.send(client.buildStopPlaying(1, 10));
    await peer.next('endOfStream');
    expect(peer.data.length).toBeLessThan(450);
  });

  it('[MMSP-179] hands logs on, and does not answer them', async () => {
    const logs: Array<{ path: string; log: Buffer }> = [];
    await station.close();
    station = await Station.open({ onLog: (path, _address, _client, log) => logs.push({ path, log }) });
    const peer = await station.connect();
    await peer.open('live');
    const before = peer.order.length;
    peer.send(client.buildLogging(Buffer.alloc(1490, 7)), client.buildStreamSwitch([]));
    await peer.next('streamSwitch');
    expect(peer.order.slice(before)).toEqual(['streamSwitch']);
    expect(logs).toMatchObject([{ path: '/live' }]);
    expect(logs[0]!.log.subarray(0, 1490)).toEqual(Buffer.alloc(1490, 7));
  });
});

describe('the timers of an MMSP server', () => {
  let now: number;
  beforeEach(async () => {
    now = 0;
    station = await Station.open({ now: () => now });
  });

  const pass = (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      now += 1_000;
      station.server.sweep();
    }
  };

  it('[MMSP-181] [MMSP-151] pings a client that is silent for 30 seconds, and drops one that does not answer', async () => {
    const [good, bad] = [await station.connect(), await station.connect()];
    await good.open('live');
    await bad.open('live');
    pass(30);
    await until('no ping yet', () => good.order.every((type) => type !== 'ping'));
    pass(1);
    await good.next('ping');
    await bad.next('ping');
    good.send(client.buildPong(), client.buildStreamSwitch([]));
    await good.next('streamSwitch');
    pass(31);
    await bad.ends();
    expect(good.closed).toBe(false);
  });

  it('[MMSP-144] [MMSP-182] ends a session that plays nothing for an hour', async () => {
    const peer = await station.connect();
    await peer.open('live');
    while (!peer.closed && now < 3_590_000) {
      peer.send(client.buildPong(), client.buildStreamSwitch([]));
      await peer.next('streamSwitch');
      pass(20);
    }
    expect(peer.closed).toBe(false);
    pass(20);
    await peer.ends();
    expect(now).toBeGreaterThanOrEqual(3_600_000);
  });
});

describe('an MMSP server that protects or redirects', () => {
  const isRight = (token: string) => Buffer.from(token, 'base64').toString() === 'alice:secret';

  /** Content at /locked that wants a login, and content at /moved that is elsewhere. */
  async function open(): Promise<void> {
    station = await Station.open({
      entrance: {
        enter: async ({ path, caller }) => {
          if (path === '/moved') return { redirect: 'http://[::1]:8080/a%20b%C3%A4?x=%25', proxy: false } as never;
          const { given, schemes } = caller.credentials;
          if (given && given.scheme === 'Basic' && isRight(given.token)) {
            return { open: async () => Promise.reject(new Refusal('offline', 'Off.')), leave: () => {} } as never;
          }
          const token = given?.scheme === 'NTLM' ? Buffer.from('challenge').toString('base64') : undefined;
          const challenges = (schemes ?? []).map((scheme) => ({ scheme, ...(token ? { token } : {}) }));
          throw new Refusal('unauthorized', 'Who is there?', { challenges });
        },
      },
    });
  }
  beforeEach(open);

  it('[MMSP-159] [MMSP-062] redirects to mms:// without percent-encoding, and ends the connection', async () => {
    const peer = await station.connect();
    await peer.greet();
    peer.send(client.buildOpenFile(9, 'moved'));
    expect(await peer.next('redirect')).toMatchObject({ location: 'mms://[::1]/a bä?x=%', proxy: false });
    await peer.ends();
    expect(peer.order).not.toContain('openFile');
  });

  it('[MMSP-160] [MMSP-068] challenges with the incarnation of the request, and stays open', async () => {
    const peer = await station.connect();
    await peer.greet();
    peer.send(client.buildOpenFile(55, 'locked', basicResponse(Buffer.from('alice:wrong').toString('base64'))));
    const challenge = await peer.next('securityChallenge');
    expect(challenge.incarnation).toBe(55);
    peer.send(
      client.buildSecurityResponse(55, challenge.cookie, basicResponse(Buffer.from('alice:no').toString('base64'))),
    );
    const second = await peer.next('securityChallenge');
    expect(second.cookie).not.toBe(challenge.cookie);
    const right = basicResponse(Buffer.from('alice:secret').toString('base64'));
    peer.send(client.buildSecurityResponse(55, second.cookie, right));
    expect(await peer.next('openFile')).toMatchObject({ incarnation: 55, hr: 0xc00d0033 });
    expect(peer.closed).toBe(false);
  });

  it('[MMSP-161] challenges old clients with the scheme that it named at first', async () => {
    const peer = await station.connect();
    await peer.greet('tcp', 'NSPlayer/7.1.0.3055; {00000000-1111-2222-3333-444444444444}');
    const named = peer.messages.find(({ type }) => type === 'connectedEx') as { scheme: string };
    peer.send(client.buildOpenFile(9, 'locked'));
    const challenge = await peer.next('securityChallenge');
    expect([named.scheme, readChallengeToken(challenge.token).scheme]).toEqual(['NTLM', 'ntlm']);
  });

  it.each([true, false])('[MMSP-162] answers a token in the form that it came in; NTLM_AUTH: %s', async (wrapped) => {
    const peer = await station.connect();
    await peer.greet();
    peer.send(client.buildOpenFile(9, 'locked'));
    const { cookie } = await peer.next('securityChallenge');
    const token = ntlmToken(Buffer.from('NTLMSSP\0\x01\0\0\0', 'latin1'), wrapped);
    peer.send(client.buildSecurityResponse(9, cookie, token));
    const challenge = await peer.next('securityChallenge');
    expect(readChallengeToken(challenge.token)).toEqual({ scheme: 'ntlm', token: Buffer.from('challenge'), wrapped });
  });
});
