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
  /** Writes of packets to players; a write has what is due at once. */
  readonly sends: number;
  /** Of these, those with a packet that was due more than 500 ms before. */
  readonly lateSends: number;
  readonly skippedPackets: number;
  readonly droppedPlayers: number;
  /** Of a proxy only. */
  readonly proxy?: ProxyStats;
}
