import { setImmediate } from 'node:timers/promises';
import { messageOf, WmError } from '../../errors.js';
import type { OnDemandBatch, OnDemandItem } from './options.js';
import { Schedule } from './schedule.js';
import type { Ticker } from './ticker.js';

export { Ticker } from './ticker.js';

/** Where a flow sends. */
export interface OnDemandOutput {
  /** Takes packets that are due; they never change. */
  write(items: readonly OnDemandItem[]): void;
  /** Bytes written and not yet taken by the operating system. */
  readonly backlog: number;
}

export interface OnDemandFlowOptions {
  readonly reader: {
    next(): Promise<OnDemandBatch>;
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
/** A player that got nothing for so long has nothing left and is sent a new burst. Milliseconds. */
const RUN_DRY = 10_000;
/** Reads of one player after which the others have their turn, even if everything is in memory. */
const READS_IN_A_ROW = 8;
const LARGEST_STEP = 10_000;
/** Between the key frames of trick play. Milliseconds. */
const LARGEST_KEY_FRAME_STEP = 120_000;

/**
 * Sends the packets of a reader when they are due. A player that takes them too slowly is waited for, and nothing is left
 * out. Holds one batch of the reader at a time, and reads the next one when the last is sent.
 */
export class OnDemandFlow {
  readonly #options: OnDemandFlowOptions;
  readonly #now: () => number;
  readonly #maxBacklog: number;
  readonly #schedule: Schedule;
  readonly #tick = (): void => this.#go();
  #state: 'new' | 'running' | 'done' = 'new';
  #reading = false;
  #batch: OnDemandBatch | undefined;
  /** The next item of the batch. */
  #at = 0;
  /** When it is due; undefined when that is not known yet. */
  #due: number | undefined;
  #reads = 0;
  #packets = 0;
  #bytes = 0;

  constructor(options: OnDemandFlowOptions) {
    const { rate, speed = 1, acceleration, reader } = options;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#maxBacklog = options.maxBacklog ?? DEFAULT_MAX_BACKLOG;
    const isAccelerated = acceleration !== undefined && acceleration.bitsPerSecond > 0 && acceleration.milliseconds > 0;
    this.#schedule = new Schedule({
      pace: Math.abs(rate) * speed || 1,
      backwards: rate < 0,
      burst: options.burst ?? reader.preroll + BURST,
      acceleration: isAccelerated ? acceleration : undefined,
      largestStep: rate === 1 ? LARGEST_STEP : LARGEST_KEY_FRAME_STEP,
    });
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
    if (this.#state === 'running') this.#options.ticker.delete(this.#tick);
    this.#state = 'done';
    this.#batch = undefined;
  }

  #go(): void {
    if (this.#reading || this.#state !== 'running') return;
    try {
      if (this.#send()) void this.#read();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Sends what is due. True when it is time to read on. */
  #send(): boolean {
    const { output } = this.#options;
    const now = this.#now();
    if (output.backlog > this.#maxBacklog || (this.#due !== undefined && this.#due > now)) return false;
    const batch = this.#batch;
    if (batch === undefined) return true;
    const first = this.#at;
    let size = 0;
    for (let item: OnDemandItem | undefined; (item = batch.items[this.#at]) !== undefined; this.#at++) {
      if (!this.#isDue(item.sendTime, item.bytes.length, now)) break;
      size += item.bytes.length;
    }
    if (this.#at > first) {
      this.#packets += this.#at - first;
      this.#bytes += size;
      output.write(this.#at - first === batch.items.length ? batch.items : batch.items.slice(first, this.#at));
    }
    return this.#at === batch.items.length && this.#state === 'running' && this.#isOver(batch, now);
  }

  /** All of the batch is sent: true when the next one may be read. */
  #isOver(batch: OnDemandBatch, now: number): boolean {
    if (batch.end) {
      this.stop();
      this.#options.onEnd({ rewound: batch.rewound ?? false });
      return false;
    }
    if (batch.until !== undefined && !this.#isDue(batch.until, 0, now)) return false;
    this.#batch = undefined;
    return this.#options.output.backlog <= this.#maxBacklog;
  }

  #isDue(sendTime: number, size: number, now: number): boolean {
    this.#due ??= this.#schedule.due(sendTime, size, now);
    if (this.#due > now) return false;
    if (now - this.#due > RUN_DRY) this.#schedule.restart(now);
    this.#due = undefined;
    return true;
  }

  async #read(): Promise<void> {
    this.#reading = true;
    try {
      const batch = await this.#options.reader.next();
      if (++this.#reads % READS_IN_A_ROW === 0) await setImmediate();
      this.#reading = false;
      if (this.#state !== 'running') return;
      this.#batch = batch;
      this.#at = 0;
      this.#go();
    } catch (error) {
      this.#reading = false;
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#state !== 'running') return;
    this.stop();
    const known = error instanceof WmError ? error : new WmError('WM_FAILED', messageOf(error), { cause: error });
    this.#options.onError(known);
  }
}
