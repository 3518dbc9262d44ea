import { WmError } from '../../errors.js';

/** Bytes that precede the ASF packet in an MSB packet. */
export const MSB_HEAD_SIZE = 8;
/** The largest ASF packet that wPacketSize allows in an MSB packet, in bytes. */
export const MAX_MSB_PAYLOAD = 0xffff - MSB_HEAD_SIZE;
/** The largest ASF packet that fits as an MSB packet into a UDP datagram over IPv4, in bytes. */
export const MAX_UDP_PAYLOAD = 65_507 - MSB_HEAD_SIZE;
/** A Format ID has 11 bits. */
export const FORMAT_ID_MASK = 0x07ff;

const ENTRY_TOGGLE = 0x8000;

/** A datagram that is neither an MSB packet nor a Beacon (code WM_PROTOCOL). */
export class MsbError extends WmError {
  constructor(message: string) {
    super('WM_PROTOCOL', message);
    this.name = 'MsbError';
  }
}

/** An MSB packet ([MS-MSB] 2.2.4). */
export interface MsbPacket {
  readonly type: 'packet';
  /** dwPacketID: counts packets modulo 2^32; a parity packet repeats the id of the packet before it. */
  readonly id: number;
  readonly streamId: number;
  /** A whole ASF packet; a view of the datagram. */
  readonly payload: Buffer;
}

/** The content of one datagram of a multicast group. */
export type MsbDatagram = MsbPacket | { readonly type: 'beacon' };

/**
 * The Beacon packet ([MS-MSB] 2.2.3): the four characters `MSB `, 0x2042534D as a little-endian number.
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |      'M'      |      'S'      |      'B'      |      ' '      |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
export const BEACON: Buffer = Buffer.from('MSB ', 'latin1');

/** Returns the Format ID in a wStreamID, 0 to 2047. */
export function formatIdOf(streamId: number): number {
  return streamId & FORMAT_ID_MASK;
}

/**
 * Returns a wStreamID ([MS-MSB] 2.2.4).
 *
 * @param toggle inverted whenever the playlist entry changes
 */
export function streamIdOf(formatId: number, toggle: boolean): number {
  return (formatId & FORMAT_ID_MASK) | (toggle ? ENTRY_TOGGLE : 0);
}

/**
 * Writes an MSB packet ([MS-MSB] 2.2.4), little-endian.
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                          dwPacketID                           |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |    wStreamID: Format ID (11)|0|T|     wPacketSize (8 + n)     |  T: bit 15, toggled with every entry
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                    ASF packet (n bytes) ...                   |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * @param id taken modulo 2^32
 * @throws MsbError when the ASF packet has more than {@link MAX_MSB_PAYLOAD} bytes
 */
export function serialiseMsbPacket(id: number, streamId: number, payload: Buffer): Buffer {
  const size = MSB_HEAD_SIZE + payload.length;
  if (size > 0xffff) throw new MsbError(`An ASF packet of ${payload.length} bytes does not fit an MSB packet.`);
  const out = Buffer.allocUnsafe(size);
  out.writeUInt32LE(id >>> 0, 0);
  out.writeUInt16LE(streamId, 4);
  out.writeUInt16LE(size, 6);
  payload.copy(out, MSB_HEAD_SIZE);
  return out;
}

/**
 * Reads one datagram without copying. The length decides first: the dwPacketID of a packet may equal the signature of a
 * Beacon.
 *
 * @throws MsbError for anything but a Beacon or an MSB packet whose wPacketSize is the length of the datagram
 */
export function parseMsbDatagram(bytes: Buffer): MsbDatagram {
  const { length } = bytes;
  if (length === BEACON.length && bytes.equals(BEACON)) return { type: 'beacon' };
  if (length < MSB_HEAD_SIZE) throw new MsbError(`A datagram of ${length} bytes is not an MSB packet.`);
  const size = bytes.readUInt16LE(6);
  if (size !== length) throw new MsbError(`An MSB packet of ${length} bytes says it has ${size}.`);
  return {
    type: 'packet',
    id: bytes.readUInt32LE(0),
    streamId: bytes.readUInt16LE(4),
    payload: bytes.subarray(MSB_HEAD_SIZE),
  };
}
