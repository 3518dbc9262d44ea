import { messageOf, WmError } from '../errors.js';

/** Submits one log. */
type Submission = () => Promise<void>;

/** Connections to the web server at once. */
const AT_ONCE = 2;
/** Logs that wait; whoever sends to a group decides how often an entry ends. */
const MAX_WAITING = 16;
/** Longest wait for all of them at the end, ms. */
const GRACE = 10_000;

/**
 * Submits logs a few at a time, in order. More than {@link MAX_WAITING} that wait are left out: a log is worth less than the
 * connections that a flood of them would take.
 */
export class LogQueue {
  readonly #onNote: (text: string) => void;
  readonly #waiting: Submission[] = [];
  readonly #running = new Set<Promise<void>>();
  #dropped = 0;
  #abandoned = false;

  constructor(onNote: (text: string) => void = () => {}) {
    this.#onNote = onNote;
  }

  /** Takes a log that is submitted now or later; its WmErrors become notes. */
  add(submission: Submission): void {
    if (this.#abandoned) return;
    if (this.#waiting.length >= MAX_WAITING) {
      if (this.#dropped++ === 0) this.#onNote('Entries end too often: not every log is submitted.');
      return;
    }
    this.#waiting.push(submission);
    this.#next();
  }

  /** Waits until all are submitted, 10 s at most; those that wait then are left out. */
  async settled(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#abandoned = true;
        this.#waiting.length = 0;
        resolve();
      }, GRACE);
    });
    await Promise.race([this.#all(), late]);
    clearTimeout(timer);
  }

  async #all(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #next(): void {
    while (this.#running.size < AT_ONCE) {
      const submission = this.#waiting.shift();
      if (!submission) return;
      const running = submission()
        .catch((error: unknown) => {
          if (!(error instanceof WmError)) throw error;
          this.#onNote(`The log was not taken: ${messageOf(error)}`);
        })
        .finally(() => {
          this.#running.delete(running);
          this.#next();
        });
      this.#running.add(running);
    }
  }
}
