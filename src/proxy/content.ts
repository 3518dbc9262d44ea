import { orAborted } from '../abort.js';
import type { Rule } from '../auth/access.js';
import type { ReadQueue } from '../media/on-demand/read-queue.js';
import {
  type Content,
  type ContentInfo,
  type ContentWish,
  type Found,
  isRedirect,
  type Missing,
  type OriginRules,
  type PlayerReport,
  type Program,
  type Redirect,
} from '../playback/content.js';
import { liveProgram, singleProgram } from '../playback/single.js';
import type { SourceFacts } from '../receiving/link.js';
import { Refusal } from '../refusal.js';
import { mustAsk } from '../wms/cache-control.js';
import type { CopyFacts } from './cache/copy-file.js';
import type { DiskCache } from './cache/disk-cache.js';
import { ContentChanged } from './fetch.js';
import { type OpenContent, OpenContents } from './files.js';
import { decide, deliveryOf, isCopyOf, type Known, knownFrom } from './known.js';
import type { LinkOrigin } from './link-origin.js';
import { LiveStreams, type LiveStreamsOptions } from './live.js';
import { isOther } from './other-links.js';
import { Reports } from './reports.js';
import { isTarget } from './targets.js';
import type { Upstream } from './upstream.js';

/** The upstream servers and the cache of a proxy. */
export interface ProxyContentOptions {
  /** The content of this server itself; what it lacks is asked for at `origin`. */
  readonly local: Content;
  /** The server whose content this one serves, too, without a slash at the end. */
  readonly origin?: string | undefined;
  readonly upstream: Upstream;
  /** Who may play what comes from other servers. */
  readonly rule: Rule;
  readonly cache?: DiskCache | undefined;
  readonly reads: ReadQueue;
  /** Returns the path of a URL that is on this very server. */
  readonly own: (url: string) => Promise<string | undefined>;
  /** Returns the number of clients of this server. */
  readonly clients: () => number;
  readonly live?: LiveStreamsOptions | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** The time in ms since 1970. */
  readonly now?: (() => number) | undefined;
}

/** Counters of a proxy since its start. @public */
export interface ProxyStats {
  /** Players that got content on demand from the cache alone, and all that got content on demand. */
  readonly hits: number;
  readonly requests: number;
  /** How often origins were asked about caching. */
  readonly checks: number;
  /** Requests to origins for packets. */
  readonly fetches: number;
  /** Bytes of packets that they brought. */
  readonly fetchedBytes: number;
  /** Streams from origins at the moment. */
  readonly streams: number;
  /** Copies on the disk, and their bytes. */
  readonly copies: number;
  readonly copiedBytes: number;
}

/** A question that many sessions wait for. */
interface Asking {
  readonly answer: Promise<Known>;
  /** The one after it, for sessions that came after it was sent. */
  next: Promise<Known> | undefined;
}

/** Players of one address that were checked by a Describe and have not played yet. */
interface Described {
  /** The last time, in ms since 1970. */
  readonly at: number;
  readonly count: number;
}

/** A player that was checked with the origin by its Describe need not be checked again by its Play, in ms. */
const SAME_SESSION = 60_000;
const MAX_KNOWN = 10_000;
const MAX_DESCRIBED = 100_000;

/**
 * The content of other servers, as a proxy gives it (MS-WMSP 4.12): on demand from the cache, which is filled meanwhile,
 * live from one stream for all players. What this server has itself is not touched.
 */
export class ProxyContent implements Content {
  readonly #options: ProxyContentOptions;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  /** Questions to origins on behalf of nobody in particular. */
  readonly #asking = new Map<string, Asking>();
  /** Players that were checked by a Describe, by URL and address. */
  readonly #described = new Map<string, Described>();
  readonly #contents: OpenContents;
  readonly #streams: LiveStreams;
  readonly #reports: Reports;
  #hits = 0;
  #requests = 0;
  #fetches = 0;
  #fetchedBytes = 0;

