import type { ProxyStats } from '../proxy/content.js';

/** Current figures, and counters since the start. @public */
export interface ServerStats {
  readonly connections: number;
  readonly players: number;
  readonly publishers: number;
  readonly points: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  readonly skippedPackets: number;
  readonly droppedPlayers: number;
  /** Of a proxy only. */
  readonly proxy?: ProxyStats;
}
