import type { FileEntry } from './entry.js';

/** How fast a file is sent, and how much of it. */
export interface Pace {
  readonly rate: number;
  readonly speed?: number;
  readonly acceleration?: { readonly bitsPerSecond: number; readonly milliseconds: number };
  /** Where in the file it begins, in ms; undefined when the client named a packet. */
  readonly start?: number;
  readonly limit?: Limit;
}

/** How much of a file is sent. */
export interface Limit {
  /** Milliseconds from the start of the file that it counts from; without it, the time of the first packet. */
  readonly start?: number;
  /** Milliseconds of media, 1 or more. */
  readonly milliseconds: number;
  /** The client wants no more than that: what follows in a playlist is not sent either. */
  readonly asked: boolean;
}

/** All of it in real time. */
export const NORMAL_PACE: Pace = { rate: 1 };

/** How long a player is busy with what it gets of a file, in ms; less when it is sent faster. */
export function lengthOf({ file }: FileEntry, from: number, { rate, speed = 1, start, limit }: Pace): number {
  const begin = start ?? (file.durationMs * from) / Math.max(1, file.packetCount);
  const left = rate < 0 ? begin : Math.max(0, file.durationMs - begin);
  return Math.min(left, limit?.milliseconds ?? left) / (Math.abs(rate) * speed);
}
