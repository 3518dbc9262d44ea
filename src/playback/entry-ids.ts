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
  if (entry.kind === 'file') return entry.id;
  return (entry.id + (entry.broadcast.generation - 1) * GENERATION_STEP) % 2 ** 32 || 1;
}
