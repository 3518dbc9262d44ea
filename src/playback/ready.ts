/** Something that keeps what it has open, to go on soon. */
export interface ReadySession {
  giveBack(): void;
}

// Milliseconds, and sessions; together far below the files that a server may have open.
const KEEP = 30_000;
const MAX_KEPT = 64;

/**
 * The sessions that send nothing but could go on at once. Each keeps its program open for a while; then, or when there are too many of
 * them, those that have been ready for longest give it back and keep only their place.
 */
export class ReadySessions {
  readonly #now: () => number;
  readonly #maxKept: number;
  /** Since when, in that order. */
  readonly #kept = new Map<ReadySession, number>();

  /** @param now a clock in ms */
  constructor(now: () => number, maxKept: number = MAX_KEPT) {
    this.#now = now;
    this.#maxKept = maxKept;
  }

  /** Sessions that have not given back what they hold. */
  get size(): number {
    return this.#kept.size;
  }

  /** The session is ready from now on. */
  add(session: ReadySession): void {
    this.#kept.delete(session);
    this.#kept.set(session, this.#now());
    if (this.#kept.size > this.#maxKept) this.#giveBack(this.#kept.keys().next().value!);
  }

  delete(session: ReadySession): void {
    this.#kept.delete(session);
  }

  /** Takes back what was kept long enough. To be called about once a second. */
  sweep(): void {
    const limit = this.#now() - KEEP;
    for (const [session, since] of this.#kept) {
      if (since > limit) break;
      this.#giveBack(session);
    }
  }

  #giveBack(session: ReadySession): void {
    this.#kept.delete(session);
    session.giveBack();
  }
}
