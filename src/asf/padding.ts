import { AsfError } from './error.js';
import { explicitLengthType, headLength, inParitySpan, writeHead } from './layout.js';
import type { DataPacket } from './packet.js';
import { paddingForGap } from './packet-build.js';

/** The packet without padding and with Packet Length, or undefined when it would be longer than `limit` bytes. */
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
 * The packet without its padding (asf.md 10.1; [MS-WMSP] 2.2.3.3, [MS-WMHTTP] 2.2.3.3). An explicit Packet Length takes
 * the place of the Padding Length, because receivers fill packets up with zeros, and then a single payload could not be
 * told from the filler. The same Buffer when nothing is gained, for parity packets and for packets of a parity span.
 */
export function stripPadding(packet: DataPacket): Buffer {
  const { bytes } = packet;
  if (inParitySpan(packet)) return bytes;
  if (packet.paddingLength === 0) return packet.length === bytes.length ? bytes : bytes.subarray(0, packet.length);
  return withExplicitLength(packet, bytes.length - 1) ?? bytes;
}

/**
 * The packet padded with zeros to exactly `packetSize` bytes, without Packet Length, as it stands in a file (asf.md 10.2);
 * the same Buffer when it is that already.
 * @throws AsfError when its content is longer
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
 * Gives a packet that arrived shorter than `packetSize` without an explicit Packet Length one (a sender that removed the
 * padding and only set the Padding Length to 0), so that receivers that fill it with zeros decode it. The same Buffer for
 * all other packets. Where the field does not fit, the padding is restored instead.
 */
export function markLength(packet: DataPacket, packetSize: number): Buffer {
  if (packet.bytes.length >= packetSize || packet.explicitLength || inParitySpan(packet)) return packet.bytes;
  return withExplicitLength(packet, packetSize) ?? restorePadding(packet, packetSize);
}
