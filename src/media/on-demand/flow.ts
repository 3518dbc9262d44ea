import { messageOf, WmError } from '../../errors.js';
import { LATE_SEND } from '../wire.js';
import type { OnDemandBatch } from './batch.js';
import type { DueCheck, OnDemandItem } from './options.js';
import type { PageStretch } from './page.js';
import { Schedule } from './schedule.js';
import type { Ticker } from './ticker.js';

export { Ticker } from './ticker.js';

/** The destination of a flow. */
export interface OnDemandOutput {
  /**
   * Takes packets that are due; they are valid only during the call.
   *
   * @param more true if others follow without a pause
   */
  write(items: readonly OnDemandItem[], more: boolean): void;
  /** Takes packets of a page that are due, like {@link write}. Needed if the reader returns pages. */
  writePage?(stretch: PageStretch, more: boolean): void;
  /** Bytes written and not yet taken by the operating system. */
  readonly backlog: number;
}

/** The reader that one player's flow takes packets from, and the callbacks that it gives them to. */
export interface OnDemandFlowOptions {
  readonly reader: {
    next(pacer: DueCheck): Promise<OnDemandBatch>;
    /** Called when nothing more is wanted. */
    close?(): void;
    /** In ms. */
    readonly preroll: number;
    /** How much media one read takes, in ms on average; default: as little as possible. */
    readonly readSpan?: number;
  };
  readonly output: OnDemandOutput;
  /** The reader's rate: packets are due by their send times divided by it; negative if send times fall. */
  readonly rate: number;
  /** AccelBW in bits per second and AccelDuration in ms of media ([MS-WMSP] 2.2.1.4.1, 2.2.1.4.2); 0 means none. */
  readonly acceleration?: { readonly bitsPerSecond: number; readonly milliseconds: number };
  /** Milliseconds of media to send at once at the start; default preroll + 2 s. Not used with `acceleration`. */
  readonly burst?: number;
  /** Multiplies the pace ([MS-WMSP] 2.2.1.4.24); default 1. */
  readonly speed?: number;
  /**
   * Packets that are due within this many ms leave together with the one that is due, and then nothing for as long:
   * reading and writing each packet on its own costs a server more than everything else. Default: what one read takes,
   * but 1000 to 3000. Not used during acceleration, when the player has asked for a certain rate.
   */
  readonly ahead?: number;
  /** Called after each write. @param late true if its first packet was due more than 500 ms before */
  onSend?(late: boolean): void;
  readonly ticker: Pick<Ticker, 'add' | 'delete'> & Partial<Pick<Ticker, 'rest'>>;
  /** Bytes of backlog above which nothing is read or sent; default 32 KiB. */
  readonly maxBacklog?: number;
  /** Called once, when everything has been written; nothing more happens after that. */
  onEnd(how: { readonly rewound: boolean }): void;
  /** Called once, when the file cannot be read or the output fails; nothing more happens after that. */
  onError(error: WmError): void;
  /** A monotonic clock in ms; default `performance.now`. */
  readonly now?: () => number;
}

const DEFAULT_MAX_BACKLOG = 32 * 1024;
/** The lead beyond the preroll, in ms. */
const BURST = 2000;
/** The shortest and the longest time between two reads of a player that keeps up, in ms. */
const SHORTEST_AHEAD = 1000;
const LONGEST_AHEAD = 3000;
/** A player that has received nothing for this long has run dry and is sent a new burst, in ms. */
const RUN_DRY = 10_000;
/** The first read, in ms of media. It is short so that the first packet leaves soon, even if many players arrive. */
const FIRST_SPAN = 250;
/** The shortest read after that, in ms of media. */
const SHORTEST_SPAN = 250;
const LARGEST_STEP = 10_000;
/** The longest step between key frames of trick play, in ms. */
const LARGEST_KEY_FRAME_STEP = 120_000;

/**
 * Sends the packets of a reader when they are due. Waits for a player that takes them too slowly, and drops nothing.
 * Holds nothing in between: packets are read when they are due, and sent.
 */
export class OnDemandFlow {
  readonly #options: OnDemandFlowOptions;
  readonly #now: () => number;
  readonly #maxBacklog: number;
  readonly #ahead: number;
  readonly #schedule: Schedule;
  readonly #pacer: DueCheck;
  readonly #tick = (): void => this.#go();
  #state: 'new' | 'running' | 'done' = 'new';
  #reading = false;
  /** When the next packet is due; undefined while unknown. */
  #due: number | undefined;
  /** When the first packet of a write was due, and the last one. */
  #firstDue: number | undefined;
  #lastDue = 0;
  /** Nothing is read before: the player was sent a page to its end. */
  #restsUntil = 0;
  #packets = 0;
  #bytes = 0;

