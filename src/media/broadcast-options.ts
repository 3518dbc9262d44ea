import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import type { EndEvent } from './events.js';
import type { BroadcastPacket, HeaderCause } from './wire.js';

/** @public */
export interface BroadcastOptions {
  /** Media in ms that a new player gets at once by default; at least the preroll. */
  readonly burst?: number;
  /** Media in ms that is kept for players that ask for a larger start, and to resend lost datagrams. */
  readonly history?: number;
  /** Time between deliveries in ms, for all players; default up to 420 for those that have some seconds in hand. */
  readonly batchInterval?: number;
  /** Bytes that may wait for a player, besides its first burst, before packets are dropped for it. */
  readonly maxBacklog?: number;
  /** Longest time in ms that a player may lag before it is disconnected. */
  readonly patience?: number;
  /** Longest time in ms that a player waits for a key frame before it begins without one. */
  readonly cleanStartPatience?: number;
  /** The most bytes kept for bursts; if the key frames of a stream are further apart, new players start late. */
  readonly maxHistory?: number;
  /** Called when a lane failed and its players were dropped; a bug in this program. */
  readonly onError?: (error: unknown) => void;
  /** Receives a sentence about something that the publisher can fix. */
  readonly onWarning?: (message: string) => void;
  /** A monotonic clock in ms. */
  readonly now?: () => number;
}

/** Counters since the broadcast began; bytes and packets, not rates. @public */
export interface BroadcastCounters {
  packetsIn: number;
  bytesIn: number;
  bytesOut: number;
  /** Writes to players that kept up: batches of what had come since the last one. */
  sends: number;
  /** Of these, those that left more than 500 ms after their first packet had come. */
  lateSends: number;
  skippedPackets: number;
  droppedPlayers: number;
  /** How often a source came back and was spliced to the previous one. */
  splices: number;
}

/**
 * Takes every packet as soon as it arrives, and no earlier ones. For datagram senders: a batch would overflow the
 * receivers' buffers. A follower holds the broadcast.
 *
 * @public
 */
export interface Follower {
  /**
   * This header applies from here on.
   *
   * @param cause `run`: the broadcast continues after an end, or the follower joins, under the existing header
   */
  started(header: AsfHeader, cause: HeaderCause | 'run'): void;
  /**
   * @param packet the packet as players get it
   * @param placed the same packet with its padding
   * @returns the bytes that were sent
   */
  packet(packet: BroadcastPacket, placed: DataPacket): number;
  ended(event: EndEvent): void;
}

/** Releases the hold; a second call does nothing. @public */
export type Release = () => void;

/** @public */
export interface JoinOptions {
  /** Number of the first unit; default 0, or with `numbers: 'lane'` the lane's number. */
  readonly number?: number;
  /**
   * Media in ms that the player wants at once; default and minimum: the broadcast's burst. It gets at most what is
   * kept.
   */
  readonly lead?: number;
  /** The header that the player knows; its run may be over. Default: the newest one. */
  readonly header?: AsfHeader;
}

/** What a broadcast does if its options say nothing. */
export const DEFAULTS = {
  burst: 3_000,
  history: 10_000,
  maxBacklog: 1024 * 1024,
  patience: 20_000,
  cleanStartPatience: 5_000,
  maxHistory: 32 * 1024 * 1024,
};
