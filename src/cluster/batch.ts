import { WmError } from '../errors.js';

/*
 * What a node sends about a point that it owns; integers are big-endian. A batch:
 *
 *   1 byte    type 1
 *   1 byte    flags; bit 0: a player may start in this batch
 *   2 bytes   number of packets
 *   4 bytes   generation of the header that applies to them
 *   8 bytes   number of the first packet under that header
 *             for each packet its length in 2 bytes and the packet, without padding
 *
 * A notice, of another header or of an end:
 *
 *   1 byte    type 2: another header applies; 3: the broadcast ends
 *   3 bytes   0
 *   4 bytes   generation: of the new header, or of the one that ends
 *   8 bytes   number of the first packet to come, or of the one that would follow
 */
const HEAD = 16;
/** The largest batch, in bytes. */
export const MAX_BATCH = 256 * 1024;
const MAX_PACKETS = 0xffff;
const TYPES = { batch: 1, header: 2, end: 3 } as const;

/** A place in a broadcast. */
export interface Place {
  /** Counts the headers of a broadcast. */
  readonly generation: number;
  /** The number of a packet under its header, from 0. */
  readonly location: number;
}

/** Packets that follow each other. @public */
export interface Batch extends Place {
  readonly type: 'batch';
  /** True if a player may start in it. */
  readonly startable: boolean;
  /** Without padding. */
  readonly packets: readonly Buffer[];
}

/** Something other than packets. */
export interface Notice extends Place {
  readonly type: 'header' | 'end';
}

/** The bytes that a packet takes in a batch. */
export function sizeInBatch(packet: Buffer): number {
  return 2 + packet.length;
}

/** The bytes of a batch without packets. */
export const EMPTY_BATCH = HEAD;

/**
 * Encodes a message.
 *
 * @throws RangeError if there are too many packets, or one is longer than 65,535 bytes
 */
export function encodeMedia(message: Batch | Notice): Buffer {
  const packets = message.type === 'batch' ? message.packets : [];
  const size = packets.reduce((sum, packet) => sum + sizeInBatch(packet), HEAD);
  const bytes = Buffer.allocUnsafe(size);
  bytes.writeUInt8(TYPES[message.type], 0);
  bytes.writeUInt8(message.type === 'batch' && message.startable ? 1 : 0, 1);
  bytes.writeUInt16BE(packets.length, 2);
  bytes.writeUInt32BE(message.generation, 4);
  bytes.writeBigUInt64BE(BigInt(message.location), 8);
  let at = HEAD;
  for (const packet of packets) {
    at = bytes.writeUInt16BE(packet.length, at);
    at += packet.copy(bytes, at);
  }
  return bytes;
}

/**
 * Decodes a message.
 *
 * @param bytes packets are views of them
 * @throws WmError WM_PROTOCOL if it is malformed
 */
export function decodeMedia(bytes: Buffer): Batch | Notice {
  if (bytes.length < HEAD) throw malformed('is too short');
  const count = bytes.readUInt16BE(2);
  const generation = bytes.readUInt32BE(4);
  const location = Number(bytes.readBigUInt64BE(8));
  if (!Number.isSafeInteger(location + MAX_PACKETS)) throw malformed('has an impossible number');
  const kind = bytes.readUInt8(0);
  if (kind === TYPES.batch) {
    const packets = packetsIn(bytes, count);
    return { type: 'batch', startable: (bytes.readUInt8(1) & 1) === 1, generation, location, packets };
  }
  const type = NOTICES.get(kind);
  if (type === undefined) throw malformed(`has the unknown type ${kind}`);
  if (bytes.length !== HEAD) throw malformed('is too long');
  return { type, generation, location };
}

const NOTICES = new Map<number, Notice['type']>([
  [TYPES.header, 'header'],
  [TYPES.end, 'end'],
]);

function packetsIn(bytes: Buffer, count: number): Buffer[] {
  const packets: Buffer[] = [];
  let at = HEAD;
  for (let each = 0; each < count; each++) {
    const length = at + 2 <= bytes.length ? bytes.readUInt16BE(at) : 0;
    at += 2;
    if (length === 0 || at + length > bytes.length) throw malformed('is cut off');
    packets.push(bytes.subarray(at, at + length));
    at += length;
  }
  if (at !== bytes.length) throw malformed('is too long');
  return packets;
}

function malformed(how: string): WmError {
  return new WmError('WM_PROTOCOL', `A message about a point of another node ${how}.`);
}
