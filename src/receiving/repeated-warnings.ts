/** The first wait before the same warning is told again, ms; doubled each time. */
const FIRST_PAUSE = 60_000;
const LONGEST_PAUSE = 3_600_000;
/** Another warning is told this soon, ms. */
const OTHER_PAUSE = 10_000;

interface Told {
  text: string;
  at: number;
  pause: number;
  /** Times that it was held back since. */
  held: number;
}

/**
 * Says which warnings to tell, with pauses that grow from a minute to an hour: a source that is down all night is worth a few lines, not
 * thousands. Times are in ms of a clock that only goes forward.
 */
export class RepeatedWarnings {
  readonly #told = new Map<string, Told>();

  /**
   * @param key what it is about; there are few of these
   * @returns the text to tell, undefined while it is too soon
   */
  due(key: string, text: string, now: number): string | undefined {
    const last = this.#told.get(key);
    if (!last) {
      this.#told.set(key, { text, at: now, pause: FIRST_PAUSE, held: 0 });
      return text;
    }
    if (now - last.at < (text === last.text ? last.pause : OTHER_PAUSE)) {
      last.held++;
      return undefined;
    }
    this.#told.set(key, { text, at: now, pause: Math.min(last.pause * 2, LONGEST_PAUSE), held: 0 });
    return last.held === 0 ? text : `${text} (${last.held} more failures since the last message)`;
  }

  /** It works again: the next warning about it is told at once. @returns whether anything was told about it */
  clear(key: string): boolean {
    return this.#told.delete(key);
  }
}
