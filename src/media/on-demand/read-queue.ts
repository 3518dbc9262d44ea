/** Half of the threads that Node.js reads with stay free for players that have just arrived. */
const DEFAULT_LIMIT = 2;
/**
 * Reads that end within this many ms come from memory, and so many of them may run: threads that are busy with several
 * cost a fraction of one that is woken for each.
 */
const FAST = 2;
const FAST_LIMIT = 16;

/**
 * Limits concurrent reads of a disk. When many players arrive, each wants seconds of media at once; if all of these reads ran
 * together, a newcomer would wait for its first packet until all the others had theirs.
 */
export class ReadQueue {
  readonly #least: number;
  #limit: number;
  // A Set, because removing the first one takes constant time.
  readonly #waiting = new Set<() => void>();
  #running = 0;

  readonly #now: () => number;

  /**
   * @param limit concurrent reads, of a disk that is slow
   * @param now a clock in ms
   */
  constructor(limit: number = DEFAULT_LIMIT, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#least = limit;
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
    const begun = this.#now();
    try {
      return await work();
    } finally {
      this.#adapt(this.#now() - begun);
      this.#startNext();
    }
  }

  #adapt(took: number): void {
    this.#limit = took < FAST ? Math.max(FAST_LIMIT, this.#least) : this.#least;
  }

  /** Passes the place to those that have waited longest, as many as may run now. */
  #startNext(): void {
    this.#running--;
    for (const begin of this.#waiting) {
      if (this.#running >= this.#limit) return;
      this.#waiting.delete(begin);
      this.#running++;
      begin();
    }
  }
}
