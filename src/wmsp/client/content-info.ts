import type { AddressGuard } from '../../http/address-guard.js';
import { HttpClient, StaleConnection } from '../../http/client.js';
import type { TlsTrust } from '../../http/connection.js';
import { type Field, keepsAlive, type ResponseHead } from '../../http/message.js';
import type { PullChain } from '../../receiving/pull-chain.js';
import type { Relayed } from '../../wms/relayed.js';
import { type ClientIdentity, defaultIdentity, parseServerProduct } from './product.js';
import {
  type ClientRequest,
  contentInfoRequest,
  describeRequest,
  eventRequest,
  type RequestContext,
} from './requests.js';
import { endpointOf, type WmspUrl } from './url.js';

/** A question about content, of a proxy with a cache. */
export interface ContentQuestion {
  readonly url: WmspUrl;
  readonly relayed?: Relayed | undefined;
  readonly pullChain?: PullChain | undefined;
  /** The value of the Authorization field: the credentials of the client that the proxy asks for. */
  readonly authorization?: string | undefined;
  /** How the client asked: credentials may count for that method only. Default: POST, with GetContentInfo. */
  readonly method?: 'GET' | 'POST' | undefined;
}

/** How to ask a server about its content. */
export interface ContentInfoClientOptions {
  readonly identity?: ClientIdentity | undefined;
  readonly tls?: TlsTrust | undefined;
  readonly guard?: AddressGuard | undefined;
  /** In ms, for connecting and for the answer each; default: 10 000. */
  readonly timeout?: number | undefined;
}

const TIMEOUT = 10_000;
/** In ms, the maximum wait for the body of an answer: its head says everything. */
const BODY_WITHIN = 2_000;
/** A longer body of an answer is not read; then its connection cannot be used again. In bytes. */
const LONGEST_BODY = 256 * 1024;
const NO_GUID = '{00000000-0000-0000-0000-000000000000}';
const SCHEMES = ['Negotiate', 'NTLM', 'Digest', 'Basic'];

/**
 * Asks a server about the caching of content (MS-WMSP 3.1.4.1), on one connection, which NTLM authenticates. An old
 * server that does not know the request is asked with Describe (3.1.5.4).
 */
export class ContentInfoClient {
  readonly #options: ContentInfoClientOptions;
  #http: HttpClient | undefined;
  #identity: ClientIdentity;
  #localAddress = '';

  constructor(options: ContentInfoClientOptions = {}) {
    this.#options = options;
    this.#identity = options.identity ?? defaultIdentity('WMCacheProxy');
  }

  /** The address that the last connection came from; empty before that. */
  get localAddress(): string {
    return this.#localAddress;
  }

  /** True if the server is too old to know a proxy with a cache, so that this client is a relaying server for it. */
  get isServer(): boolean {
    return this.#identity.token === 'NSServer';
  }

  /** True while the connection can take another request. */
  get open(): boolean {
    return this.#http?.open ?? false;
  }

  /**
   * @returns the head of the answer, whatever its status
   * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_HTTP_MALFORMED, WM_TLS
   */
  async ask(question: ContentQuestion): Promise<ResponseHead> {
    const head = await this.#ask(question);
    const describes = question.method === 'GET';
    if (this.#identity.token !== 'WMCacheProxy' || !(describes ? isTooOld(head) : isUnknownTo(head))) return head;
    this.#identity = defaultIdentity('NSServer');
    this.close();
    return this.#ask(question);
  }

  /**
   * Sends an event (MS-WMSP 2.2.2.9). @param body with one event @param agent the User-Agent, default that of the proxy
   *
   * @throws as {@link ask}
   */
  async send(question: ContentQuestion, body: Buffer, agent?: string): Promise<ResponseHead> {
    const context = this.#context(question);
    const identity = agent === undefined ? context.identity : { ...context.identity, text: agent };
    return this.#exchange(question, eventRequest({ ...context, identity }, body));
  }

  close(): void {
    this.#http?.destroy();
    this.#http = undefined;
  }

  #ask(question: ContentQuestion): Promise<ResponseHead> {
    const context = this.#context(question);
    const describes = question.method === 'GET' || this.#identity.token !== 'WMCacheProxy';
    return this.#exchange(question, describes ? describeRequest(context, false, false) : contentInfoRequest(context));
  }

  async #exchange(question: ContentQuestion, request: ClientRequest): Promise<ResponseHead> {
    const reused = this.#http?.open ? this.#http : undefined;
    if (reused) {
      try {
        return await this.#sendOn(reused, question, request);
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error;
      }
    }
    const { tls, guard, timeout = TIMEOUT } = this.#options;
    this.#http = await HttpClient.connect({ ...endpointOf(question.url, tls), guard, timeout });
    this.#localAddress = this.#http.localAddress;
    return this.#sendOn(this.#http, question, request);
  }

  async #sendOn(
    http: HttpClient,
    { url, authorization }: ContentQuestion,
    { method, fields, body, minorVersion }: ClientRequest,
  ): Promise<ResponseHead> {
    const { timeout = TIMEOUT } = this.#options;
    const all: Field[] = [
      ...fields,
      ...(authorization === undefined ? [] : [['Authorization', authorization] as const]),
    ];
    http.send(method, url.path, all, body, { minorVersion, streamed: true });
    const { head, body: answer } = await http.streamedResponse(timeout);
    let left = LONGEST_BODY;
    const until = performance.now() + BODY_WITHIN;
    while (left > 0 && keepsAlive(head)) {
      const piece = await answer.next(Math.max(until - performance.now(), 1)).catch(() => undefined);
      if (!piece) break;
      left -= piece.length;
    }
    if (!answer.complete || !keepsAlive(head)) this.close();
    return head;
  }

  #context({ url, relayed, pullChain }: ContentQuestion): RequestContext {
    return {
      identity: this.#identity,
      guid: NO_GUID,
      authority: url.authority,
      viaProxy: false,
      proxyKeepsOne: false,
      cookie: undefined,
      authenticationSchemes: SCHEMES,
      pullChain,
      relayed,
      http11: true,
      clientId: undefined,
      playlistGenId: 0,
      server: undefined,
      serverKnown: false,
    };
  }
}

/** True if a server below 9.0 did not know the client (MS-WMSP 3.1.5.4). */
function isTooOld({ status, headers }: ResponseHead): boolean {
  const server = parseServerProduct(headers.get('Server'), true);
  return status === 400 && server !== undefined && server.major < 9;
}

/** True if a server did not know the request: it is too old, or one of another kind that has no POST. */
function isUnknownTo(head: ResponseHead): boolean {
  const { status, headers } = head;
  if (parseServerProduct(headers.get('Server'), true)) return isTooOld(head);
  return status === 400 || status === 404 || status === 405 || status === 411 || status === 501;
}
