import type { AsfEvent, AsfSource } from './events.js';

/** The speed is measured over this time, in ms. */
const WINDOW = 10_000;
/** The interval between samples, in ms. */
const SAMPLE_INTERVAL = 500;
/** Less time gives no speed, in ms. */
const LEAST_WINDOW = 1_000;
/**
 * After this long without a packet, in ms, the source counts as stopped; until then the speed is that up to its last
 * packet.
 */
const STILL = 2_000;
/** A longer step of the times is a jump and not media, in ms. */
const LARGEST_STEP = 10_000;
/** A source below this speed for this long (ms) is too slow. */
const BEHIND = { speed: 0.9, after: 5_000 } as const;

/** Adds up how far 32-bit times advance, across jumps and reordering. */
class Forward {
  milliseconds = 0;
  #highest: number | undefined;

  count(time: number): void {
    const step = this.#highest === undefined ? 0 : (time - this.#highest) | 0;
    if (step <= 0 && step > -LARGEST_STEP && this.#highest !== undefined) return;
    this.#highest = time;
    if (step > 0 && step <= LARGEST_STEP) this.milliseconds += step;
  }
}

interface Sample {
  /** In ms, without the time that the consumer took. */
  readonly time: number;
  /** In ms. */
  readonly media: number;
}

/** The warning of a metered source, and its clock. */
export interface MeterOptions {
  /** Called once, if the source has been too slow for 5 s; `speed` is 1 in real time. */
  readonly onBehind?: ((speed: number) => void) | undefined;
  /** Receives each event before it is yielded. */
  readonly onEvent?: ((event: AsfEvent) => void) | undefined;
  /** A monotonic clock in ms; default `performance.now`. */
  readonly now?: (() => number) | undefined;
}

/**
 * Measures the speed of a source: the media that it yields in a unit of time. Does not count the time that its consumer
 * takes before it asks for more, so a slow network does not look like a slow encoder. Media is counted by send times,
 * or by presentation times if these advance further.
 */
export class MeteredSource implements AsfSource {
  readonly #source: AsfSource;
  readonly #options: MeterOptions;
  readonly #now: () => number;
  readonly #sent = new Forward();
  readonly #shown = new Forward();
  /** Since when the consumer has held an event; undefined while it waits for one. */
  #heldSince: number | undefined;
  #held = 0;
  #samples: Sample[] = [];
  #last: Sample | undefined;
  #isBehind = false;

  constructor(source: AsfSource, options: MeterOptions = {}) {
    this.#source = source;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Media per time over the last 10 s: 1 is real time. Undefined in the first second, and after the end. */
  get speed(): number | undefined {
    const [first] = this.#samples;
    if (first === undefined || this.#last === undefined) return undefined;
    const time = this.#time();
    const end = time - this.#last.time > STILL ? time : this.#last.time;
    const elapsed = end - first.time;
    return elapsed < LEAST_WINDOW ? undefined : (this.#last.media - first.media) / elapsed;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    try {
      for await (const event of this.#source) {
        if (event.type === 'packet') this.#count(event.packet);
        this.#options.onEvent?.(event);
        this.#heldSince = this.#now();
        yield event;
        this.#held += this.#now() - this.#heldSince;
        this.#heldSince = undefined;
      }
    } finally {
      this.#samples = [];
    }
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  #time(): number {
    return (this.#heldSince ?? this.#now()) - this.#held;
  }

  #count({ sendTime, payloads }: Extract<AsfEvent, { type: 'packet' }>['packet']): void {
    this.#sent.count(sendTime);
    for (const { presentationTime, offset } of payloads) {
      if (offset === 0 && presentationTime !== -1) this.#shown.count(presentationTime);
    }
    this.#last = { time: this.#time(), media: Math.max(this.#sent.milliseconds, this.#shown.milliseconds) };
    const { time } = this.#last;
    if (time - (this.#samples.at(-1)?.time ?? Number.NEGATIVE_INFINITY) < SAMPLE_INTERVAL) return;
    this.#samples.push(this.#last);
    while (time - this.#samples[0]!.time > WINDOW) this.#samples.shift();
    this.#look(time - this.#samples[0]!.time);
  }

  #look(elapsed: number): void {
    const { speed } = this;
    if (this.#isBehind || speed === undefined || elapsed < BEHIND.after || speed >= BEHIND.speed) return;
    this.#isBehind = true;
    this.#options.onBehind?.(speed);
  }
}
