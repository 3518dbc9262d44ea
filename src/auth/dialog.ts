import type { Challenge } from '../refusal.js';

/** The schemes that a server can offer; `SCHEME_NAMES` has their names in header fields. @public */
export type Scheme = 'negotiate' | 'ntlm' | 'digest' | 'basic';

/** A client's credentials, or one step of its handshake. */
export interface GivenCredentials {
  /** The name of the scheme, in any case. */
  readonly scheme: string;
  /** Its data, as in an Authorization field after the scheme: a token in base64, or parameters. */
  readonly token: string;
  /** The request that they belong to, which Digest signs; protocols that do not offer Digest leave it out. */
  readonly request?: { readonly method: string; readonly target: string } | undefined;
}

/**
 * A client's side of logging in, independent of the protocol: HTTP and RTSP read it from header fields, MMSP from its
 * security messages.
 */
export interface CredentialsDialog {
  /** The same object for everything on one connection: NTLM authenticates a connection (MS-NTHT 2.2). */
  readonly connection: object;
  /**
   * The schemes that the client lists, in its order; a challenge names only these (MS-WMSP 3.2.5.1). Empty if it lists
   * none.
   */
  readonly accepts: readonly string[];
  /** The schemes that are possible for this request; default all of the server's. */
  readonly schemes?: readonly Scheme[] | undefined;
  /** True if the client takes this server for a proxy. */
  readonly proxied: boolean;
  /** True if a proxy on the way announces itself whose connections several people may share. */
  readonly via: boolean;
  readonly given?: GivenCredentials | undefined;
  /** With `proxied`: the credentials that are meant for the server to which the proxy passes the request on. */
  readonly forOrigin?: GivenCredentials | undefined;
}

/** The sender of a request, as far as the connection and the request show. */
export interface Caller {
  readonly remoteAddress: string;
  /** True if the client runs on this host. */
  readonly local: boolean;
  /** True if nobody on the way can read what is sent. */
  readonly secure: boolean;
  readonly credentials: CredentialsDialog;
}

/** A request, as an authenticator needs it. */
export interface AuthRequest {
  readonly credentials: CredentialsDialog;
  /** The address whose failures are counted. */
  readonly remoteAddress: string;
  /** Fewer schemes than the authenticator has: no NTLM for PushStart (MS-WMHTTP 3.2.5.2), no Basic without TLS. */
  readonly schemes?: readonly Scheme[];
}

/** A user whose password was verified. */
export interface AuthenticatedUser {
  readonly name: string;
  readonly groups: readonly string[];
}

/**
 * The reason for a challenge: the request had no credentials, a handshake continues, the nonce was good but is too old,
 * or the credentials are wrong. Only `refused` belongs in a log.
 */
export type ChallengeReason = 'missing' | 'continue' | 'stale' | 'refused';

/** The last step of a scheme for a client that has logged in: a token in base64, or with Digest the next nonce. */
export interface Finish extends Challenge {
  readonly token: string;
}

/** The result of checking the credentials of one request. */
export type AuthOutcome =
  | {
      readonly kind: 'accepted';
      readonly user: AuthenticatedUser;
      /** For the response, whatever its status. */
      readonly finish?: Finish | undefined;
    }
  | {
      readonly kind: 'challenge';
      /** The connection has to be kept for the next attempt. */
      readonly challenges: readonly Challenge[];
      readonly reason: ChallengeReason;
      /** The name in the wrong credentials, if it could be read. */
      readonly name?: string | undefined;
    }
  | {
      /** Too many failures from the address or for the user; there is no challenge. */
      readonly kind: 'blocked';
      /** Seconds, at least 1. */
      readonly retryAfter: number;
    };
