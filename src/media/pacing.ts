import { setTimeout as delay } from 'node:timers/promises';

/** The time, given from outside so that tests need not wait. */
export interface Clock {
  /** Milliseconds that only go forward. */
  now(): number;
  /** Resolves after `ms` milliseconds, or at once when the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The clock of this machine; unaffected when someone sets its time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: async (ms, signal) => {
    // An aborted sleep is over, not failed.
    await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  },
};

/** A longer step of the send times, or a longer delay of the one who sends, begins a new schedule. Milliseconds. */
const LARGEST_STEP = 10_000;
/** Send times may go back by this much within one schedule, as some encoders write them. Milliseconds. */
const BACKWARD_JITTER = 1000;
/** Timers are no more exact than this; shorter sleeps only cost. Milliseconds. */
const SHORTEST_SLEEP = 1;

/**
 * Says when packets are due by their send times (asf.md 11): due = t0 + (ST − ST0) / rate. Packets of one send time go
 * out together. The schedule is anchored anew at the first packet, when send times jump back or by more than 10 s, and
 * when the sender is more than 10 s late (it was suspended, or its receiver stood still), so that it neither sleeps
 * through a gap nor catches up with a flood.
 */
export class Pacer {
  readonly #clock: Clock;
  readonly #rate: number;
  /** t0 and ST0; undefined before the first packet. */
  #anchor: { readonly time: number; readonly sendTime: number } | undefined;
  #lastSendTime = 0;

  /** @param options.rate how many times faster than real time; default 1 */
  constructor(clock: Clock = systemClock, options: { readonly rate?: number } = {}) {
    this.#clock = clock;
    this.#rate = options.rate ?? 1;
  }

  /**
   * When the packet is due, on the clock's scale in ms; the past or now means at once.
   * @param sendTime ms modulo 2^32; call once for every packet, in order
   */
  due(sendTime: number): number {
    const now = this.#clock.now();
    const step = (sendTime - this.#lastSendTime) | 0;
    if (this.#anchor !== undefined && step >= -BACKWARD_JITTER && step <= LARGEST_STEP) {
      const due = this.#anchor.time + ((sendTime - this.#anchor.sendTime) | 0) / this.#rate;
      if (now - due <= LARGEST_STEP) {
        // After 12 days the signed distance to the anchor would come near its limit.
        if (((sendTime - this.#anchor.sendTime) | 0) > 2 ** 30) this.#anchor = { time: due, sendTime };
        this.#lastSendTime = sendTime;
        return due;
      }
    }
    this.#anchor = { time: now, sendTime };
    this.#lastSendTime = sendTime;
    return now;
  }

  /** Waits until the packet is due, or until the signal aborts. */
  async wait(sendTime: number, signal?: AbortSignal): Promise<void> {
    const ms = this.due(sendTime) - this.#clock.now();
    if (ms >= SHORTEST_SLEEP && !signal?.aborted) await this.#clock.sleep(ms, signal);
  }
}
