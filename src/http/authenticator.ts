import type { Field, HeaderFields } from './message.js';

/** A response that asks for credentials, and the request that it answers. */
export interface HttpChallenge {
  /** 401 of a server, 407 of a proxy. */
  readonly status: number;
  readonly headers: HeaderFields;
  readonly method: string;
  /** The request-target. */
  readonly target: string;
  /** The same object for all tries on a connection. */
  readonly connection: object;
}

/** Answers the challenges of a proxy to CONNECT. */
export interface ProxyAuthenticator {
  /** @returns the Proxy-Authorization field of the next try; undefined gives up */
  answer(challenge: HttpChallenge): Field | undefined | Promise<Field | undefined>;
}

/** As many challenges to one request are answered: NTLM takes two, a stale nonce one more. */
export const MAX_CHALLENGES = 4;
