/** Turns of the event loop without a pause: most of what tests wait for has happened by then. */
const TURNS = 50;
/** Between two looks after that, ms: a wait that takes long must not take the processor from what it waits for. */
const PAUSE = 2;

// Those of this moment: tests replace the global ones.
const { setImmediate, setTimeout } = globalThis;
const now = performance.now.bind(performance);

/** A condition holds once it gives something other than false and undefined. */
type Found<T> = T | undefined | false;

/**
 * Waits until a condition holds.
 *
 * @param what the condition means, as the failure says it: "the server to have no connections"
 * @param timeout ms
 * @returns what the condition gave
 * @throws Error that says what was waited for
 */
export async function until<T>(
  what: string,
  condition: () => Found<T> | Promise<Found<T>>,
  timeout = 20_000,
): Promise<T> {
  const deadline = now() + timeout;
  for (let turn = 0; ; turn++) {
    const found = await condition();
    if (found !== undefined && found !== false) return found;
    if (now() > deadline) throw new Error(`Waited ${timeout / 1000} s for ${what}.`);
    await new Promise((resolve) => (turn < TURNS ? setImmediate(resolve) : setTimeout(resolve, PAUSE)));
  }
}
