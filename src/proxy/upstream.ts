import { randomBytes } from 'node:crypto';
import type { AsfHeader } from '../asf/header.js';
import { ClientAuthenticator, type HttpAuthenticator } from '../auth/client.js';
import type { Caller, GivenCredentials } from '../auth/dialog.js';
import { messageOf, printable, WmError } from '../errors.js';
import type { AddressGuard } from '../http/address-guard.js';
import { plainAddress } from '../http/addresses.js';
import type { TlsTrust } from '../http/connection.js';
import type { Credentials } from '../http/credentials.js';
import type { Field, ResponseHead } from '../http/message.js';
import { retryAfterOf, statusError } from '../http/status-error.js';
import type { ContentWish, ForwardedAnswer, ForwardedRequest, OriginRules } from '../playback/content.js';
import type { LinkContext, SourceFacts } from '../receiving/link.js';
import { Received } from '../receiving/received.js';
import { type Challenge, Refusal } from '../refusal.js';
import type { RemoteSource, SourceOptions } from '../sources/source.js';
import { openSourceUrl } from '../sources/table.js';
import { anonymousPlayerId } from '../wmlog/client-log.js';
import { type CacheRules, parseCacheControl } from '../wms/cache-control.js';
import { MAX_FORWARDS, type Relayed, throughHop } from '../wms/relayed.js';
import { ContentInfoClient } from '../wmsp/client/content-info.js';
import { WmspPeer, WmspPullLink } from '../wmsp/client/pull-link.js';
import { parseWmspUrl, type WmspUrl } from '../wmsp/client/url.js';
import { ContentChanged } from './fetch.js';
import { forwardPlain } from './forward.js';
import { LinkOrigin } from './link-origin.js';
import { isOther, otherLinks, overTcp } from './other-links.js';
import { PlainOrigin } from './plain-origin.js';
import { QuestionPool } from './question-pool.js';

/** How a proxy asks other servers. */
export interface UpstreamOptions {
  /** The name of this proxy in Via; no other proxy on the way may have it. */
  readonly name: string;
  /** The accounts of this proxy at origins, by their scheme and authority. */
  readonly accounts?: ReadonlyMap<string, Credentials> | undefined;
  readonly tls?: TlsTrust | undefined;
  /** Which addresses may be connected to, by URL; undefined for one of MMS or RTSP. Default: all. */
  readonly guard?: ((url: WmspUrl | undefined) => AddressGuard | undefined) | undefined;
  /** Gets a sentence about what an origin does. */
  readonly onNote?: ((text: string) => void) | undefined;
  /** In ms, for an answer; default: 10 000. */
  readonly timeout?: number | undefined;
}

/** What has to be known to open content. */
export type OpenAnswer = Pick<OriginAnswer, 'etag' | 'lastModified' | 'rules'>;

/** What an origin says about content. */
export interface OriginAnswer extends OriginRules {
  readonly rules: CacheRules;
}

const PRODUCT = 'WMCacheProxy/9.5.6001.1';
const MAX_REDIRECTS = 5;
/** In ms, for each step of a request. */
const TIMEOUT = 10_000;
const MAX_ORIGINS = 1_000;
/** A live stream that has broken off is tried again for about a minute; meanwhile its players wait. */
const RECONNECT = { retries: 30, initialDelay: 200, maxDelay: 2_000 };
/** Between two warnings about the same, in ms. */
const WARNING_INTERVAL = 60_000;
/** A connection that a player has authenticated is closed when it was not used for so long, in ms. */
const KEPT = 60_000;
/** Faster than content plays, as much as servers grant. */
const SPEED = 1_000;
/** Schemes that authenticate the connection, and the one whose credentials are for one request only. */
const OF_CONNECTION = /^(?:ntlm|negotiate)$/i;

/** A connection to an origin that belongs to one connection of a player. */
interface KeptClient {
  readonly client: ContentInfoClient;
  timer: NodeJS.Timeout | undefined;
}