  constructor(options: OnDemandFlowOptions) {
    const { rate, speed = 1, acceleration, reader } = options;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#maxBacklog = options.maxBacklog ?? DEFAULT_MAX_BACKLOG;
    const pace = Math.abs(rate) * speed || 1;
    const inOneRead = (reader.readSpan ?? 0) / pace;
    this.#ahead = options.ahead ?? Math.min(Math.max(inOneRead, SHORTEST_AHEAD), LONGEST_AHEAD);
    const isAccelerated = acceleration !== undefined && acceleration.bitsPerSecond > 0 && acceleration.milliseconds > 0;
    this.#schedule = new Schedule({
      pace,
      backwards: rate < 0,
      burst: options.burst ?? reader.preroll + BURST,
      acceleration: isAccelerated ? acceleration : undefined,
      largestStep: rate === 1 ? LARGEST_STEP : LARGEST_KEY_FRAME_STEP,
    });
    this.#pacer = new FlowPacer({
      span: () => this.#span,
      due: (sendTime) => this.#isDue(sendTime),
      given: (size) => this.#schedule.sent(size),
    });
  }

  /** Number of data packets written so far. */
  get packets(): number {
    return this.#packets;
  }

  /** Number of bytes of these packets. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How late packets are because the output takes them too slowly, in ms; 0 if it keeps up. */
  get late(): number {
    if (this.#state !== 'running' || this.#options.output.backlog === 0) return 0;
    return Math.max(0, this.#now() - (this.#due ?? this.#lastDue));
  }

  /** Begins to read and to send at once; call once. */
  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    this.#options.ticker.add(this.#tick);
    this.#go();
  }

  /** Goes on at once, without waiting for the next tick, because the output has drained. */
  drained(): void {
    this.#go();
  }

  /** Stops sending; no callback is called after that. */
  stop(): void {
    if (this.#state === 'running') {
      this.#options.ticker.delete(this.#tick);
      this.#options.reader.close?.();
    }
    this.#state = 'done';
  }

  #go(): void {
    if (this.#state === 'running' && !this.#reading && this.#mayRead()) void this.#read();
  }

  #mayRead(): boolean {
    const due = this.#due ?? this.#restsUntil;
    if (due > this.#now()) return false;
    return this.#options.output.backlog <= this.#maxBacklog;
  }

  /** Milliseconds of media worth reading. */
  get #span(): number {
    if (this.#packets === 0) return FIRST_SPAN;
    return Math.max(this.#schedule.span(this.#now() + this.#ahead), SHORTEST_SPAN);
  }

  #isDue(sendTime: number): boolean {
    const now = this.#now();
    this.#due ??= this.#schedule.due(sendTime, now);
    if (this.#due > now + (this.#schedule.accelerating ? 0 : this.#ahead)) return false;
    if (now - this.#due > RUN_DRY) this.#schedule.restart(now);
    this.#firstDue ??= this.#due;
    this.#lastDue = this.#due;
    this.#due = undefined;
    return true;
  }

  async #read(): Promise<void> {
    this.#reading = true;
    try {
      for (let goesOn = true; goesOn; ) {
        const batch = await this.#options.reader.next(this.#pacer);
        if (this.#state === 'running') this.#send(batch);
        batch.release?.();
        // Packets that are not there yet are requested with the next tick.
        goesOn = !batch.idle && this.#state === 'running' && this.#mayRead();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#reading = false;
    }
    const due = this.#due ?? this.#restsUntil;
    if (this.#state === 'running' && due > this.#now()) this.#options.ticker.rest?.(this.#tick, due);
  }

  #send({ items, stretch, end, rewound = false }: OnDemandBatch): void {
    const before = this.#packets;
    if (stretch) this.#sendPage(stretch, end);
    if (items.length > 0) {
      this.#packets += items.length;
      for (const { bytes } of items) this.#bytes += bytes.length;
      this.#options.output.write(items, !end && this.#due === undefined);
    }
    if (this.#packets > before) this.#options.onSend?.(this.#now() - (this.#firstDue ?? this.#now()) > LATE_SEND);
    this.#firstDue = undefined;
    if (!end || this.#state !== 'running') return;
    this.stop();
    this.#options.onEnd({ rewound });
  }

  #sendPage(stretch: PageStretch, end: boolean): void {
    const { page, from, to } = stretch;
    // A player that is ahead takes the next page when that is due, and not a little of it now and the rest then.
    const rests = to === page.count && this.#lastDue > this.#now();
    if (rests) this.#restsUntil = this.#lastDue;
    const count = page.order(to) - page.order(from);
    if (count === 0) return;
    this.#packets += count;
    this.#bytes += page.start(to) - page.start(from) - count * page.gap;
    this.#options.output.writePage!(stretch, !end && !rests && this.#due === undefined);
  }

  #fail(error: unknown): void {
    if (this.#state !== 'running') return;
    this.stop();
    const known = error instanceof WmError ? error : new WmError('WM_FAILED', messageOf(error), { cause: error });
    this.#options.onError(known);
  }
}

/** What a flow tells its reader. A class, because objects with a getter would each have a shape of their own. */
class FlowPacer implements DueCheck {
  readonly due: DueCheck['due'];
  readonly given: DueCheck['given'];
  readonly #span: () => number;

  constructor({ span, due, given }: Pick<DueCheck, 'due' | 'given'> & { span(): number }) {
    this.#span = span;
    this.due = due;
    this.given = given;
  }

  get span(): number {
    return this.#span();
  }
}
