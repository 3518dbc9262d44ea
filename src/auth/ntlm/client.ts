import { randomBytes } from 'node:crypto';
import { AuthError } from '../error.js';
import { AV, AV_FLAG_MIC, type AvPair, avFlags, avValue, buildAvPairs, parseAvPairs } from './av-pairs.js';
import { fileTimeBytes } from './file-time.js';
import { FLAGS, flagsOf, has } from './flags.js';
import { computeResponseV2, hmacMd5, ntowfV2, Signer } from './keys.js';
import {
  buildAuthenticate,
  buildNegotiate,
  type ChallengeMessage,
  hasCharacterSet,
  parseChallenge,
  setMic,
} from './messages.js';
import { Rc4 } from './rc4.js';

/** The user that a client claims to be. */
export interface NtlmIdentity {
  readonly user: string;
  /** Empty if the server is to supply it. */
  readonly domain: string;
  /** NTOWFv1 of the password, 16 bytes. */
  readonly ntHash: Buffer;
  readonly workstation: string;
}

/** The client's side of NTLM. */
export interface NtlmClientOptions {
  /** NegotiateFlags; default {@link CLIENT_FLAGS}. */
  readonly flags?: number;
  /** Ms since 1970; default `Date.now`. */
  readonly now?: () => number;
  /** Default `crypto.randomBytes`. */
  readonly random?: (size: number) => Buffer;
}

/** What a modern client asks for: extended session security, 128 bits, key exchange and signatures for SPNEGO. */
export const CLIENT_FLAGS = flagsOf(
  'NEGOTIATE_UNICODE',
  'NEGOTIATE_OEM',
  'REQUEST_TARGET',
  'NEGOTIATE_SIGN',
  'NEGOTIATE_NTLM',
  'NEGOTIATE_ALWAYS_SIGN',
  'NEGOTIATE_EXTENDED_SESSIONSECURITY',
  'NEGOTIATE_VERSION',
  'NEGOTIATE_128',
  'NEGOTIATE_KEY_EXCH',
  'NEGOTIATE_56',
);

/** The end of a client's handshake. */
export interface NtlmAnswer {
  /** AUTHENTICATE_MESSAGE. */
  readonly message: Buffer;
  /** For what the client signs; undefined if signatures were not negotiated. */
  readonly signer: Signer | undefined;
}

/** One handshake of an NTLM v2 client on one connection (MS-NLMP 3.1.5.1). */
export class NtlmClient {
  readonly #identity: NtlmIdentity;
  readonly #flags: number;
  readonly #now: () => number;
  readonly #random: (size: number) => Buffer;
  readonly #negotiate: Buffer;

  constructor(identity: NtlmIdentity, options: NtlmClientOptions = {}) {
    this.#identity = identity;
    this.#flags = options.flags ?? CLIENT_FLAGS;
    this.#now = options.now ?? Date.now;
    this.#random = options.random ?? randomBytes;
    this.#negotiate = buildNegotiate({ flags: this.#flags });
  }

  /** The NEGOTIATE_MESSAGE, which is sent first (MS-NLMP 3.1.5.1.1). */
  get negotiate(): Buffer {
    return this.#negotiate;
  }

  /**
   * Answers a CHALLENGE_MESSAGE (MS-NLMP 3.1.5.1.2). A server that sends the time gets a MIC.
   * @throws AuthError if it is not one, or offers no character set
   */
  authenticate(challenge: Buffer): NtlmAnswer {
    const parsed = parseChallenge(challenge);
    if (!hasCharacterSet(parsed.flags)) throw new AuthError('The NTLM challenge names no character set.');
    const flags = this.#agreed(parsed.flags);
    const pairs = parsed.targetInfo.length > 0 ? parseAvPairs(parsed.targetInfo) : [];
    const time = avValue(pairs, AV.Timestamp);
    if (time && time.length !== 8) throw new AuthError('The time in an NTLM challenge is malformed.');
    const responses = this.#respond(parsed, pairs, time);
    const exchanged = has(flags, 'NEGOTIATE_KEY_EXCH') && has(flags, 'NEGOTIATE_SIGN');
    const sessionKey = exchanged ? this.#random(16) : responses.sessionBaseKey;
    const { user, domain, workstation } = this.#identity;
    const message = buildAuthenticate(
      {
        flags,
        userName: user,
        domainName: domain,
        workstation,
        lmChallengeResponse: time ? Buffer.alloc(24) : responses.lmChallengeResponse,
        ntChallengeResponse: responses.ntChallengeResponse,
        encryptedRandomSessionKey: exchanged ? new Rc4(responses.sessionBaseKey).update(sessionKey) : Buffer.alloc(0),
      },
      time !== undefined,
    );
    if (time) setMic(message, hmacMd5(sessionKey, this.#negotiate, challenge, message));
    const signs = has(flags, 'NEGOTIATE_SIGN') && has(flags, 'NEGOTIATE_EXTENDED_SESSIONSECURITY');
    return { message, signer: signs ? Signer.of(flags, sessionKey, 'client') : undefined };
  }

  #agreed(offered: number): number {
    const flags = (offered & (this.#flags | FLAGS.NEGOTIATE_TARGET_INFO)) | FLAGS.REQUEST_TARGET;
    return (has(flags, 'NEGOTIATE_UNICODE') ? flags & ~FLAGS.NEGOTIATE_OEM : flags) >>> 0;
  }

  #respond({ serverChallenge }: ChallengeMessage, pairs: readonly AvPair[], time: Buffer | undefined) {
    const { ntHash, user, domain } = this.#identity;
    return computeResponseV2(
      ntowfV2(ntHash, user, domain),
      serverChallenge,
      this.#random(8),
      time ?? fileTimeBytes(this.#now()),
      buildAvPairs(time ? protectedPairs(pairs) : pairs),
    );
  }
}

/** The server's pairs, with added ones for a MIC, no channel binding and no target name (MS-NLMP 3.1.5.1.2). */
function protectedPairs(pairs: readonly AvPair[]): AvPair[] {
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE((avFlags(pairs) | AV_FLAG_MIC) >>> 0);
  const replaced: readonly number[] = [AV.Flags, AV.ChannelBindings, AV.TargetName];
  return [
    ...pairs.filter(([id]) => !replaced.includes(id)),
    [AV.Flags, flags],
    [AV.ChannelBindings, Buffer.alloc(16)],
    [AV.TargetName, Buffer.alloc(0)],
  ];
}
