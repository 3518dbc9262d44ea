import { messageOf, WmError } from '../../errors.js';

/** Submits one log. */
type Submission = () => Promise<void>;

/** Simultaneous connections to the web server. */
const AT_ONCE = 2;
/** Logs that may wait. The sender of a group decides how often an entry ends, and so how many logs there are. */
const MAX_WAITING = 16;
/** Longest wait for all logs at the end, in ms. */
const GRACE = 10_000;

/**
 * Submits logs in order, a few at a time. Drops logs when {@link MAX_WAITING} are waiting: a log is not worth the
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

  /** Queues a log; its WmErrors become notes. */
  add(submission: Submission): void {
    if (this.#abandoned) return;
    if (this.#waiting.length >= MAX_WAITING) {
      if (this.#dropped++ === 0) this.#onNote('Entries end too often: not every log is submitted.');
      return;
    }
    this.#waiting.push(submission);
    this.#next();
  }

  /** Waits until all logs are submitted, 10 s at most; drops those that are still waiting then. */
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
