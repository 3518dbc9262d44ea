import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const DEFAULT_LIFETIME = 300_000;
const MAX_USED = 10_000;
/** How far a nonce count may be late when one client uses several connections. */
const WINDOW = 64n;

/** Bytes of a nonce: its time (48 bits, ms), random bytes, and the HMAC of both. */
const SIZES = { time: 6, random: 10, mac: 16 } as const;
const SIGNED = SIZES.time + SIZES.random;

/** The lifetime of Digest nonces, and how many are remembered. */
export interface NonceOptions {
  /** Ms since 1970. */
  readonly now: () => number;
  /** Ms; default 300000. */
  readonly lifetime?: number | undefined;
  /** Of the codes; default a random one. Processes with the same key accept each other's nonces. */
  readonly key?: Buffer | undefined;
  /** Nonces in use that are remembered; default 10000. */
  readonly limit?: number | undefined;
}

interface Usage {
  readonly issuedAt: number;
  highest: bigint;
  /** The used ones among the 64 counts below the highest. */
  seen: bigint;
}

/**
 * The nonces of a server (RFC 7616 3.3, 5.4). An unused nonce takes no memory: it contains its time, and a code that
 * only this server can compute. A nonce is remembered only after good credentials, so strangers cannot fill the memory.
 */
export class Nonces {
  readonly #now: () => number;
  readonly #lifetime: number;
  readonly #limit: number;
  readonly #key: Buffer;
  readonly #used = new Map<string, Usage>();
  // A nonce that is older than this and not remembered may have been forgotten, so it counts as used.
  #forgottenUpTo = 0;

  constructor({ now, lifetime = DEFAULT_LIFETIME, limit = MAX_USED, key = randomBytes(32) }: NonceOptions) {
    this.#key = key;
    this.#now = now;
    this.#lifetime = lifetime;
    this.#limit = limit;
  }

  /** Returns a new nonce, in base64url. */
  issue(): string {
    const signed = randomBytes(SIGNED);
    signed.writeUIntBE(Math.max(Math.floor(this.#now()), this.#forgottenUpTo + 1), 0, SIZES.time);
    return Buffer.concat([signed, this.#mac(signed)]).toString('base64url');
  }

  /**
   * Uses a nonce for a request with good credentials.
   * @param count the nonce count; undefined without qop, where a nonce is good for one request
   * @returns false if it is not from this server, is too old, or the count was already used: the client is then told
   *   `stale`
   */
  use(nonce: string, count: number | undefined): boolean {
    const issuedAt = this.#issuedAt(nonce);
    if (issuedAt === undefined || this.#now() >= issuedAt + this.#lifetime) return false;
    const usage = this.#used.get(nonce);
    if (!usage) {
      if (issuedAt <= this.#forgottenUpTo || count === 0) return false;
      this.#remember(nonce, { issuedAt, highest: BigInt(count ?? 0xffff_ffff), seen: 1n });
      return true;
    }
    return count !== undefined && mark(usage, BigInt(count));
  }

  #issuedAt(nonce: string): number | undefined {
    const bytes = Buffer.from(nonce, 'base64url');
    if (bytes.length !== SIGNED + SIZES.mac || bytes.toString('base64url') !== nonce) return undefined;
    const signed = bytes.subarray(0, SIGNED);
    if (!timingSafeEqual(bytes.subarray(SIGNED), this.#mac(signed))) return undefined;
    return signed.readUIntBE(0, SIZES.time);
  }

  #mac(signed: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(signed).digest().subarray(0, SIZES.mac);
  }

  #remember(nonce: string, usage: Usage): void {
    if (this.#used.size >= this.#limit) this.#forget();
    this.#used.set(nonce, usage);
  }

  /** Forgets the expired ones, and at least the tenth that was used longest ago. */
  #forget(): void {
    const old = this.#now() - this.#lifetime;
    let left = Math.ceil(this.#limit / 10);
    for (const [nonce, { issuedAt }] of this.#used) {
      if (left-- <= 0 && issuedAt > old) break;
      this.#used.delete(nonce);
      if (issuedAt > old) this.#forgottenUpTo = Math.max(this.#forgottenUpTo, issuedAt);
    }
  }
}

/** True if a count is new; marks it as used. */
function mark(usage: Usage, count: bigint): boolean {
  if (count > usage.highest) {
    const shift = count - usage.highest;
    usage.seen = shift >= WINDOW ? 1n : BigInt.asUintN(Number(WINDOW), usage.seen << shift) | 1n;
    usage.highest = count;
    return true;
  }
  const late = usage.highest - count;
  if (late >= WINDOW || count === 0n) return false;
  const bit = 1n << late;
  if ((usage.seen & bit) !== 0n) return false;
  usage.seen |= bit;
  return true;
}
