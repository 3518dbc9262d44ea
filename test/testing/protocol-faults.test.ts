import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import type { AsfHeader } from '../../src/asf/header.js';
import type { DatagramSender } from '../../src/media/datagrams.js';
import { splitMessages } from '../../src/mmsp/messages/base.js';
import { buildData, headerPackets } from '../../src/mmsp/messages/data.js';
import { isMessages, TCP_HEADER_SIZE, wrapMessages } from '../../src/mmsp/messages/frame.js';
import { buildEndOfStream, buildPing, readServerMessage } from '../../src/mmsp/messages/server.js';
import { MMSP_FAULTS } from '../../src/mmsp/server/fault-frames.js';
import { MESSAGE_ID, readBase } from '../../src/msbd/messages/base.js';
import { buildBare } from '../../src/msbd/messages/messages.js';
import { buildPackets, PACKET_HEAD_SIZE, readPacket } from '../../src/msbd/messages/packet.js';
import { buildStreamInfo, readStreamInfo, streamInfoOf } from '../../src/msbd/messages/stream-info.js';
import { MSBD_FAULTS } from '../../src/msbd/server/fault-frames.js';
import { RtspReader, serialiseRequest, serialiseResponse, writeFrameHead } from '../../src/rtsp/messages/message.js';
import { readAsfPieces, readRtp, rtpUnitSize, writeRtpUnit } from '../../src/rtsp/messages/rtp.js';
import { RTSP_FAULTS } from '../../src/rtsp/server/fault-frames.js';
import { parseFaults } from '../../src/testing/fault-plan.js';
import { FaultyDatagrams } from '../../src/testing/faulty-datagrams.js';
import { FaultyConnections } from '../../src/testing/faulty-socket.js';
import type { FaultyProtocol } from '../../src/testing/frame-codec.js';
import { SyntheticSource } from '../../src/testing/synthetic.js';

const PACKETS = 40;

/** What a frame says of itself, whatever its protocol. */
interface Seen {
  readonly kind: 'data' | 'header' | 'end' | 'change' | 'other';
  /** Bytes by which its length is not right. */
  readonly lie?: number;
  readonly flags?: number;
  readonly location?: number;
  readonly packet?: Buffer;
  /** Of a header. */
  readonly header?: Buffer;
}

interface Protocol {
  readonly faults: FaultyProtocol;
  /** What a server sends on a connection: something, a header, data, an end. */
  frames(header: AsfHeader, packets: readonly Buffer[]): Buffer[];
  read(frame: Buffer): Seen;
  datagrams?: {
    of(packet: Buffer, number: number): Buffer;
    read(datagram: Buffer): Seen;
  };
}

const RTP_FRAMING = { payloadType: 96, ssrc: 0x1234, largest: 8000, withLocation: true };

function rtpOf(packet: Buffer, number: number): Buffer {
  const bytes = Buffer.alloc(rtpUnitSize(packet.length, 0, RTP_FRAMING));
  writeRtpUnit(
    bytes,
    0,
    { bytes: packet, sendTime: number, keyFrame: false, location: number },
    0,
    number,
    RTP_FRAMING,
  );
  return bytes;
}

function readMedia(rtp: Buffer, lie: number): Seen {
  const { sequence, ssrc, payload } = readRtp(rtp);
  const [piece] = readAsfPieces(payload);
  return { kind: 'data', lie, flags: sequence, location: ssrc - 0x1234, packet: piece!.bytes };
}

const mmspData = (packet: Buffer, number: number) =>
  buildData({ location: number, incarnation: 9, flags: number }, packet);

function readMmspData(bytes: Buffer): Seen {
  const packet = bytes.subarray(8);
  const kind = packet.subarray(0, 4).toString('hex') === '3026b275' ? 'header' : 'data';
  const lie = bytes.readUInt16LE(6) - bytes.length;
  return kind === 'header'
    ? { kind, lie, header: packet }
    : { kind, lie, flags: bytes[5]!, location: bytes.readUInt32LE(0), packet };
}

