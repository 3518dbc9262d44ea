import { randomBytes } from 'node:crypto';
import { steadyNow } from '../clock.js';
import { Nonces } from './nonces.js';
import { type Failures, KnownPlaces, Throttle, type ThrottlePolicy } from './throttle.js';

/** After 10 failures an address waits 1 s, then twice as long after each more, up to 15 minutes. */
export const ADDRESS_POLICY: ThrottlePolicy = { free: 10, pause: 1_000, longestPause: 900_000, memory: 900_000 };
/**
 * Against guesses from many addresses at once. One address cannot get that far, so no stranger can lock a user out, and
 * the pause never exceeds a minute.
 */
export const USER_POLICY: ThrottlePolicy = { free: 100, pause: 1_000, longestPause: 60_000, memory: 900_000 };

/** A login, as the other processes of a server learn of it. */
export type LoginEvent =
  /** A failure of a key: an address, a user, or a user at an address. */
  | { readonly kind: 'addresses' | 'users' | 'pairs'; readonly key: string }
  /** A user has logged in from an address. */
  | { readonly kind: 'known'; readonly pair: string }
  /** A nonce of Digest was used. */
  | { readonly kind: 'nonce'; readonly nonce: string; readonly count: number | undefined };

/** What a process that joins has to know. */
export interface LoginSnapshot {
  /** Of the codes in nonces. */
  readonly key: Buffer;
  readonly failures: Readonly<Record<'addresses' | 'users' | 'pairs', ReadonlyArray<readonly [string, Failures]>>>;
  readonly known: readonly string[];
}

/** The policies and the clock of a memory. */
export interface LoginMemoryOptions {
  readonly addressPolicy?: ThrottlePolicy | undefined;
  readonly userPolicy?: ThrottlePolicy | undefined;
  /** Ms for which a Digest nonce is valid. */
  readonly nonceLifetime?: number | undefined;
  /** Ms since 1970, monotonic; default {@link steadyNow}. */
  readonly now?: (() => number) | undefined;
  /** Of another process of the same server. */
  readonly snapshot?: LoginSnapshot | undefined;
}

/**
 * What a server remembers of logins: failures, the addresses where users are known, and the nonces of Digest. Processes
 * of one server tell each other, so that guesses at one count at all, and a challenge of one can be answered at another.
 */
export class LoginMemory {
  readonly #key: Buffer;
  readonly #nonces: Nonces;
  readonly #failures: Readonly<Record<'addresses' | 'users' | 'pairs', Throttle>>;
  readonly #known: KnownPlaces;
  #tell: ((event: LoginEvent) => void) | undefined;

  constructor({ addressPolicy, userPolicy, nonceLifetime, now = steadyNow, snapshot }: LoginMemoryOptions = {}) {
    this.#key = snapshot?.key ?? randomBytes(32);
    this.#nonces = new Nonces({ now, lifetime: nonceLifetime, key: this.#key });
    const ofAddresses = addressPolicy ?? ADDRESS_POLICY;
    this.#failures = {
      addresses: new Throttle(ofAddresses, now, snapshot?.failures.addresses),
      pairs: new Throttle(ofAddresses, now, snapshot?.failures.pairs),
      users: new Throttle(userPolicy ?? USER_POLICY, now, snapshot?.failures.users),
    };
    this.#known = new KnownPlaces(snapshot?.known);
  }

  /** Calls `tell` with everything that the other processes have to know, from now on. */
  share(tell: (event: LoginEvent) => void): void {
    this.#tell = tell;
  }

  /** For a process that joins. */
  snapshot(): LoginSnapshot {
    const { addresses, users, pairs } = this.#failures;
    return {
      key: this.#key,
      failures: { addresses: [...addresses], users: [...users], pairs: [...pairs] },
      known: [...this.#known],
    };
  }

  /** Takes what another process tells. */
  take(event: LoginEvent): void {
    if (event.kind === 'known') this.#known.add(event.pair);
    else if (event.kind === 'nonce') this.#nonces.use(event.nonce, event.count);
    else this.#failures[event.kind].fail(event.key);
  }

  /** Ms until the next attempt with a key is accepted; 0 for at once. */
  wait(kind: 'addresses' | 'users' | 'pairs', key: string): number {
    return this.#failures[kind].wait(key);
  }

  fail(kind: 'addresses' | 'users' | 'pairs', key: string): void {
    this.#failures[kind].fail(key);
    this.#tell?.({ kind, key });
  }

  /** True if a user has logged in from an address before. @param pair from `pairKey` */
  knows(pair: string): boolean {
    return this.#known.has(pair);
  }

  /** Remembers that a user has logged in from an address. */
  learn(pair: string): void {
    if (!this.#known.has(pair)) this.#tell?.({ kind: 'known', pair });
    this.#known.add(pair);
  }

  /** Returns a new nonce. */
  nonce(): string {
    return this.#nonces.issue();
  }

  /** As `Nonces.use`. */
  useNonce(nonce: string, count: number | undefined): boolean {
    const good = this.#nonces.use(nonce, count);
    if (good) this.#tell?.({ kind: 'nonce', nonce, count });
    return good;
  }
}
