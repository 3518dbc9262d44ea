import { MmspError, readWideText, wideText } from './base.js';

/*
 * NTLM_AUTH (MS-MMSP 2.2.4.14.1); integers are little-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+
 *  |                           Zero = 0                            |
 *  +---------------------------------------------------------------+
 *  |                            One = 1                            |
 *  +---------------------------------------------------------------+
 *  |                           Reserved1                           |
 *  +---------------------------------------------------------------+
 *  |                         NTLMTokenSize                         |
 *  +---------------------------------------------------------------+
 *  |                            Two = 2                            |
 *  +---------------------------------------------------------------+
 *  |                           Reserved2                           |
 *  +---------------------------------------------------------------+
 *  |                           NTLMToken                           |
 *  +---------------------------------------------------------------+
 */

const NTLM_AUTH_HEAD = 24;
const NTLM_SIGNATURE = Buffer.from('NTLMSSP\0', 'latin1');
/** The first bytes of an NTLM challenge or response. */
const NTLM_MARK = Buffer.alloc(2);

/** An NTLM token from a peer, and the form that it came in: a raw one is answered with a raw one (MS-MMSP 3.2.5.7). */
export interface NtlmToken {
  readonly scheme: 'ntlm';
  /** In the form of [MS-NLMP]; empty in a first challenge. */
  readonly token: Buffer;
  /** True if it came in an NTLM_AUTH structure. */
  readonly wrapped: boolean;
}

/** A Basic challenge. */
export interface BasicChallenge {
  readonly scheme: 'basic';
  readonly realm: string;
}

/** `base64(user:password)` as a client sends it. */
export interface BasicCredentials {
  readonly scheme: 'basic';
  readonly credentials: string;
}

/** Builds pToken of a Basic challenge: `realm="…"`; the realm has no quotes (2.2.4.14). */
export function basicChallenge(realm: string): Buffer {
  return wideText(`realm="${realm.replace(/["\\]/g, '')}"`);
}

/** Builds a client's Basic token: null-terminated ASCII (2.2.4.21, 2.2.4.24). @param credentials base64 */
export function basicResponse(credentials: string): Buffer {
  return Buffer.from(`${credentials}\0`, 'latin1');
}

/** Returns an NTLM token as in a challenge or its response: after two zero bytes (2.2.4.14, 2.2.4.24). */
export function ntlmToken(token: Buffer, wrapped: boolean): Buffer {
  return Buffer.concat([NTLM_MARK, token.length > 0 && wrapped ? wrap(token) : token]);
}

/** Returns an NTLM token as in the tokenData of an OpenFile: without the zero bytes (2.2.4.21). */
export function ntlmTokenData(token: Buffer, wrapped: boolean): Buffer {
  return wrapped ? wrap(token) : token;
}

function wrap(token: Buffer): Buffer {
  const bytes = Buffer.alloc(NTLM_AUTH_HEAD + token.length);
  bytes.writeUInt32LE(1, 4);
  bytes.writeUInt32LE(token.length, 12);
  bytes.writeUInt32LE(2, 16);
  token.copy(bytes, NTLM_AUTH_HEAD);
  return bytes;
}

/**
 * Reads the pToken of a challenge: two zero bytes mark NTLM, anything else is Basic (MS-MMSP 3.1.5.8).
 *
 * @throws MmspError if an NTLM_AUTH structure is truncated
 */
export function readChallengeToken(token: Buffer): NtlmToken | BasicChallenge {
  if (token.length >= 2 && token[0] === 0 && token[1] === 0) return readNtlm(token.subarray(2));
  const realm = /^\s*realm="?([^"]*)/i.exec(readWideText(token))?.[1] ?? '';
  return { scheme: 'basic', realm };
}

/**
 * Reads a client's token: tokenData of an OpenFile, or pToken of a SecurityResponse.
 *
 * @throws MmspError if it is neither NTLM nor ASCII
 */
export function readResponseToken(token: Buffer): NtlmToken | BasicCredentials {
  if (token.subarray(0, NTLM_SIGNATURE.length).equals(NTLM_SIGNATURE)) return readNtlm(token);
  // An NTLM_AUTH structure begins with zeros too, so it reads the same with and without the two bytes.
  if (token.length >= 2 && token[0] === 0 && token[1] === 0) {
    const isBare = token.length >= 8 && token.readUInt32LE(0) === 0 && token.readUInt32LE(4) === 1;
    return readNtlm(isBare ? token : token.subarray(2));
  }
  const credentials = token.toString('latin1').split('\0', 1)[0]!;
  if (!/^[A-Za-z0-9+/]{1,4096}={0,2}$/.test(credentials)) throw new MmspError('A token holds no credentials.');
  return { scheme: 'basic', credentials };
}

function readNtlm(bytes: Buffer): NtlmToken {
  const isWrapped = bytes.length >= NTLM_AUTH_HEAD && bytes.readUInt32LE(0) === 0 && bytes.readUInt32LE(4) === 1;
  if (!isWrapped) return { scheme: 'ntlm', token: bytes, wrapped: false };
  const size = bytes.readUInt32LE(12);
  if (size > bytes.length - NTLM_AUTH_HEAD) throw new MmspError(`An NTLM token of ${size} bytes is truncated.`);
  return { scheme: 'ntlm', token: bytes.subarray(NTLM_AUTH_HEAD, NTLM_AUTH_HEAD + size), wrapped: true };
}
