/** How long the same line is only counted, in ms. */
const WINDOW = 10_000;
/** Lines that are compared at a time; others are written as they come. */
const MAX_LINES = 1_000;

interface Repeated {
  readonly write: (text: string) => void;
  count: number;
}

/** Writes a line that comes again and again once, and every 10 s how often it came. */
export class RepeatedLines {
  readonly #window: number;
  readonly #lines = new Map<string, Repeated>();
  #timer: NodeJS.Timeout | undefined;

  /** @param window how long a line is only counted, in ms */
  constructor(window: number = WINDOW) {
    this.#window = window;
  }

  /** Writes a line, or counts it if it was written lately. */
  line(text: string, write: (text: string) => void): void {
    const known = this.#lines.get(text);
    if (known) {
      known.count++;
      return;
    }
    write(text);
    if (this.#lines.size < MAX_LINES) this.#lines.set(text, { write, count: 0 });
    this.#timer ??= setTimeout(() => this.#flush(), this.#window).unref();
  }

  /** Writes the counts that are outstanding. */
  close(): void {
    this.#flush();
    clearTimeout(this.#timer);
    this.#lines.clear();
  }

  #flush(): void {
    this.#timer = undefined;
    for (const [text, repeated] of this.#lines) {
      if (repeated.count === 0) this.#lines.delete(text);
      else repeated.write(`${text} (${repeated.count} more times)`);
      repeated.count = 0;
    }
    if (this.#lines.size > 0) this.#timer = setTimeout(() => this.#flush(), this.#window).unref();
  }
}
