import { setTimeout as delay } from 'node:timers/promises';

/** A clock, injected so that tests need not wait. @public */
export interface Clock {
  /** Monotonic, in ms. */
  now(): number;
  /** Resolves after `ms` milliseconds, or at once when the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The monotonic clock of this machine, unaffected by changes of its time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: async (ms, signal) => {
    // An aborted sleep ends early; it does not fail.
    await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  },
};

/** A longer step of the packets' times, or a longer delay of the sender, begins a new schedule. In ms. */
const LARGEST_STEP = 10_000;
/** Timers are no more exact than this; shorter sleeps only cost time. In ms. */
const SHORTEST_SLEEP = 1;

/**
 * Computes when packets are due (asf.md 11): due = t0 + (T − T0) / rate, where T is the time from a `PacketClock`.
 * Packets of one time leave together. The schedule is re-anchored at the first packet, when times leap by more than 10
 * s, and when the sender is more than 10 s late (it was suspended, or its receiver stalled). So it neither sleeps
 * through a gap nor catches up with a flood.
 */
export class Pacer {
  readonly #clock: Clock;
  readonly #rate: number;
  readonly #early: number;
  /** t0 and T0; undefined before the first packet. */
  #anchor: { readonly at: number; readonly time: number } | undefined;
  #last = 0;

  /**
   * @param options.rate how many times faster than real time; default 1
   * @param options.early packets may leave this many ms before they are due, so that several leave together; default 0
   */
  constructor(clock: Clock = systemClock, options: { readonly rate?: number; readonly early?: number } = {}) {
    this.#clock = clock;
    this.#rate = options.rate ?? 1;
    this.#early = options.early ?? 0;
  }

  /**
   * Returns when the packet is due, in ms on the clock's scale; now or earlier means at once.
   *
   * @param time of the packet in ms, which never decreases; call once for every packet, in order
   */
  due(time: number): number {
    const now = this.#clock.now();
    const step = time - this.#last;
    this.#last = time;
    if (this.#anchor !== undefined && step <= LARGEST_STEP) {
      const due = this.#anchor.at + (time - this.#anchor.time) / this.#rate;
      if (now - due <= LARGEST_STEP) return due;
    }
    this.#anchor = { at: now, time };
    return now;
  }

  /** Waits until the packet is due, or nearly due, or until the signal aborts. */
  async wait(time: number, signal?: AbortSignal): Promise<void> {
    const ms = this.due(time) - this.#clock.now();
    if (ms >= Math.max(SHORTEST_SLEEP, this.#early) && !signal?.aborted) await this.#clock.sleep(ms, signal);
  }
}
