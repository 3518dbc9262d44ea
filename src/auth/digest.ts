import { createHash } from 'node:crypto';
import { AuthError } from './error.js';
import { decodeAuthText, quote, quoteBytes, type SchemeValue } from './fields.js';

/** The supported hash functions of RFC 2617 and RFC 7616. */
export type DigestHash = 'MD5' | 'SHA-256';

/** A parsed value of `algorithm`. */
export interface DigestAlgorithm {
  readonly hash: DigestHash;
  /** `-sess`: HA1 includes the nonces. */
  readonly session: boolean;
}

const HASHES = { MD5: 'md5', 'SHA-256': 'sha256' } as const;

/** In lower-case hexadecimal. */
function hexHash(hash: DigestHash, text: string, encoding: 'utf8' | 'latin1'): string {
  return createHash(HASHES[hash]).update(text, encoding).digest('hex');
}

/** Returns HA1 without `-sess` (RFC 7616 3.4.2), in hexadecimal: a server keeps it in place of a password. */
export function digestSecret(hash: DigestHash, user: string, realm: string, password: string): string {
  return hexHash(hash, `${user}:${realm}:${password}`, 'utf8');
}

/** Parses `algorithm`; undefined if it is not supported. MD5 if the field leaves it out. */
export function parseAlgorithm(text = 'MD5'): DigestAlgorithm | undefined {
  const match = /^(MD5|SHA-256)(-sess)?$/i.exec(text);
  if (!match) return undefined;
  return { hash: match[1]!.toUpperCase() as DigestHash, session: match[2] !== undefined };
}

/** Returns `algorithm` as it is written in a field. */
export function formatAlgorithm({ hash, session }: DigestAlgorithm): string {
  return session ? `${hash}-sess` : hash;
}

/** The input for a response; each character is one byte. */
export interface DigestInput {
  readonly algorithm: DigestAlgorithm;
  readonly nonce: string;
  readonly uri: string;
  /** With `qop=auth`; undefined for RFC 2069, which old clients use. */
  readonly protection: { readonly nc: string; readonly cnonce: string } | undefined;
}

/**
 * Computes `response` (RFC 7616 3.4.1; RFC 2617 3.2.2.1 without qop), in hexadecimal.
 * @param secret from {@link digestSecret}, with the algorithm's hash
 */
export function digestResponse(secret: string, method: string, input: DigestInput): string {
  const { algorithm, nonce, uri, protection } = input;
  const { hash, session } = algorithm;
  const ha1 = session ? hexHash(hash, `${secret}:${nonce}:${protection?.cnonce ?? ''}`, 'latin1') : secret;
  const ha2 = hexHash(hash, `${method}:${uri}`, 'latin1');
  if (!protection) return hexHash(hash, `${ha1}:${nonce}:${ha2}`, 'latin1');
  return hexHash(hash, `${ha1}:${nonce}:${protection.nc}:${protection.cnonce}:auth:${ha2}`, 'latin1');
}

/** The credentials of a request. */
export interface DigestCredentials extends DigestInput {
  readonly user: string;
  readonly realm: string;
  readonly response: string;
}

/** The text of a parameter whose characters are bytes. */
const textOf = (parameter: string) => decodeAuthText(Buffer.from(parameter, 'latin1'));

/** username* (RFC 8187 3.2.1). @throws AuthError if it is malformed or not in UTF-8 */
function extendedValue(text: string): string {
  const match = /^UTF-8'[^']*'(.*)$/i.exec(text);
  try {
    if (match) return decodeURIComponent(match[1]!);
  } catch {}
  throw new AuthError('The user name in Digest credentials is malformed.');
}

/**
 * Parses Digest credentials (RFC 7616 3.4).
 * @throws AuthError if a parameter is missing or malformed, or for another qop or algorithm
 */
export function readDigest({ parameters }: SchemeValue): DigestCredentials {
  const need = (name: string): string => {
    const value = parameters.get(name);
    if (value === undefined || value === '') throw new AuthError(`The Digest credentials lack ${name}.`);
    return value;
  };
  const algorithm = parseAlgorithm(parameters.get('algorithm'));
  const qop = parameters.get('qop')?.toLowerCase();
  if (!algorithm || (qop !== undefined && qop !== 'auth'))
    throw new AuthError('The Digest credentials are of an unknown kind.');
  const nc = qop && need('nc');
  if (nc !== undefined && !/^[0-9a-f]{8}$/i.test(nc)) throw new AuthError('The nonce count is malformed.');
  const extended = parameters.get('username*');
  return {
    algorithm,
    user: extended === undefined ? textOf(need('username')) : extendedValue(extended),
    realm: textOf(need('realm')),
    nonce: need('nonce'),
    uri: need('uri'),
    response: need('response').toLowerCase(),
    protection: nc === undefined ? undefined : { nc, cnonce: need('cnonce') },
  };
}

/** A server's challenge. */
export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  readonly algorithm: DigestAlgorithm;
  /** True if `qop` offers `auth`; a challenge without qop follows RFC 2069. */
  readonly qop: boolean;
  /** True if only the nonce was wrong; the credentials were good. */
  readonly stale: boolean;
}

/** Parses a Digest challenge (RFC 7616 3.3); undefined if this client cannot answer it. */
export function readDigestChallenge({ parameters }: SchemeValue): DigestChallenge | undefined {
  const algorithm = parseAlgorithm(parameters.get('algorithm'));
  const nonce = parameters.get('nonce');
  const qops = parameters
    .get('qop')
    ?.toLowerCase()
    .split(',')
    .map((qop) => qop.trim());
  if (!algorithm || !nonce || (qops && !qops.includes('auth'))) return undefined;
  return {
    realm: textOf(parameters.get('realm') ?? ''),
    nonce,
    opaque: parameters.get('opaque'),
    algorithm,
    qop: qops !== undefined,
    stale: parameters.get('stale')?.toLowerCase() === 'true',
  };
}

/** Returns the parameters of a challenge, as in WWW-Authenticate after the scheme (RFC 7616 3.3). */
export function formatDigestChallenge(challenge: DigestChallenge): string {
  const { realm, nonce, opaque, algorithm, qop, stale } = challenge;
  return [
    `realm=${quote(realm)}`,
    ...(qop ? ['qop="auth"'] : []),
    `algorithm=${formatAlgorithm(algorithm)}`,
    `nonce="${nonce}"`,
    ...(opaque === undefined ? [] : [`opaque="${opaque}"`]),
    ...(stale ? ['stale=true'] : []),
    'charset="UTF-8"',
  ].join(', ');
}

/** Returns the value of Authorization for credentials (RFC 7616 3.4); `opaque` comes from the challenge. */
export function formatDigest(credentials: DigestCredentials, opaque: string | undefined): string {
  const { user, realm, nonce, uri, response, algorithm, protection } = credentials;
  return `Digest ${[
    `username=${quote(user)}`,
    `realm=${quote(realm)}`,
    `nonce="${nonce}"`,
    `uri=${quoteBytes(uri)}`,
    `algorithm=${formatAlgorithm(algorithm)}`,
    ...(protection ? ['qop=auth', `nc=${protection.nc}`, `cnonce="${protection.cnonce}"`] : []),
    `response="${response}"`,
    ...(opaque === undefined ? [] : [`opaque="${opaque}"`]),
  ].join(', ')}`;
}
