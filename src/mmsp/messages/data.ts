import { MmspError } from './base.js';
import { DATA_HEAD_SIZE } from './frame.js';

/*
 * Data (MS-MMSP 2.2.2); integers are little-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+
 *  |   LocationId: number of the ASF packet, or of the header part |
 *  +---------------+---------------+-------------------------------+
 *  |playIncarnation|    AFFlags    |  PacketSize, with these 8     |
 *  +---------------+---------------+-------------------------------+
 *  |                            Payload                            |
 *  +---------------------------------------------------------------+
 */

/** The largest Payload of a Data packet, in bytes. */
export const MAX_PAYLOAD = 0xffff - DATA_HEAD_SIZE;

/** AFFlags that are not a sequence number: in header parts, and in packet pairs (2.2.2). */
export const AF_FLAGS = { more: 0x04, last: 0x0c, lastOld: 0x08, packetPair: 0x10 } as const;

/** playIncarnation of packet pairs, and of packets that follow a ReportStreamChange over TCP (2.2.2, 3.2.4.2). */
export const STREAM_CHANGE_INCARNATION = 0xff;

const PAIR_LOCATION = 0xf0f0f000;
/** Bytes of a packet pair's payload over UDP (3.2.5.8). */
export const PAIR_SIZE = 1464;

/** The fields in front of the payload of a Data packet (2.2.2). */
export interface DataPacketHead {
  /** LocationId, modulo 2^32. */
  readonly location: number;
  /** playIncarnation: the low 8 bits of that of the request that caused the packet; never 0. */
  readonly incarnation: number;
  /** AFFlags: the low 8 bits of the sequence number, or {@link AF_FLAGS}. */
  readonly flags: number;
}

/** A Data packet, parsed (2.2.2). */
export interface DataMessage extends DataPacketHead {
  /** A view. */
  readonly payload: Buffer;
}

/**
 * Writes the head of a Data packet; its payload follows.
 *
 * @param payloadSize bytes, at most {@link MAX_PAYLOAD}
 * @returns where the payload begins
 */
export function writeDataHead(into: Buffer, at: number, head: DataPacketHead, payloadSize: number): number {
  into.writeUInt32LE(head.location >>> 0, at);
  into[at + 4] = head.incarnation;
  into[at + 5] = head.flags & 0xff;
  into.writeUInt16LE(payloadSize + DATA_HEAD_SIZE, at + 6);
  return at + DATA_HEAD_SIZE;
}

/** Builds a whole Data packet. @throws MmspError for a payload of more than 65527 bytes */
export function buildData(head: DataPacketHead, payload: Buffer): Buffer {
  if (payload.length > MAX_PAYLOAD) throw new MmspError(`A payload of ${payload.length} bytes fits no Data packet.`);
  const bytes = Buffer.allocUnsafe(DATA_HEAD_SIZE + payload.length);
  payload.copy(bytes, writeDataHead(bytes, 0, head, payload.length));
  return bytes;
}

/**
 * Reads a Data packet, from the TCP stream or a datagram.
 *
 * @param bytes one packet; bytes after its PacketSize are ignored
 * @throws MmspError if it is truncated
 */
export function readData(bytes: Buffer): DataMessage {
  if (bytes.length < DATA_HEAD_SIZE) throw new MmspError(`A Data packet has ${bytes.length} bytes.`);
  const size = bytes.readUInt16LE(6);
  if (size < DATA_HEAD_SIZE || size > bytes.length) {
    throw new MmspError(`A Data packet of ${bytes.length} bytes says that it has ${size}.`);
  }
  return {
    location: bytes.readUInt32LE(0),
    incarnation: bytes[4]!,
    flags: bytes[5]!,
    payload: bytes.subarray(DATA_HEAD_SIZE, size),
  };
}

/**
 * Builds the Data packets of an ASF file header: the Header Object and the first 50 bytes of the Data Object (2.2.2).
 *
 * @param largest bytes of a payload: filePacketSize, or cbPacketSize of the newest entry (3.2.5.8.1)
 */
export function headerPackets(header: Buffer, incarnation: number, largest: number): Buffer[] {
  const step = Math.max(1, Math.min(largest, MAX_PAYLOAD));
  const packets: Buffer[] = [];
  for (let at = 0; at === 0 || at < header.length; at += step) {
    const payload = header.subarray(at, at + step);
    const flags = at + step >= header.length ? AF_FLAGS.last : AF_FLAGS.more;
    packets.push(buildData({ location: packets.length, incarnation: incarnation & 0xff, flags }, payload));
  }
  return packets;
}

/**
 * Builds the two Data packets of a packet pair over UDP (3.2.5.8).
 *
 * @param random fills a buffer with random bytes
 */
export function packetPair(random: (size: number) => Buffer): [Buffer, Buffer] {
  const packet = (index: number) =>
    buildData(
      { location: PAIR_LOCATION + index, incarnation: STREAM_CHANGE_INCARNATION, flags: AF_FLAGS.packetPair },
      random(PAIR_SIZE),
    );
  return [packet(0), packet(1)];
}

/** True if a Data packet belongs to a packet pair. */
export function isPacketPair({ location, flags }: DataPacketHead): boolean {
  return flags === AF_FLAGS.packetPair && (location === PAIR_LOCATION || location === PAIR_LOCATION + 1);
}

/** True if the flags of a header part mark it as the last one (3.1.5.12). */
export function isLastHeaderPart(flags: number): boolean {
  return (flags & AF_FLAGS.lastOld) !== 0;
}
