import { AsfError } from './error.js';
import type { DataPacket } from './packet.js';

/** 0 everything, 1 key objects only, 2 nothing. */
export type ThinningLevel = 0 | 1 | 2;

/**
 * The packet with only the wanted payloads (asf.md 10.3, 10.4), without padding and with an explicit Packet Length; the
 * same Buffer when nothing was dropped, undefined when nothing is left.
 */
export function filterPacket(packet: DataPacket, level: (stream: number) => ThinningLevel): Buffer | undefined {
  throw new AsfError(`Not implemented (${packet.sendTime} ${level(1)}).`);
}
