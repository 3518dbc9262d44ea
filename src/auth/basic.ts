import type { Credentials as UserCredentials } from '../http/credentials.js';
import { AuthError } from './error.js';
import { decodeAuthText, decodeToken } from './fields.js';

/** Bytes of a user name and a password, with the colon between them. */
const MAX_USER_PASS = 1_024;

/** Encodes the token68 of Basic credentials, in UTF-8 (RFC 7617 2). */
export function encodeBasic({ user, password }: UserCredentials): string {
  return Buffer.from(`${user}:${password}`, 'utf8').toString('base64');
}

/**
 * Decodes the token68 of Basic credentials (RFC 7617 2): UTF-8, or Latin-1 if the bytes are not UTF-8.
 * @throws AuthError if it is malformed, longer than 1024 bytes or has control characters
 */
export function decodeBasic(token: string): UserCredentials {
  const bytes = decodeToken(token);
  const colon = bytes.indexOf(0x3a);
  const hasControls = bytes.some((byte) => byte < 0x20 || byte === 0x7f);
  if (colon < 0 || bytes.length > MAX_USER_PASS || hasControls) {
    throw new AuthError('The Basic credentials are malformed.');
  }
  return { user: decodeAuthText(bytes.subarray(0, colon)), password: decodeAuthText(bytes.subarray(colon + 1)) };
}
