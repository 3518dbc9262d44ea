import { Socket } from 'node:dgram';
import { jest } from '@jest/globals';
import type { PlayerOutput, WireBatch } from '../../src/media/wire.js';
import { buildFec, readFec, rebuild } from '../../src/rtsp/messages/fec.js';
import { type RtpPacket, readRtp, writeRtpHead } from '../../src/rtsp/messages/rtp.js';
import { readSdp } from '../../src/rtsp/messages/sdp.js';
import { FecOutput, fecSsrcOf, grantedFec } from '../../src/rtsp/server/fec-output.js';
import { testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { Playing } from './playing.js';
import { type Peer, Station } from './station.js';

const FEC_TYPE = 98;

let station: Station;
beforeEach(async () => {
  station = await Station.open({ fec: 24 });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await station.close();
  expect(station.errors).toEqual([]);
});

const isFec = ({ payloadType }: RtpPacket) => payloadType === FEC_TYPE;

/** Plays by UDP, with FEC as the client asks. @returns the Transport of the answer to that SETUP */
async function protectedPlay(peer: Peer, parameters: string): Promise<string> {
  const port = await peer.openUdp();
  const transport = `RTP/AVP/UDP;unicast;client_port=${port};mode=PLAY`;
  const setUp = async (control: string, more = '') => {
    const { headers } = await peer.ask('SETUP', `/live/${control}`, { Transport: transport + more });
    peer.session ??= headers.get('Session')!.split(';')[0];
    return headers.get('Transport')!;
  };
  await setUp('audio');
  await setUp('video');
  const granted = await setUp('video-fec', parameters);
  await peer.ask('PLAY', '/live/', { Range: 'npt=0.000-' });
  return granted;
}

/** The packets that came, in the order in which they were sent: numbers, and `F` for an FEC packet. */
function order(packets: readonly RtpPacket[]): string {
  const first = packets.find((packet) => !isFec(packet))!.sequence;
  return packets.map((packet) => (isFec(packet) ? 'F' : `${(packet.sequence - first) & 0xffff}`)).join(' ');
}

describe('a server that offers FEC', () => {
  it('[RTSP-055] describes it with each stream, and without being told to offers none', async () => {
    const peer = await station.connect();
    const { body } = await peer.ask('DESCRIBE', '/live');
    expect(readSdp(body.toString()).media.map(({ fec }) => fec)).toEqual([
      { payloadType: FEC_TYPE, control: 'audio-fec', span: 24, perSpan: 1 },
      { payloadType: FEC_TYPE, control: 'video-fec', span: 24, perSpan: 1 },
      undefined,
    ]);
    expect(body.toString()).toMatch(/m=audio 0 RTP\/AVP 96 98\r\n/);
    const plain = await Station.open();
    const other = await plain.connect();
    expect((await other.ask('DESCRIBE', '/live')).body.toString()).not.toMatch(/fec/);
    expect(
      (await other.ask('SETUP', '/live/video-fec', { Transport: 'RTP/AVP;unicast;client_port=5000' })).status,
    ).toBe(400);
    await plain.close();
  });

  it('sends none to a player that does not ask for it', async () => {
    const peer = await station.connect();
    await peer.playUdp('/live');
    station.packets(50);
    expect((await peer.packets(50)).filter(isFec)).toEqual([]);
  });

  it('[RTSP-187] sends it after each span, [RTSP-024] of a type of its own and with the last time', async () => {
    const peer = await station.connect();
    const granted = await protectedPlay(peer, ';FecSpan=4;FecPerSpan=2;FecBurstMargin=1');
    expect(granted).toMatch(/^RTP\/AVP\/UDP;unicast;.*;FecSpan=4;FecPerSpan=2;FecBurstMargin=1$/);
    station.packets(10);
    const packets = await peer.packets(14);
    expect(order(packets)).toBe('0 1 2 3 F F 4 5 6 7 F F 8 9');
    const ssrc = Number.parseInt(/ssrc=([0-9a-f]{8});/.exec(granted)![1]!, 16);
    for (const [index, at] of [4, 5, 10, 11].entries()) {
      const { payload: _, sequence, ...head } = packets[at]!;
      const { timestamp } = packets[at < 6 ? 3 : 9]!;
      expect(head).toEqual({ marker: true, payloadType: FEC_TYPE, timestamp, ssrc });
      expect(sequence).toBe(index);
    }
    expect(packets.some((packet) => !isFec(packet) && packet.ssrc === ssrc)).toBe(false);
  });

  it('has room for it in a datagram, also of the largest packets', async () => {
    station.header({ packetSize: 1_500 });
    const peer = await station.connect();
    await protectedPlay(peer, ';FecSpan=4;FecPerSpan=1;FecBurstMargin=1');
    for (let time = 0; time < 400; time += 100) {
      const packet = testPacket(time, { key: time === 0, dataSize: 1_400, packetSize: 1_500 });
      station.broadcast.write({ type: 'packet', packet });
    }
    const packets = await peer.packets(10);
    expect(packets.filter(isFec)).toHaveLength(2);
    const sizes = packets.map(({ payload }) => 12 + payload.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_452);
  });

  it('[RTSP-187] interleaves spans, and the FEC packets of the spans', async () => {
    const peer = await station.connect();
    const granted = await protectedPlay(peer, ';FecSpan=3;FecPerSpan=2;FecBurstMargin=2');
    expect(granted).toContain(';FecSpan=3;FecPerSpan=2;FecBurstMargin=2');
    station.packets(6);
    const packets = await peer.packets(10);
    expect(order(packets)).toBe('0 1 2 3 4 5 F F F F');
    const first = packets[0]!.sequence;
    const fec = packets.filter(isFec).map(({ payload }) => readFec(payload));
    const even = [0, 2, 4].map((number) => (first + number) & 0xffff);
    const odd = [1, 3, 5].map((number) => (first + number) & 0xffff);
    expect(fec.map(({ sequences, index }) => [sequences, index])).toEqual([
      [even, 0],
      [odd, 0],
      [even, 1],
      [odd, 1],
    ]);
    // A burst of four lost packets is restored.
    const known = new Map(packets.filter((packet) => !isFec(packet)).map((packet) => [packet.sequence, packet]));
    const lost = [1, 2, 3, 4].map((number) => packets[number]!);
    for (const { sequence } of lost) known.delete(sequence);
    const common = { payloadType: 96, ssrc: packets[0]!.ssrc };
    const rebuilt = [fec[0]!, fec[1]!].flatMap(
      ({ sequences }, span) => rebuild(sequences, known, [fec[span]!, fec[span + 2]!], common)!,
    );
    const bySequence = (a: RtpPacket, b: RtpPacket) => a.timestamp - b.timestamp;
    expect(rebuilt.sort(bySequence)).toEqual(lost);
  });

  it('[RTSP-085] states what it really does: by default as described, and within bounds of its own', async () => {
    const peer = await station.connect();
    expect(await protectedPlay(peer, '')).toContain(';FecSpan=18;FecPerSpan=1;FecBurstMargin=1');
    expect(grantedFec({ span: 24, perSpan: 24, burstMargin: 1 })).toEqual({ span: 24, perSpan: 4, burstMargin: 1 });
    // The text allows (4 - 1) * 8 = 24, but a mask of 24 bits ends at 23.
    expect(grantedFec({ span: 4, perSpan: 1, burstMargin: 8 })).toEqual({ span: 4, perSpan: 1, burstMargin: 7 });
    expect(grantedFec({ span: 1, perSpan: 1, burstMargin: 12 })).toEqual({ span: 1, perSpan: 1, burstMargin: 12 });
  });

  it('sends it by UDP only, ends it with TEARDOWN, and refuses operations on its URL', async () => {
    const peer = await station.connect();
    await peer.setUp('/live/video');
    const fields = { Transport: 'RTP/AVP/TCP;unicast;interleaved=4-5' };
    expect((await peer.ask('SETUP', '/live/video-fec', fields)).status).toBe(461);
    expect((await peer.ask('PLAY', '/live/video-fec')).status).toBe(460);
    const other = await station.connect();
    await protectedPlay(other, ';FecSpan=2;FecPerSpan=1;FecBurstMargin=1');
    station.packets(2);
    expect(order(await other.packets(3))).toBe('0 1 F');
    expect((await other.ask('TEARDOWN', '/live/video-fec')).status).toBe(200);
    station.packets(4);
    expect((await other.packets(7)).filter(isFec)).toHaveLength(1);
  });

  it('goes on with it in an entry that it chose for the player, and says so', async () => {
    const peer = await station.connect();
    await protectedPlay(peer, ';FecSpan=2;FecPerSpan=1;FecBurstMargin=1');
    await peer.ask('GET_PARAMETER', '/live/', {
      Supported: 'com.microsoft.wm.eosmsg, com.microsoft.wm.predstrm',
    });
    station.packets(2);
    await peer.packets(3);
    station.end(true);
    station.header({ title: 'Next' });
    await peer.request('SET_PARAMETER');
    const { headers } = await peer.request('ANNOUNCE');
    expect(headers.get('X-RTP-Info')).toMatch(
      /url=rtsp:\/\/\S+\/live\/video-fec;.*;mode=PLAY;.*;FecSpan=2;FecPerSpan=1;FecBurstMargin=1/,
    );
    station.packets(2);
    expect((await peer.packets(6)).filter(isFec)).toHaveLength(2);
  });

  it('[RTSP-167] restores to our client what is lost on the way, though no NACK arrives', async () => {
    let sent = 0;
    const send = Socket.prototype.send;
    jest.spyOn(Socket.prototype, 'send').mockImplementation(function (this: Socket, ...given: unknown[]) {
      const [bytes, offset] = given as [Buffer, number];
      const type = typeof offset === 'number' ? bytes[offset + 1]! : bytes[1]!;
      const isMedia = (type & 0x7f) === 96;
      // RTCP, and every 30th packet of media.
      const lost = (type >= 200 && type <= 207) || (isMedia && ++sent % 30 === 7);
      const done = given.at(-1);
      if (!lost) Reflect.apply(send, this, given);
      else if (typeof done === 'function') queueMicrotask(() => done(null, 0));
    });
    const playing = new Playing({ url: `rtspu://127.0.0.1:${station.port}/live`, lossWindow: 10_000 });
    await until('a player', () => station.server.players === 1);
    station.packets(120);
    await playing.has(120);
    expect(playing.times).toEqual(Array.from({ length: 120 }, (_, index) => index * 100));
    expect(playing.client.stats).toMatchObject({ recoveredPackets: 4, lostPackets: 0 });
    await playing.close();
  });
});

/** An output that keeps what it is given. */
class Kept implements PlayerOutput {
  readonly framing = 'datagrams';
  readonly batches: WireBatch[] = [];
  backlog = 0;
  readonly pending: Array<() => void> = [];
  put(batch: WireBatch, done?: () => void): void {
    this.batches.push(batch);
    if (done) this.pending.push(done);
  }
  drained(): void {}
  destroy(): void {}
  get packets(): RtpPacket[] {
    return this.batches.flatMap(({ bytes, ends }) =>
      ends.map((end, index) => readRtp(bytes.subarray(ends[index - 1] ?? 0, end))),
    );
  }
}

/** A batch of RTP packets with these numbers. */
function batch(...sequences: number[]): WireBatch {
  const packets = sequences.map((sequence) => {
    const bytes = Buffer.alloc(12 + 20 + (sequence % 7), sequence & 0xff);
    writeRtpHead(bytes, 0, { marker: true, payloadType: 96, sequence, timestamp: sequence * 10, ssrc: 5 });
    return bytes;
  });
  let end = 0;
  return { bytes: Buffer.concat(packets), ends: packets.map(({ length }) => (end += length)) };
}

describe('the output of a player with FEC', () => {
  const parameters = { span: 3, perSpan: 1, burstMargin: 1 };

  it('shares FEC packets among players with the same batches, and leaves the batches as they are', () => {
    const [first, second, third] = [new Kept(), new Kept(), new Kept()];
    const outputs = [first, second].map((kept) => new FecOutput(kept, parameters));
    const batches = [batch(0, 1), batch(2, 3, 4), batch(5, 6)];
    for (const output of outputs) for (const each of batches) output.put(each);
    expect(order(first.packets)).toBe('0 1 2 F 3 4 5 F 6');
    expect(second.batches.every((each, index) => each.bytes === first.batches[index]!.bytes)).toBe(true);
    // What spans two batches is the same as if it came at once.
    const media = first.packets.filter((packet) => !isFec(packet));
    const made = [0, 3].flatMap((from, sequence) =>
      buildFec(media.slice(from, from + 3), 1, { payloadType: FEC_TYPE, ssrc: fecSsrcOf(5), sequence }),
    );
    expect(first.packets.filter(isFec)).toEqual(made.map(readRtp));
    // Nothing is copied of the media.
    expect(first.batches[0]).toBe(batches[0]);
    for (const { bytes } of first.batches.slice(0, 2)) {
      const from = [batches[0]!, batches[1]!].map((each) => each.bytes.buffer);
      expect(from).toContain(bytes.buffer);
    }
    // One that joins later has spans of its own.
    const late = new FecOutput(third, parameters);
    for (const each of batches.slice(1)) late.put(each);
    expect(order(third.packets)).toBe('0 1 2 F 3 4');
  });

  it('begins a span again after a gap in the numbers', () => {
    const kept = new Kept();
    const output = new FecOutput(kept, parameters);
    output.put(batch(65_533, 65_534));
    output.put(batch(1, 2, 3, 4));
    output.put(batch(65_534, 65_535, 0));
    expect(kept.packets.filter(isFec).map(({ payload }) => readFec(payload).sequences)).toEqual([
      [1, 2, 3],
      [65_534, 65_535, 0],
    ]);
  });

  it('gives a batch back once all of it has left, FEC packets and all', () => {
    const kept = new Kept();
    let done = 0;
    new FecOutput(kept, parameters).put(batch(0, 1, 2, 3), () => done++);
    expect(kept.pending).toHaveLength(3);
    for (const [index, each] of kept.pending.entries()) {
      each();
      expect(done).toBe(index === 2 ? 1 : 0);
    }
  });
});
