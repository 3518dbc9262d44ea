import { AsfError } from './error.js';
import { explicitLengthType, headLength, inParitySpan, writeHead } from './layout.js';
import type { DataPacket } from './packet.js';
import { paddingForGap } from './packet-build.js';

/** The packet without padding and with Packet Length, or undefined if it would exceed `limit` bytes. */
function withExplicitLength(packet: DataPacket, limit: number): Buffer | undefined {
  const body = packet.end - packet.sendTimeStart;
  const packetLengthType = explicitLengthType(packet, packet.bytes.length + 2);
  const head = headLength(packet, packetLengthType, 0);
  const length = head + body;
  if (length > limit) return undefined;
  const out = Buffer.allocUnsafe(length);
  writeHead(out, packet, { packetLengthType, packetLength: length, paddingType: 0, paddingLength: 0 });
  packet.bytes.copy(out, head, packet.sendTimeStart, packet.end);
  return out;
}

/**
 * Returns the packet without its padding (asf.md 10.1; MS-WMSP 2.2.3.3; MS-WMHTTP 2.2.3.3). An explicit Packet Length
 * replaces the Padding Length: receivers pad packets with zeros, and a single payload could not be distinguished from
 * that filler. A byte of padding goes too, although nothing is gained: FFmpeg, which reads RTSP packet by packet, takes it
 * for the start of the next one. The same Buffer for packets without padding, and for those of a parity span.
 *
 * @public
 */
export function stripPadding(packet: DataPacket): Buffer {
  const { bytes } = packet;
  if (inParitySpan(packet)) return bytes;
  if (packet.paddingLength === 0) return packet.length === bytes.length ? bytes : bytes.subarray(0, packet.length);
  return withExplicitLength(packet, bytes.length) ?? bytes;
}

/**
 * Returns the packet padded with zeros to exactly `packetSize` bytes, without Packet Length, as in a file (asf.md
 * 10.2). The same Buffer if it already has that form.
 * @throws AsfError if its content is longer
 * @public
 */
export function restorePadding(packet: DataPacket, packetSize: number): Buffer {
  const { bytes } = packet;
  if (bytes.length === packetSize && !packet.explicitLength) return bytes;
  const head = packet.parity ? 0 : headLength(packet, 0, 0);
  const start = packet.parity ? 0 : packet.sendTimeStart;
  const gap = packetSize - head - (packet.end - start);
  if (gap < 0) {
    throw new AsfError(`A data packet of ${packetSize - gap} bytes does not fit the packet size of ${packetSize}.`);
  }
  const out = Buffer.alloc(packetSize);
  if (packet.parity) {
    bytes.copy(out, 0);
    return out;
  }
  const { type, length } = paddingForGap(gap);
  const at = writeHead(out, packet, { packetLengthType: 0, packetLength: 0, paddingType: type, paddingLength: length });
  bytes.copy(out, at, packet.sendTimeStart, packet.end);
  return out;
}

/**
 * Adds an explicit Packet Length to a packet that is shorter than `packetSize` and has none, so that receivers that pad
 * it with zeros can decode it. Senders produce such packets by removing the padding and only setting Padding Length to
 * 0. Returns the same Buffer for all other packets. Where the field does not fit, restores the padding instead.
 *
 * @public
 */
export function markLength(packet: DataPacket, packetSize: number): Buffer {
  if (packet.bytes.length >= packetSize || packet.explicitLength || inParitySpan(packet)) return packet.bytes;
  return withExplicitLength(packet, packetSize) ?? restorePadding(packet, packetSize);
}
