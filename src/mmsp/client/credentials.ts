import type { HttpAuthenticator } from '../../auth/client.js';
import { WmError } from '../../errors.js';
import { MAX_CHALLENGES } from '../../http/authenticator.js';
import { loginHint, refusedCredentials } from '../../http/credentials.js';
import { HeaderFields } from '../../http/message.js';
import { basicResponse, ntlmToken, readChallengeToken } from '../messages/token.js';

/** A challenge and its sender. */
export interface Challenge {
  /** pToken. */
  readonly token: Buffer;
  /** AuthenPackage, and the server's version. */
  readonly scheme: string;
  readonly major: number;
  /** The same object for all challenges of a connection: NTLM authenticates a connection. */
  readonly connection: object;
  /** True if the server runs on this host, so that nobody on the way reads the password. */
  readonly isLocal: boolean;
}

/** Answers the challenges of one connection with the authenticator that HTTP uses, too. */
export class MmspCredentials {
  readonly #authenticator: HttpAuthenticator | undefined;
  readonly #href: string;
  #challenges = 0;

  /**
   * @param authenticator undefined for a server that gets no credentials
   * @param href for messages
   */
  constructor(authenticator: HttpAuthenticator | undefined, href: string) {
    this.#authenticator = authenticator;
    this.#href = href;
  }

  /**
   * Returns the pToken of a SecurityResponse (MS-MMSP 2.2.4.24).
   *
   * @throws MmspError for a malformed challenge
   * @throws WmError WM_AUTH_REFUSED if there is no password, or the server does not accept it
   */
  async answer({ token, scheme, major, connection, isLocal }: Challenge): Promise<Buffer> {
    // A server below version 9 may leave out the realm (3.1.5.8).
    const isBare = major < 9 && token.length < 2;
    const asked =
      isBare && scheme.toUpperCase() !== 'BASIC' ? readChallengeToken(Buffer.alloc(2)) : readChallengeToken(token);
    const value =
      asked.scheme === 'ntlm' ? `NTLM ${asked.token.toString('base64')}`.trim() : `Basic realm="${asked.realm}"`;
    const mayAnswer = ++this.#challenges <= MAX_CHALLENGES;
    const field = mayAnswer
      ? await this.#authenticator?.answer({
          status: 401,
          method: 'MMS',
          target: this.#href,
          connection,
          headers: new HeaderFields([['WWW-Authenticate', value]]),
          secure: isLocal,
        })
      : undefined;
    const [, answer] = field?.[1].split(' ', 2) ?? [];
    if (answer === undefined) throw this.#refused();
    if (asked.scheme === 'basic') return basicResponse(answer);
    return ntlmToken(Buffer.from(answer, 'base64'), asked.wrapped);
  }

  #refused(): WmError {
    const isKnown = this.#authenticator !== undefined && (this.#authenticator.knows?.(401) ?? true);
    const hint = loginHint(401, isKnown);
    return new WmError('WM_AUTH_REFUSED', `${refusedCredentials(401, isKnown)}: ${this.#href}.`, { hint });
  }
}
