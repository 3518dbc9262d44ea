import { itNeeds, missing, type Requirement } from './programs.js';

/**
 * Tests that run in parallel, each with its own player: a player takes as long as its media, and needs little of the
 * machine.
 */
export class Together {
  readonly #flows: Array<() => void> = [];

  /** A separate test, which waits for the work that {@link start} began. */
  it(requirements: readonly Requirement[], title: string, test: () => Promise<void>): void {
    let outcome: Promise<void> = Promise.resolve();
    const begin = () => {
      outcome = test();
      // The test that waits for it reports its failure.
      outcome.catch(() => {});
    };
    if (missing(requirements).length === 0) this.#flows.push(begin);
    itNeeds(requirements, title, () => outcome);
  }

  /** Begins all of them; for the end of beforeAll. */
  start(): void {
    for (const begin of this.#flows) begin();
  }
}
