/** How often a command tells how it goes, in ms; a busy process is asked later, so rates go by the clock. */
export const STATS_INTERVAL = 1_000;

/** The rate of something that is counted. */
export class RateMeter {
  #bytes = 0;
  #at = performance.now();

  /**
   * Bits per second since the last call, or since the meter was made.
   *
   * @param bytes that were counted so far
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
