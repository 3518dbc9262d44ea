import type { AsfEvent, AsfSource } from '../../src/media/events.js';

/** A source that yields what the test feeds. */
export class Script implements AsfSource {
  readonly #queue: AsfEvent[] = [];
  #failure: Error | undefined;
  #over = false;
  closed = false;
  #wake: () => void = () => {};

  feed(...events: AsfEvent[]): void {
    this.#queue.push(...events);
    this.#wake();
  }

  /** Ends it, with an error if there is one. */
  end(failure?: Error): void {
    this.#over = true;
    this.#failure = failure;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    for (;;) {
      const event = this.#queue.shift();
      if (event) yield event;
      else if (this.#over || this.closed) break;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#failure && !this.closed) throw this.#failure;
    yield { type: 'end', moreEntries: false, reason: 0 };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#wake();
  }
}
