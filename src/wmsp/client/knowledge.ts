import type { CookieJar } from '../../http/cookie-jar.js';
import type { ResponseHead } from '../../http/message.js';
import type { PullChain } from '../../receiving/pull-chain.js';
import { type Feature, parseSupported } from '../../wms/features.js';
import type { Relayed } from '../../wms/relayed.js';
import { parseStartupProfile, type StartupParameters } from '../../wms/startup-profile.js';
import { PragmaTokens } from '../messages/pragma.js';
import { keepsOneHeader } from '../server/profiles.js';
import { incompatibleError } from './errors.js';
import { parseFeatures, type ReceivedMetadata } from './packets.js';
import { type ClientIdentity, parseServerProduct, type ServerProduct } from './product.js';
import type { RequestContext } from './requests.js';
import type { WmspUrl } from './url.js';

/** The identity of a client, and the content that it asks for. */
export interface KnowledgeOptions {
  readonly identity: ClientIdentity;
  /** The xClientGUID in registry format, with braces. */
  readonly guid: string;
  readonly url: WmspUrl;
  readonly cookies: CookieJar;
  /** True to accept servers with a foreign Server header, or without one. */
  readonly tolerant: boolean;
  /** In order of preference. */
  readonly authenticationSchemes: readonly string[];
  readonly pullChain?: PullChain | undefined;
  readonly relayed?: Relayed | undefined;
}

const DEFAULT_KEEP_ALIVE = 60_000;
const SHORTEST_KEEP_ALIVE = 1_000;
const LONGEST_KEEP_ALIVE = 0x7fffffff;

/**
 * The client's knowledge about its server and its session: the variables of MS-WMSP 3.1.1 that responses and $M packets
 * set.
 */
export class ServerKnowledge {
  readonly #options: KnowledgeOptions;
  url: WmspUrl;
  viaProxy = false;
  #proxyKeepsOne = false;
  #server: ServerProduct | undefined;
  #known = false;
  // These are assumed before any response (3.1.3).
  #features: ReadonlySet<Feature> = new Set<Feature>(['predstrm', 'srvppair', 'sswitch']);
  #supported: ReadonlySet<Feature> | undefined;
  #contentFeatures: readonly string[] = [];
  #cacheControl: readonly string[] = [];
  /** The state of the content that the last Describe or Play response was about. */
  validators: { readonly etag: string | undefined; readonly lastModified: string | undefined } | undefined;
  #subscription: ReadonlySet<string> = new Set();
  #clientId: number | undefined;
  #playlistGenId = 0;
  #keepAliveTimeout = DEFAULT_KEEP_ALIVE;
  #startupProfile: StartupParameters | undefined;
  #metadata: ReceivedMetadata | undefined;

  constructor(options: KnowledgeOptions) {
    this.#options = options;
    this.url = options.url;
  }

  /** Undefined before the first response, or if the server does not speak this protocol. */
  get server(): ServerProduct | undefined {
    return this.#server;
  }

  /** True if a token for servers from that version may be sent; also as long as nothing is known about the server. */
  mayBeAtLeast(major: number): boolean {
    return !this.#known || (this.#server?.major ?? 0) >= major;
  }

  /** Server-features: those of the last Supported header, or the assumed ones. */
  has(feature: Feature): boolean {
    return this.#features.has(feature);
  }

  /** The features of the last Supported header; undefined if there was none. */
  get supported(): ReadonlySet<Feature> | undefined {
    return this.#supported;
  }

  /** The features of the content: broadcast, seekable … (2.2.1.4.8) */
  get contentFeatures(): readonly string[] {
    return this.#contentFeatures;
  }

  /** The directives of the last Cache-Control header. */
  get cacheControl(): readonly string[] {
    return this.#cacheControl;
  }

  /** True if the server subscribes to a remote event, according to the last response about the content (2.2.1.1.10). */
  subscribesTo(event: 'remote-log'): boolean {
    return this.#subscription.has(event);
  }

  get clientId(): number | undefined {
    return this.#clientId;
  }

