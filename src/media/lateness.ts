import type { Player } from './group.js';
import { sizeOf } from './wire.js';

/** What waits for a player. @public */
export interface Lateness {
  /** In ms of media. */
  readonly late: number;
  /** True while it has not even taken all that it was sent before its streams changed, so that this says little. */
  readonly isOld: boolean;
}

/**
 * Returns how much media waits for a player of a byte stream: from the oldest byte that it has not acknowledged, where
 * that is known, or else that the operating system has not accepted, to the newest packet. Datagrams wait for nobody.
 */
export function lateness({ group, at, sent, changedAt, session: { output } }: Player): Lateness {
  let left = output.backlog + (output.inFlight ?? 0);
  if (!group || output.framing === 'datagrams' || (left === 0 && at < 0)) return { late: 0, isOld: false };
  const { lane, wire, delivered } = group;
  const end = Math.max(at < 0 ? delivered : at, lane.first);
  const first = changedAt < 0 ? lane.first : Math.max(lane.first, end - (sent - changedAt));
  let index = end;
  while (left > 0 && index > first) left -= sizeOf(wire, lane.entry(--index)!);
  const oldest = lane.entry(index);
  const newest = lane.entry(delivered - 1);
  const late = oldest && newest ? Math.max(newest.time - oldest.time, 0) : 0;
  return { late, isOld: left > 0 && index > lane.first };
}
