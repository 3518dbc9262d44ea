import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import type { EndEvent } from './events.js';
import type { BroadcastPacket, HeaderCause } from './wire.js';

export interface BroadcastOptions {
  /** Media in ms that a new player gets at once unless it asks for more; the least is the preroll. */
  readonly burst?: number;
  /** Media in ms that is kept for players that ask for more at once, and for datagrams that are lost. */
  readonly history?: number;
  /** Milliseconds between deliveries, for all players; by default up to 360 for those that have some seconds in hand. */
  readonly batchInterval?: number;
  /** Bytes that may wait for a player, besides its first burst, before packets are left out for it. */
  readonly maxBacklog?: number;
  /** Longest time in ms that a player may stay behind before it is dropped. */
  readonly patience?: number;
  /** Longest time in ms that a player waits for a key frame before it begins with what there is. */
  readonly cleanStartPatience?: number;
  /** Most bytes kept for bursts; a stream whose key frames are rarer than that starts late for new players. */
  readonly maxHistory?: number;
  /** A lane could not be served and its players were dropped; a fault of this program. */
  readonly onError?: (error: unknown) => void;
  /** Gets a sentence about something that the publisher can mend. */
  readonly onWarning?: (message: string) => void;
  /** A clock in ms that never goes back. */
  readonly now?: () => number;
}

/** Counters since the broadcast began; bytes and packets, not rates. */
export interface BroadcastCounters {
  packetsIn: number;
  bytesIn: number;
  bytesOut: number;
  skippedPackets: number;
  droppedPlayers: number;
  /** Times that a source came back and was joined to what was there. */
  splices: number;
}

/**
 * Takes every packet by itself as soon as it comes, and nothing from before: for datagram senders without a pace of their own, since a
 * batch would overflow the receivers' buffers. While it follows, it holds the broadcast.
 */
export interface Follower {
  /**
   * This header holds from here on.
   *
   * @param cause `run`: the broadcast goes on after an end, or is followed from here on, under the header that it had
   */
  started(header: AsfHeader, cause: HeaderCause | 'run'): void;
  /**
   * @param packet as the players get it
   * @param placed the same with its padding
   * @returns the bytes that were sent
   */
  packet(packet: BroadcastPacket, placed: DataPacket): number;
  ended(event: EndEvent): void;
}

/** Lets go of what was held; the second call does nothing. */
export type Release = () => void;

export interface JoinOptions {
  /** Number of the first unit; default 0, or with `numbers: 'lane'` what the lane has there. */
  readonly number?: number;
  /** Media in ms that the player wants at once; default and least: the broadcast's burst. It gets at most what is kept. */
  readonly lead?: number;
}
