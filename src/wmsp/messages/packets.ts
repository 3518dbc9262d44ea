import { randomBytes } from 'node:crypto';
import { writeWhole } from '../../asf/whole.js';
import { WmError } from '../../errors.js';
import type { WireFormat, WireHead } from '../../media/wire.js';
import { contentDescription } from '../../wms/content-description.js';
import { MAX_PAIRED_HEAD, PACKET_PAIR_LENGTHS, packetPairPayloads } from '../../wms/packet-pair.js';

/** The number of bytes before the payload of a $D, $H or $M packet: framing header and MMS header. */
const DATA_HEAD_SIZE = 12;
/** The maximum payload of one MMS data packet (MS-WMSP 2.2.3.1.2). */
export const MAX_PAYLOAD = 65_527;

const FRAME = 0x24;
const B_BIT = 0x80;
const ID = { C: 0x43, D: 0x44, E: 0x45, H: 0x48, M: 0x4d, P: 0x50 } as const;

// AFFlags of $H and $M: the place of a piece in its object (2.2.3.1.2).
const FIRST_PIECE = 0x04;
const LAST_PIECE = 0x08;

/**
 * Writes the 12 bytes before a payload (MS-WMSP 2.2.3.1.1 and 2.2.3.1.2), little-endian:
 *
 *      0        1        2                 4
 *     +--------+--------+-----------------+-----------------------------------+
 *     |B| 0x24 |PacketID|  PacketLength   |            LocationId             |
 *     +--------+--------+-----------------+-----------------------------------+
 *     |Incarn. |AFFlags |   PacketSize    |  Payload, PacketSize - 8 bytes …
 *     +--------+--------+-----------------+
 *      8        9        10                12
 */
function writeDataHead(out: Buffer, at: number, id: number, size: number, location: number, afFlags: number): void {
  const length = size + 8;
  out[at] = FRAME;
  out[at + 1] = id;
  out[at + 2] = length & 255;
  out[at + 3] = length >>> 8;
  out.writeUInt32LE(location >>> 0, at + 4);
  out[at + 8] = 0;
  out[at + 9] = afFlags;
  out[at + 10] = length & 255;
  out[at + 11] = length >>> 8;
}

/**
 * Returns how $D packets are written (MS-WMSP 2.2.3.3). AFFlags counts the packets of a session from its start, modulo
 * 256. Its `size` throws WmError WM_PROTOCOL if a packet is larger than {@link MAX_PAYLOAD}.
 *
 * @param packetSize bytes of a packet with its padding
 * @param client whether it gets packets with their padding, and the B bit (MS-WMSP 2.2.3.1.1)
 */
export function dataWire(
  packetSize: number,
  { padding, marksUnpaced }: { readonly padding: 'kept' | 'cut'; readonly marksUnpaced: boolean },
): WireFormat {
  const keeps = padding === 'kept';
  const head: WireHead = {
    size: DATA_HEAD_SIZE,
    marksFollowed: marksUnpaced,
    write: (into, at, location, length, followed, number) => {
      writeDataHead(into, at, ID.D, payloadSize(length), location, number & 255);
      if (marksUnpaced && followed) into[at] = FRAME | B_BIT;
    },
  };
  return {
    key: `wmsp ${padding}${marksUnpaced ? ' B' : ''}`,
    numbers: 'player',
    mask: 255,
    head: keeps ? undefined : head,
    size: ({ bytes }) => DATA_HEAD_SIZE + payloadSize(keeps ? packetSize : bytes.length),
    write: (into, at, { location, bytes, followed }, _unit, number) => {
      const size = keeps ? packetSize : bytes.length;
      head.write(into, at, location, size, followed ?? false, number);
      if (keeps) writeWhole(into, at + DATA_HEAD_SIZE, bytes, packetSize);
      else bytes.copy(into, at + DATA_HEAD_SIZE);
      return DATA_HEAD_SIZE + size;
    },
  };
}

/** @throws WmError WM_PROTOCOL if a packet is larger than {@link MAX_PAYLOAD} */
function payloadSize(size: number): number {
  if (size > MAX_PAYLOAD) throw new WmError('WM_PROTOCOL', `An ASF packet of ${size} bytes does not fit a $D packet.`);
  return size;
}

