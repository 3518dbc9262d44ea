import type { OnDemandBatch } from './batch.js';
import { type GateStreams, StreamGate } from './gate.js';
import type { KeyFrameMap } from './key-frames.js';
import type { DueCheck, ReaderOptions, StreamChoice } from './options.js';
import type { Page } from './page.js';
import type { FilePages } from './pages.js';
import { EndTime, prepare } from './prepare.js';
import type { ReadQueue } from './read-queue.js';
import type { PacketStore } from './store.js';
import { TrickPlay } from './trick.js';

export type { OnDemandBatch } from './batch.js';

/** What the readers of one file share. */
export interface ReaderFile {
  readonly file: PacketStore;
  readonly keys: KeyFrameMap;
  readonly streams: GateStreams;
  readonly reads: ReadQueue;
  readonly pages: FilePages;
  /** Packets per ms of media, on average. */
  readonly packetRate: number;
}

/** Bytes, or one packet if that is larger. */
const LARGEST_READ = 128 * 1024;
/** How far above the average rate a stretch of media may be without needing a second read. */
const VARIATION = 1.25;
/** Everything is due. */
const AT_ONCE: DueCheck = { span: Number.POSITIVE_INFINITY, due: () => true, given: () => undefined };
/** In ms. Nothing here lasts longer, and 32-bit times cannot distinguish more. */
const LONGEST = 2 ** 30;
const END: OnDemandBatch = { items: [], end: true };
const LATER: OnDemandBatch = { items: [], end: false, idle: true };

const NO_ITEMS: OnDemandBatch['items'] = [];
const GOES_ON = { end: false };

/** Returns the index after the last packet of a page that is due. */
function dueUpTo(page: Page, from: number, pacer: DueCheck): number {
  let to = from;
  while (to < page.count && pacer.due(page.sendTime(to))) pacer.given(page.sizeOf(to++));
  return to;
}

/** Returns the duration if it limits anything. */
function limitOf(duration: number | undefined): number | undefined {
  return duration !== undefined && duration > 0 && duration < LONGEST ? duration : undefined;
}

/**
 * Reads a file for one player: as much at a time as is due, up to 128 KiB; holds nothing in between. At rate 1 it
 * returns the packets with the chosen streams, without packets left empty. They begin with a whole object (video: a key
 * frame), or exactly at the packet that a player named. At other rates it returns key frames, see {@link TrickPlay};
 * without video all packets forward, and none in reverse.
 */
export class OnDemandReader {
  readonly #shared: ReaderFile;
  readonly #options: ReaderOptions;
  readonly #gate: StreamGate;
  readonly #trick: TrickPlay | undefined;
  readonly #endTime: EndTime | undefined;
  /**
   * Bytes to leave free before each packet for its head: then packets come in pages where possible. Undefined for one by
   * one.
   */
  gap: number | undefined;
  #at: number;
  /** The number after the last packet of the page that was read last. */
  #pageEnd = 0;
  /** Made for the first wait: few players wait, and it takes a kilobyte. */
  #closing: AbortController | undefined;
  #isClosed = false;
  #isFirst = true;
  #ended = false;

  /** Used by `OnDemandFile.reader`. */
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

  /** The number of the next packet to examine. */
  get position(): number {
    return this.#trick?.position ?? this.#at;
  }

