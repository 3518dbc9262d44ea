import { messageOf } from '../errors.js';
import type { AsfEvent, AsfSink } from '../media/events.js';

/** An error that comes within this time, in ms, is one of the command line: a folder that does not exist. */
const AT_ONCE = 3_000;

/**
 * A sink that is less important than the others: if it fails or hangs, the stream goes on without it. That is said at
 * once, and `close` rejects with the error.
 */
export class AsideSink implements AsfSink {
  readonly #sink: AsfSink;
  readonly #warn: (message: string) => void;
  readonly #openedAt = performance.now();
  #begun = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(sink: AsfSink, warn: (message: string) => void) {
    this.#sink = sink;
    this.#warn = warn;
  }

  /** @throws what the sink throws at once for the first event: it cannot be used at all */
  write(event: AsfEvent): Promise<void> | undefined {
    if (this.#failure) return undefined;
    return this.#sink.write(event)?.then(
      () => {
        this.#begun = true;
      },
      (error: unknown) => this.#fail(error),
    );
  }

  async close(): Promise<void> {
    const { error } = this.#failure ?? {};
    if (this.#failure) throw error;
    await this.#sink.close();
  }

  #fail(error: unknown): void {
    if (!this.#begun && performance.now() - this.#openedAt < AT_ONCE) throw error;
    this.#failure ??= { error };
    this.#warn(`${messageOf(error)} The push goes on without it.`);
  }
}
