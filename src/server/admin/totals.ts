import type { BroadcastCounters } from '../../media/broadcast.js';

/** The bytes and packets that broadcasts received, and what they dropped. @public */
export type TotalCounters = Pick<
  BroadcastCounters,
  'bytesIn' | 'packetsIn' | 'sends' | 'lateSends' | 'skippedPackets' | 'droppedPlayers'
>;

type Sums = { -readonly [Name in keyof TotalCounters]: number };

/** Returns counters of zero. */
export function newCounters(): Sums {
  return { bytesIn: 0, packetsIn: 0, sends: 0, lateSends: 0, skippedPackets: 0, droppedPlayers: 0 };
}

/** Adds the counters of one broadcast, or some of them, to a sum. */
export function addCounters(sum: Sums, counters: Partial<TotalCounters>): void {
  for (const name of Object.keys(newCounters()) as Array<keyof TotalCounters>) sum[name] += counters[name] ?? 0;
}