  constructor(options: ProxyContentOptions) {
    const { upstream, clients, onWarning, cache, reads, live } = options;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#contents = new OpenContents({
      cache,
      reads,
      onWarning,
      onFetch: () => void this.#fetches++,
      onFetched: (bytes) => {
        this.#fetchedBytes += bytes;
      },
      onChanged: (url) => void this.#known.delete(url),
    });
    this.#streams = new LiveStreams({ onWarning, ...live });
    this.#reports = new Reports({ upstream, clients, onWarning });
  }

  get stats(): ProxyStats {
    const { upstream, cache } = this.#options;
    return {
      hits: this.#hits,
      requests: this.#requests,
      checks: upstream.asked,
      fetches: this.#fetches,
      fetchedBytes: this.#fetchedBytes,
      streams: this.#streams.size,
      copies: cache?.count ?? 0,
      copiedBytes: cache?.size ?? 0,
    };
  }

  /** The streams of origins at the moment, for counters. */
  get streams(): LiveStreams {
    return this.#streams;
  }

  async find(wish: ContentWish): Promise<Found | Missing | Redirect> {
    const { local, origin, rule, own } = this.#options;
    if (isTarget(wish.path)) {
      const ownPath = await own(wish.path);
      if (ownPath !== undefined) return local.find({ ...wish, path: ownPath });
      return this.#found(wish.path, wish);
    }
    const found = await local.find(wish);
    if (origin === undefined || isRedirect(found) || !('missing' in found) || found.missing.kind !== 'not-found') {
      return found;
    }
    const url = `${origin}${encoded(wish.path)}${wish.query === undefined ? '' : `?${wish.query}`}`;
    if ((await own(url)) !== undefined) {
      const sentence = `The proxy is its own origin: ${wish.path} would come from this very server.`;
      return { rule, missing: new Refusal('failed', sentence) };
    }
    return this.#found(url, wish);
  }

  /** Takes a report of a player of any protocol about the content of a path; of no interest unless it is proxied. */
  async report(path: string, report: PlayerReport): Promise<void> {
    const found = await this.find({ path });
    if ('report' in found) found.report?.(report);
  }

  async close(): Promise<void> {
    await this.#contents.close();
    await this.#streams.close();
    this.#options.upstream.close();
    await this.#options.cache?.close();
  }

  #found(url: string, wish: ContentWish): Found {
    const { rule } = this.#options;
    let admitted: Known | undefined;
    const known = async () => {
      admitted ??= await this.#consult(url, wish);
      return admitted;
    };
    return {
      path: wish.path,
      rule,
      admit: async () => {
        // An event needs no answer about the content; the origin gets the event itself.
        if (wish.purpose !== 'event') await known();
      },
      report: (report: PlayerReport) => {
        // Reports travel over HTTP.
        if (isOther(url)) return;
        this.#reports.player(url, wish, this.#known.get(url)?.rules, report);
      },
      ...(isOther(url)
        ? {}
        : { forward: (request, signal) => this.#options.upstream.forward(url, wish, request, signal) }),
      info: async () => infoOf(await known()),
      open: async (signal) => {
        const state = await known();
        // A session that opens it again later is checked again.
        admitted = undefined;
        return this.#open(url, wish, state, signal);
      },
    };
  }

  /**
   * Finds out what is true of content now: asks the origin, or not.
   *
   * @throws Refusal as the origin says; `offline` if it has to be asked and cannot be
   */
  async #consult(url: string, wish: ContentWish): Promise<Known> {
    const known = this.#remembered(url);
    if (known && decide(known, this.#now()) === 'use') return known;
    // A stream that is being received is not stale.
    if (known && isOpenSplit(known) && this.#streams.has(url)) return known;
    const player = `${url} ${wish.caller?.remoteAddress ?? ''}`;
    if (known && !known.guarded && wish.purpose === 'play' && this.#wasDescribed(player)) return known;
    const { caller } = wish;
    const hasCredentials =
      (caller?.credentials.proxied ? caller.credentials.forOrigin : caller?.credentials.given) !== undefined;
    // A request that has come round is refused before it can wait for itself.
    this.#options.upstream.relayed(wish);
    const isPersonal = hasCredentials || known?.guarded === true || !isPlain(wish);
    const asked = isPersonal ? this.#ask(url, wish) : this.#askForAll(url, wish);
    const answer = await (wish.signal ? orAborted(asked, wish.signal) : asked);
    if (wish.purpose === 'describe') this.#describedNow(player);
    return answer;
  }

  /**
   * Asks for all sessions that come until the question is sent. A session that comes later waits for the next question:
   * what it gets was true after it came (MS-WMSP 2.2.1.1.2).
   */
  #askForAll(url: string, wish: ContentWish): Promise<Known> {
    const asking = this.#asking.get(url);
    if (!asking) return this.#begin(url, wish);
    asking.next ??= asking.answer.catch(() => undefined).then(() => this.#begin(url, wish));
    return asking.next;
  }

  #begin(url: string, wish: ContentWish): Promise<Known> {
    const asking: Asking = { answer: this.#ask(url, wish), next: undefined };
    this.#asking.set(url, asking);
    const done = () => {
      if (asking.next === undefined) this.#asking.delete(url);
    };
    asking.answer.then(done, done);
    return asking.answer;
  }

  async #ask(url: string, wish: ContentWish): Promise<Known> {
    const { upstream, cache } = this.#options;
    try {
      const { cacheControl, rules, etag, lastModified } = await upstream.ask(url, wish);
      const before = this.#remembered(url);
      const guarded = before?.guarded ?? false;
      const known: Known = { cacheControl, rules, etag, lastModified, checkedAt: this.#now(), guarded };
      const facts = cache?.facts(url);
      if (facts && (!isCopyOf(facts, known) || deliveryOf(known) !== 'cache')) await cache?.remove(url);
      this.#remember(url, known);
      return known;
    } catch (error) {
      if (error instanceof Refusal && error.kind === 'unauthorized') this.#guard(url);
      if (error instanceof Refusal && (error.kind === 'not-found' || error.kind === 'gone')) await this.#forget(url);
      throw error;
    }
  }

  #remembered(url: string): Known | undefined {
    const known = this.#known.get(url);
    if (known) return known;
    const facts = this.#options.cache?.facts(url);
    return facts && knownFrom(facts);
  }

  #remember(url: string, known: Known): void {
    this.#known.delete(url);
    this.#known.set(url, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
  }

  /** From now on everybody has to show credentials to the origin. */
  #guard(url: string): void {
    const known = this.#remembered(url);
    const rules = known ?? { cacheControl: '', rules: deliveryUnknown, checkedAt: 0, guarded: true };
    this.#remember(url, { ...rules, checkedAt: 0, guarded: true });
    void this.#options.cache?.update(url, { guarded: true });
  }

  async #forget(url: string): Promise<void> {
    this.#known.delete(url);
    await this.#options.cache?.remove(url);
  }

  #describedNow(player: string): void {
    const count = (this.#described.get(player)?.count ?? 0) + 1;
    this.#described.delete(player);
    this.#described.set(player, { at: this.#now(), count });
    const [oldest] = this.#described.keys();
    if (this.#described.size > MAX_DESCRIBED && oldest !== undefined) this.#described.delete(oldest);
  }

  /** True once for each Describe of a player that was not long ago. */
  #wasDescribed(player: string): boolean {
    const described = this.#described.get(player);
    if (!described) return false;
    const { at, count } = described;
    const isRecent = this.#now() - at < SAME_SESSION;
    if (isRecent && count > 1) this.#described.set(player, { at, count: count - 1 });
    else this.#described.delete(player);
    return isRecent;
  }

  async #open(url: string, wish: ContentWish, known: Known, signal: AbortSignal): Promise<Program> {
    const { upstream } = this.#options;
    const chain = wish.pulls ?? [];
    const stream = (pulls: readonly string[]) => upstream.stream(url, wish, pulls);
    const rules = rulesOf(known);
    switch (deliveryOf(known)) {
      case 'split':
        // The origin may ask everybody for credentials, but sends one stream.
        return { ...liveProgram(await this.#streams.split(url, stream, signal, chain)), origin: rules };
      case 'stream':
        return this.#ownStream(url, wish, known, signal);
      default:
        return this.#openFile(url, wish, known, signal);
    }
  }

  async #ownStream(url: string, wish: ContentWish, known: Known, signal: AbortSignal): Promise<Program> {
    const player = `${wish.caller?.remoteAddress} ${wish.relayed?.agent}`;
    const open = (pulls: readonly string[]) => this.#options.upstream.stream(url, wish, pulls);
    const plays = wish.purpose === 'play';
    const { broadcast, release } = await this.#streams.own(url, player, plays, open, signal, wish.pulls ?? []);
    return singleProgram({ kind: 'live', id: 1, broadcast }, once(release), rulesOf(known));
  }

  async #openFile(url: string, wish: ContentWish, known: Known, signal: AbortSignal): Promise<Program> {
    const { upstream, cache } = this.#options;
    const isKept = deliveryOf(known) === 'cache';
    const facts = isKept ? cache?.facts(url) : undefined;
    const isStored = facts !== undefined && isCopyOf(facts, known);
    let live = false;
    const opening = this.#contents.acquire({
      url,
      shared: isKept,
      etag: known.etag,
      lastModified: known.lastModified,
      stored: isStored,
      origin: async () => {
        const origin = await upstream.open(url, wish, known);
        live = origin.facts.live || !(origin.header.dataObject.packetCount > 0n);
        if (!live) return origin;
        origin.close();
        throw new Refusal('unsupported', `${url} is live.`);
      },
      ...(cache && isKept ? { create: (header) => this.#create(url, known, header) } : {}),
    });
    let content: OpenContent;
    try {
      content = await orAborted(opening, signal);
    } catch (error) {
      // A player that does not wait any longer does not hold it.
      if (signal.aborted) opening.then((late) => this.#contents.release(late)).catch(() => undefined);
      // Some origins do not say in advance that content is live.
      if (live) return this.#ownStream(url, wish, known, signal);
      if (!(error instanceof ContentChanged)) throw error;
      // What the origin said before is not true any more: the next player is told the news.
      await this.#forget(url);
      throw new Refusal('offline', `${url} has changed at its origin just now.`, { retryAfter: 1, cause: error });
    }
    if (isStored && isNews(facts, known)) {
      void cache?.update(url, { cacheControl: known.cacheControl, checkedAt: known.checkedAt, guarded: known.guarded });
    }
    if (wish.purpose === 'play') this.#count(content);
    const events = wish.purpose === 'play' && isKept;
    if (events) this.#reports.cache(url, wish, known.rules, 'open');
    const close = once(() => {
      this.#contents.release(content);
      if (events) this.#reports.cache(url, wish, known.rules, 'close');
    });
    const { file, raw, seekable } = content;
    return singleProgram(
      { kind: 'file', id: 1, file, raw, ...(seekable ? {} : { noSkip: true }) },
      close,
      rulesOf(known),
    );
  }

  #count({ file }: OpenContent): void {
    this.#requests++;
    if (!file.partial) this.#hits++;
  }

  #create(url: string, known: Known, header: LinkOrigin<SourceFacts>['header']) {
    const { cacheControl, guarded, checkedAt, etag, lastModified } = known;
    const features = ['seekable'];
    return this.#options.cache!.create({ url, etag, lastModified }, header, {
      cacheControl,
      features,
      guarded,
      checkedAt,
    });
  }
}

