import type { Field } from '../http/message.js';

/** The schemes that a server can be told to offer; their names in header fields are in `SCHEME_NAMES`. */
export type Scheme = 'negotiate' | 'ntlm' | 'digest' | 'basic';

/** What an authenticator has to know of a request. */
export interface AuthRequest {
  /** The same object for every request on one connection: NTLM authenticates a connection (MS-NTHT 2.2). */
  readonly connection: object;
  readonly method: string;
  /** The request-target as it came in the request line. */
  readonly target: string;
  /** The value of Authorization; of Proxy-Authorization where the server acts as a proxy. */
  readonly authorization: string | undefined;
  /** Failures are counted for it. */
  readonly remoteAddress: string;
  /** The values of all X-Accept-Authentication fields; a challenge names only these schemes, in their order (MS-WMSP 3.2.5.1). */
  readonly accepts?: readonly string[];
  /** Fewer schemes than the authenticator has: no NTLM for PushStart (MS-WMHTTP 3.2.5.2), no Basic without TLS. */
  readonly schemes?: readonly Scheme[];
}

export interface AuthenticatedUser {
  readonly name: string;
  readonly groups: readonly string[];
}

/**
 * Why there is a challenge: the request had no credentials, a handshake goes on, the nonce was good but is too old now, or the
 * credentials are wrong. Only `refused` is worth a line in a log.
 */
export type ChallengeReason = 'missing' | 'continue' | 'stale' | 'refused';

export type AuthOutcome =
  | {
      readonly kind: 'accepted';
      readonly user: AuthenticatedUser;
      /** For the response, whatever its status is. */
      readonly fields: readonly Field[];
    }
  | {
      readonly kind: 'challenge';
      /** For the response with status 401, or 407 of a proxy. The connection is to be kept. */
      readonly fields: readonly Field[];
      readonly reason: ChallengeReason;
    }
  | {
      /** Too many failures from the address or for the user: 403 or 429 without a challenge. */
      readonly kind: 'blocked';
      /** Seconds, at least 1, for Retry-After. */
      readonly retryAfter: number;
    };
