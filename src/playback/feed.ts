import type { SentUnit, WireFormat } from '../media/wire.js';
import type { StreamSelection } from './selection.js';

/** Data packets that a player was sent, and that were left out because it was too slow. */
export interface PacketCounts {
  readonly sent: number;
  readonly skipped: number;
}

/** What carries the packets of one entry to one player. */
export interface Feed {
  /** Number of the next unit, unbounded. */
  readonly number: number;
  readonly packets: PacketCounts;
  /** Where it would go on: number of the packet in the file; undefined for a broadcast. */
  readonly position: number | undefined;
  /** Begins to send. Once only; not after {@link stop}. */
  start(): void;
  /** Another choice of streams: one that is turned on begins at a key frame. */
  select(selection: StreamSelection): void;
  /** The rest is written in another format. */
  rewire(wire: WireFormat): void;
  /** Finds a unit that was sent, also after {@link stop}; undefined when it is not kept any more. */
  recent(number: number): SentUnit | undefined;
  /** Sends nothing more, and tells nobody anything more. */
  stop(): void;
  /** After {@link stop}: no unit of it is asked for any more. */
  forget(): void;
}

/** What a feed tells its session. */
export interface FeedListener {
  /** The entry is over. @param reason the HRESULT of the source, 0 for none */
  feedEnded(how: 'end' | 'rewound' | 'failed', reason: number): void;
}
