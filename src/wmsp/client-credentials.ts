import type { ClientChallenge, HttpAuthenticator } from '../auth/client.js';
import { isLoopback } from '../http/addresses.js';
import type { Field } from '../http/message.js';
import type { ClientRequest } from './client-requests.js';
import type { WmspUrl } from './client-url.js';

/** Schemes that authenticate a connection, not a request (MS-NTHT 2.2, RFC 4559). */
const OF_CONNECTION = /^(?:NTLM|Negotiate)\b/i;

/** What a session shows to its server and its proxy: to the server that it was meant for alone, not to one that it was led to. */
export class ClientCredentials {
  readonly #authenticator: HttpAuthenticator | undefined;
  readonly #origin: string;
  // Of an authenticator that only answers: its answers are sent again and again.
  #answers: readonly Field[] = [];

  /** @param origin of the server that may have credentials */
  constructor(authenticator: HttpAuthenticator | undefined, origin: string) {
    this.#authenticator = authenticator;
    this.#origin = origin;
  }

  /**
   * The fields of a request with credentials. With those of NTLM the connection is kept, also with HTTP/1.0 (MS-WMSP 3.1.5.1).
   *
   * @param url of the server that it goes to
   * @param connection that it goes over
   */
  fields(request: ClientRequest, target: string, { origin }: WmspUrl, connection: object): readonly Field[] {
    const { method, minorVersion, fields } = request;
    const known = this.#authenticator?.fields?.({ method, target, connection, origin }) ?? this.#answers;
    const credentials = known.filter(([name]) => name !== 'Authorization' || origin === this.#origin);
    if (credentials.length === 0) return fields;
    const keeps = minorVersion === 0 && credentials.some(([, value]) => OF_CONNECTION.test(value));
    const others = keeps ? fields.filter(([name]) => name !== 'Connection') : fields;
    return [...others, ...credentials, ...(keeps ? [['Connection', 'Keep-Alive'] as const] : [])];
  }

  /** Whether there is a password for who answers with a status, 401 or 407. */
  knows(status: number): boolean {
    return this.#authenticator !== undefined && (this.#authenticator.knows?.(status) ?? true);
  }

  /** @returns whether the request can be sent again, with other credentials */
  async answer(
    challenge: Omit<ClientChallenge, 'origin' | 'secure'>,
    { origin, secure, host }: WmspUrl,
  ): Promise<boolean> {
    if (challenge.status !== 407 && origin !== this.#origin) return false;
    const isPrivate = secure || isLoopback(host) || host === 'localhost';
    const field = await this.#authenticator?.answer({ ...challenge, origin, secure: isPrivate });
    if (!field) return false;
    this.#answers = [...this.#answers.filter(([name]) => name !== field[0]), field];
    return true;
  }
}
