import { WmError } from '../../errors.js';
import {
  FRAME_HEADER_SIZE,
  type Frame,
  frameHeader,
  framePacket,
  PACKET_ID,
  packetName,
} from '../../framing/framing.js';

/*
 * Packets of a PushStart body (MS-WMHTTP 2.2.3): the framing header, an optional Reason, and the payload.
 * Unlike in WMSP there is no MMS data packet header. Integers are little-endian.
 *
 *        0     1     2     3     4     5     6     7     8
 *      +-----+-----+-----+-----+-----+-----+-----+-----+---------------------------------------+
 *  $H  | 24    48  |  length   | ASF Header Object + 50 bytes of the Data Object, <= 65531      |
 *  $D  | 24    44  |  length   | one ASF data packet                                            |
 *  $F  | 24    46  |  length   | filler, 0 to 65531 bytes of 00                                 |
 *  $C  | 24    43  |  length   | Reason 00 00 00 00    | ASF header as in $H, <= 65527          |
 *  $E  | 24    45  |  04    00 |        Reason         |
 *      +-----+-----+-----+-----+-----+-----+-----+-----+
 *
 * length = the number of bytes that follow it, including Reason.
 */

/** The maximum size of the ASF header in a $H packet, in bytes (MS-WMHTTP 2.2.3.6). */
export const MAX_HEADER_PAYLOAD = 65_531;

/** The maximum size of the ASF header in a $C packet, in bytes (MS-WMHTTP 2.2.3.2). */
export const MAX_STREAM_CHANGE_PAYLOAD = 65_527;

/** The maximum payload of a $F packet, in bytes (MS-WMHTTP 2.2.3.5). */
export const MAX_FILLER_PAYLOAD = 65_531;

/** The size of a $E packet in bytes, including the framing header. */
export const END_PACKET_SIZE = 8;

/** The Reason of a $E packet when the client has finished streaming (MS-WMHTTP 2.2.3.4). */
export const S_OK = 0;

/** The Reason of a $E packet when the entry has ended and a $C follows (MS-WMHTTP 2.2.3.4). */
export const S_FALSE = 1;

function tooLarge(what: string, size: number, limit: number): WmError {
  return new WmError('WM_BAD_INPUT', `${what} of ${size} bytes cannot be pushed: the protocol allows ${limit}.`);
}

/**
 * Builds a $H packet (MS-WMHTTP 2.2.3.6).
 *
 * @param header the Header Object and the first 50 bytes of the Data Object
 * @throws WmError WM_BAD_INPUT if it is larger than 65531 bytes, because it cannot be split
 */
export function headerPacket(header: Buffer): Buffer {
  if (header.length > MAX_HEADER_PAYLOAD) throw tooLarge('An ASF header', header.length, MAX_HEADER_PAYLOAD);
  return framePacket(PACKET_ID.header, header);
}

/**
 * Builds a $C packet with the ASF header of the next entry (MS-WMHTTP 2.2.3.2).
 *
 * @throws WmError WM_BAD_INPUT if it is larger than 65527 bytes, because it cannot be split
 */
export function streamChangePacket(header: Buffer): Buffer {
  if (header.length > MAX_STREAM_CHANGE_PAYLOAD) {
    throw tooLarge('An ASF header', header.length, MAX_STREAM_CHANGE_PAYLOAD);
  }
  return Buffer.concat([frameHeader(PACKET_ID.streamChange, 4 + header.length), Buffer.alloc(4), header]);
}

/**
 * Builds a $D packet (MS-WMHTTP 2.2.3.3).
 *
 * @param packet one ASF data packet, with or without its padding
 * @throws WmError WM_BAD_INPUT if it is larger than 65535 bytes
 */
export function dataPacket(packet: Buffer): Buffer {
  if (packet.length > 0xffff) throw tooLarge('An ASF data packet', packet.length, 0xffff);
  return framePacket(PACKET_ID.data, packet);
}

/** Builds a $E packet (MS-WMHTTP 2.2.3.4). @param reason HRESULT as an unsigned or signed 32-bit integer */
export function endPacket(reason: number): Buffer {
  const bytes = Buffer.allocUnsafe(END_PACKET_SIZE);
  frameHeader(PACKET_ID.endOfStream, 4).copy(bytes);
  bytes.writeUInt32LE(reason >>> 0, FRAME_HEADER_SIZE);
  return bytes;
}

/**
 * Builds $F packets that together are exactly `size` bytes long, including their framing headers (MS-WMHTTP 2.2.3.5,
 * 3.1.4.3).
 *
 * @param size 0, or at least 4 bytes, because less cannot be filled
 */
export function fillerPackets(size: number): Buffer[] {
  const packets: Buffer[] = [];
  const largest = FRAME_HEADER_SIZE + MAX_FILLER_PAYLOAD;
  for (let left = size; left >= FRAME_HEADER_SIZE; ) {
    // A remainder of one to three bytes would not fit any packet.
    const piece = left > largest && left - largest < FRAME_HEADER_SIZE ? largest - FRAME_HEADER_SIZE : largest;
    const taken = Math.min(piece, left);
    packets.push(framePacket(PACKET_ID.filler, Buffer.alloc(taken - FRAME_HEADER_SIZE)));
    left -= taken;
  }
  return packets;
}

/** A packet of a PushStart body. Buffers are views of the received data. */
export type PushPacket =
  | { readonly type: 'header'; readonly header: Buffer }
  /** `header` is empty in the WMSP form, where a $H follows. */
  | { readonly type: 'streamChange'; readonly header: Buffer }
  | { readonly type: 'data'; readonly packet: Buffer }
  /** `reason` is an unsigned 32-bit HRESULT. */
  | { readonly type: 'endOfStream'; readonly reason: number }
  | { readonly type: 'filler' };

/**
 * Reads a packet of a PushStart body (MS-WMHTTP 2.2.3) and validates it (3.2.5.3 to 3.2.5.7). Filler bytes are ignored.
 *
 * @throws WmError WM_PROTOCOL for a packet of another protocol, a set B bit, a length that the type does not allow, or
 * a $C with a Reason other than 0
 */
export function parsePushPacket({ id, b, payload }: Frame): PushPacket {
  if (b) throw new WmError('WM_PROTOCOL', `A ${packetName(id)} packet of a push has the B bit set.`);
  switch (id) {
    case PACKET_ID.header:
      if (payload.length > MAX_HEADER_PAYLOAD) break;
      return { type: 'header', header: payload };
    case PACKET_ID.streamChange:
      if (payload.length < 4 || payload.length > 4 + MAX_STREAM_CHANGE_PAYLOAD) break;
      if (payload.readUInt32LE(0) !== 0) throw new WmError('WM_PROTOCOL', 'The Reason of a $C packet is not 0.');
      return { type: 'streamChange', header: payload.subarray(4) };
    case PACKET_ID.data:
      if (payload.length === 0) break;
      return { type: 'data', packet: payload };
    case PACKET_ID.endOfStream:
      if (payload.length !== 4) break;
      return { type: 'endOfStream', reason: payload.readUInt32LE(0) };
    case PACKET_ID.filler:
      if (payload.length > MAX_FILLER_PAYLOAD) break;
      return { type: 'filler' };
    default:
      throw new WmError('WM_PROTOCOL', `A push has no ${packetName(id)} packets.`);
  }
  throw new WmError('WM_PROTOCOL', `A ${packetName(id)} packet cannot be ${payload.length} bytes long.`);
}
