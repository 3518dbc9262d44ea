/**
 * How often a command reports progress, in ms. Timers of a busy process are late, so rates are computed by the clock.
 */
export const STATS_INTERVAL = 1_000;

/** Measures the rate of a counter. */
export class RateMeter {
  #bytes = 0;
  #at = performance.now();

  /**
   * Returns bits per second since the last call, or since the meter was made.
   *
   * @param bytes the number of bytes counted so far
   */
  bitsPerSecond(bytes: number): number {
    const now = performance.now();
    const elapsed = now - this.#at;
    const rate = elapsed > 0 ? ((bytes - this.#bytes) * 8000) / elapsed : 0;
    this.#bytes = bytes;
    this.#at = now;
    return rate;
  }
}
