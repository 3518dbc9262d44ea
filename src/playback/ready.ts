/** A session that keeps its program open so that it can soon go on. */
export interface ReadySession {
  giveBack(): void;
}

// In ms, and in sessions. Together they stay far below the number of files that a server may have open.
const KEEP = 30_000;
const MAX_KEPT = 64;

/**
 * The sessions that send nothing but could go on at once. Each keeps its program open for a while. After that, or if
 * there are too many, those that have been ready the longest give the program back and keep only their place.
 */
export class ReadySessions {
  readonly #now: () => number;
  readonly #maxKept: number;
  /** Since when each session has been ready, in that order. */
  readonly #kept = new Map<ReadySession, number>();

  /** @param now a clock in ms */
  constructor(now: () => number, maxKept: number = MAX_KEPT) {
    this.#now = now;
    this.#maxKept = maxKept;
  }

  /** The number of sessions that have not given back their program. */
  get size(): number {
    return this.#kept.size;
  }

  /** Records that the session is ready from now on. */
  add(session: ReadySession): void {
    this.#kept.delete(session);
    this.#kept.set(session, this.#now());
    if (this.#kept.size > this.#maxKept) this.#giveBack(this.#kept.keys().next().value!);
  }

  delete(session: ReadySession): void {
    this.#kept.delete(session);
  }

  /** Gives back the programs that were kept long enough. Call about once a second. */
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
