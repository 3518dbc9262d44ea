import type { SentUnit, WireFormat } from '../media/wire.js';
import type { StreamSelection } from './selection.js';

/** The numbers of data packets sent to a player, and dropped because it was too slow. */
export interface PacketCounts {
  readonly sent: number;
  readonly skipped: number;
}

/** How a player keeps up with its packets. */
export interface KeepsUp {
  /** How late they are because the player takes them too slowly, in ms; 0 for datagrams of a broadcast. */
  readonly late: number;
  /**
   * For a broadcast over a byte stream: true while the player still takes the streams that it had before the last
   * change. Undefined for all others.
   */
  readonly switching?: boolean;
}

/** Carries the packets of one entry to one player. */
export interface Feed {
  /** The number of the next unit, unbounded. */
  readonly number: number;
  readonly packets: PacketCounts;
  /** True for a broadcast over a byte stream. */
  readonly takesLive: boolean;
  /** Returns how the player keeps up; called about once a second. */
  keepsUp(): KeepsUp;
  /** The number of the packet in the file where it would continue; undefined for a broadcast. */
  readonly position: number | undefined;
  /** Starts sending. Once only, and not after {@link stop}. */
  start(): void;
  /** Changes the choice of streams; a stream that is turned on begins at a key frame. */
  select(selection: StreamSelection): void;
  /** Writes the rest in another format. */
  rewire(wire: WireFormat): void;
  /** Finds a unit that was sent, also after {@link stop}; undefined if it is no longer kept. */
  recent(number: number): SentUnit | undefined;
  /** Stops sending and reporting. */
  stop(): void;
  /** Drops what is kept for resending, after {@link stop}. */
  forget(): void;
}

/** The events that a feed reports to its session. */
export interface FeedListener {
  /** Called at the end of the entry. @param reason the HRESULT of the source, or 0 */
  feedEnded(how: 'end' | 'rewound' | 'failed', reason: number): void;
}
