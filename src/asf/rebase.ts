import { AsfError } from './error.js';
import type { DataPacket } from './packet.js';

export interface RebaseOptions {
  /** Milliseconds added to presentation times beyond `deltaMs`, for a change of preroll. */
  readonly prerollDelta?: number;
  /** Added to the media object numbers, by stream. */
  readonly mediaObjectNumbers?: ReadonlyMap<number, number>;
}

/** A copy of the packet with send and presentation times shifted by `deltaMs` modulo 2^32 (asf.md 10.6). */
export function rebasePacket(packet: DataPacket, deltaMs: number, options: RebaseOptions = {}): Buffer {
  throw new AsfError(`Not implemented (${packet.sendTime} ${deltaMs} ${options.prerollDelta}).`);
}
