import { type GateStreams, StreamGate } from './gate.js';
import type { KeyFrameMap } from './key-frames.js';
import type { OnDemandBatch, Pacer, ReaderOptions, StreamChoice } from './options.js';
import type { PacketFile } from './packet-file.js';
import { EndTime, prepare } from './prepare.js';
import type { ReadQueue } from './read-queue.js';
import { TrickPlay } from './trick.js';

export type { OnDemandBatch } from './options.js';

/** What the readers of one file share. */
export interface ReaderFile {
  readonly file: PacketFile;
  readonly keys: KeyFrameMap;
  readonly streams: GateStreams;
  readonly reads: ReadQueue;
  /** Packets in a millisecond of media, on average. */
  readonly packetRate: number;
}

/** Bytes, or one packet if that is larger. */
const LARGEST_READ = 128 * 1024;
/** How much more than the average a stretch of media may have without a second read. */
const VARIATION = 1.25;
/** Everything is due. */
const AT_ONCE: Pacer = { span: Number.POSITIVE_INFINITY, due: () => true, given: () => undefined };
/** Milliseconds: nothing here lasts longer, and 32-bit times cannot tell more apart. */
const LONGEST = 2 ** 30;
const END: OnDemandBatch = { items: [], end: true };

/** The duration if it is one that limits anything. */
function limitOf(duration: number | undefined): number | undefined {
  return duration !== undefined && duration > 0 && duration < LONGEST ? duration : undefined;
}

/**
 * Reads a file for one player: at a time what is due, up to 128 KiB; nothing is held in between. At rate 1 these are the packets with the chosen
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
      this.#endTime = new EndTime(maxDuration, start === undefined ? undefined : start + file.preroll);
    }
  }

  /** The number of the next packet to be looked at. */
  get position(): number {
    return this.#trick?.position ?? this.#at;
  }

  /** Milliseconds, of the header. */
  get preroll(): number {
    return this.#shared.file.preroll;
  }

  /**
   * Other streams from the packets on that have not been read yet. One that is turned on begins at a key frame, and the one
   * of the same type that is turned off with it goes on until then ([MS-WMSP] 3.2.5.7).
   */
  choose(choice: StreamChoice): void {
    this.#gate.choose(choice);
  }

  /**
   * The next packets, up to the first that is not due; to be called again when the promise is settled, not before. What is not
   * in the file any more, because it was cut, ends it; a recording that goes on is followed as far as it has come.
   * @param pacer by default all packets are due
   * @throws WmError WM_NO_INPUT when the disk fails or the file was closed
   */
  async next(pacer: Pacer = AT_ONCE): Promise<OnDemandBatch> {
    if (this.#ended) return END;
    const batch = await (this.#trick?.next(pacer) ?? this.#nextPackets(pacer));
    this.#ended = batch.end;
    return batch;
  }

  async #nextPackets(pacer: Pacer): Promise<OnDemandBatch> {
    const { file, keys, reads, packetRate } = this.#shared;
    if (this.#at >= file.packetCount && !(await file.extend())) return END;
    const from = this.#at;
    const most = Math.max(1, Math.floor(LARGEST_READ / file.packetSpan));
    // One more, to see that it is not due yet.
    const wanted = Math.ceil(pacer.span * packetRate * VARIATION) + 1;
    const count = Math.min(wanted, most, await this.#available());
    const borrow = () => file.borrow(from, count);
    // Who has nothing yet does not wait for those who want more.
    const run = await (this.#isFirst ? borrow() : reads.run(borrow));
    this.#isFirst = false;
    const { items, next, over, empty } = prepare(
      run,
      file.packetSize,
      this.#gate,
      this.#options.padding,
      pacer,
      this.#endTime,
    );
    this.#at = empty && !run.short ? await keys.behindHole(next) : next;
    const end = over || (run.short && next >= run.end) || (this.#at >= file.packetCount && !(await file.extend()));
    return { items, end, release: () => run.release() };
  }

  /** Packets that can be read now. A last one that is not whole comes only when it does not become so. */
  async #available(): Promise<number> {
    const { file } = this.#shared;
    const left = file.packetCount - this.#at;
    if (!file.cut) return left;
    if (left > 1) return left - 1;
    await file.extend();
    return Math.max(file.packetCount - this.#at, 1);
  }
}