const deliveryUnknown: Known['rules'] = {
  maxAge: undefined,
  mustRevalidate: true,
  proxyRevalidate: true,
  noStore: true,
  private: true,
  public: false,
  proxyPublic: false,
  userPublic: false,
  contentSize: undefined,
  streamTypes: new Set(),
  split: false,
  events: new Set(),
};

function rulesOf({ cacheControl, etag, lastModified }: OriginRules): OriginRules {
  return { cacheControl, etag, lastModified };
}

function infoOf(known: Known): ContentInfo {
  const live = known.rules.streamTypes.has('broadcast');
  return { live, playlist: known.rules.streamTypes.has('playlist'), origin: rulesOf(known) };
}

function isOpenSplit({ rules, guarded }: Known): boolean {
  return rules.split && !guarded && !mustAsk(rules);
}

/** True if the copy on the disk has to be told what is known: for content that is checked each time, nearly never. */
function isNews(facts: CopyFacts, known: Known): boolean {
  if (facts.cacheControl !== known.cacheControl || facts.guarded !== known.guarded) return true;
  return !mustAsk(known.rules) && facts.checkedAt !== known.checkedAt;
}

/** True if a question for this request is a question for all: a proxy on the way may refuse others that are relayed. */
function isPlain({ relayed, pulls }: ContentWish): boolean {
  return (pulls?.length ?? 0) === 0 && (relayed?.via.length ?? 0) === 0 && relayed?.maxForwards === undefined;
}

/** Percent-encodes a decoded path again. */
function encoded(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
