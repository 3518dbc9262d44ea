import type { Broadcast } from '../media/broadcast.js';
import type { Entry } from './entry.js';

const broadcastIds = new WeakMap<Broadcast, number>();
let lastBroadcastId = 0;

/**
 * Returns the broadcast-id: the same in all entries with this source, and different for each source (MS-WMSP 2.2.3.6).
 */
export function broadcastIdOf(broadcast: Broadcast): number {
  const id = broadcastIds.get(broadcast) ?? (lastBroadcastId = (lastBroadcastId % 0xffffffff) + 1);
  broadcastIds.set(broadcast, id);
  return id;
}

// Far more than the number of entries in real playlists, so that two entries hardly ever get the same number.
const GENERATION_STEP = 65_536;

/**
 * Returns the playlist-gen-id of an entry. A live entry becomes another one with each header of its source, so its id
 * and the generation are combined.
 */
export function genIdOf(entry: Entry): number {
  if (entry.kind === 'file') return wholeId(entry.id) + partOfId(entry.id) * GENERATION_STEP;
  return (entry.id + ((entry.run ?? entry.broadcast).generation - 1) * GENERATION_STEP) % 2 ** 32 || 1;
}

/** More recordings than a file has; a power of two, so that ids are exact. */
const PARTS = 1024;

/**
 * Returns the id of a recording inside an entry's file: a fraction after the entry's id, so that ids are in the order
 * in which the recordings are played.
 *
 * @param part counted from 0
 */
export function partId(id: number, part: number): number {
  return wholeId(id) + part / PARTS;
}

/** Returns the id of the entry that a recording belongs to. */
export function wholeId(id: number): number {
  return Math.floor(id);
}

/** Returns which recording of its entry an id means, counted from 0. */
export function partOfId(id: number): number {
  return (id - Math.floor(id)) * PARTS;
}

/** Returns the id of the recording that a playlist-gen-id means, in a program of a single file. */
export function singleFileId(id: number): number {
  return id < GENERATION_STEP ? id : partId(id % GENERATION_STEP, Math.floor(id / GENERATION_STEP));
}
