import type { Field, HeaderFields } from './message.js';

/** A response that asks for credentials, and the request that it answers. */
export interface HttpChallenge {
  /** 401 from a server, 407 from a proxy. */
  readonly status: number;
  readonly headers: HeaderFields;
  readonly method: string;
  /** The request-target. */
  readonly target: string;
  /** The same object for all attempts on a connection. */
  readonly connection: object;
}

/** Answers a proxy's challenges to CONNECT. */
export interface ProxyAuthenticator {
  /** @returns the Proxy-Authorization field of the next attempt; undefined to give up */
  answer(challenge: HttpChallenge): Field | undefined | Promise<Field | undefined>;
}

/** Challenges that are answered per request: NTLM takes two, a stale nonce one more. */
export const MAX_CHALLENGES = 4;