  /** How much media one read takes, in ms on average; 0 if key frames are picked from it. */
  get readSpan(): number {
    const { file, packetRate, pages } = this.#shared;
    if (this.#trick) return 0;
    // With a margin, a player takes a page at a time.
    if (this.#mayTakePages) return (pages.length * VARIATION) / packetRate;
    return LARGEST_READ / VARIATION / file.packetSpan / packetRate;
  }

  /** The header's preroll in ms. */
  get preroll(): number {
    return this.#shared.file.preroll;
  }

  /**
   * Chooses other streams, from the packets on that have not been read yet. A stream that is turned on begins at a key
   * frame; one of the same type that is turned off with it goes on until then ([MS-WMSP] 3.2.5.7).
   */
  choose(choice: StreamChoice): void {
    this.#gate.choose(choice);
  }

  /**
   * Returns the next packets, up to the first that is not due; call again only after the promise has settled. If the
   * file has been truncated, it ends there; a recording in progress is followed as far as it has come.
   *
   * @param pacer by default all packets are due
   * @throws WmError WM_NO_INPUT if the disk fails or the file was closed
   */
  async next(pacer: DueCheck = AT_ONCE): Promise<OnDemandBatch> {
    if (this.#ended) return END;
    const batch = await (this.#trick?.next(pacer) ?? this.#nextPackets(pacer));
    this.#ended = batch.end;
    return batch;
  }

  async #nextPackets(pacer: DueCheck): Promise<OnDemandBatch> {
    const { file, keys, reads, packetRate } = this.#shared;
    const from = this.#at;
    if (file.available(from, 1) === 0) {
      const wanted = await file.want(from, this.#signal);
      if (wanted !== 'there') return wanted === 'end' ? END : LATER;
    }
    const inPage = this.#mayTakePages && this.#gate.key !== undefined && (await this.#nextInPage(pacer));
    if (inPage) return inPage;
    const most = Math.max(1, Math.floor(LARGEST_READ / file.packetSpan));
    // One more, to see that it is not due yet.
    const due = Math.ceil(pacer.span * packetRate * VARIATION) + 1;
    const count = file.available(from, Math.min(due, most));
    const borrow = () => file.borrow(from, count);
    // A player that has nothing yet does not wait for those that want more.
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
    this.#at = empty && !run.short ? await keys.afterHole(next) : next;
    const release = () => run.release();
    if (over || (run.short && next >= run.end)) return { items, end: true, release };
    return { items, ...(await this.#follow()), release };
  }

  /** True if packets may come in pages, where they are as expected. */
  get #mayTakePages(): boolean {
    const isPlain = this.#options.padding === 'cut' && this.#trick === undefined && this.#endTime === undefined;
    return isPlain && this.gap !== undefined && !this.#shared.file.partial;
  }

  /** Returns the due packets of a page, or undefined if they have to be read one by one. */
  async #nextInPage(pacer: DueCheck): Promise<OnDemandBatch | undefined> {
    const { key } = this.#gate;
    const { gap } = this;
    const about = { first: this.#isFirst, again: this.#at < this.#pageEnd };
    const taken = this.#shared.pages.take(this.#at, this.#gate, gap!, about);
    const page = taken instanceof Promise ? await taken : taken;
    if (!page) return undefined;
    this.#pageEnd = page.first + page.count;
    // Another choice of streams may have been made in the meantime, or another head.
    if (key !== this.#gate.key || gap !== this.gap) {
      page.release();
      return undefined;
    }
    this.#isFirst = false;
    const from = this.#at - page.first;
    const to = dueUpTo(page, from, pacer);
    this.#at = page.first + to;
    const following = to === page.count ? await this.#follow() : GOES_ON;
    return { items: NO_ITEMS, stretch: { page, from, to }, ...following, release: () => page.release() };
  }

  /** Returns how the file goes on after what was read. */
  async #follow(): Promise<{ readonly end: boolean; readonly idle?: boolean }> {
    const { file } = this.#shared;
    if (file.available(this.#at, 1) > 0) return GOES_ON;
    const more = await file.want(this.#at, this.#signal);
    return { end: more === 'end', idle: more === 'later' };
  }

  get #signal(): AbortSignal {
    this.#closing ??= new AbortController();
    if (this.#isClosed) this.#closing.abort();
    return this.#closing.signal;
  }

  /** Gives up a pending wait; call when nothing more is wanted. */
  close(): void {
    this.#isClosed = true;
    this.#closing?.abort();
  }
}
