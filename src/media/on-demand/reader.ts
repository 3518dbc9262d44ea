import type { BatchCache, ReadyPackets } from './batch-cache.js';
import { type GateStreams, StreamGate } from './gate.js';
import type { KeyFrameMap } from './key-frames.js';
import type { OnDemandBatch, ReaderOptions, StreamChoice } from './options.js';
import type { PacketFile } from './packet-file.js';
import { EndTime, prepare } from './prepare.js';
import { TrickPlay } from './trick.js';

export type { OnDemandBatch } from './options.js';

/** What the readers of one file share. */
export interface ReaderFile {
  /** Differs for every open file of a cache. */
  readonly id: number;
  readonly file: PacketFile;
  readonly keys: KeyFrameMap;
  readonly streams: GateStreams;
  readonly cache: BatchCache;
}

/** The first read is so much smaller than the others: when a thousand players come at once, the last one waits for all. */
const FIRST_PART = 4;
/** Milliseconds: nothing here lasts longer, and 32-bit times cannot tell more apart. */
const LONGEST = 2 ** 30;
const END: OnDemandBatch = { items: [], end: true };

/** The duration if it is one that limits anything. */
function limitOf(duration: number | undefined): number | undefined {
  return duration !== undefined && duration > 0 && duration < LONGEST ? duration : undefined;
}

/**
 * Reads a file for one player, about 32 KiB a time; nothing is read ahead. At rate 1 these are the packets with the chosen
 * streams, without those of which nothing is left; they begin with a whole object (video: a key frame), or exactly at the
 * packet that a player named. At other rates these are key frames, see {@link TrickPlay}; without video forwards all packets,
 * and backwards none.
 */
export class OnDemandReader {
  readonly #shared: ReaderFile;
  readonly #options: ReaderOptions;
  readonly #gate: StreamGate;
  readonly #trick: TrickPlay | undefined;
  readonly #endTime: EndTime | undefined;
  #at: number;
  #isFirst = true;
  #ended = false;

  /** For `OnDemandFile.reader`. */
  constructor(shared: ReaderFile, options: ReaderOptions) {
    const { file, keys, streams } = shared;
    const { rate, choice, start } = options;
    const maxDuration = limitOf(options.maxDuration);
    this.#shared = shared;
    this.#at = options.from > 0 ? Math.min(Math.floor(options.from), file.packetCount) : 0;
    this.#options = options;
    this.#gate = new StreamGate(streams, choice, this.#at === 0 || (options.exact ?? false));
    if (rate < 0 || (rate !== 1 && streams.keyed.some((keyed, stream) => keyed === 1 && choice.level(stream) !== 2))) {
      const isChosen = (stream: number): boolean => this.#gate.level(stream) !== 2;
      this.#trick = new TrickPlay(file, keys, { ...options, from: this.#at }, maxDuration, isChosen);
    } else if (maxDuration !== undefined) {
      this.#endTime = new EndTime(maxDuration, start === undefined ? undefined : start + file.header.preroll);
    }
  }

  /** The number of the next packet to be looked at. */
  get position(): number {
    return this.#trick?.position ?? this.#at;
  }

  /** Milliseconds, of the header. */
  get preroll(): number {
    return this.#shared.file.header.preroll;
  }

  /**
   * Other streams from the packets on that have not been read yet. One that is turned on begins at a key frame, and the one
   * of the same type that is turned off with it goes on until then ([MS-WMSP] 3.2.5.7).
   */
  choose(choice: StreamChoice): void {
    this.#gate.choose(choice);
  }

  /**
   * The next packets; to be called again when the promise is settled, not before. What is not in the file any more, because
   * it was cut, ends it; a recording that goes on is followed as far as it has come.
   * @throws WmError WM_NO_INPUT when the disk fails or the file was closed
   */
  async next(): Promise<OnDemandBatch> {
    if (this.#ended) return END;
    const batch = await (this.#trick?.next() ?? this.#nextPackets());
    this.#ended = batch.end;
    return batch;
  }

  async #nextPackets(): Promise<OnDemandBatch> {
    const { file } = this.#shared;
    if (this.#at >= file.packetCount && !(await file.extend())) return END;
    const from = this.#at;
    // Reads end at multiples of the batch, so that players with other starts come to want the same ones.
    const { batchPackets } = file;
    const wanted = this.#isFirst ? Math.ceil(batchPackets / FIRST_PART) : batchPackets;
    const count = Math.min(wanted, batchPackets - (from % batchPackets), file.packetCount - from);
    this.#isFirst = false;
    const { items, packets, until, over } = await this.#ready(from, count);
    this.#at = from + packets;
    const end = over || packets < count || (this.#at >= file.packetCount && !(await file.extend()));
    return { items, end, ...(until === undefined ? {} : { until }) };
  }

  async #ready(from: number, count: number): Promise<ReadyPackets & { readonly over: boolean }> {
    const { id, file, cache } = this.#shared;
    const { padding } = this.#options;
    const isShared = this.#endTime === undefined && this.#gate.settled;
    // Others get it too, whatever this player chooses while it is read.
    const filter = isShared ? this.#gate.snapshot() : this.#gate;
    const read = async () =>
      prepare(await file.read(from, count), from, file.packetSize, filter, padding, this.#endTime);
    if (!isShared) return read();
    const key = `${id}:${from}+${count}:${padding}:${this.#gate.key}`;
    const ready = await cache.get(key, read, ({ packets }) => packets === count);
    return { ...ready, over: false };
  }
}