  /** That of the current playlist entry; 0 if unknown. */
  get playlistGenId(): number {
    return this.#playlistGenId;
  }

  /** The Keepalive-timeout in ms. */
  get keepAliveTimeout(): number {
    return this.#keepAliveTimeout;
  }

  /** That of the last Play response. */
  get startupProfile(): StartupParameters | undefined {
    return this.#startupProfile;
  }

  /** That of the current playlist entry. */
  get metadata(): ReceivedMetadata | undefined {
    return this.#metadata;
  }

  /** @param http11 true if the next request uses HTTP/1.1 */
  context(http11: boolean): RequestContext {
    const { identity, guid, cookies, authenticationSchemes, pullChain, relayed } = this.#options;
    return {
      identity,
      guid,
      authority: this.url.authority,
      viaProxy: this.viaProxy,
      proxyKeepsOne: this.#proxyKeepsOne,
      cookie: cookies.header(this.url),
      authenticationSchemes,
      pullChain,
      relayed,
      http11,
      clientId: this.#clientId,
      playlistGenId: this.#playlistGenId,
      server: this.#server,
      serverKnown: this.#known,
    };
  }

  /**
   * Records what any response says (3.1.5.3).
   *
   * @throws WmError WM_PROTOCOL if the server does not speak this protocol and that is not tolerated
   */
  response(head: ResponseHead): void {
    const { headers, status } = head;
    const { tolerant, cookies } = this.#options;
    const server = parseServerProduct(headers.get('Server'), tolerant);
    // A 407 comes from a proxy.
    if (!server && !tolerant && status !== 407) throw incompatibleError(head, this.url.href);
    this.#server = server ?? this.#server;
    this.#known = true;
    this.#proxyKeepsOne ||= keepsOneHeader(headers.all('Via'));
    this.#supported = parseSupported(headers.all('Supported')) ?? this.#supported;
    this.#features = this.#supported ?? this.#features;
    const pragma = new PragmaTokens(headers.all('Pragma'));
    if (status !== 401 && status !== 407) this.#clientId = pragma.number('client-id') ?? this.#clientId;
    this.#playlistGenId = pragma.number('playlist-gen-id') ?? this.#playlistGenId;
    const timeout = pragma.number('timeout') ?? this.#keepAliveTimeout;
    this.#keepAliveTimeout = Math.min(Math.max(timeout, SHORTEST_KEEP_ALIVE), LONGEST_KEEP_ALIVE);
    const cacheControl = headers.tokens('Cache-Control');
    if (cacheControl.length > 0) this.#cacheControl = cacheControl;
    cookies.store(this.url, headers.all('Set-Cookie'));
  }

  /** Records what Describe and Play responses say about the content. */
  contentResponse({ headers }: ResponseHead): void {
    this.validators = { etag: headers.get('Etag'), lastModified: headers.get('Last-Modified') };
    const pragma = new PragmaTokens(headers.all('Pragma'));
    if (pragma.has('features')) this.#contentFeatures = parseFeatures(pragma.text('features'));
    this.#startupProfile = parseStartupProfile(headers.get('X-StartupProfile'));
    const cacheControl = headers.all('Cache-Control').join(',');
    if (cacheControl !== '') this.#subscription = eventSubscription(cacheControl);
  }

  /**
   * Records what $M packets say (3.1.5.7). Their features are those of the entry and take precedence over the
   * response's (4.9).
   */
  metadataPacket(metadata: ReceivedMetadata): void {
    this.#metadata = metadata;
    this.#playlistGenId = metadata.playlistGenId;
    this.#contentFeatures = metadata.features;
  }
}

/** Returns the events of x-wms-event-subscription (2.2.1.1.10). */
function eventSubscription(cacheControl: string): ReadonlySet<string> {
  const list = /\bx-wms-event-subscription="([^"]*)"/i.exec(cacheControl)?.[1] ?? '';
  return new Set(list.split(',').map((name) => name.trim().toLowerCase()));
}
