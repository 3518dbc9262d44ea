/** In ms, the first wait before the same warning is repeated; doubled each time. */
const FIRST_PAUSE = 60_000;
const LONGEST_PAUSE = 3_600_000;
/** In ms, the wait before a different warning is given. */
const OTHER_PAUSE = 10_000;

interface Seen {
  text: string;
  at: number;
  pause: number;
  /** How often it was suppressed since. */
  held: number;
}

/**
 * Decides which warnings to give, with pauses that grow from a minute to an hour: a source that is down all night is
 * worth a few lines, not thousands. Times are in ms of a monotonic clock.
 */
export class RepeatedWarnings {
  readonly #seen = new Map<string, Seen>();

  /**
   * @param key the subject of the warning; there are only a few
   * @returns the text to print, or undefined if it is too soon
   */
  due(key: string, text: string, now: number): string | undefined {
    const last = this.#seen.get(key);
    if (!last) {
      this.#seen.set(key, { text, at: now, pause: FIRST_PAUSE, held: 0 });
      return text;
    }
    if (now - last.at < (text === last.text ? last.pause : OTHER_PAUSE)) {
      last.held++;
      return undefined;
    }
    this.#seen.set(key, { text, at: now, pause: Math.min(last.pause * 2, LONGEST_PAUSE), held: 0 });
    return last.held === 0 ? text : `${text} (${last.held} more failures since the last message)`;
  }

  /** Resets a subject that works again: its next warning is given at once. @returns true if a warning had been given */
  clear(key: string): boolean {
    return this.#seen.delete(key);
  }
}
