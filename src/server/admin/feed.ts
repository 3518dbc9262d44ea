/** An event for administrators who watch: its name, and its data for JSON. */
export interface AdminEvent {
  readonly name: 'point' | 'play' | 'played' | 'warning' | 'reload';
  readonly data: object;
}

/** Events that may wait for one watcher; a watcher that is slower loses the oldest. */
const MAX_WAITING = 200;

/** Passes the events of a server on to administrators who watch. Costs nothing while nobody does. */
export class AdminFeed {
  readonly #watchers = new Set<(event: AdminEvent) => void>();

  /** The number of watchers. */
  get watchers(): number {
    return this.#watchers.size;
  }

  /** Passes an event on; the data is made only if somebody watches. */
  emit(name: AdminEvent['name'], data: () => object): void {
    if (this.#watchers.size === 0) return;
    const event = { name, data: data() };
    for (const watcher of this.#watchers) watcher(event);
  }

  /**
   * Yields the events from now on, until the signal is aborted.
   *
   * @param signal ends the iteration
   */
  async *watch(signal: AbortSignal): AsyncGenerator<AdminEvent> {
    const waiting: AdminEvent[] = [];
    let wake = () => {};
    const watcher = (event: AdminEvent) => {
      waiting.push(event);
      if (waiting.length > MAX_WAITING) waiting.shift();
      wake();
    };
    const onAbort = () => wake();
    this.#watchers.add(watcher);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted) {
        const event = waiting.shift();
        if (event) yield event;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener('abort', onAbort);
    }
  }
}
