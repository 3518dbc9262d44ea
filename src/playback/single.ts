import type { Broadcast } from '../media/broadcast.js';
import type { OriginRules, Program } from './content.js';
import type { Entry } from './entry.js';

// Shared, because each player has a program of its own.
const cannotSkip = () => false;
const noEntry = () => Promise.resolve(undefined);
const nothingToClose = () => {};

/** A program with a single entry. */
export function singleProgram(current: Entry, close: () => void, origin?: OriginRules): Program {
  const program = { playlist: false, current, canSkip: cannotSkip, next: noEntry, previous: noEntry, seek: noEntry };
  return { ...program, close, ...(origin ? { origin } : {}) };
}

/**
 * A single broadcast as a program: one entry, which starts over with each header of its source.
 *
 * @param split true if a proxy may forward one stream to all its players
 */
export function liveProgram(broadcast: Broadcast, split = false): Program {
  const program = singleProgram({ kind: 'live', id: 1, broadcast }, nothingToClose);
  return split ? { ...program, split } : program;
}
