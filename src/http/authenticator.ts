import type { Field, HeaderFields } from './message.js';

/** A response that asks for credentials. */
export interface HttpChallenge {
  /** 401 of a server, 407 of a proxy. */
  readonly status: number;
  readonly headers: HeaderFields;
  readonly method: string;
  /** The request-target of the request that was refused. */
  readonly target: string;
}

/** Answers the challenges of servers and proxies. */
export interface HttpAuthenticator {
  /** For X-Accept-Authentication, in order of preference. */
  readonly schemes: readonly string[];
  /** @returns the Authorization or Proxy-Authorization field of the next try; undefined gives up */
  answer(challenge: HttpChallenge): Field | undefined | Promise<Field | undefined>;
}

/** As many challenges to one request are answered: NTLM takes two, a stale nonce one more. */
export const MAX_CHALLENGES = 4;
