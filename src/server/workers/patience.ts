/** A worker that ends sooner than this after its start was not worth starting; in ms. */
const SHORT_LIFE = 60_000;
/** The wait before one is started again, which doubles with each such end up to the longest; in ms. */
const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 60_000;

/**
 * How soon a worker is started again: at once after a single accident, later and later if workers keep ending soon after
 * their start. A program that cannot run must not take a processor for its starts.
 */
export class Patience {
  /** How many in a row ended soon after their start. */
  #shortLives = 0;

  /**
   * A worker has ended.
   *
   * @param lifetime in ms
   * @returns the wait before another one is started, in ms
   */
  ended(lifetime: number): number {
    this.#shortLives = lifetime < SHORT_LIFE ? this.#shortLives + 1 : 0;
    if (this.#shortLives <= 1) return 0;
    return Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** Math.min(this.#shortLives - 2, 16));
  }
}
