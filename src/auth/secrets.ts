import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { digestSecret } from './digest.js';
import { ntowfV1 } from './ntlm/keys.js';
import type { DigestSecret, ScryptSecret, UserEntry } from './store.js';

/** The forms in which a password may be kept: for Basic, for Digest, for NTLM and Negotiate. */
export const SECRET_KINDS = ['basic', 'digest', 'ntlm'] as const;
/** The kinds of secrets that a file of users may hold. */
export type SecretKind = (typeof SECRET_KINDS)[number];

const COST = { n: 16_384, r: 8, p: 1 } as const;
const HASH_SIZE = 32;

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

function scryptOf(password: string, { salt, n, r, p }: Omit<ScryptSecret, 'hash'>, size: number): Promise<Buffer> {
  // Unicode has several ways to write an é, and keyboards differ (RFC 8265 4.2).
  return derive(password.normalize('NFC'), salt, size, { N: n, r, p, maxmem: 256 * n * r });
}

/** Derives the secrets of a password. scrypt takes 16 MiB and some 50 ms. */
export async function makeSecrets(
  user: string,
  password: string,
  realm: string,
  kinds: readonly SecretKind[],
): Promise<Pick<UserEntry, 'basic' | 'digest' | 'nt'>> {
  const salt = randomBytes(16);
  return {
    ...(kinds.includes('basic')
      ? { basic: { ...COST, salt, hash: await scryptOf(password, { ...COST, salt }, HASH_SIZE) } }
      : {}),
    ...(kinds.includes('digest') ? { digest: digestSecrets(user, password, realm) } : {}),
    ...(kinds.includes('ntlm') ? { nt: ntowfV1(password) } : {}),
  };
}

function digestSecrets(user: string, password: string, realm: string): DigestSecret {
  return {
    realm,
    md5: digestSecret('MD5', user, realm, password),
    sha256: digestSecret('SHA-256', user, realm, password),
  };
}

/** True if the password is right, in a time that does not depend on the answer. */
export async function verifyScrypt(password: string, secret: ScryptSecret): Promise<boolean> {
  return timingSafeEqual(await scryptOf(password, secret, secret.hash.length), secret.hash);
}

/** Dummy secrets to compare with the credentials of unknown users, so that the comparison takes as long. */
export const NOBODY = {
  basic: { ...COST, salt: randomBytes(16), hash: randomBytes(HASH_SIZE) },
  digest: { md5: randomBytes(16).toString('hex'), sha256: randomBytes(32).toString('hex') },
  nt: randomBytes(16),
} as const;