let mmspSeq = 0;
const MMSP: Protocol = {
  faults: MMSP_FAULTS,
  frames: (header, packets) => [
    wrapMessages(buildPing(), 0, 0),
    ...headerPackets(header.bytes, 0xff, 60_000),
    ...packets.map(mmspData),
    wrapMessages(buildEndOfStream(9, 0), 1, 0),
    wrapMessages(buildPing(), 2, 0),
  ],
  read: (frame) => {
    if (!isMessages(frame)) return readMmspData(frame);
    const [message] = splitMessages(frame.subarray(TCP_HEADER_SIZE));
    const { type } = readServerMessage(message!);
    const seq = frame.readUInt16LE(20);
    // Whatever is inserted or left out, the messages are numbered.
    mmspSeq = seq === 0 ? 0 : mmspSeq + 1;
    expect(seq).toBe(mmspSeq);
    return { kind: type === 'endOfStream' ? 'end' : type === 'streamChange' ? 'change' : 'other' };
  },
  datagrams: { of: mmspData, read: readMmspData },
};

const MSBD: Protocol = {
  faults: MSBD_FAULTS,
  frames: (header, packets) => [
    buildBare('RES_PING'),
    buildStreamInfo('RES_STREAMINFO', streamInfoOf(header, 5)),
    ...packets.map((bytes, location) => buildPackets([{ location, bytes }], 5, 0)),
    buildBare('IND_EOS'),
  ],
  read: (frame) => {
    const base = readBase(frame);
    const lie = base.size - frame.length;
    if (base.id === MESSAGE_ID.IND_PACKET) {
      const { packetId, streamId } = readPacket(frame);
      return { kind: 'data', lie, flags: streamId, location: packetId, packet: frame.subarray(PACKET_HEAD_SIZE) };
    }
    if (base.id === MESSAGE_ID.IND_EOS) return { kind: 'end', lie };
    if (base.id === MESSAGE_ID.RES_PING) return { kind: 'other', lie };
    const info = readStreamInfo(frame, base);
    return info ? { kind: 'header', lie, header: info.header } : { kind: 'change', lie };
  },
};

const SDP = (header: Buffer) =>
  `v=0\r\na=pgmpu:data:application/vnd.ms.wms-hdr.asfv1;base64,${header.toString('base64')}\r\nm=audio 0 RTP/AVP 96\r\n`;

const RTSP: Protocol = {
  faults: RTSP_FAULTS,
  frames: (header, packets) => [
    serialiseResponse(200, [['CSeq', '1']]),
    serialiseResponse(
      200,
      [
        ['CSeq', '2'],
        ['Session', '77;timeout=60'],
        ['Content-Type', 'application/sdp'],
      ],
      Buffer.from(SDP(header.bytes)),
    ),
    ...packets.map((packet, number) => {
      const rtp = rtpOf(packet, number);
      const head = Buffer.alloc(4);
      writeFrameHead(head, 0, 0, rtp.length);
      return Buffer.concat([head, rtp]);
    }),
    serialiseRequest('SET_PARAMETER', '*', [
      ['CSeq', '1'],
      ['X-Notice', '2101 "End-of-Stream Reached"'],
    ]),
  ],
  read: (frame) => {
    if (frame[0] === 0x24) return readMedia(frame.subarray(4), frame.readUInt16BE(2) + 4 - frame.length);
    // All of it is one message: Content-Length is right.
    const [message, ...more] = [...new RtspReader().push(frame)];
    expect(more).toEqual([]);
    if (message?.type === 'frame' || !message) throw new Error('no message');
    if (message.headers.get('X-Notice') !== undefined) return { kind: 'end' };
    if (message.type === 'request') {
      expect([message.method, message.headers.get('Session'), message.body.length]).toEqual(['ANNOUNCE', '77', 0]);
      return { kind: 'change' };
    }
    const encoded = /base64,([^\r]*)\r\nm=audio/.exec(message.body.toString())?.[1];
    return encoded === undefined ? { kind: 'other' } : { kind: 'header', header: Buffer.from(encoded, 'base64') };
  },
  datagrams: {
    of: rtpOf,
    read: (datagram) => {
      const lie = datagram.readUIntBE(13, 3) - (datagram.length - 12);
      const sound = Buffer.from(datagram);
      sound.writeUIntBE(datagram.length - 12, 13, 3);
      return readMedia(sound, lie);
    },
  },
};

