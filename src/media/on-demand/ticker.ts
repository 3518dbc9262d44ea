/** In ms. Players have seconds in hand, so this delay is never noticed. */
const DEFAULT_INTERVAL = 50;

/** Calls many tasks from one timer, which runs only while there are tasks. */
export class Ticker {
  readonly #interval: number;
  readonly #tasks = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  /** @param interval ms; default 50 */
  constructor(interval: number = DEFAULT_INTERVAL) {
    this.#interval = interval;
  }

  /** Calls a task at every interval from now on. It must not throw. */
  add(task: () => void): void {
    this.#tasks.add(task);
    this.#timer ??= setInterval(() => this.tick(), this.#interval);
  }

  /** May be called from inside a task. */
  delete(task: () => void): void {
    this.#tasks.delete(task);
    if (this.#tasks.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Calls all tasks now. */
  tick(): void {
    for (const task of this.#tasks) task();
  }
}
