import type { AsfHeader } from '../../asf/header.js';
import type { DataPacket } from '../../asf/packet.js';
import type { MediaTimes } from './measure.js';
import type { StartPosition, StreamChoice } from './options.js';
import type { PacketRun } from './packet-run.js';
import type { TimeIndex } from './time-index.js';

/**
 * Where the data packets of a file are: on the disk as a whole, in a recording that goes on, or in parts, as a cache has them.
 * Packets are numbered from 0. What a store knows of the times spares its players from looking for them.
 */
export interface PacketStore {
  /** What errors and logs call it. */
  readonly path: string;
  /** As players get it: of a file, not live, and Seekable. */
  readonly header: AsfHeader;
  /** Bytes of the packets that players get. */
  readonly packetSize: number;
  /** Bytes that are read for one packet. */
  readonly packetSpan: number;
  /** Packets that one read takes to look at them. */
  readonly batchPackets: number;
  /** Rises while a recording goes on. */
  readonly packetCount: number;
  /** Of the media, ms; of a recording that goes on up to the last look. */
  readonly times: MediaTimes;
  readonly durationMs: number;
  /** Milliseconds that presentation times are later than media times. */
  readonly preroll: number;
  /** Bytes of the whole file. */
  readonly size: number;
  readonly modified: Date;
  /** Differs when the file was changed or replaced; letters, digits, `-` and `.`. */
  readonly version: string;
  /** How many of some packets can be borrowed now without waiting, from the first one on; 0 for what {@link want} is to get. */
  available(from: number, count: number): number;
  /**
   * The packets with some numbers, or the first of them.
   * @param count at least 1, and no more than are available
   * @throws WmError when they cannot be read
   */
  borrow(from: number, count: number): Promise<PacketRun>;
  /**
   * Calls `visit` with the packets that can be read of some numbers, which are valid during the call. It ends the visit by
   * returning false.
   * @throws WmError when they cannot be read
   */
  visit(from: number, count: number, visit: (packet: DataPacket, location: number) => unknown): Promise<void>;
  /**
   * Gets a packet that is not available, or waits for it, or for the player to be gone.
   * @returns `later` when it will come, but nobody knows when: to be asked again in a moment
   * @throws WmError when it cannot be got
   */
  want(from: number, signal: AbortSignal): Promise<'there' | 'later' | 'end'>;
  /** Where to begin, for stores in which one cannot look for it; as `OnDemandFile.locate`. */
  locate?(position: StartPosition, choice: StreamChoice): Promise<number>;
  /** By stream number: where key frames are, as far as that is written somewhere. */
  readIndexes(): Promise<ReadonlyMap<number, TimeIndex>>;
  /** Waits for reads under way; may be called more than once. */
  close(): Promise<void>;
}
