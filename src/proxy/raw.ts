import type { RawPackets } from '../playback/entry.js';
import type { CachedStore } from './cached-store.js';

/** What is read at once, in bytes. */
const PIECE = 64 * 1024;

/** Returns the packets of cached content as they are in the file, for clients that take it as such. */
export function rawPackets(store: CachedStore): RawPackets {
  return {
    count: store.packetCount,
    read: async (from, signal) => {
      // Not zeros in place of what nobody has: their number is only what the origin says.
      if ((await store.want(from, signal)) !== 'there' || store.isAbsent(from)) return undefined;
      const most = Math.max(1, Math.floor(PIECE / store.packetSize));
      const count = store.available(from, most);
      // Not from a pool: nobody says when the connection has sent it.
      const room = Buffer.allocUnsafe(count * store.packetSize);
      const size = await store.fill(room, from, count);
      return size > 0 ? room.subarray(0, size - (size % store.packetSize)) : undefined;
    },
  };
}
