import { randomBytes, timingSafeEqual } from 'node:crypto';
import { steadyNow } from '../../clock.js';
import { AuthError } from '../error.js';
import { AV, AV_FLAG_MIC, avFlags, buildAvPairs, parseAvPairs } from './av-pairs.js';
import { fileTimeBytes } from './file-time.js';
import { FLAGS, flagsOf, has } from './flags.js';
import {
  hmacMd5,
  keyExchangeKeyV1,
  ntowfV2,
  ntProof,
  ntResponseV1,
  type Side,
  Signer,
  sessionBaseKeyV2,
} from './keys.js';
import {
  type AuthenticateMessage,
  buildChallenge,
  hasCharacterSet,
  micOf,
  parseAuthenticate,
  parseNegotiate,
} from './messages.js';
import { Rc4 } from './rc4.js';

/** The server's side of NTLM. */
export interface NtlmAcceptorOptions {
  /** The NetBIOS and DNS name sent to clients; default `WMCAST`. */
  readonly serverName?: string;
  /** Accept NTLM v1 responses too, which can be cracked in hours; default false. LM responses are never accepted. */
  readonly version1?: boolean;
  /** Ms since 1970; default {@link steadyNow}. */
  readonly now?: () => number;
  /** Default `crypto.randomBytes`. */
  readonly random?: (size: number) => Buffer;
}

/** The result of a client's token: a reply, or the user that the client claims or has proved to be. */
export type AcceptorStep =
  | { readonly kind: 'reply'; readonly token: Buffer }
  | {
      readonly kind: 'authenticate';
      readonly userName: string;
      /**
       * @param ntHash of the user, 16 bytes
       * @returns undefined if the client does not know the password; else the last token, if the client expects one
       */
      verify(ntHash: Buffer): { readonly token: Buffer | undefined } | undefined;
    };

/** The keys of an authenticated session. */
export interface NtlmSession {
  signer(side: Side): Signer | undefined;
}

const SUPPORTED = flagsOf(
  'NEGOTIATE_SIGN',
  'NEGOTIATE_SEAL',
  'NEGOTIATE_EXTENDED_SESSIONSECURITY',
  'NEGOTIATE_VERSION',
  'NEGOTIATE_128',
  'NEGOTIATE_KEY_EXCH',
  'NEGOTIATE_56',
);
const ALWAYS = flagsOf(
  'REQUEST_TARGET',
  'NEGOTIATE_NTLM',
  'NEGOTIATE_ALWAYS_SIGN',
  'TARGET_TYPE_SERVER',
  'NEGOTIATE_TARGET_INFO',
);

/** Bytes of an NTLM v1 response; a longer one is v2. */
const V1_SIZE = 24;
/**
 * Bytes before the AV_PAIR structures in an NTLMv2_RESPONSE: the proof and the fixed part of NTLMv2_CLIENT_CHALLENGE.
 */
const V2_HEAD = 16 + 28;
/** Time limit for the answer to a challenge, in ms. */
const CHALLENGE_LIFETIME = 120_000;

/** The server's side of one NTLM handshake on one connection (MS-NLMP 3.2.5.1). */
export class NtlmAcceptor {
  readonly #serverName: string;
  readonly #version1: boolean;
  readonly #now: () => number;
  readonly #random: (size: number) => Buffer;
  #negotiate: Buffer = Buffer.alloc(0);
  #challenge: Buffer = Buffer.alloc(0);
  #serverChallenge: Buffer = Buffer.alloc(0);
  #expires = 0;

  constructor(options: NtlmAcceptorOptions = {}) {
    this.#serverName = options.serverName ?? 'WMCAST';
    this.#version1 = options.version1 ?? false;
    this.#now = options.now ?? steadyNow;
    this.#random = options.random ?? randomBytes;
  }

