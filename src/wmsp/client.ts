import { randomBytes, randomUUID } from 'node:crypto';
import type { LeadsElsewhere } from '../announce/elsewhere.js';
import { AsfError } from '../asf/error.js';
import { type AsfHeader, parseHeader } from '../asf/header.js';
import { type DataPacket, parsePacket } from '../asf/packet.js';
import { printable, WmError } from '../errors.js';
import { hexResult, isErrorResult } from '../hresult.js';
import { ConnectionReuse } from '../http/client.js';
import { Continuity } from '../media/continuity.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { LiveStart } from '../media/live-start.js';
import { mayRetry, Retries } from '../media/reconnect.js';
import { SingleReading, withEnd } from '../media/source.js';
import { anonymousPlayerId, type ClientLogKind } from '../wmlog/client-log.js';
import { CookieJar } from './client-cookies.js';
import { ClientLink, type Described, type LinkEvent } from './client-link.js';
import { DEFAULT_TIMEOUTS, type WmspClientOptions, type WmspDescription } from './client-options.js';
import type { PlainAsf } from './client-plain.js';
import { type ClientIdentity, clientIdentity, defaultIdentity } from './client-product.js';
import { StreamReport } from './client-report.js';
import { DEFAULT_LINK, type PlayParameters } from './client-requests.js';
import { ClientSession } from './client-session.js';
import { chooseStreams, headerWithStreams, packetWithStreams, type StreamWish, selectionOf } from './client-streams.js';
import { parseWmspUrl, type WmspUrl } from './client-url.js';

export type { WmspClientOptions, WmspDescription } from './client-options.js';

/** What a client has received so far. */
export interface WmspClientStats {
  /** ASF data packets that were passed on. */
  readonly packets: number;
  readonly bytes: number;
  /** Packets that could not be read and were left out. */
  readonly damagedPackets: number;
  readonly reconnects: number;
}

/**
 * Receives a stream over HTTP as a player or a relaying server does (MS-WMSP 3.1): live or on demand, from a Windows Media server,
 * an encoder, VLC, ffserver, or as plain ASF from any web server. It is a source of headers, packets as the server sent them, and an
 * end. What leads to other URLs, such as an .asx file, is thrown as {@link LeadsElsewhere}.
 *
 * When the connection breaks it is made again as {@link WmspClientOptions.reconnect} says: on demand the stream goes on with the next packet, live
 * as one stream without what was sent twice.
 */
export class WmspClient implements AsfSource {
  readonly #options: WmspClientOptions;
  readonly #url: WmspUrl;
  readonly #proxy: WmspUrl | undefined;
  readonly #identity: ClientIdentity;
  readonly #guid = `{${randomUUID().toUpperCase()}}`;
  readonly #cookies: CookieJar;
  readonly #reuse = new ConnectionReuse();
  readonly #continuity = new Continuity();
  readonly #report: StreamReport;
  readonly #closed = new AbortController();
  #link: ClientLink | undefined;
  // The one that is being described.
  #opening: ClientLink | undefined;
  #description: WmspDescription | undefined;
  // Of what comes at present: its header with all streams, those that are taken, the entry's number.
  #header: AsfHeader | undefined;
  #chosen: ReadonlySet<number> = new Set();
  #entryId = 0;
  #start: LiveStart | undefined;
  #startTime: number;
  #startPacket: number | undefined;
  #firstSendTime: number | undefined;
  #seeking = false;
  #over = false;
  // The server said that it failed.
  #refused = false;
  #paused = false;
  #wake: () => void = () => {};
  readonly #reading = new SingleReading();
  #packets = 0;
  #bytes = 0;
  #damagedPackets = 0;
  readonly #retries: Retries;

  /** @throws WmError WM_USAGE for a URL, proxy or User-Agent that cannot be used */
  constructor(options: WmspClientOptions) {
    this.#options = options;
    this.#retries = new Retries(options, this.#closed.signal);
    this.#url = parseWmspUrl(options.url);
    this.#proxy = options.proxy === undefined ? undefined : parseWmspUrl(options.proxy);
    const { userAgent, identity = 'NSPlayer' } = options;
    this.#identity = userAgent === undefined ? defaultIdentity(identity) : clientIdentity(userAgent);
    this.#cookies = options.cookies ?? new CookieJar();
    this.#startTime = options.startTime ?? 0;
    this.#startPacket = options.startPacket;
    const playerId = anonymousPlayerId(randomBytes(6).toString('hex').toUpperCase());
    this.#report = new StreamReport({ identity: this.#identity, playerId, requestedUrl: options.url });
  }

