import { AsfError } from './error.js';
import type { DataPacket } from './packet.js';

/** The packet without its padding and with an explicit Packet Length (asf.md 10.1); the same Buffer when nothing is gained. */
export function stripPadding(packet: DataPacket): Buffer {
  throw new AsfError(`Not implemented (${packet.sendTime}).`);
}

/**
 * The packet padded to exactly `packetSize` bytes and without Packet Length (asf.md 10.2).
 * @throws AsfError when it is longer
 */
export function restorePadding(packet: DataPacket, packetSize: number): Buffer {
  throw new AsfError(`Not implemented (${packet.sendTime} ${packetSize}).`);
}

/**
 * A packet that arrived shorter than `packetSize` without an explicit Packet Length gets one, so that receivers that fill
 * it with zeros decode it; otherwise the same Buffer.
 */
export function markLength(packet: DataPacket, packetSize: number): Buffer {
  throw new AsfError(`Not implemented (${packet.sendTime} ${packetSize}).`);
}
