import { createHmac, randomBytes } from 'node:crypto';
import { NOBODY, verifyScrypt } from './secrets.js';
import type { ScryptSecret, UserEntry } from './store.js';

/** Passwords that may wait to be hashed; each occupies a thread of the pool for some 50 ms. */
const MAX_PENDING = 32;
/** Limit for users at addresses where they are known, however much strangers send. */
const MAX_PENDING_KNOWN = 64;
const MAX_REMEMBERED = 1_000;
/** Ms for which a good password need not be hashed again. */
const REMEMBERED_FOR = 300_000;

interface Remembered {
  readonly secret: ScryptSecret;
  readonly until: number;
}

/**
 * Checks the passwords of Basic. Clients send theirs with every request, so good ones are remembered, as keyed hashes.
 */
export class PasswordCheck {
  readonly #now: () => number;
  readonly #key = randomBytes(32);
  readonly #good = new Map<string, Remembered>();
  #pending = 0;

  /** @param now ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * @param entry the user; undefined for an unknown one, which takes as much work
   * @param known true if the user logged in from this address before
   * @returns undefined if too many passwords are waiting
   */
  async check(entry: UserEntry | undefined, password: string, known = false): Promise<boolean | undefined> {
    const secret = entry?.basic;
    const key = entry && createHmac('sha256', this.#key).update(`${entry.name}\0${password}`).digest('base64');
    const remembered = key === undefined ? undefined : this.#good.get(key);
    // The hash is compared too, so that a new password takes effect at once.
    const isFresh = remembered && this.#now() < remembered.until;
    if (isFresh && secret && remembered.secret.hash.equals(secret.hash)) return true;
    if (this.#pending >= (known ? MAX_PENDING_KNOWN : MAX_PENDING)) return undefined;
    this.#pending++;
    try {
      const good = await verifyScrypt(password, secret ?? NOBODY.basic);
      if (!good || !secret || key === undefined) return false;
      this.#remember(key, secret);
      return true;
    } finally {
      this.#pending--;
    }
  }

  #remember(key: string, secret: ScryptSecret): void {
    this.#good.delete(key);
    if (this.#good.size >= MAX_REMEMBERED) {
      const [oldest] = this.#good.keys();
      if (oldest !== undefined) this.#good.delete(oldest);
    }
    this.#good.set(key, { secret, until: this.#now() + REMEMBERED_FOR });
  }
}
