import { plainAddress } from '../http/addresses.js';

/** The limits on failures. */
export interface ThrottlePolicy {
  /** Failures without a pause. */
  readonly free: number;
  /** Ms of the first pause; each further failure doubles it. */
  readonly pause: number;
  /** Ms of the longest pause. */
  readonly longestPause: number;
  /** Ms without a failure after which everything is forgotten. */
  readonly memory: number;
}

/** The failures of a key. */
export interface Failures {
  readonly count: number;
  /** Ms after the last failure during which attempts are refused. */
  readonly pause: number;
  readonly lastAt: number;
}

const MAX_KEYS = 10_000;

/** Counts failures for each of up to 10000 keys, and says how long the next attempt has to wait. */
export class Throttle {
  readonly #policy: ThrottlePolicy;
  readonly #now: () => number;
  readonly #failures: Map<string, Failures>;

  /**
   * @param now ms
   * @param failures those that another one counted
   */
  constructor(policy: ThrottlePolicy, now: () => number, failures: Iterable<readonly [string, Failures]> = []) {
    this.#policy = policy;
    this.#now = now;
    this.#failures = new Map(failures);
  }

  /** Yields the keys with failures, the oldest first. */
  [Symbol.iterator](): IterableIterator<[string, Failures]> {
    return this.#failures.entries();
  }

  /** Ms until the next attempt is accepted; 0 for at once. */
  wait(key: string): number {
    const known = this.#failures.get(key);
    if (!known) return 0;
    // Never longer than the pause itself, whatever the clock did.
    return Math.min(Math.max(known.lastAt + known.pause - this.#now(), 0), known.pause);
  }

  fail(key: string): void {
    const { free, pause, longestPause, memory } = this.#policy;
    const now = this.#now();
    const known = this.#failures.get(key);
    const count = (known && now < known.lastAt + memory ? known.count : 0) + 1;
    const wait = count <= free ? 0 : Math.min(pause * 2 ** Math.min(count - free - 1, 30), longestPause);
    // Moved to the end: the oldest failures are forgotten first.
    this.#failures.delete(key);
    if (this.#failures.size >= MAX_KEYS) {
      const [oldest] = this.#failures.keys();
      if (oldest !== undefined) this.#failures.delete(oldest);
    }
    this.#failures.set(key, { count, pause: wait, lastAt: now });
  }
}

/**
 * Remembers which users logged in from which addresses: the last 10000 pairs. Only good credentials add one, so
 * strangers cannot push users out.
 */
export class KnownPlaces {
  readonly #pairs: Set<string>;

  /** @param pairs those that another one remembers */
  constructor(pairs: Iterable<string> = []) {
    this.#pairs = new Set(pairs);
  }

  /** Yields the pairs, the least recently used first. */
  [Symbol.iterator](): IterableIterator<string> {
    return this.#pairs.values();
  }

  /** @param pair from {@link pairKey} */
  has(pair: string): boolean {
    return this.#pairs.has(pair);
  }

  add(pair: string): void {
    // Moved to the end: the least recently used are forgotten first.
    this.#pairs.delete(pair);
    if (this.#pairs.size >= MAX_KEYS) {
      const [oldest] = this.#pairs.keys();
      if (oldest !== undefined) this.#pairs.delete(oldest);
    }
    this.#pairs.add(pair);
  }
}

/**
 * Returns the key of a user at an address.
 * @param user the key under which the user's failures are counted
 * @param address from {@link throttleKey}
 */
export function pairKey(user: string, address: string): string {
  return `${address}\0${user}`;
}

/** Returns the key of an address: the address, or the /64 network of an IPv6 address, since one host has all of it. */
export function throttleKey(address: string): string {
  const plain = plainAddress(address).split('%', 1)[0]!.toLowerCase();
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(8 - front.length - back.length, 0);
  return [...front, ...Array<string>(zeros).fill('0'), ...back].slice(0, 4).join(':');
}
