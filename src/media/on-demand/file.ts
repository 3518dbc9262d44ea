import type { AsfHeader } from '../../asf/header.js';
import { GateStreams } from './gate.js';
import { KeyFrameMap } from './key-frames.js';
import type { ReaderOptions, StartPosition, StartupProfile, StartupProfileOptions, StreamChoice } from './options.js';
import { type FileCondition, PacketFile } from './packet-file.js';
import { PageCache } from './page-cache.js';
import { FilePages } from './pages.js';
import { ReadQueue } from './read-queue.js';
import { OnDemandReader } from './reader.js';
import { Seeker } from './seek.js';
import { computeStartupProfile } from './startup-profile.js';
import type { PacketStore } from './store.js';

export type { ReaderOptions, StartPosition, StartupProfile, StreamChoice } from './options.js';

/** What a file shares with others. */
export interface OnDemandFileOptions {
  /** The queue of reads, shared with other files; default one of its own. */
  readonly reads?: ReadQueue;
  /** The packets in memory, bounded over all files that share it; default one of its own. */
  readonly cache?: PageCache;
  /**
   * Where to begin, in bytes from the start of the file: {@link OnDemandFile.next} of the recordings before. Default: 0.
   */
  readonly at?: number;
}

/** Startup profiles that are cached: many players start at the beginning. */
const MAX_PROFILES = 32;

/**
 * One open ASF file, shared by all its players. Reads only what is requested, in small pieces.
 *
 * The file may change while it plays: if it is truncated it ends earlier, if it is still being recorded playback
 * follows, and if it is deleted it plays on as long as it is open.
 */
export class OnDemandFile {
  readonly path: string;
  /**
   * The header for players: that of a seekable file, not of a live stream. Otherwise unchanged, except that a recording
   * in progress and a truncated file get the counts, sizes and durations of what was there when the file was opened.
   */
  readonly header: AsfHeader;
  readonly packetSize: number;
  /** Media in ms, without the preroll. */
  readonly durationMs: number;
  /** Size in bytes when it was opened. */
  readonly size: number;
  readonly modified: Date;
  /** Differs if the file was changed or replaced; letters, digits, `-` and `.`. */
  readonly version: string;
  /** True if playback can begin at any time ([MS-WMSP] 2.2.1.4.8.5). */
  readonly seekable: boolean;
  /** True if there is video that can be played fast and in reverse ([MS-WMSP] 2.2.1.4.8.8). */
  readonly stridable: boolean;
  readonly #file: PacketStore;
  readonly #keys: KeyFrameMap;
  readonly #seeker: Seeker;
  readonly #streams: GateStreams;
  readonly #reads: ReadQueue;
  readonly #pages: FilePages;
  readonly #profiles = new Map<string, Promise<StartupProfile | undefined>>();

  private constructor(
    file: PacketStore,
    keys: KeyFrameMap,
    seeker: Seeker,
    streams: GateStreams,
    reads: ReadQueue,
    cache: PageCache,
  ) {
    this.path = file.path;
    this.header = file.header;
    this.packetSize = file.packetSize;
    this.durationMs = file.durationMs;
    this.size = file.size;
    this.modified = file.modified;
    this.version = file.version;
    this.#file = file;
    this.#keys = keys;
    this.#seeker = seeker;
    this.#streams = streams;
    this.#reads = reads;
    this.#pages = new FilePages(file, cache, reads);
    this.seekable = true;
    this.stridable = this.#streams.keyed.includes(1);
  }

  /**
   * Opens a file; reads its header and a little of both ends, but no index.
   *
   * @throws WmError WM_NO_INPUT if it cannot be opened or read, WM_BAD_INPUT if it is empty, not a regular file or
   *   without packets, WM_ASF_MALFORMED if it is not ASF; the message is one sentence that begins with the path
   */
  static async open(path: string, options: OnDemandFileOptions = {}): Promise<OnDemandFile> {
    return OnDemandFile.over(await PacketFile.open(path, options.at), options);
  }

  /** Plays the packets of a store, which is closed with the file. */
  static over(store: PacketStore, options: OnDemandFileOptions = {}): OnDemandFile {
    const streams = new GateStreams(store.header);
    const keys = new KeyFrameMap(store, (stream) => streams.keyed[stream] === 1);
    const keyless = (stream: number): void => void (streams.keyed[stream] = 0);
    const seeker = new Seeker(store, keys, store.header, keyless);
    const { reads = new ReadQueue(), cache = new PageCache() } = options;
    return new OnDemandFile(store, keys, seeker, streams, reads, cache);
  }

  /** The condition of the file; undefined if not all of it is on this disk. */
  get condition(): FileCondition | undefined {
    return this.#file instanceof PacketFile ? this.#file.condition : undefined;
  }

  /** True while packets have to be fetched from elsewhere. */
  get partial(): boolean {
    return this.#file.partial ?? false;
  }

  /**
   * Where a recording follows that cannot be played together with this one, because it has other streams or another
   * packet size, in bytes from the start of the file; undefined without one. It is a file of its own.
   */
  get next(): number | undefined {
    return this.#file instanceof PacketFile ? this.#file.next : undefined;
  }

  /** Number of data packets available; grows while a recording is in progress. */
  get packetCount(): number {
    return this.#file.packetCount;
  }

  /**
   * Finds the packet to begin with. For a time, that is the packet in which the last key frame up to it begins: of
   * several chosen video streams, the key frame that begins first. Without video, it is the packet in which the last
   * object up to the time begins. A time beyond the end counts as the end. A packet or byte position gives exactly that
   * packet, or, beyond the end, the packet count, with which nothing is played.
   *
   * Uses the index objects of the file as far as they are right. Without an index, or where it is wrong, the place is
   * found by bisection, and by reading about a second and a half of packets around it.
   *
   * @throws WmError WM_NO_INPUT if the disk fails or the file was closed
   */
  locate(position: StartPosition, choice: StreamChoice): Promise<number> {
    return this.#file.locate?.(position, choice) ?? this.#seeker.locate(position, choice);
  }

  /** Returns a reader for one player; it holds nothing that must be closed. */
  reader(options: ReaderOptions): OnDemandReader {
    const packetRate = this.packetCount / Math.max(this.durationMs, 1);
    const [file, keys, streams, reads, pages] = [this.#file, this.#keys, this.#streams, this.#reads, this.#pages];
    return new OnDemandReader({ file, keys, streams, reads, pages, packetRate }, options);
  }

  /**
   * Computes the numbers of X-StartupProfile for playback from a packet on ([MS-WMSP] 2.2.1.12); undefined if there are
   * none.
   *
   * @throws WmError WM_NO_INPUT if the disk fails or the file was closed
   */
  startupProfile(from: number, options: StartupProfileOptions): Promise<StartupProfile | undefined> {
    // That would make the player wait for what it does not need yet.
    if (this.#file.partial) return Promise.resolve(undefined);
    const levels = this.header.streams.map(({ number }) => options.choice.level(number));
    const name = `${from}:${options.duration}:${levels.join()}`;
    const known = this.#profiles.get(name);
    if (known !== undefined) return known;
    const profile = computeStartupProfile(this.#file, this.#streams, from, options);
    const [oldest] = this.#profiles.keys();
    if (oldest !== undefined && this.#profiles.size >= MAX_PROFILES) this.#profiles.delete(oldest);
    this.#profiles.set(name, profile);
    profile.catch(() => this.#profiles.delete(name));
    return profile;
  }

  /** Waits for pending reads, then closes the file; readers fail after that. May be called more than once. */
  close(): Promise<void> {
    this.#pages.close();
    return this.#file.close();
  }
}
