import type { AsfHeader } from '../../asf/header.js';
import { GateStreams } from './gate.js';
import { KeyFrameMap } from './key-frames.js';
import type { ReaderOptions, StartPosition, StartupProfile, StartupProfileOptions, StreamChoice } from './options.js';
import { type FileCondition, PacketFile } from './packet-file.js';
import { ReadQueue } from './read-queue.js';
import { OnDemandReader } from './reader.js';
import { Seeker } from './seek.js';
import { computeStartupProfile } from './startup-profile.js';
import type { PacketStore } from './store.js';

export type { ReaderOptions, StartPosition, StartupProfile, StreamChoice } from './options.js';

export interface OnDemandFileOptions {
  /** The order of reads, shared with other files; default one of its own. */
  readonly reads?: ReadQueue;
}

/** Startup profiles that are remembered: many players start at the start. */
const MAX_PROFILES = 32;

/**
 * One open ASF file, shared by all its players. Of the file only what is asked for is read, in small pieces.
 *
 * It may be changed while it plays: what is cut off ends earlier, a recording that goes on is followed, and one that is
 * deleted plays on as long as it is open.
 */
export class OnDemandFile {
  readonly path: string;
  /**
   * As players get it: of a file, not live, and Seekable; otherwise as it stands in the file, or, for a recording that goes
   * on and a file that was cut, with the counts, sizes and durations of what was there when it was opened.
   */
  readonly header: AsfHeader;
  readonly packetSize: number;
  /** Media in ms, without the preroll. */
  readonly durationMs: number;
  /** Bytes when it was opened. */
  readonly size: number;
  readonly modified: Date;
  /** Differs when the file was changed or replaced; letters, digits, `-` and `.`. */
  readonly version: string;
  /** Playing can begin at any time ([MS-WMSP] 2.2.1.4.8.5). */
  readonly seekable: boolean;
  /** There is video that can be played fast and backwards ([MS-WMSP] 2.2.1.4.8.8). */
  readonly stridable: boolean;
  readonly #file: PacketStore;
  readonly #keys: KeyFrameMap;
  readonly #seeker: Seeker;
  readonly #streams: GateStreams;
  readonly #reads: ReadQueue;
  readonly #profiles = new Map<string, Promise<StartupProfile | undefined>>();

  private constructor(file: PacketStore, keys: KeyFrameMap, seeker: Seeker, streams: GateStreams, reads: ReadQueue) {
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
    this.seekable = true;
    this.stridable = this.#streams.keyed.includes(1);
  }

  /**
   * Opens a file and reads its header and a little of both ends; no index.
   * @throws WmError WM_NO_INPUT when it cannot be opened or read, WM_BAD_INPUT when it is empty, not a regular file or
   *   without packets, WM_ASF_MALFORMED when it is not ASF; one sentence that begins with the path
   */
  static async open(path: string, options: OnDemandFileOptions = {}): Promise<OnDemandFile> {
    return OnDemandFile.over(await PacketFile.open(path), options);
  }

  /** Plays what is in a store, which is closed with the file. */
  static over(store: PacketStore, options: OnDemandFileOptions = {}): OnDemandFile {
    const streams = new GateStreams(store.header);
    const keys = new KeyFrameMap(store, (stream) => streams.keyed[stream] === 1);
    const keyless = (stream: number): void => void (streams.keyed[stream] = 0);
    const seeker = new Seeker(store, keys, store.header, keyless);
    return new OnDemandFile(store, keys, seeker, streams, options.reads ?? new ReadQueue());
  }

  /** What the file is like; undefined for one that is not on the disk as a whole. */
  get condition(): FileCondition | undefined {
    return this.#file instanceof PacketFile ? this.#file.condition : undefined;
  }

  /** Data packets that are there; rises while a recording goes on. */
  get packetCount(): number {
    return this.#file.packetCount;
  }

  /**
   * The packet to begin with. For a time it is the one in which the last key frame up to then begins, of the first to begin
   * of the chosen video streams, and without video the one in which the last object up to then begins; times beyond the end
   * count as the end. A packet or byte position gives just that packet, and beyond the end the packet count, with which
   * nothing is played. Index objects of the file are used as far as they are right; without one, or where it is wrong, the
   * place is found by halving and by reading about a second and a half of packets around it.
   * @throws WmError WM_NO_INPUT when the disk fails or the file was closed
   */
  locate(position: StartPosition, choice: StreamChoice): Promise<number> {
    return this.#file.locate?.(position, choice) ?? this.#seeker.locate(position, choice);
  }

  /** A reader for one player; it holds nothing that must be closed. */
  reader(options: ReaderOptions): OnDemandReader {
    const packetRate = this.packetCount / Math.max(this.durationMs, 1);
    const [file, keys, streams, reads] = [this.#file, this.#keys, this.#streams, this.#reads];
    return new OnDemandReader({ file, keys, streams, reads, packetRate }, options);
  }

  /**
   * What X-StartupProfile says of playing from a packet on ([MS-WMSP] 2.2.1.12); undefined when nothing can be said.
   * @throws WmError WM_NO_INPUT when the disk fails or the file was closed
   */
  startupProfile(from: number, options: StartupProfileOptions): Promise<StartupProfile | undefined> {
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

  /** Closes the file when the reads under way have ended; readers then fail. May be called more than once. */
  close(): Promise<void> {
    return this.#file.close();
  }
}