  /**
   * Answers a NEGOTIATE_MESSAGE with a CHALLENGE_MESSAGE (MS-NLMP 3.2.5.1.1).
   * @throws AuthError if it is not one, or names no character set
   */
  challenge(negotiate: Buffer): Buffer {
    const { flags: asked } = parseNegotiate(negotiate);
    if (!hasCharacterSet(asked)) throw new AuthError('The NTLM message names no character set.');
    const characters = has(asked, 'NEGOTIATE_UNICODE') ? FLAGS.NEGOTIATE_UNICODE : FLAGS.NEGOTIATE_OEM;
    const name = Buffer.from(this.#serverName, 'utf16le');
    const dnsName = Buffer.from(this.#serverName.toLowerCase(), 'utf16le');
    this.#expires = this.#now() + CHALLENGE_LIFETIME;
    this.#negotiate = Buffer.from(negotiate);
    this.#serverChallenge = this.#random(8);
    this.#challenge = buildChallenge({
      flags: ((asked & SUPPORTED) | ALWAYS | characters) >>> 0,
      targetName: this.#serverName,
      serverChallenge: this.#serverChallenge,
      targetInfo: buildAvPairs([
        [AV.NbDomainName, name],
        [AV.NbComputerName, name],
        [AV.DnsDomainName, dnsName],
        [AV.DnsComputerName, dnsName],
        [AV.Timestamp, fileTimeBytes(this.#now())],
      ]),
    });
    return this.#challenge;
  }

  /**
   * Reads an AUTHENTICATE_MESSAGE that answers the challenge.
   * @throws AuthError if it is not one, if no challenge was sent, or if that is too long ago
   */
  read(bytes: Buffer): AuthenticateMessage {
    if (this.#challenge.length === 0) throw new AuthError('An NTLM handshake begins at its end.');
    if (this.#now() > this.#expires) throw new AuthError('An NTLM challenge was answered too late.');
    return parseAuthenticate(bytes);
  }

  /**
   * Returns the session keys if the client knows the password (MS-NLMP 3.2.5.1.2). Each challenge can be answered once.
   * Anonymous users, LM responses and, unless allowed, NTLM v1 responses are refused.
   * @param bytes of `message`
   * @throws AuthError if the message is malformed
   */
  verify(message: AuthenticateMessage, bytes: Buffer, ntHash: Buffer): NtlmSession | undefined {
    const key = this.#keyExchangeKey(message, ntHash);
    const exported = key && exportedSessionKey(message, key);
    const proved = exported !== undefined && this.#micHolds(message, bytes, exported);
    this.#challenge = Buffer.alloc(0);
    if (!proved) return undefined;
    const { flags } = message;
    const signs = has(flags, 'NEGOTIATE_SIGN') && has(flags, 'NEGOTIATE_EXTENDED_SESSIONSECURITY');
    return { signer: (side) => (signs ? Signer.of(flags, exported, side) : undefined) };
  }

  #keyExchangeKey(message: AuthenticateMessage, ntHash: Buffer): Buffer | undefined {
    const { ntChallengeResponse: response } = message;
    if (response.length > V1_SIZE) return this.#keyOfV2(message, ntHash);
    if (response.length !== V1_SIZE || !this.#version1) return undefined;
    const { flags, lmChallengeResponse } = message;
    const lm = has(flags, 'NEGOTIATE_EXTENDED_SESSIONSECURITY') ? lmChallengeResponse : undefined;
    if (lm && lm.length !== V1_SIZE) throw new AuthError('An NTLM response is malformed.');
    const expected = ntResponseV1(ntHash, this.#serverChallenge, lm?.subarray(0, 8));
    if (!timingSafeEqual(expected, response)) return undefined;
    return keyExchangeKeyV1(ntHash, this.#serverChallenge, lm);
  }

  #keyOfV2(message: AuthenticateMessage, ntHash: Buffer): Buffer | undefined {
    const { ntChallengeResponse, userName, domainName } = message;
    const proof = ntChallengeResponse.subarray(0, 16);
    const temp = ntChallengeResponse.subarray(16);
    // Some clients compute without a domain although they name one (MS-NLMP 3.2.5.1.2).
    for (const domain of [domainName, '']) {
      const key = ntowfV2(ntHash, userName, domain);
      const expected = ntProof(key, this.#serverChallenge, temp);
      if (timingSafeEqual(expected, proof)) return sessionBaseKeyV2(key, expected);
    }
    return undefined;
  }

  /** The MIC has to be correct if the response, which only the client can make, says that there is one. */
  #micHolds({ ntChallengeResponse }: AuthenticateMessage, bytes: Buffer, exported: Buffer): boolean {
    if (ntChallengeResponse.length < V2_HEAD) return true;
    const pairs = parseAvPairs(ntChallengeResponse.subarray(V2_HEAD));
    if ((avFlags(pairs) & AV_FLAG_MIC) === 0) return true;
    const { mic, zeroed } = micOf(bytes);
    return timingSafeEqual(mic, hmacMd5(exported, this.#negotiate, this.#challenge, zeroed));
  }
}

function exportedSessionKey({ flags, encryptedRandomSessionKey }: AuthenticateMessage, key: Buffer): Buffer {
  if (!has(flags, 'NEGOTIATE_KEY_EXCH')) return key;
  if (encryptedRandomSessionKey.length === 16) return new Rc4(key).update(encryptedRandomSessionKey);
  if (has(flags, 'NEGOTIATE_SIGN') || has(flags, 'NEGOTIATE_SEAL')) {
    throw new AuthError('An NTLM message lacks its session key.');
  }
  return key;
}
