/** The limits on how often something may happen. */
export interface RatePolicy {
  /** How many times at once. */
  readonly burst: number;
  /** How many more times per second. */
  readonly perSecond: number;
}

/** Limits how often something may happen. */
export class RateLimit {
  readonly #policy: RatePolicy;
  #left: number;
  #at: number;

  /** @param now the time of a monotonic clock in ms */
  constructor(policy: RatePolicy, now: number) {
    this.#policy = policy;
    this.#left = policy.burst;
    this.#at = now;
  }

  /** Returns true if it may happen once more, and counts it. */
  take(now: number): boolean {
    const { burst, perSecond } = this.#policy;
    this.#left = Math.min(burst, this.#left + ((now - this.#at) / 1000) * perSecond);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}

/** The number of keys that are remembered; those used least recently are forgotten first. */
const MAX_KEYS = 10_000;

/** Limits how often something may happen for each key, such as an address. */
export class RateLimits {
  readonly #policy: RatePolicy;
  readonly #limits = new Map<string, RateLimit>();

  constructor(policy: RatePolicy) {
    this.#policy = policy;
  }

  /** Returns true if it may happen once more for that key, and counts it. @param now as for {@link RateLimit} */
  take(key: string, now: number): boolean {
    const limit = this.#limits.get(key) ?? new RateLimit(this.#policy, now);
    this.#limits.delete(key);
    this.#limits.set(key, limit);
    const [oldest] = this.#limits.keys();
    if (this.#limits.size > MAX_KEYS && oldest !== undefined) this.#limits.delete(oldest);
    return limit.take(now);
  }
}
