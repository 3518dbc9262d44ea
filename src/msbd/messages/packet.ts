import { writeWhole } from '../../asf/whole.js';
import type { WireFormat, WirePacket } from '../../media/wire.js';
import { BASE_SIZE, HR, MAX_MESSAGE_SIZE, MESSAGE_ID, MsbdError, writeBase } from './base.js';

/*
 * MSB_MSG_IND_PACKET (MS-MSBD 2.2.10), by TCP or as one UDP datagram; integers are little-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+
 *  |             MSBMSGBASE, 16 bytes, wMessageId 0x0A             |
 *  +---------------------------------------------------------------+
 *  |                          dwPacketId                           |
 *  +-------------------------------+-------------------------------+
 *  |           wStreamId           |   wPacketSize: 8 + payload    |
 *  +-------------------------------+-------------------------------+
 *  |     bPayload: one whole ASF data packet, with its padding     |
 *  +---------------------------------------------------------------+
 */

/** Bytes before the payload. */
export const PACKET_HEAD_SIZE = BASE_SIZE + 8;
/** The largest payload in bytes: wPacketSize is at most 0xFFEF. */
export const MAX_PAYLOAD = MAX_MESSAGE_SIZE - PACKET_HEAD_SIZE;

/** One ASF data packet in transit. */
export interface PacketMessage {
  /** Counts the packets modulo 2^32; a parity packet has the number of the one before it. */
  readonly packetId: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/**
 * Builds several IND_PACKETs in one new Buffer.
 *
 * @param base added to each location, modulo 2^32, to give the dwPacketId
 * @throws MsbdError for a payload of more than 65511 bytes
 */
export function buildPackets(items: readonly WirePacket[], streamId: number, base: number): Buffer {
  const size = items.reduce((sum, { bytes }) => sum + PACKET_HEAD_SIZE + bytes.length, 0);
  const out = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { location, bytes } of items) {
    writePacketHead(out, at, { packetId: base + location, streamId, size: bytes.length });
    at += PACKET_HEAD_SIZE;
    at += bytes.copy(out, at);
  }
  return out;
}

function writePacketHead(out: Buffer, at: number, head: { packetId: number; streamId: number; size: number }): void {
  writeBase(out, MESSAGE_ID.IND_PACKET, PACKET_HEAD_SIZE + head.size, HR.ok, at);
  out.writeUInt32LE(head.packetId >>> 0, at + 16);
  out.writeUInt16LE(head.streamId, at + 20);
  out.writeUInt16LE(head.size + 8, at + 22);
}

/**
 * Returns how to write the packets of a stream (2.2.10): with their padding, which is part of the payload, and with the
 * numbers of the broadcast, so that all clients are sent the same bytes.
 *
 * @param how.packetSize bytes of a packet with its padding
 * @param how.idOf the dwPacketId of a location
 */
export function packetWire(
  streamId: number,
  { packetSize, idOf }: { readonly packetSize: number; readonly idOf: (location: number) => number },
): WireFormat {
  return {
    key: `msbd ${streamId}`,
    numbers: 'none',
    mask: 0,
    size: () => PACKET_HEAD_SIZE + packetSize,
    write: (into, at, { location, bytes }) => {
      writePacketHead(into, at, { packetId: idOf(location), streamId, size: packetSize });
      writeWhole(into, at + PACKET_HEAD_SIZE, bytes, packetSize);
      return PACKET_HEAD_SIZE + packetSize;
    },
  };
}

/**
 * Reads what follows MSBMSGBASE; the payload is a view. Accepts any wStreamId: it is only compared for equality.
 *
 * @throws MsbdError if wPacketSize is less than 8 or reaches past the end
 */
export function readPacket(bytes: Buffer): PacketMessage {
  if (bytes.length < PACKET_HEAD_SIZE) throw new MsbdError(`An IND_PACKET has ${bytes.length} bytes.`);
  const size = bytes.readUInt16LE(22);
  if (size < 8 || size > bytes.length - BASE_SIZE) {
    throw new MsbdError(`An IND_PACKET of ${bytes.length} bytes has a wPacketSize of ${size}.`);
  }
  const payload = bytes.subarray(PACKET_HEAD_SIZE, BASE_SIZE + size);
  return { packetId: bytes.readUInt32LE(16), streamId: bytes.readUInt16LE(20), payload };
}
