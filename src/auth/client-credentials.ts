import { isLoopback } from '../http/addresses.js';
import type { HttpUrl } from '../http/http-url.js';
import type { Field } from '../http/message.js';
import type { ClientChallenge, HttpAuthenticator } from './client.js';

/** A request that may need credentials. */
export interface UnsignedRequest {
  readonly method: string;
  /** Of HTTP: 0 or 1. */
  readonly minorVersion: 0 | 1;
  readonly fields: readonly Field[];
}

/** The server that a request goes to. */
export type Recipient = Pick<HttpUrl, 'origin' | 'secure' | 'host'>;

/** Schemes that authenticate a connection rather than a request (MS-NTHT 2.2, RFC 4559). */
const OF_CONNECTION = /^(?:NTLM|Negotiate)\b/i;

/**
 * The credentials of a session for its server and its proxy. Only the server they are meant for gets them, not one that
 * the session was redirected to.
 */
export class ClientCredentials {
  readonly #authenticator: HttpAuthenticator | undefined;
  readonly #origin: string;
  // The answers of an authenticator that only answers challenges; they are repeated in each request.
  #answers: readonly Field[] = [];

  /** @param origin the origin of the server that may get credentials */
  constructor(authenticator: HttpAuthenticator | undefined, origin: string) {
    this.#authenticator = authenticator;
    this.#origin = origin;
  }

  /**
   * Returns the fields of a request, with credentials. With NTLM the connection is kept open, even with HTTP/1.0
   * (MS-WMSP 3.1.5.1).
   *
   * @param url the server that the request goes to
   * @param connection the connection that it uses
   */
  fields(request: UnsignedRequest, target: string, { origin }: Recipient, connection: object): readonly Field[] {
    const { method, minorVersion, fields } = request;
    const known = this.#authenticator?.fields?.({ method, target, connection, origin }) ?? this.#answers;
    const credentials = known.filter(([name]) => name !== 'Authorization' || origin === this.#origin);
    if (credentials.length === 0) return fields;
    const keeps = minorVersion === 0 && credentials.some(([, value]) => OF_CONNECTION.test(value));
    const others = keeps ? fields.filter(([name]) => name !== 'Connection') : fields;
    return [...others, ...credentials, ...(keeps ? [['Connection', 'Keep-Alive'] as const] : [])];
  }

  /** True if there is a password for the peer that answers with that status, 401 or 407. */
  knows(status: number): boolean {
    return this.#authenticator !== undefined && (this.#authenticator.knows?.(status) ?? true);
  }

  /** @returns true if the request can be sent again, with other credentials */
  async answer(
    challenge: Omit<ClientChallenge, 'origin' | 'secure'>,
    { origin, secure, host }: Recipient,
  ): Promise<boolean> {
    if (challenge.status !== 407 && origin !== this.#origin) return false;
    const isPrivate = secure || isLoopback(host) || host === 'localhost';
    const field = await this.#authenticator?.answer({ ...challenge, origin, secure: isPrivate });
    if (!field) return false;
    this.#answers = [...this.#answers.filter(([name]) => name !== field[0]), field];
    return true;
  }
}
