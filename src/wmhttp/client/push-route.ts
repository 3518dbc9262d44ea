import type { Socket } from 'node:net';
import type { HttpAuthenticator } from '../../auth/client.js';
import { WmError } from '../../errors.js';
import { isLoopback } from '../../http/addresses.js';
import { ConnectionReuse, type HttpClient } from '../../http/client.js';
import type { Endpoint, TlsTrust } from '../../http/connection.js';
import { endpointOf, type HttpUrl } from '../../http/http-url.js';
import type { Field, ResponseHead } from '../../http/message.js';
import { asksProxy, connectRoute, type Route } from '../../http/tunnel.js';
import { parsePushUrl } from '../messages/push-url.js';

/** @public */
export interface PushRouteOptions {
  /** `http://host[:port]/point`, or `https://` */
  readonly url: string;
  /** `http://host:port` of an HTTP proxy, or `https://`. */
  readonly proxy?: string | undefined;
  /** The certificates to trust for TLS. */
  readonly tls?: TlsTrust | undefined;
  /** In ms, for each step of connecting. */
  readonly timeout: number;
  readonly userAgent?: string | undefined;
  readonly authorize?: HttpAuthenticator | undefined;
  /** Receives the socket of each connection before anything is sent. */
  readonly onSocket?: ((socket: Socket) => void) | undefined;
}

// Schemes that authenticate a connection rather than a request (MS-NTHT 2.2, RFC 4559).
const OF_CONNECTION = /^(?:NTLM|Negotiate)\b/i;

/** The route to a publishing point: where redirects have led, through which proxy, with which credentials. @public */
export class PushRoute {
  readonly #options: PushRouteOptions;
  #target: HttpUrl;
  #proxy: HttpUrl | undefined;
  // The credentials for the next request, by name.
  readonly #credentials = new Map<string, Field>();
  // The statuses that are answered with credentials, which are meant only for the server and the proxy in the options.
  readonly #answered = new Set([401, 407]);
  readonly #reuse = new ConnectionReuse();

  /** @throws WmError WM_USAGE if a URL is malformed */
  constructor(options: PushRouteOptions) {
    this.#options = options;
    this.#target = parsePushUrl(options.url);
    this.#proxy = options.proxy === undefined ? undefined : parsePushUrl(options.proxy);
  }

  /** The URL of the publishing point, for messages. */
  get url(): string {
    return this.#target.href;
  }

  /** The value of the Host field. */
  get authority(): string {
    return this.#target.authority;
  }

  /** The target of the request line: the whole URL for a proxy. */
  get requestTarget(): string {
    return asksProxy(this.#route) ? this.url : this.#target.path;
  }

  /** True if a proxy reads the requests; one that tunnels TLS does not. */
  get usesProxy(): boolean {
    return asksProxy(this.#route);
  }

  /** False once a connection broke because it was reused; each request then gets its own. */
  get reusesConnections(): boolean {
    return this.#reuse.allows(this.authority);
  }

  /** Records that a connection broke because it was reused. */
  wasStale(): void {
    this.#reuse.broke(this.authority);
  }

  /** Opens a new connection. @throws as {@link connectRoute} */
  async connect(): Promise<HttpClient> {
    const { timeout, userAgent, authorize, onSocket } = this.#options;
    const client = await connectRoute(this.#route, { timeout, userAgent, authorize });
    if (onSocket) client.tamper(onSocket);
    return client;
  }

  /**
   * Switches to another server, or to the same one through a proxy (MS-WMHTTP 3.1.5.1).
   *
   * @throws WmError WM_PUSH_REFUSED if the location is unusable, or leads from TLS to an unencrypted connection
   */
  redirect(location: string, proxy: boolean): void {
    let target: HttpUrl;
    try {
      target = parsePushUrl(location, this.url);
    } catch (error) {
      throw new WmError('WM_PUSH_REFUSED', `The server redirects the push to ${location}, which is not a push URL.`, {
        cause: error,
      });
    }
    if (this.#target.secure && !target.secure) {
      const sentence = `The server redirects the push to ${target.href}, which does not use TLS.`;
      throw new WmError('WM_PUSH_REFUSED', sentence);
    }
    this.#credentials.clear();
    if (proxy) {
      this.#proxy = target;
      this.#answered.delete(407);
      return;
    }
    if (target.host !== this.#target.host || target.port !== this.#target.port) this.#answered.delete(401);
    this.#target = target;
  }

  /** Returns the credentials for a request on a connection, as far as they are known. */
  credentials(connection: object): readonly Field[] {
    const seenBy = [...this.#answered].filter((status) => status === 401 || this.usesProxy);
    const known = this.#options.authorize?.fields?.({ ...this.#request, connection }, seenBy) ?? [];
    const fields = new Map(known.map((field) => [field[0].toLowerCase(), field]));
    for (const [name, field] of this.#credentials) fields.set(name, field);
    this.#credentials.clear();
    return [...fields.values()];
  }

  /**
   * Answers a challenge, for the next request.
   *
   * @param persistent true if the connection stays open
   * @returns which connection the next request uses: the same one for schemes that authenticate a connection, else a
   * new one (MS-WMHTTP 3.1.5.1); undefined if there is no answer
   */
  async challenged(head: ResponseHead, connection: object, persistent: boolean): Promise<'same' | 'new' | undefined> {
    const { status, headers, minorVersion } = head;
    if (!this.#answered.has(status)) return undefined;
    const { secure, host } = this.#target;
    const isPrivate = secure || isLoopback(host) || host === 'localhost';
    const challenge = { ...this.#request, connection, status, headers, secure: isPrivate, persistent };
    const field = await this.#options.authorize?.answer(challenge);
    if (!field) return undefined;
    this.#credentials.set(field[0].toLowerCase(), field);
    if (!OF_CONNECTION.test(field[1])) return 'new';
    // HTTP/1.0 would close the connection otherwise (3.1.4.1.1).
    if (minorVersion === 0) this.#credentials.set('connection', ['Connection', 'Keep-Alive']);
    return 'same';
  }

  get #request() {
    return { method: 'POST', target: this.requestTarget };
  }

  get #route(): Route {
    return { server: this.#endpoint(this.#target), proxy: this.#proxy && this.#endpoint(this.#proxy) };
  }

  #endpoint(url: HttpUrl): Endpoint {
    return endpointOf(url, this.#options.tls);
  }
}