/** The way of a proxy to the origins: what it asks them, and in whose name. */
export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #hop: string;
  readonly #pool = new QuestionPool();
  readonly #kept = new WeakMap<object, Map<string, KeptClient>>();
  /** Origins that know no proxies with a cache, which this one asks as a relaying server (MS-WMSP 3.1.5.4). */
  readonly #old = new Set<string>();
  /** The addresses from which origins were asked last. */
  readonly #own = new Map<string, string>();
  /** When the last warning about something was. */
  readonly #warnedAt = new Map<string, number>();
  /** Requests for content information so far. */
  asked = 0;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.#hop = `${options.name} (${PRODUCT})`;
  }

  /** Returns the address from which an origin was asked last; `-` before that. */
  addressTowards(location: string): string {
    return this.#own.get(parseWmspUrl(location).origin) ?? '-';
  }

  /** Its product, for logs. */
  get product(): string {
    return PRODUCT;
  }

  /**
   * Returns how a request is passed on.
   *
   * @param protocol by which it came, for Via
   * @throws Refusal if it has been here before, or may not be passed on any more
   */
  relayed({ relayed }: ContentWish, protocol = 'HTTP/1.1'): Relayed {
    const asked: Relayed = relayed ?? { agent: PRODUCT, verb: 'GET', via: [] };
    const name = this.#options.name.toLowerCase();
    // `HTTP/1.1 name (product)`; MMS has only the name.
    const isHere = (hop: string) => {
      const words = hop.trim().toLowerCase().split(/\s+/);
      return (words[1] ?? words[0]) === name;
    };
    if (asked.via.flatMap((value) => value.split(',')).some(isHere)) {
      const sentence = `The request came back to the proxy ${this.#options.name}: a loop of proxies.`;
      this.#warn('loop', `${sentence} Its origin, or a source of that, leads back to it.`);
      throw new Refusal('failed', sentence);
    }
    if (asked.maxForwards === 0) throw new Refusal('failed', 'The request may not be passed on: Max-Forwards is 0.');
    return throughHop(
      { ...asked, maxForwards: Math.min(asked.maxForwards ?? MAX_FORWARDS + 1, MAX_FORWARDS + 1) },
      `${protocol} ${this.#hop}`,
    );
  }

  /**
   * Asks an origin about the caching of content, in the name of a player.
   *
   * @throws Refusal: with the origin's challenges, or as its status says; `offline` if it cannot be reached
   */
  async ask(location: string, wish: ContentWish): Promise<OriginAnswer> {
    if (isOther(location)) {
      // Each player opens it at the origin, which is a check.
      this.relayed(wish);
      return { cacheControl: '', rules: parseCacheControl(''), lastModified: undefined, etag: undefined };
    }
    let url = parseWmspUrl(location);
    const given = wish.caller && originCredentials(wish.caller);
    const relayed = this.relayed(wish);
    for (let redirects = 0; ; redirects++) {
      const head = await this.#ask(
        url,
        wish,
        relayed,
        url.origin === parseWmspUrl(location).origin ? given : undefined,
      );
      const target =
        head.status >= 300 && head.status < 400 && head.status !== 304 ? head.headers.get('Location') : undefined;
      if (target === undefined) return answerOf(head, url);
      if (redirects >= MAX_REDIRECTS) throw new Refusal('failed', `${location} is redirected again and again.`);
      try {
        url = parseWmspUrl(target, url);
      } catch {
        throw new Refusal(
          'unsupported',
          `${location} is redirected to ${printable(target, 200)}, which is not for this proxy.`,
        );
      }
    }
  }

  /** Sends an event to an origin; the answer is of no interest. */
  async send(location: string, wish: ContentWish, body: Buffer, agent?: string): Promise<void> {
    const url = parseWmspUrl(location);
    const client = this.#newClient(url);
    try {
      await client.send({ url, relayed: this.relayed(wish), pullChain: wish.pulls }, body, agent);
    } finally {
      client.close();
    }
  }

  /** Opens content that can be read from anywhere. @throws WmError, Refusal, LeadsElsewhere */
  async open(location: string, wish: ContentWish, answer: OpenAnswer): Promise<LinkOrigin<SourceFacts>> {
    if (isOther(location)) return this.#openOther(location, wish);
    const url = parseWmspUrl(location);
    const authorization = this.authorization(wish, url);
    const relayed = this.relayed(wish);
    const peer = new WmspPeer(
      {
        url: location,
        identity: this.#identityFor(url),
        relayed,
        pullChain: wish.pulls,
        authorize: this.#authorize(url, authorization),
        tls: this.#options.tls,
        guard: this.#guard(url),
        led: true,
        log: false,
        speed: SPEED,
        tolerant: true,
      },
      anonymousPlayerId(randomBytes(6).toString('hex').toUpperCase()),
    );
    const context: LinkContext = { received: new Received(), header: undefined, reconnects: 0 };
    const note = (text: string) => this.#options.onNote?.(`${location}: ${text}`);
    const { lastModified, rules } = answer;
    const size = rules.contentSize;
    const plain = (_: AsfHeader) =>
      lastModified === undefined || size === undefined
        ? undefined
        : new PlainOrigin({
            url,
            lastModified,
            size,
            relayed,
            authorization,
            tls: this.#options.tls,
            guard: this.#guard(url),
          });
    try {
      return await LinkOrigin.open({
        url: location,
        connect: () => new WmspPullLink(peer, context, note),
        isSame: (link) => !(link instanceof WmspPullLink) || isState(link.validators, answer),
        plain,
      });
    } catch (error) {
      if (isRefusedLogin(error) && authorization === undefined && !this.#options.accounts?.has(url.origin)) {
        throw this.#needsAccount(location, url, error);
      }
      const isSaid = error instanceof Refusal || error instanceof ContentChanged;
      throw isSaid ? error : refusalOf(error, location);
    }
  }

  /** Forwards a request of plain HTTP. @throws Refusal `offline`; `failed` for a loop */
  async forward(
    location: string,
    wish: ContentWish,
    request: ForwardedRequest,
    signal: AbortSignal,
  ): Promise<ForwardedAnswer> {
    const url = parseWmspUrl(location);
    const { tls, timeout = TIMEOUT } = this.#options;
    const authorize = this.#authorize(url, this.authorization(wish, url));
    const relayed = this.relayed(wish);
    try {
      return await forwardPlain({ url, relayed, authorize, tls, guard: this.#guard(url), timeout }, request, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw refusalOf(error, location);
    }
  }

  /**
   * The refusal of a player that the origin accepts, but for whom nothing can be fetched: what the player said with
   * Digest was for one request, and with NTLM or Negotiate for one connection, and the check has used it.
   */
  #needsAccount(location: string, { origin }: WmspUrl, cause: unknown): Refusal {
    const sentence = `${location} cannot be fetched: ${origin} wants a login other than Basic, and the proxy has none.`;
    this.#warn(origin, `${sentence} Name one in proxy.accounts.`);
    return new Refusal('offline', sentence, { cause });
  }

  /** Tells the operator something to mend; not often, because clients can bring it about. @param about what it is about */
  #warn(about: string, sentence: string): void {
    const now = performance.now();
    if (now - (this.#warnedAt.get(about) ?? Number.NEGATIVE_INFINITY) < WARNING_INTERVAL) return;
    if (this.#warnedAt.size >= MAX_ORIGINS) this.#warnedAt.clear();
    this.#warnedAt.set(about, now);
    this.#options.onNote?.(sentence);
  }

  /** Closes the connections that wait for another question. */
  close(): void {
    this.#pool.close();
  }

  async #openOther(location: string, wish: ContentWish): Promise<LinkOrigin<SourceFacts>> {
    const url = encodeURI(location);
    const onNote = (text: string) => this.#options.onNote?.(`${location}: ${text}`);
    const relayed = this.relayed(wish, protocolOf(location));
    const options = { relayed, pullChain: wish.pulls, speed: SPEED, onNote };
    const connect = otherLinks(url, { ...options, guard: this.#options.guard?.(undefined) });
    try {
      return await LinkOrigin.open({ url: location, connect });
    } catch (error) {
      throw error instanceof Refusal ? error : refusalOf(error, location);
    }
  }

  /** Opens a stream in real time. */
  stream(location: string, wish: ContentWish, chain: readonly string[]): RemoteSource {
    const isHttp = !isOther(location);
    const url = isHttp ? parseWmspUrl(location) : undefined;
    const options: SourceOptions = {
      identity: url ? this.#identityFor(url) : 'WMCacheProxy',
      relayed: this.relayed(wish, protocolOf(location)),
      pullChain: chain,
      reconnect: RECONNECT,
      authorize: url && this.#authorize(url, this.authorization(wish, url)),
      tls: this.#options.tls,
      guard: this.#options.guard?.(url),
      led: true,
      onNote: (text) => this.#options.onNote?.(`${location}: ${text}`),
    };
    return openSourceUrl(url ? location : overTcp(encodeURI(location)), options);
  }

  /** Returns the Authorization field with which content is fetched for a player, if its credentials can be used again. */
  authorization(wish: ContentWish, { origin }: WmspUrl): string | undefined {
    if (this.#options.accounts?.has(origin)) return undefined;
    const given = wish.caller && originCredentials(wish.caller);
    return given?.scheme.toLowerCase() === 'basic' ? `${given.scheme} ${given.token}` : undefined;
  }

  async #ask(
    url: WmspUrl,
    wish: ContentWish,
    relayed: Relayed,
    given: GivenCredentials | undefined,
  ): Promise<ResponseHead> {
    const connection = wish.caller?.credentials.connection;
    const kept = connection && this.#keptFor(connection, url);
    const isKept = kept !== undefined || (given !== undefined && OF_CONNECTION.test(given.scheme));
    const isShared = !isKept && given === undefined;
    const client =
      kept ??
      (isKept && connection ? this.#keep(connection, url) : isShared ? this.#pool.take(url.origin) : undefined) ??
      this.#newClient(url);
    this.asked++;
    try {
      const head = await client.ask({
        url,
        relayed,
        pullChain: wish.pulls,
        ...(given ? { authorization: `${given.scheme} ${given.token}` } : {}),
        // Digest signs the method.
        ...(given && given.request?.method !== 'POST' ? { method: 'GET' } : {}),
      });
      if (this.#old.size >= MAX_ORIGINS) this.#old.clear();
      if (client.isServer) this.#old.add(url.origin);
      else this.#old.delete(url.origin);
      if (this.#own.size >= MAX_ORIGINS) this.#own.clear();
      this.#own.set(url.origin, plainAddress(client.localAddress));
      return head;
    } catch (error) {
      if (!(error instanceof WmError)) throw error;
      throw new Refusal('offline', `${url.authority} cannot be asked about ${url.path}: ${error.message}`, {
        cause: error,
      });
    } finally {
      if (isShared) this.#pool.give(url.origin, client);
      else if (!isKept) client.close();
    }
  }

  #identityFor({ origin }: WmspUrl): 'WMCacheProxy' | 'NSServer' {
    return this.#old.has(origin) ? 'NSServer' : 'WMCacheProxy';
  }

  #newClient(url: WmspUrl): ContentInfoClient {
    const { tls, timeout } = this.#options;
    return new ContentInfoClient({ tls, timeout, guard: this.#guard(url) });
  }

  #keptFor(connection: object, { origin }: WmspUrl): ContentInfoClient | undefined {
    const kept = this.#kept.get(connection)?.get(origin);
    kept?.timer?.refresh();
    return kept?.client.open ? kept.client : undefined;
  }

  /** Opens a connection to an origin for a connection of a player, to which its login belongs. */
  #keep(connection: object, url: WmspUrl): ContentInfoClient {
    const all = this.#kept.get(connection) ?? new Map<string, KeptClient>();
    this.#kept.set(connection, all);
    const before = all.get(url.origin);
    clearTimeout(before?.timer);
    before?.client.close();
    const client = this.#newClient(url);
    const timer = setTimeout(() => {
      client.close();
      all.delete(url.origin);
    }, KEPT);
    timer.unref();
    all.set(url.origin, { client, timer });
    return client;
  }

  #guard(url: WmspUrl): AddressGuard | undefined {
    return this.#options.guard?.(url);
  }

  #authorize({ origin }: WmspUrl, authorization: string | undefined): HttpAuthenticator | undefined {
    const account = this.#options.accounts?.get(origin);
    if (account) return new ClientAuthenticator({ server: account, basicInClear: true });
    if (authorization === undefined) return undefined;
    const fields: readonly Field[] = [['Authorization', authorization]];
    return { schemes: [], fields: () => fields, answer: () => undefined };
  }
}

/** True if an answer fits the state of the content that is known: by its ETag, else by its date. */
function isState(seen: WmspPullLink['validators'], { etag, lastModified }: OpenAnswer): boolean {
  if (seen?.etag !== undefined && etag !== undefined) return seen.etag === etag;
  return seen?.lastModified === undefined || lastModified === undefined || seen.lastModified === lastModified;
}

function isRefusedLogin(error: unknown): boolean {
  return error instanceof WmError && error.code === 'WM_AUTH_REFUSED';
}

/** Returns the protocol of requests for a URL, as in Via. */
function protocolOf(location: string): string | undefined {
  return location.startsWith('rtsp:') ? 'RTSP/1.0' : undefined;
}

/** Returns the credentials that a player has for the origin. */
function originCredentials({ credentials }: Caller): GivenCredentials | undefined {
  return credentials.proxied ? credentials.forOrigin : credentials.given;
}

/** @throws Refusal as the status says */
function answerOf(head: ResponseHead, url: WmspUrl): OriginAnswer {
  const { status, headers } = head;
  if (status >= 200 && status < 300) {
    const cacheControl = headers.all('Cache-Control').join(', ').slice(0, 2_048);
    const short = (text: string | undefined) => (text === undefined || text.length > 512 ? undefined : text);
    return {
      cacheControl,
      rules: parseCacheControl(cacheControl),
      lastModified: short(headers.get('Last-Modified')),
      etag: short(headers.get('Etag')),
    };
  }
  throw refusalOf(statusError(head, url.href), url.href, head);
}

function challengesOf({ headers }: ResponseHead): Challenge[] {
  return headers.all('WWW-Authenticate').map((value) => {
    const [scheme = ''] = value.trim().split(/\s/, 1);
    const token = value.trim().slice(scheme.length).trim();
    return token === '' ? { scheme } : { scheme, token };
  });
}

/** Returns the refusal for what an origin answers, or fails with. */
function refusalOf(error: unknown, url: string, head?: ResponseHead): Refusal {
  if (head?.status === 401) {
    const challenges = challengesOf(head);
    return new Refusal('unauthorized', `${url} needs credentials.`, { challenges, ofOrigin: true });
  }
  const options = { cause: error };
  if (!(error instanceof WmError)) return new Refusal('failed', `${url}: ${messageOf(error)}`, options);
  const wait = head && retryAfterOf(head.headers);
  const retryAfter = wait === undefined ? undefined : Math.max(Math.ceil(wait / 1000), 1);
  const kind = {
    WM_NO_INPUT: head?.status === 410 ? ('gone' as const) : ('not-found' as const),
    WM_AUTH_REFUSED: 'forbidden' as const,
  }[error.code as 'WM_NO_INPUT' | 'WM_AUTH_REFUSED'];
  return new Refusal(kind ?? 'offline', error.message, { ...options, retryAfter });
}
