import { createCipheriv, createHash, createHmac } from 'node:crypto';
import { has } from './flags.js';
import { md4 } from './md4.js';
import { Rc4 } from './rc4.js';

/** HMAC_MD5 (MS-NLMP 6): 16 bytes. */
export function hmacMd5(key: Buffer, ...parts: readonly Buffer[]): Buffer {
  const hmac = createHmac('md5', key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

function md5(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** NTOWFv1 (MS-NLMP 3.3.1), the NT hash: 16 bytes. It replaces the password in everything that follows. */
export function ntowfV1(password: string): Buffer {
  return md4(Buffer.from(password, 'utf16le'));
}

/** Upper case character by character, as in Windows: no character becomes two. */
function upperCase(name: string): string {
  return [...name]
    .map((character) => {
      const upper = character.toUpperCase();
      return upper.length === character.length ? upper : character;
    })
    .join('');
}

/** NTOWFv2 and LMOWFv2 (MS-NLMP 3.3.2): 16 bytes, from the NT hash. */
export function ntowfV2(ntHash: Buffer, user: string, domain: string): Buffer {
  return hmacMd5(ntHash, Buffer.from(`${upperCase(user)}${domain}`, 'utf16le'));
}

/** A client's answers to a challenge. */
export interface Responses {
  readonly ntChallengeResponse: Buffer;
  readonly lmChallengeResponse: Buffer;
  /** 16 bytes. */
  readonly sessionBaseKey: Buffer;
}

/**
 * ComputeResponse of NTLM v2 (MS-NLMP 3.3.2).
 * @param key NTOWFv2
 * @param time a FILETIME, 8 bytes little-endian
 * @param serverName AV_PAIR structures with their MsvAvEOL
 */
export function computeResponseV2(
  key: Buffer,
  serverChallenge: Buffer,
  clientChallenge: Buffer,
  time: Buffer,
  serverName: Buffer,
): Responses {
  const temp = Buffer.concat([Buffer.from([1, 1, 0, 0, 0, 0, 0, 0]), time, clientChallenge, Z4, serverName, Z4]);
  const proof = ntProof(key, serverChallenge, temp);
  return {
    ntChallengeResponse: Buffer.concat([proof, temp]),
    lmChallengeResponse: Buffer.concat([hmacMd5(key, serverChallenge, clientChallenge), clientChallenge]),
    sessionBaseKey: sessionBaseKeyV2(key, proof),
  };
}

const Z4 = Buffer.alloc(4);

/** NTProofStr (MS-NLMP 3.3.2): 16 bytes. */
export function ntProof(key: Buffer, serverChallenge: Buffer, temp: Buffer): Buffer {
  return hmacMd5(key, serverChallenge, temp);
}

/** SessionBaseKey of NTLM v2 (MS-NLMP 3.3.2), also its KeyExchangeKey (3.4.5.1): 16 bytes. */
export function sessionBaseKeyV2(key: Buffer, proof: Buffer): Buffer {
  return hmacMd5(key, proof);
}

/**
 * DESL (MS-NLMP 6): the 8 bytes of `data` encrypted with each third of the 16-byte `key`; 24 bytes.
 */
export function desl(key: Buffer, data: Buffer): Buffer {
  const padded = Buffer.concat([key, Buffer.alloc(5)]);
  return Buffer.concat([0, 7, 14].map((at) => des(padded.subarray(at, at + 7), data)));
}

/** DES (MS-NLMP 6) of 8 bytes with a 7-byte key, whose bits are spread over 8 bytes. */
export function des(key: Buffer, data: Buffer): Buffer {
  const bits = BigInt(`0x${key.toString('hex')}`);
  const spread = Buffer.alloc(8);
  for (let byte = 0; byte < 8; byte++) spread[byte] = Number((bits >> BigInt(49 - byte * 7)) & 0x7fn) << 1;
  // OpenSSL 3 hides single DES, but triple DES with three equal keys is the same.
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([spread, spread, spread]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

/**
 * The NtChallengeResponse of NTLM v1 (MS-NLMP 3.3.1): 24 bytes.
 *
 * @param clientChallenge 8 bytes with extended session security, else undefined
 */
export function ntResponseV1(ntHash: Buffer, serverChallenge: Buffer, clientChallenge: Buffer | undefined): Buffer {
  if (!clientChallenge) return desl(ntHash, serverChallenge);
  return desl(ntHash, md5(serverChallenge, clientChallenge).subarray(0, 8));
}

/**
 * The KeyExchangeKey of NTLM v1 (MS-NLMP 3.4.5.1) from the NT hash, for servers without an LM hash: 16 bytes.
 * @param lmChallengeResponse its first 8 bytes are the client's challenge with extended session security, else
 *   undefined
 */
export function keyExchangeKeyV1(
  ntHash: Buffer,
  serverChallenge: Buffer,
  lmChallengeResponse: Buffer | undefined,
): Buffer {
  const sessionBaseKey = md4(ntHash);
  if (!lmChallengeResponse) return sessionBaseKey;
  return hmacMd5(sessionBaseKey, serverChallenge, lmChallengeResponse.subarray(0, 8));
}

/** The sender of a signed message, which decides its keys (MS-NLMP 3.4.5). */
export type Side = 'client' | 'server';

const DIRECTIONS = { client: 'client-to-server', server: 'server-to-client' } as const;

function magic(side: Side, purpose: 'signing' | 'sealing'): Buffer {
  return Buffer.from(`session key to ${DIRECTIONS[side]} ${purpose} key magic constant\0`, 'latin1');
}

/** SIGNKEY with extended session security (MS-NLMP 3.4.5.2): 16 bytes. */
export function signKey(exportedSessionKey: Buffer, side: Side): Buffer {
  return md5(exportedSessionKey, magic(side, 'signing'));
}

/** SEALKEY with extended session security (MS-NLMP 3.4.5.3): 16 bytes. */
export function sealKey(flags: number, exportedSessionKey: Buffer, side: Side): Buffer {
  const size = has(flags, 'NEGOTIATE_128') ? 16 : has(flags, 'NEGOTIATE_56') ? 7 : 5;
  return md5(exportedSessionKey.subarray(0, size), magic(side, 'sealing'));
}

/*
 * NTLMSSP_MESSAGE_SIGNATURE for extended session security (MS-NLMP 2.2.2.9.2), little-endian
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------------------------------------------------------+
 * |                          Version: 1                           |
 * +---------------------------------------------------------------+
 * |                       Checksum (8 bytes)                      |
 * +---------------------------------------------------------------+
 * |                            SeqNum                             |
 * +---------------------------------------------------------------+
 */

/** Signs the messages of one side (MS-NLMP 3.4.4.2); each signature advances SeqNum and the key stream. */
export class Signer {
  readonly #key: Buffer;
  readonly #handle: Rc4 | undefined;
  #seqNum = 0;

  /** @param handle the RC4 state, shared with sealing; undefined if no key exchange was negotiated */
  constructor(key: Buffer, handle: Rc4 | undefined) {
    this.#key = key;
    this.#handle = handle;
  }

  /** Creates the signer of one side for a session's flags and keys. */
  static of(flags: number, exportedSessionKey: Buffer, side: Side): Signer {
    const handle = has(flags, 'NEGOTIATE_KEY_EXCH') ? new Rc4(sealKey(flags, exportedSessionKey, side)) : undefined;
    return new Signer(signKey(exportedSessionKey, side), handle);
  }

  /** Returns the NTLMSSP_MESSAGE_SIGNATURE of a message: 16 bytes. */
  sign(message: Buffer): Buffer {
    const signature = Buffer.alloc(16);
    signature.writeUInt32LE(1, 0);
    signature.writeUInt32LE(this.#seqNum, 12);
    const checksum = hmacMd5(this.#key, signature.subarray(12), message).subarray(0, 8);
    (this.#handle ? this.#handle.update(checksum) : checksum).copy(signature, 4);
    this.#seqNum++;
    return signature;
  }
}
