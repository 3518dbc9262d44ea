/** An event for administrators who watch: its name, and its data for JSON. */
export interface AdminEvent {
  readonly name: 'point' | 'play' | 'played' | 'warning' | 'reload';
  readonly data: object;
}

/** An event that has happened. */
export interface LoggedEvent extends AdminEvent {
  /** When it happened, in ms since 1970. */
  readonly at: number;
}

/** Events that may wait for one watcher; a watcher that is slower loses the oldest. */
const MAX_WAITING = 200;
/** The most events that are kept for those who come later. */
const MAX_KEPT = 500;

/** Passes the events of a server on to administrators who watch, and keeps the newest for those who come later. */
export class AdminFeed {
  readonly #kept: LoggedEvent[] = [];
  readonly #watchers = new Set<(event: AdminEvent) => void>();

  /** The number of watchers. */
  get watchers(): number {
    return this.#watchers.size;
  }

  /** Returns the newest events, the newest first. */
  recent(limit: number): readonly LoggedEvent[] {
    return this.#kept.toReversed().slice(0, limit);
  }

  /** Passes an event on. */
  emit(name: AdminEvent['name'], data: object): void {
    const event = { name, data };
    this.#kept.push({ ...event, at: Date.now() });
    // In steps, because each of them moves all events.
    if (this.#kept.length >= 2 * MAX_KEPT) this.#kept.splice(0, MAX_KEPT);
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
