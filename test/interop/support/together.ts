import { itNeeds, missing, type Requirement } from './programs.js';

/**
 * Tests that run at the same time, each with a player of its own: a player takes as long as the media that it plays, and needs
 * little of the machine meanwhile.
 */
export class Together {
  readonly #flows: Array<() => void> = [];

  /** A test of its own, which waits for what {@link start} began. */
  it(requirements: readonly Requirement[], title: string, test: () => Promise<void>): void {
    let outcome: Promise<void> = Promise.resolve();
    const begin = () => {
      outcome = test();
      // The test that waits for it tells of its failure.
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