const PROTOCOLS: ReadonlyArray<readonly [name: string, protocol: Protocol]> = [
  ['MMSP', MMSP],
  ['MSBD', MSBD],
  ['RTSP', RTSP],
];

let header: AsfHeader;
const packets: Buffer[] = [];
beforeAll(async () => {
  const source = new SyntheticSource({ video: [80_000], audio: 0, packetSize: 900, layout: { payloads: 'single' } });
  for await (const event of source) {
    if (event.type === 'header') header = event.header;
    if (event.type === 'packet' && packets.push(Buffer.from(event.packet.bytes)) === PACKETS) break;
  }
});

/** Sends frames over a faulty connection, cut into slices of any size; returns the writes that come out. */
function sent(protocol: Protocol, faults: string, { connections = 1, slice = 1000 } = {}): Buffer[][] {
  const faulty = new FaultyConnections(parseFaults(faults));
  const frames = protocol.frames(header, packets);
  const kept = Buffer.concat(frames);
  const all = Array.from({ length: connections }, () => {
    const stream = new PassThrough();
    faulty.take(stream as unknown as Socket, protocol.faults);
    const out: Buffer[] = [];
    stream.on('data', (bytes: Buffer) => out.push(bytes));
    const bytes = Buffer.concat(frames);
    for (let at = 0; at < bytes.length; at += slice) stream.write(bytes.subarray(at, at + slice));
    // What is written synchronously to a PassThrough is kept until it is read.
    for (let more = stream.read() as Buffer | null; more; more = stream.read() as Buffer | null) out.push(more);
    return out;
  });
  expect(Buffer.concat(frames)).toEqual(kept);
  return all;
}

const seen = (protocol: Protocol, faults: string): Seen[] =>
  sent(protocol, faults)[0]!.map((frame) => protocol.read(frame));
const data = (frames: readonly Seen[]) => frames.filter(({ kind }) => kind === 'data');

/** The same packets in the datagrams of a player. */
function datagrams({ faults, datagrams: form }: Protocol, list: string): Seen[] {
  const out: Buffer[] = [];
  const send: DatagramSender['send'] = (bytes, offset, length) => {
    out.push(Buffer.from(bytes.subarray(offset, offset + length)));
  };
  const sender = new FaultyDatagrams(parseFaults(list)).take({ send }, faults);
  for (const [number, packet] of packets.entries()) {
    const bytes = form!.of(packet, number);
    sender.send(bytes, 0, bytes.length, 5, 'host', () => {});
  }
  return out.map((bytes) => form!.read(bytes));
}

