import { slowness } from './patience.js';

/** Turns of the event loop without a pause: most conditions hold by then. */
const TURNS = 50;
/** In ms, between later checks: a long wait must not take the processor from the code under test. */
const PAUSE = 2;

// Captured now, because tests replace the global ones.
const { setImmediate, setTimeout } = globalThis;
const now = performance.now.bind(performance);

/** A condition holds once it returns something other than false and undefined. */
type Found<T> = T | undefined | false;

/**
 * Waits until a condition holds.
 *
 * @param what the meaning of the condition, for the failure: "the server to have no connections"
 * @param timeout in ms; more on a machine that has more work than cores
 * @returns the value of the condition
 * @throws Error that names the condition
 */
export async function until<T>(
  what: string,
  condition: () => Found<T> | Promise<Found<T>>,
  timeout = 20_000,
): Promise<T> {
  const start = now();
  for (let turn = 0; ; turn++) {
    const found = await condition();
    if (found !== undefined && found !== false) return found;
    const waited = now() - start;
    if (waited > timeout && waited > timeout * slowness()) {
      throw new Error(`Waited ${Math.round(waited / 100) / 10} s for ${what}.`);
    }
    await new Promise((resolve) => (turn < TURNS ? setImmediate(resolve) : setTimeout(resolve, PAUSE)));
  }
}