/** Builds the $H or $M packets of an object; LocationId numbers the pieces from 0 (MS-WMSP 2.2.3.1.2). */
function objectPackets(id: number, object: Buffer, maxPayload: number): Buffer {
  const pieces = Math.max(1, Math.ceil(object.length / maxPayload));
  const out = Buffer.allocUnsafe(pieces * DATA_HEAD_SIZE + object.length);
  let at = 0;
  for (let piece = 0; piece < pieces; piece++) {
    const payload = object.subarray(piece * maxPayload, (piece + 1) * maxPayload);
    const afFlags = (piece === 0 ? FIRST_PIECE : 0) | (piece === pieces - 1 ? LAST_PIECE : 0);
    writeDataHead(out, at, id, payload.length, piece, afFlags);
    payload.copy(out, at + DATA_HEAD_SIZE);
    at += DATA_HEAD_SIZE + payload.length;
  }
  return out;
}

/**
 * Builds the $H packets of an ASF header (MS-WMSP 2.2.3.5): only one if it fits, since some players take no more.
 *
 * @param header the Header Object and the first 50 bytes of the Data Object
 */
export function headerPackets(header: Buffer, maxPayload: number = MAX_PAYLOAD): Buffer {
  return objectPackets(ID.H, header, maxPayload);
}

/** The payload of a $M packet (MS-WMSP 2.2.3.6). */
export interface EntryMetadata {
  /** The playlist-gen-id, which differs for each entry. */
  readonly playlistGenId: number;
  /** 0 for content that is not live. */
  readonly broadcastId: number;
  readonly features: readonly string[];
  /** Names and values for people: title, author, copyright … */
  readonly descriptions: ReadonlyArray<readonly [name: string, value: string]>;
}

/** Builds the $M packets of an entry (MS-WMSP 2.2.3.6), with one content description in no particular language. */
export function metadataPackets({ playlistGenId, broadcastId, features, descriptions }: EntryMetadata): Buffer {
  const fixed = `playlist-gen-id=${playlistGenId}, broadcast-id=${broadcastId}, features="${features.join(',')}"\0`;
  const list = contentDescription([['language', ''], ...descriptions]);
  return objectPackets(ID.M, Buffer.from(fixed + list, 'utf8'), MAX_PAYLOAD);
}

function reasonPacket(id: number, reason: number): Buffer {
  const out = Buffer.from([FRAME, id, 4, 0, 0, 0, 0, 0]);
  out.writeUInt32LE(reason >>> 0, 4);
  return out;
}

/**
 * Builds a $E packet (MS-WMSP 2.2.3.4).
 * @param reason 0: no more until the next Play; 1: a $C follows; otherwise an HRESULT
 */
export function endPacket(reason: number): Buffer {
  return reasonPacket(ID.E, reason);
}

/** Builds a $C packet: another ASF header follows (MS-WMSP 2.2.3.2). */
export function changePacket(reason = 0): Buffer {
  return reasonPacket(ID.C, reason);
}

/** A $T packet, which has neither Reason nor payload (MS-WMSP 2.2.3.8). */
export const TEST_PACKET: Buffer = Buffer.from([FRAME, 0x54, 0, 0]);

/**
 * Builds the three $P packets (MS-WMSP 2.2.3.7). The first, together with the response head, is as large as the second.
 *
 *     +--------+--------+-----------------+-----------------------------------+
 *     | 0x24   | 0x50   | 504, 504, 1048  |  Reason: min(504, bytes of head)  |
 *     +--------+--------+-----------------+-----------------------------------+
 *     |  504 - Reason, 504, 1048 + Reason random bytes
 */
export function packetPair(headSize: number): Buffer[] {
  const reason = Math.min(MAX_PAIRED_HEAD, headSize);
  const payloads = packetPairPayloads(reason);
  return PACKET_PAIR_LENGTHS.map((length, index) => {
    const head = Buffer.from([FRAME, ID.P, 0, 0, 0, 0, 0, 0]);
    head.writeUInt16LE(length, 2);
    head.writeUInt32LE(reason, 4);
    // High entropy, so that no modem or proxy compresses the packets that measure the connection.
    return Buffer.concat([head, randomBytes(payloads[index]!)]);
  });
}
