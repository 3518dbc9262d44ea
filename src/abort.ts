/**
 * Waits for a promise, or until a signal is aborted. Only the wait ends; the work itself goes on.
 *
 * @throws the reason of the signal
 */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Nobody waits for the work any more, so its failure would go unhandled.
  if (signal.aborted) promise.catch(() => {});
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
