import type { Ticker } from '../media/on-demand/ticker.js';

/** One wait at a time, until a moment of the server's clock. */
export class Wait {
  readonly #ticker: Ticker;
  readonly #now: () => number;
  #cancel: (() => void) | undefined;

  /** @param now a clock in ms */
  constructor(ticker: Ticker, now: () => number) {
    this.#ticker = ticker;
    this.#now = now;
  }

  /** Calls `then` at that moment, at once if it has passed; instead of what was waited for before. It must not throw. */
  until(due: number, then: () => void): void {
    this.cancel();
    if (due <= this.#now()) {
      then();
      return;
    }
    const look = () => {
      if (this.#now() < due) return;
      this.cancel();
      then();
    };
    this.#cancel = () => this.#ticker.delete(look);
    this.#ticker.add(look);
  }

  cancel(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
