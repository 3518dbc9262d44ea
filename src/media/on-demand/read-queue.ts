/** Half of the threads that Node.js reads with stay free for players that have just arrived. */
const DEFAULT_LIMIT = 2;

/**
 * Limits concurrent reads. When many players arrive, each wants seconds of media at once; if all of these reads ran
 * together, a newcomer would wait for its first packet until all the others had theirs.
 */
export class ReadQueue {
  readonly #limit: number;
  // A Set, because removing the first one takes constant time.
  readonly #waiting = new Set<() => void>();
  #running = 0;

  /** @param limit concurrent reads */
  constructor(limit: number = DEFAULT_LIMIT) {
    this.#limit = limit;
  }

  /**
   * Runs the work in its turn.
   *
   * @throws any error of the work
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limit) this.#running++;
    else await new Promise<void>((begin) => this.#waiting.add(begin));
    try {
      return await work();
    } finally {
      this.#startNext();
    }
  }

  /** Passes the place to the one that has waited longest. */
  #startNext(): void {
    for (const begin of this.#waiting) {
      this.#waiting.delete(begin);
      begin();
      return;
    }
    this.#running--;
  }
}
