import type { Challenge } from '../refusal.js';

/** The schemes that a server can be told to offer; their names in header fields are in `SCHEME_NAMES`. */
export type Scheme = 'negotiate' | 'ntlm' | 'digest' | 'basic';

/** Credentials that a client gave, or one step of its handshake. */
export interface GivenCredentials {
  /** The name of the scheme, in any case. */
  readonly scheme: string;
  /** What belongs to it, as in an Authorization field behind the scheme: a token in base64, or parameters. */
  readonly token: string;
  /** The request that they were made for, which Digest signs; protocols that do not offer Digest leave it out. */
  readonly request?: { readonly method: string; readonly target: string } | undefined;
}

/**
 * A client's side of logging in, in the words of no protocol: HTTP and RTSP read it from header fields, MMSP from its security messages.
 */
export interface CredentialsDialog {
  /** The same object for everything that comes over one connection: NTLM authenticates a connection (MS-NTHT 2.2). */
  readonly connection: object;
  /** The schemes that the client lists, in its order; a challenge names only these (MS-WMSP 3.2.5.1). Empty if it lists none. */
  readonly accepts: readonly string[];
  /** The schemes that can be used for this request; default all that the server has. */
  readonly schemes?: readonly Scheme[] | undefined;
  /** True if the client takes this server for a proxy. */
  readonly proxied: boolean;
  /** True if a proxy is on the way that says so. Its connections may be several people's. */
  readonly via: boolean;
  readonly given?: GivenCredentials | undefined;
}

/** Somebody who asks for something, as far as the connection and the request tell. */
export interface Caller {
  readonly remoteAddress: string;
  /** True if the client runs on this host. */
  readonly local: boolean;
  /** True if nobody on the way can read what is sent. */
  readonly secure: boolean;
  readonly credentials: CredentialsDialog;
}

/** What an authenticator has to know of a request. */
export interface AuthRequest {
  readonly credentials: CredentialsDialog;
  /** Failures are counted for it. */
  readonly remoteAddress: string;
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

/** The last thing that a scheme says to a client that was let in: a token in base64, or with Digest the next nonce. */
export interface Finish extends Challenge {
  readonly token: string;
}

export type AuthOutcome =
  | {
      readonly kind: 'accepted';
      readonly user: AuthenticatedUser;
      /** For the answer, whatever that is. */
      readonly finish?: Finish | undefined;
    }
  | {
      readonly kind: 'challenge';
      /** The connection is to be kept for the next try. */
      readonly challenges: readonly Challenge[];
      readonly reason: ChallengeReason;
      /** The name that was given with wrong credentials, if it could be read. */
      readonly name?: string | undefined;
    }
  | {
      /** Too many failures from the address or for the user; there is no challenge. */
      readonly kind: 'blocked';
      /** Seconds, at least 1. */
      readonly retryAfter: number;
    };
