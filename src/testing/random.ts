/** A generator of pseudo-random numbers whose sequence depends on its seed only (mulberry32). */
export class Random {
  #state: number;

  /** @param seed whole numbers; each combination has a sequence of its own */
  constructor(...seed: readonly number[]) {
    this.#state = 0x9e37_79b9;
    for (const part of seed) this.#state = mix(this.#state ^ (part >>> 0));
  }

  /** Returns the next number, a whole one from 0 to 2^32 - 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    return mix(this.#state);
  }

  /** Returns a number from 0 up to, but not including, 1. */
  fraction(): number {
    return this.next() / 2 ** 32;
  }

  /** Returns a whole number from 0 to `limit - 1`. */
  below(limit: number): number {
    return this.next() % limit;
  }

  /** Returns true with a probability. */
  happens(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** Fills a buffer. */
  fill(bytes: Buffer): Buffer {
    for (let at = 0; at < bytes.length; at++) bytes[at] = this.next() & 0xff;
    return bytes;
  }
}

function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 15), value | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return (mixed ^ (mixed >>> 14)) >>> 0;
}
