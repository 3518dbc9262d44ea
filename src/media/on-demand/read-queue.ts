/** Half of the threads that Node.js reads with are left for players that have just come. */
const DEFAULT_LIMIT = 2;

/**
 * Lets only some reads be under way at once. When many players come, each wants seconds of media at once; with all of these
 * reads under way, a player that comes now would wait for its first packet until all the others have theirs.
 */
export class ReadQueue {
  readonly #limit: number;
  // A set, because taking the first one costs the same however many there are.
  readonly #waiting = new Set<() => void>();
  #running = 0;

  /** @param limit reads under way at once */
  constructor(limit: number = DEFAULT_LIMIT) {
    this.#limit = limit;
  }

  /**
   * Does the work when it is its turn.
   * @throws what the work throws
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limit) this.#running++;
    else await new Promise<void>((begin) => this.#waiting.add(begin));
    try {
      return await work();
    } finally {
      this.#handOn();
    }
  }

  /** Gives the place to the one that waits longest. */
  #handOn(): void {
    for (const begin of this.#waiting) {
      this.#waiting.delete(begin);
      begin();
      return;
    }
    this.#running--;
  }
}
