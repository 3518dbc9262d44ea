import { messageOf, WmError } from '../../errors.js';
import type { DueCheck, OnDemandBatch, OnDemandItem } from './options.js';
import { Schedule } from './schedule.js';
import type { Ticker } from './ticker.js';

export { Ticker } from './ticker.js';

/** Where a flow sends. */
export interface OnDemandOutput {
  /**
   * Takes packets that are due; valid during the call.
   * @param more others follow without a pause
   */
  write(items: readonly OnDemandItem[], more: boolean): void;
  /** Bytes written and not yet taken by the operating system. */
  readonly backlog: number;
}

export interface OnDemandFlowOptions {
  readonly reader: {
    next(pacer: DueCheck): Promise<OnDemandBatch>;
    /** Nothing more is wanted. */
    close?(): void;
    /** Milliseconds. */
    readonly preroll: number;
  };
  readonly output: OnDemandOutput;
  /** That of the reader: packets are due by their send times divided by it; negative when they fall. */
  readonly rate: number;
  /** AccelBW in bits per second and AccelDuration in ms of media ([MS-WMSP] 2.2.1.4.1, 2.2.1.4.2); 0 is none. */
  readonly acceleration?: { readonly bitsPerSecond: number; readonly milliseconds: number };
  /** Milliseconds of media that are sent at once at the start; default preroll + 2 s. Not with `acceleration`. */
  readonly burst?: number;
  /** Multiplies the pace ([MS-WMSP] 2.2.1.4.24); default 1. */
  readonly speed?: number;
  /**
   * Packets leave together with one that is due when they are due so many ms later or less, and then nothing for as long: to
   * read and write each of them by itself costs a server more than all the rest. Default 1000; not while sending is
   * accelerated, when the rate is what the player asked for.
   */
  readonly ahead?: number;
  readonly ticker: Pick<Ticker, 'add' | 'delete'>;
  /** Bytes of backlog above which nothing is read or sent; default 32 KiB. */
  readonly maxBacklog?: number;
  /** All has been written; called once, and then nothing more happens. */
  onEnd(how: { readonly rewound: boolean }): void;
  /** The file cannot be read on, or the output failed; called once, and then nothing more happens. */
  onError(error: WmError): void;
  /** Milliseconds that only go forward; default `performance.now`. */
  readonly now?: () => number;
}

const DEFAULT_MAX_BACKLOG = 32 * 1024;
/** The lead behind the preroll, ms. */
const BURST = 2000;
const DEFAULT_AHEAD = 1000;
/** A player that got nothing for so long has nothing left and is sent a new burst. Milliseconds. */
const RUN_DRY = 10_000;
/** What is read first, so that the first packet leaves soon, also when many players come. Milliseconds of media. */
const FIRST_SPAN = 250;
/** What is read at least behind that. */
const SHORTEST_SPAN = 250;
const LARGEST_STEP = 10_000;
/** Between the key frames of trick play. Milliseconds. */
const LARGEST_KEY_FRAME_STEP = 120_000;

/**
 * Sends the packets of a reader when they are due. A player that takes them too slowly is waited for, and nothing is left
 * out. Nothing is held in between: what is due is read and sent.
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
  /** When the next packet is due; undefined when that is not known yet. */
  #due: number | undefined;
  #packets = 0;
  #bytes = 0;

  constructor(options: OnDemandFlowOptions) {
    const { rate, speed = 1, acceleration, reader } = options;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#maxBacklog = options.maxBacklog ?? DEFAULT_MAX_BACKLOG;
    this.#ahead = options.ahead ?? DEFAULT_AHEAD;
    const isAccelerated = acceleration !== undefined && acceleration.bitsPerSecond > 0 && acceleration.milliseconds > 0;
    this.#schedule = new Schedule({
      pace: Math.abs(rate) * speed || 1,
      backwards: rate < 0,
      burst: options.burst ?? reader.preroll + BURST,
      acceleration: isAccelerated ? acceleration : undefined,
      largestStep: rate === 1 ? LARGEST_STEP : LARGEST_KEY_FRAME_STEP,
    });
    const flow = this;
    this.#pacer = {
      get span() {
        return flow.#span;
      },
      due: (sendTime) => this.#isDue(sendTime),
      given: (size) => this.#schedule.sent(size),
    };
  }

  /** Data packets written so far. */
  get packets(): number {
    return this.#packets;
  }

  /** Bytes of them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Begins to read and to send at once; once only. */
  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    this.#options.ticker.add(this.#tick);
    this.#go();
  }

  /** The output has drained: goes on now, and not with the next tick. */
  drained(): void {
    this.#go();
  }

  /** Sends nothing more and calls nobody any more. */
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
    if (this.#due !== undefined && this.#due > this.#now()) return false;
    return this.#options.output.backlog <= this.#maxBacklog;
  }

  /** Milliseconds of media that are worth reading. */
  get #span(): number {
    if (this.#packets === 0) return FIRST_SPAN;
    return Math.max(this.#schedule.span(this.#now() + this.#ahead), SHORTEST_SPAN);
  }

  #isDue(sendTime: number): boolean {
    const now = this.#now();
    this.#due ??= this.#schedule.due(sendTime, now);
    if (this.#due > now + (this.#schedule.accelerating ? 0 : this.#ahead)) return false;
    if (now - this.#due > RUN_DRY) this.#schedule.restart(now);
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
        // What is not there yet is asked for with the next tick.
        goesOn = !batch.idle && this.#state === 'running' && this.#mayRead();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#reading = false;
    }
  }

  #send({ items, end, rewound = false }: OnDemandBatch): void {
    if (items.length > 0) {
      this.#packets += items.length;
      for (const { bytes } of items) this.#bytes += bytes.length;
      this.#options.output.write(items, !end && this.#due === undefined);
    }
    if (!end || this.#state !== 'running') return;
    this.stop();
    this.#options.onEnd({ rewound });
  }

  #fail(error: unknown): void {
    if (this.#state !== 'running') return;
    this.stop();
    const known = error instanceof WmError ? error : new WmError('WM_FAILED', messageOf(error), { cause: error });
    this.#options.onError(known);
  }
}