  /**
   * Asks what is at a URL, and receives nothing of it.
   *
   * @throws WmError as the iteration of a client
   */
  static async describe(options: WmspClientOptions): Promise<WmspDescription> {
    const client = new WmspClient(options);
    const { link, described } = await client.#open();
    try {
      return client.#describe(link, described);
    } finally {
      link.destroy();
    }
  }

  /** What the server said last; undefined before it did. Known when the first header comes. */
  get description(): WmspDescription | undefined {
    return this.#description;
  }

  get stats(): WmspClientStats {
    return {
      packets: this.#packets,
      bytes: this.#bytes,
      damagedPackets: this.#damagedPackets,
      reconnects: this.#retries.reconnects,
    };
  }

  /**
   * The iteration throws, after an end event if there was a header:
   * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_NO_INPUT, WM_AUTH_REFUSED, WM_PROTOCOL, WM_HTTP_MALFORMED,
   *   WM_ASF_MALFORMED, WM_USAGE for streams that are not there
   * @throws LeadsElsewhere for an announcement or a redirect to another protocol, WM_BAD_INPUT for an announcement that cannot be read
   */
  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    this.#reading.begin();
    return this.#events();
  }

  /** Has the server stop; the session is kept, so that {@link resume} goes on with the next packet. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#link?.stop();
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  /** Goes on at another place (MS-WMSP 3.1.4.7), of content on demand. @param milliseconds from its start */
  seek(milliseconds: number): void {
    this.#startTime = milliseconds;
    this.#startPacket = undefined;
    this.#seeking = true;
    this.#link?.stop();
  }

  close(): Promise<void> {
    this.#closed.abort();
    this.#opening?.destroy();
    if (this.#link?.playing) {
      this.#link.stop();
      this.#link.renderingFinished();
    } else this.#link?.destroy();
    this.#wake();
    return Promise.resolve();
  }

  async *#events(): AsyncGenerator<AsfEvent, void, undefined> {
    try {
      yield* withEnd(this.#stream(), () => this.#continuity.header !== undefined);
      await this.#link?.finish();
    } finally {
      this.#link?.destroy();
      this.#opening?.destroy();
    }
  }

  /** Everything up to the last packet, over as many connections as it takes. */
  async *#stream(): AsyncGenerator<AsfEvent, void, undefined> {
    for (;;) {
      await this.#whilePaused();
      if (this.#closed.signal.aborted) return;
      const resumed = this.#link;
      try {
        if ((yield* this.#connection()) === 'ended' || this.#over) return;
      } catch (error) {
        if (this.#closed.signal.aborted || (this.#isComplete && !this.#refused)) return;
        // When the server has forgotten the session: begin another, with the same position.
        const isForgotten = resumed !== undefined && error instanceof WmError && !mayRetry(error, false);
        if (this.#isLive || this.#description?.transport === 'http' || isForgotten) this.#dropLink();
        if (!isForgotten) await this.#retries.after(error, this.#continuity.header !== undefined);
      }
    }
  }

  async #whilePaused(): Promise<void> {
    while (this.#paused && !this.#closed.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Everything that one connection brings. */
  async *#connection(): AsyncGenerator<AsfEvent, 'ended' | 'stopped', undefined> {
    if (!this.#link) {
      const { link, described } = await this.#open();
      this.#link = link;
      this.#report.newSession();
      this.#describe(link, described);
      if (described.kind === 'asf') return yield* this.#plain(described.plain);
    }
    const link = this.#link;
    if (this.#seeking) this.#continuity.jumped();
    this.#seeking = false;
    this.#refused = false;
    this.#report.restart('same');
    const play = link.play(this.#parameters());
    try {
      for (;;) {
        const { done, value } = await play.next();
        if (done) return value;
        if (value.type === 'data') yield* this.#packetEvents(value.location, value.bytes);
        else yield* this.#control(value, link);
      }
    } finally {
      await play.return('stopped');
    }
  }

  async *#control(
    event: Exclude<LinkEvent, { readonly type: 'data' }>,
    link: ClientLink,
  ): AsyncGenerator<AsfEvent, void, undefined> {
    switch (event.type) {
      case 'header':
        if (event.cause === 'change') link.renderingFinished();
        yield* this.#headerEvents(parseHeader(event.bytes), event.cause === 'change' || event.cause === 'next');
        this.#entryId = link.session.peer.playlistGenId;
        if (event.cause === 'change') {
          this.#report.restart('another');
          await link.nextEntry(this.#parameters());
        } else if (event.cause === 'next') {
          this.#report.restart('another');
        } else if (
          event.cause === 'play' &&
          this.#description &&
          !sameStreams(this.#header!, this.#description.header)
        ) {
          // The playlist went on between Describe and Play.
          await link.selectStreams(selectionOf(this.#header!, this.#chosen));
        }
        break;
      case 'end':
        if (isErrorResult(event.reason)) {
          this.#refused = true;
          throw new WmError('WM_SERVER_GONE', `The server ended the stream with the error ${hexResult(event.reason)}.`);
        }
        link.renderingFinished();
        break;
      case 'movedBack':
        // It waits for somebody who asks for the entry before.
        this.#over = true;
        link.stop();
        break;
      case 'metadata':
        break;
    }
  }

  *#headerEvents(header: AsfHeader, announced: boolean): Generator<AsfEvent, void, undefined> {
    this.#header = header;
    this.#chosen = this.#choose(header, this.#continuity.header === undefined);
    if (announced) {
      this.#startTime = 0;
      this.#startPacket = undefined;
    }
    if (this.#continuity.header === undefined && this.#isLive) this.#start = new LiveStart(header, this.#chosen);
    yield* this.#continuity.take(headerWithStreams(header, this.#chosen), announced, this.#isLive);
  }

  *#packetEvents(location: number, bytes: Buffer): Generator<AsfEvent, void, undefined> {
    if (this.#seeking) return;
    const packet = this.#readPacket(bytes);
    if (!packet) return;
    yield* this.#passOn(location, packet);
  }

  *#passOn(location: number, packet: DataPacket): Generator<AsfEvent, void, undefined> {
    this.#report.packet(packet.bytes.length, packet.sendTime, performance.now());
    const chosen = packetWithStreams(packet, this.#chosen);
    const wanted = chosen && this.#start ? this.#start.packet(chosen) : chosen;
    if (!wanted) return;
    const placed = this.#continuity.packet(location, wanted, (this.#options.rate ?? 1) < 0);
    if (!placed) return;
    this.#retries.progressed();
    this.#firstSendTime ??= packet.sendTime;
    this.#packets++;
    this.#bytes += placed.bytes.length;
    yield { type: 'packet', packet: placed };
  }

  #readPacket(bytes: Buffer): DataPacket | undefined {
    try {
      const size = this.#header?.packetSize ?? 0;
      if (bytes.length > size) throw new AsfError(`A packet of ${bytes.length} bytes is larger than ${size}.`);
      return parsePacket(bytes);
    } catch (error) {
      if (!(error instanceof AsfError)) throw error;
      if (!this.#tolerant)
        throw new WmError('WM_PROTOCOL', `A $D packet is malformed: ${error.message}`, { cause: error });
      if (this.#damagedPackets++ === 0) this.#note(`A packet is left out: ${error.message}`);
      return undefined;
    }
  }

  async *#plain(plain: PlainAsf): AsyncGenerator<AsfEvent, 'ended' | 'stopped', undefined> {
    let location = 0;
    let headers = 0;
    for await (const item of plain.items()) {
      if (this.#paused || this.#seeking) throw new WmError('WM_FAILED', 'Plain ASF can be neither paused nor sought.');
      if (item.type === 'header') yield* this.#headerEvents(item.header, headers++ > 0);
      else if (item.type === 'packet') yield* this.#passOn(location++, item.packet);
    }
    this.#damagedPackets += plain.damagedPackets;
    return 'ended';
  }

  /** A new link, and what it says of the URL. */
  async #open(): Promise<{ readonly link: ClientLink; readonly described: Described }> {
    const link = this.#newLink(this.#url);
    this.#opening = link;
    try {
      if (this.#closed.signal.aborted) throw new WmError('WM_FAILED', 'The source is closed.');
      return { link, described: await link.describe() };
    } catch (error) {
      link.destroy();
      throw error;
    } finally {
      this.#opening = undefined;
    }
  }

  #newLink(url: WmspUrl): ClientLink {
    const { pipelined = false, packetPair = false, authorize, log = true, pullChain = [] } = this.#options;
    const session = new ClientSession({
      identity: this.#identity,
      guid: this.#guid,
      url,
      cookies: this.#cookies,
      tolerant: this.#tolerant,
      pipelined,
      packetPair,
      authenticationSchemes: authorize?.schemes ?? [],
      pullChain,
      buildLog: (kind, form) => (log ? this.#logText(kind, form, session) : undefined),
    });
    return new ClientLink({
      session,
      proxy: this.#proxy,
      timeouts: this.#timeouts,
      tolerant: this.#tolerant,
      tls: this.#options.tls,
      authorize,
      credentialsFor: this.#url.origin,
      userAgent: this.#identity.text,
      reuse: this.#reuse,
      guard: this.#options.guard,
      led: this.#options.led,
      onNote: (text) => this.#note(text),
    });
  }

  #logText(kind: ClientLogKind, form: 'xml' | 'line', { peer }: ClientSession): string {
    return this.#report.text(kind, form, {
      usedUrl: peer.url.href,
      header: this.#header,
      metadata: peer.metadata,
      live: this.#isLive,
      reconnected: this.#retries.reconnects > 0,
      rate: this.#options.rate ?? 1,
    });
  }

  #describe(link: ClientLink, described: Described): WmspDescription {
    const { peer } = link.session;
    const bandwidth = described.kind === 'wmsp' ? described.bandwidth : undefined;
    const header = described.kind === 'wmsp' ? parseHeader(described.header) : described.plain.header;
    const live = header.broadcast || peer.contentFeatures.some((each) => each === 'broadcast' || each === 'live');
    const description: WmspDescription = {
      url: peer.url.href,
      transport: described.kind === 'wmsp' ? 'wmsp' : 'http',
      server: peer.server,
      supported: peer.supported,
      features: peer.contentFeatures,
      cacheControl: peer.cacheControl,
      clientId: peer.clientId,
      playlistGenId: peer.playlistGenId,
      metadata: peer.metadata,
      startupProfile: peer.startupProfile,
      bandwidth,
      live,
      header,
      chosen: chooseStreams(header, this.#wish(bandwidth)),
    };
    this.#description = description;
    return description;
  }

  #choose(header: AsfHeader, first: boolean): ReadonlySet<number> {
    const { streams } = this.#options;
    const known = new Set(header.streams.map(({ number }) => number));
    // Who named streams of the first entry meant those of the same numbers in the others.
    const there = first ? streams : streams?.filter((number) => known.has(number));
    const wish = this.#wish(this.#description?.bandwidth);
    return chooseStreams(header, { ...wish, streams: there?.length === 0 ? undefined : there });
  }

  #wish(measured: number | undefined): StreamWish {
    const { streams, bandwidth = measured } = this.#options;
    return { streams, bandwidth };
  }

  #parameters(): PlayParameters {
    const { rate = 1, link = DEFAULT_LINK, prediction = true, speed = 1 } = this.#options;
    const header = this.#header ?? this.#description!.header;
    const { lastLocation } = this.#continuity;
    const next =
      this.#isLive || lastLocation === undefined ? this.#startPacket : Math.max(lastLocation + Math.sign(rate), 0);
    const isFast = speed > 1 && !this.#isLive && this.#link?.session.peer.supported?.has('fastcache');
    const chosen = this.#header ? this.#chosen : this.#description!.chosen;
    return {
      startTime: this.#isLive ? 0 : this.#startTime,
      startPacket: next,
      entryId: lastLocation === undefined ? 0 : this.#entryId,
      rate,
      maxDuration: this.#remainingDuration,
      speed: isFast ? speed : 1,
      streams: selectionOf(header, chosen),
      link,
      prediction,
    };
  }

  /** What is still wanted of {@link WmspClientOptions.maxDuration}. */
  get #remainingDuration(): number {
    const { maxDuration = 0 } = this.#options;
    const { lastSendTime } = this.#continuity;
    if (maxDuration === 0 || this.#firstSendTime === undefined || lastSendTime === undefined) return maxDuration;
    return Math.max(maxDuration - Math.abs((lastSendTime - this.#firstSendTime) | 0), 1);
  }

  get #isLive(): boolean {
    return this.#description?.live ?? this.#header?.broadcast ?? false;
  }

  get #tolerant(): boolean {
    return this.#options.tolerant ?? true;
  }

  get #timeouts() {
    return { ...DEFAULT_TIMEOUTS, ...this.#options.timeouts };
  }

  /** All packets of a file have come, and only the $E is missing. */
  get #isComplete(): boolean {
    const { lastLocation, header } = this.#continuity;
    if (this.#isLive || !header || lastLocation === undefined) return false;
    const isOne = !this.#description?.features.includes('playlist');
    return isOne && header.dataObject.packetCount > 0n && BigInt(lastLocation + 1) >= header.dataObject.packetCount;
  }

  #dropLink(): void {
    this.#link?.destroy();
    this.#link = undefined;
  }

  #note(text: string): void {
    this.#options.onNote?.(printable(text, 500));
  }
}

function sameStreams(a: AsfHeader, b: AsfHeader): boolean {
  return (
    a.streams.length === b.streams.length && a.streams.every(({ number }, index) => number === b.streams[index]!.number)
  );
}
