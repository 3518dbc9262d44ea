/** Things that happen, for those who wait for them. */
export class Moments<T> {
  #waiting: Array<{ readonly wanted: (each: T) => boolean; readonly resolve: (each: T) => void }> = [];
  readonly #past: T[] = [];

  happened(each: T): void {
    const before = this.#waiting;
    this.#waiting = before.filter(({ wanted }) => !wanted(each));
    const found = before.filter(({ wanted }) => wanted(each));
    for (const { resolve } of found) resolve(each);
    if (found.length === 0) this.#past.push(each);
    // Tests look at few of them.
    if (this.#past.length > 1000) this.#past.shift();
  }

  /** @param past true to take one that happened while nobody waited */
  next(wanted: (each: T) => boolean, past = false): Promise<T> {
    const at = past ? this.#past.findIndex(wanted) : -1;
    if (at >= 0) return Promise.resolve(this.#past.splice(at, 1)[0]!);
    return new Promise((resolve) => this.#waiting.push({ wanted, resolve }));
  }
}

/** A promise that is settled from outside, and whose failure nobody has to handle. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}
