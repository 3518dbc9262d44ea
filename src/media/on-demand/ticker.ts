/** In ms. Players have seconds in hand, so this delay is never noticed. */
const DEFAULT_INTERVAL = 50;

/** Calls many tasks from one timer, which runs only while there are tasks. */
export class Ticker {
  readonly #interval: number;
  readonly #now: (() => number) | undefined;
  readonly #tasks = new Set<() => void>();
  /** The tasks that rest, by the interval in which they are called again, counted on the clock. */
  readonly #resting = new Map<number, Set<() => void>>();
  readonly #restsIn = new Map<() => void, number>();
  /** The last interval whose tasks were called. */
  #reached = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param interval ms; default 50
   * @param now the clock of {@link rest} in ms, which only goes forward; without one no task rests
   */
  constructor(interval: number = DEFAULT_INTERVAL, now?: () => number) {
    this.#interval = interval;
    this.#now = now;
  }

  /** Calls a task at every interval from now on. It must not throw. */
  add(task: () => void): void {
    this.#tasks.add(task);
    this.#timer ??= setInterval(() => this.tick(), this.#interval);
  }

  /**
   * Does not call a task before a time, and at every interval again from then on: of thousands of tasks, few have to look
   * at the clock at a time. Has no effect on a task that was not added.
   *
   * @param until ms
   */
  rest(task: () => void, until: number): void {
    if (!this.#now) return;
    const slot = Math.ceil(until / this.#interval);
    if (slot <= this.#now() / this.#interval || !this.#tasks.delete(task)) return;
    if (this.#resting.size === 0) this.#reached = Math.floor(this.#now() / this.#interval);
    const others = this.#resting.get(slot);
    if (others) others.add(task);
    else this.#resting.set(slot, new Set([task]));
    this.#restsIn.set(task, slot);
  }

  /** May be called from inside a task. */
  delete(task: () => void): void {
    this.#tasks.delete(task);
    const slot = this.#restsIn.get(task);
    if (slot !== undefined) {
      this.#restsIn.delete(task);
      const others = this.#resting.get(slot)!;
      others.delete(task);
      if (others.size === 0) this.#resting.delete(slot);
    }
    if (this.#tasks.size + this.#restsIn.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Calls all tasks now, except those that still rest. */
  tick(): void {
    this.#wake();
    for (const task of this.#tasks) task();
  }

  #wake(): void {
    if (this.#resting.size === 0) return;
    const reached = Math.floor(this.#now!() / this.#interval);
    // After a long pause there are more intervals than tasks.
    const slots =
      reached - this.#reached > this.#resting.size
        ? [...this.#resting.keys()].filter((slot) => slot <= reached)
        : Array.from({ length: reached - this.#reached }, (_, index) => this.#reached + 1 + index);
    this.#reached = reached;
    for (const slot of slots) {
      for (const task of this.#resting.get(slot) ?? []) {
        this.#restsIn.delete(task);
        this.#tasks.add(task);
      }
      this.#resting.delete(slot);
    }
  }
}
