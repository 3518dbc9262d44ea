import type { Ticker } from '../media/on-demand/ticker.js';

/** Waits for a moment of the server's clock, one at a time. */
export class Wait {
  readonly #ticker: Ticker;
  readonly #now: () => number;
  #cancel: (() => void) | undefined;

  /** @param now a clock in ms */
  constructor(ticker: Ticker, now: () => number) {
    this.#ticker = ticker;
    this.#now = now;
  }

  /** Calls `then` at that moment, or at once if it has passed; replaces the previous wait. `then` must not throw. */
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
