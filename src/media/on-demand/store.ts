import type { AsfHeader } from '../../asf/header.js';
import type { DataPacket } from '../../asf/packet.js';
import type { MediaTimes } from './measure.js';
import type { StartPosition, StreamChoice } from './options.js';
import type { PacketRun } from './packet-run.js';
import type { TimeIndex } from './time-index.js';

/**
 * The source of a file's data packets: a whole file on the disk, a recording in progress, or the parts that a cache
 * has. Packets are numbered from 0. If a store knows the times, its players need not search for them.
 */
export interface PacketStore {
  /** The name for errors and logs. */
  readonly path: string;
  /** The header for players: that of a seekable file, not of a live stream. */
  readonly header: AsfHeader;
  /** Size of the packets that players get, in bytes. */
  readonly packetSize: number;
  /** Bytes read for one packet. */
  readonly packetSpan: number;
  /** Packets that one read takes for inspection. */
  readonly batchPackets: number;
  /** True if all packets are there, and no others follow. */
  readonly complete: boolean;
  /** Grows while a recording is in progress. */
  readonly packetCount: number;
  /** The times of the media in ms; of a recording in progress, up to the last look. */
  readonly times: MediaTimes;
  readonly durationMs: number;
  /** How much later presentation times are than media times, in ms. */
  readonly preroll: number;
  /** Size of the whole file in bytes. */
  readonly size: number;
  readonly modified: Date;
  /** Differs if the file was changed or replaced; letters, digits, `-` and `.`. */
  readonly version: string;
  /**
   * Returns how many of some packets, counted from the first one, can be borrowed without waiting; 0 if {@link want}
   * must fetch them.
   */
  available(from: number, count: number): number;
  /**
   * Returns the packets with some numbers, or the first of them.
   *
   * @param count at least 1, and no more than are available
   * @param reserve bytes of free memory before the packets; default: none
   * @throws WmError if they cannot be read
   */
  borrow(from: number, count: number, reserve?: number): Promise<PacketRun>;
  /**
   * Calls `visit` with each readable packet among some numbers, valid only during the call. `visit` returns false to
   * stop.
   *
   * @throws WmError if they cannot be read
   */
  visit(from: number, count: number, visit: (packet: DataPacket, location: number) => unknown): Promise<void>;
  /**
   * Fetches a packet that is not available, or waits for it, until the player has gone.
   *
   * @returns `later` if it will come at an unknown time: ask again in a moment
   * @throws WmError if it cannot be fetched
   */
  want(from: number, signal: AbortSignal): Promise<'there' | 'later' | 'end'>;
  /** True while packets have to be fetched: nothing reads ahead of the players. */
  readonly partial?: boolean;
  /** Like `OnDemandFile.locate`, in stores that cannot be searched; undefined if this position can be. */
  locate?(position: StartPosition, choice: StreamChoice): Promise<number> | undefined;
  /** Returns key frame positions by stream number, as far as they are recorded. */
  readIndexes(): Promise<ReadonlyMap<number, TimeIndex>>;
  /** Waits for pending reads, then closes the store; may be called more than once. */
  close(): Promise<void>;
}
