import { LeadsElsewhere } from '../../announce/elsewhere.js';
import type { SignedRequest as Asked, HttpAuthenticator } from '../../auth/client.js';
import { ClientCredentials } from '../../auth/client-credentials.js';
import { WmError } from '../../errors.js';
import type { AddressGuard } from '../../http/address-guard.js';
import { MAX_CHALLENGES } from '../../http/authenticator.js';
import type { HttpClient } from '../../http/client.js';
import type { TlsTrust } from '../../http/connection.js';
import { keepsAlive, type ResponseHead } from '../../http/message.js';
import { asksProxy, connectRoute, type Route } from '../../http/tunnel.js';
import type { ServerKnowledge } from './knowledge.js';
import type { ClientRequest } from './requests.js';
import { endpointOf, parseWmspUrl, type WmspUrl } from './url.js';

/** How to reach a server and log in. */
export interface ServerAccessOptions {
  readonly proxy: WmspUrl | undefined;
  readonly tls: TlsTrust | undefined;
  readonly authorize: HttpAuthenticator | undefined;
  readonly credentialsFor: string;
  readonly userAgent: string;
  readonly guard?: AddressGuard | undefined;
  readonly led?: boolean | undefined;
  readonly timeouts: { readonly connect: number };
}

/** The way to the server of a session: where it is, through which proxy, and with which credentials. */
export class ServerAccess {
  readonly #peer: ServerKnowledge;
  readonly #options: ServerAccessOptions;
  readonly #credentials: ClientCredentials;
  #proxy: WmspUrl | undefined;
  #guard: AddressGuard | undefined;
  #proxyGuard: AddressGuard | undefined;

  constructor(peer: ServerKnowledge, options: ServerAccessOptions) {
    this.#peer = peer;
    this.#options = options;
    this.#proxy = options.proxy;
    if (options.led) this.#guard = options.guard;
    this.#credentials = new ClientCredentials(options.authorize, options.credentialsFor);
    peer.viaProxy = asksProxy(this.#route);
  }

  get hasProxy(): boolean {
    return this.#proxy !== undefined;
  }

  /** The content in a request line. */
  get contentTarget(): string {
    const { url } = this.#peer;
    return asksProxy(this.#route) ? url.href : url.path;
  }

  /** @throws WmError as `connectRoute`; WM_SERVER_GONE once the signal is aborted */
  async connect(signal: AbortSignal): Promise<HttpClient> {
    const { timeouts, authorize, userAgent } = this.#options;
    let giveUp = () => {};
    const aborted = new Promise<undefined>((resolve) => {
      giveUp = () => resolve(undefined);
    });
    signal.addEventListener('abort', giveUp, { once: true });
    const connecting = connectRoute(this.#route, { timeout: timeouts.connect, authorize, userAgent });
    try {
      const http = await Promise.race([connecting, aborted]);
      if (http && !signal.aborted) return http;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
    connecting.then((late) => late.destroy()).catch(() => undefined);
    throw new WmError('WM_SERVER_GONE', 'The connection was given up.');
  }

  /** @returns the subject of a challenge to it */
  send(http: HttpClient, request: ClientRequest, streamed: boolean): Asked {
    const { method, minorVersion, body, wholeServer } = request;
    const target = wholeServer ? '*' : this.contentTarget;
    const fields = this.#credentials.fields(request, target, this.#peer.url, http);
    http.send(method, target, fields, body, { minorVersion, streamed });
    return { method, target, connection: http };
  }

  /** @returns true if the request can be sent again, with other credentials */
  async mayAnswer(head: ResponseHead, about: Asked, count: number): Promise<boolean> {
    if (count > MAX_CHALLENGES) return false;
    const { status, headers } = head;
    const persistent = keepsAlive(head);
    return this.#credentials.answer({ ...about, status, headers, persistent }, this.#peer.url);
  }

  /** True if there is a password for the peer that answers with that status, 401 or 407. */
  knows(status: number): boolean {
    return this.#credentials.knows(status);
  }

  /**
   * Follows a redirect.
   *
   * @param proxy true if it names a proxy
   * @param isRemote true if another host sent it
   * @throws LeadsElsewhere for another protocol
   */
  redirect(location: string, proxy: boolean, isRemote: boolean): void {
    let url: WmspUrl;
    try {
      url = parseWmspUrl(location, this.#peer.url);
    } catch {
      throw new LeadsElsewhere(location, isRemote);
    }
    if (proxy) {
      this.#proxy = url;
      if (isRemote) this.#proxyGuard = this.#options.guard;
    } else {
      this.#peer.url = url;
      if (isRemote) this.#guard = this.#options.guard;
    }
    this.#peer.viaProxy = asksProxy(this.#route);
  }

  get #route(): Route {
    const { tls } = this.#options;
    return {
      server: { ...endpointOf(this.#peer.url, tls), guard: this.#guard },
      proxy: this.#proxy && { ...endpointOf(this.#proxy, tls), guard: this.#proxyGuard },
    };
  }
}