describe.each(PROTOCOLS)('the faults of frames in %s', (_name, protocol) => {
  const isLast = (number: number) => number % 10 === 9;

  it('leave everything alone that is not struck', () => {
    const frames = protocol.frames(header, packets);
    for (const slice of [7, 1000, 1_000_000]) {
      const [out] = sent(protocol, 'lengths=1/100,flags=0%,lose=1/100', { slice });
      expect(Buffer.concat(out!).equals(Buffer.concat(frames))).toBe(true);
    }
  });

  it('lengths: 1 to 64 too large or too small, in every tenth', () => {
    const frames = data(seen(protocol, 'lengths=1/10'));
    for (const [number, { lie, packet }] of frames.entries()) {
      expect(lie === 0).toBe(!isLast(number));
      expect(Math.abs(lie!)).toBeLessThanOrEqual(64);
      expect(packet!.equals(packets[number]!)).toBe(true);
    }
  });

  it('flags and locations: other ones, in every tenth', () => {
    const right = data(seen(protocol, 'flags=0%'));
    const flags = data(seen(protocol, 'flags=1/10'));
    const locations = data(seen(protocol, 'locations=1/10'));
    expect(flags).toHaveLength(PACKETS);
    for (const [number, expected] of right.entries()) {
      expect({ ...flags[number], flags: 0 }).toEqual({ ...expected, flags: 0 });
      expect(flags[number]!.flags === expected.flags).toBe(!isLast(number));
      expect({ ...locations[number], location: 0 }).toEqual({ ...expected, location: 0 });
      expect(locations[number]!.location === expected.location).toBe(!isLast(number));
    }
  });

  it('change: announces another stream after as many data frames', () => {
    const kinds = seen(protocol, 'change=10').map(({ kind }) => kind);
    const first = kinds.indexOf('data');
    expect(kinds.slice(first, first + 11)).toEqual([...new Array<string>(10).fill('data'), 'change']);
    expect(kinds.filter((kind) => kind === 'change')).toHaveLength(PACKETS / 10);
  });

  it('no-end: never comes, and nothing else is missing', () => {
    const kinds = (faults: string) => seen(protocol, faults).map(({ kind }) => kind);
    expect(kinds('flags=0%')).toContain('end');
    expect(kinds('no-end')).toEqual(kinds('flags=0%').filter((kind) => kind !== 'end'));
  });

  it('cut-header: its last bytes are missing, and the lengths are right', () => {
    const [cut] = seen(protocol, 'cut-header=20').filter(({ kind }) => kind === 'header');
    expect(cut!.lie ?? 0).toBe(0);
    expect(cut!.header!.equals(header.bytes.subarray(0, -20))).toBe(true);
  });

  it('packets: are lost, doubled, swapped, changed and moved in time inside data frames', () => {
    const of = (faults: string) => data(seen(protocol, faults)).map(({ packet }) => packet!);
    const at = (list: readonly Buffer[]) => list.map((each) => packets.findIndex((packet) => packet.equals(each)));
    const every = [...packets.keys()];
    expect(at(of('lose=1/10'))).toEqual(every.filter((number) => !isLast(number)));
    expect(at(of('duplicate=1/10')).slice(8, 12)).toEqual([8, 9, 9, 10]);
    expect(at(of('reorder=1/10')).slice(8, 12)).toEqual([8, 10, 9, 11]);
    expect(at(of('corrupt=1/10'))).toEqual(every.map((number) => (isLast(number) ? -1 : number)));
    expect(at(of('jump=5:10s'))).toEqual(every.map((number) => (number < 5 ? number : -1)));
    expect(data(seen(protocol, 'jump=5:10s')).every(({ lie }) => lie === 0)).toBe(true);
  });

  it('cut: after as many data frames', () => {
    expect(data(seen(protocol, 'cut=7'))).toHaveLength(7);
    expect(data(seen(protocol, 'stall=7'))).toHaveLength(7);
  });

  it('are the same with the same seed, others with another, and none on another connection', () => {
    const faults = 'lengths=20%,flags=20%,locations=20%,corrupt=20%,seed=4';
    const [first, second] = sent(protocol, faults, { connections: 2 }).map((out) => Buffer.concat(out));
    const again = sent(protocol, faults, { connections: 2 }).map((out) => Buffer.concat(out));
    expect([again[0]!.equals(first!), again[1]!.equals(second!)]).toEqual([true, true]);
    expect(first!.equals(second!)).toBe(false);
    expect(Buffer.concat(sent(protocol, faults.replace('=4', '=5'))[0]!).equals(first!)).toBe(false);
    const [one, other] = sent(protocol, `${faults},connection=1`, { connections: 2 }).map((out) => Buffer.concat(out));
    expect(one!.equals(first!)).toBe(true);
    expect(other!.equals(Buffer.concat(protocol.frames(header, packets)))).toBe(true);
  });

  if (!protocol.datagrams) return;
  it('strike datagrams as well', () => {
    const right = datagrams(protocol, 'flags=1/1000');
    expect(right.map(({ packet }) => packet)).toEqual(packets);
    const lengths = datagrams(protocol, 'lengths=1/10');
    const flags = datagrams(protocol, 'flags=1/10');
    const locations = datagrams(protocol, 'locations=1/10');
    for (const [number, expected] of right.entries()) {
      expect(lengths[number]!.lie === 0).toBe(!isLast(number));
      expect(flags[number]!.flags === expected.flags).toBe(!isLast(number));
      expect(locations[number]!.location === expected.location).toBe(!isLast(number));
    }
    expect(datagrams(protocol, 'flags=30%,seed=2')).toEqual(datagrams(protocol, 'flags=30%,seed=2'));
  });
});
