import { randomUUID } from 'node:crypto';
import { sameLayout } from '../../asf/edit.js';
import { type AsfHeader, parseHeader } from '../../asf/header.js';
import { WmError } from '../../errors.js';
import { hexResult, isErrorResult } from '../../hresult.js';
import { ConnectionReuse } from '../../http/client.js';
import { CookieJar } from '../../http/cookie-jar.js';
import { Timeline } from '../../media/timeline.js';
import {
  type LinkContext,
  type LinkEvent,
  type PullLink,
  ServerFailure,
  type SourceFacts,
  type Wish,
} from '../../receiving/link.js';
import { StreamReport } from '../../receiving/report.js';
import { chooseStreams } from '../../receiving/streams.js';
import type { ClientLogKind } from '../../wmlog/client-log.js';
import type { WmspEvent } from './batches.js';
import { ClientLink, type Described } from './link.js';
import { DEFAULT_TIMEOUTS, type WmspClientOptions, type WmspDescription } from './options.js';
import type { PlainAsf } from './plain.js';
import { type ClientIdentity, clientIdentity, defaultIdentity } from './product.js';
import { DEFAULT_LINK, type PlayParameters } from './requests.js';
import { WmspClientSession } from './session.js';
import { selectionOf } from './streams.js';
import { parseWmspUrl, type WmspUrl } from './url.js';

/** The facts that a WMSP link finds out. */
export interface WmspFacts extends SourceFacts {
  readonly description: WmspDescription;
}

/** The state that all links of a client share. */
export class WmspPeer {
  readonly options: WmspClientOptions;
  readonly url: WmspUrl;
  readonly proxy: WmspUrl | undefined;
  readonly identity: ClientIdentity;
  readonly playerId: string;
  readonly guid = `{${randomUUID().toUpperCase()}}`;
  readonly cookies: CookieJar;
  readonly reuse = new ConnectionReuse();
  /** After how many packets plain ASF ended too early the last time. */
  endedAfter: number | undefined;

  /** @throws WmError WM_USAGE for an unusable URL, proxy or User-Agent */
  constructor(options: WmspClientOptions, playerId: string) {
    this.options = options;
    this.playerId = playerId;
    this.url = parseWmspUrl(options.url);
    this.proxy = options.proxy === undefined ? undefined : parseWmspUrl(options.proxy);
    const { userAgent, identity = 'NSPlayer' } = options;
    this.identity = userAgent === undefined ? defaultIdentity(identity) : clientIdentity(userAgent);
    this.cookies = options.cookies ?? new CookieJar();
  }
}

/** A session with a WMSP server, or plain ASF over HTTP, as a link of a {@link PullSource}. */
export class WmspPullLink implements PullLink<WmspFacts> {
  readonly #peer: WmspPeer;
  readonly #context: LinkContext;
  readonly #report: StreamReport;
  readonly #link: ClientLink;
  readonly #onNote: (text: string) => void;
  #plain: PlainAsf | undefined;
  #description: WmspDescription | undefined;

  constructor(peer: WmspPeer, context: LinkContext, onNote: (text: string) => void) {
    const { identity, playerId, options } = peer;
    this.#peer = peer;
    this.#context = context;
    this.#onNote = onNote;
    this.#report = new StreamReport(
      { userAgent: identity.text, playerId, requestedUrl: options.url },
      context.received,
    );
    this.#link = this.#newLink(onNote);
  }

  /** The state of the content that the server's last answer was about. */
  get validators() {
    return this.#link.session.peer.validators;
  }

  async open(): Promise<WmspFacts> {
    const described = await this.#link.describe();
    if (described.kind === 'asf') this.#plain = described.plain;
    const description = this.#describe(described);
    this.#description = description;
    const { live, header, bandwidth, features, transport } = description;
    const resumable = transport === 'wmsp';
    return { live, header, bandwidth, single: !features.includes('playlist'), resumable, description };
  }

  async *play(wish: () => Wish): AsyncGenerator<readonly LinkEvent[], 'ended' | 'stopped', undefined> {
    if (this.#plain) return yield* this.#playPlain(this.#plain);
    const play = this.#link.play(this.#parameters(wish()));
    try {
      for (;;) {
        const { done, value } = await play.next();
        if (done) return value;
        const [first] = value;
        if (first?.type === 'data') yield packetsOf(value);
        else if (first && (yield* this.#control(first, wish))) return 'ended';
      }
    } finally {
      await play.return('stopped');
    }
  }

  pause(): void {
    this.#link.stop();
  }

  stop(): void {
    this.#link.stop();
    this.#link.renderingFinished();
  }

  finish(): Promise<void> {
    return this.#link.finish();
  }

  forward(body: Buffer, agent: string): void {
    this.#link.forward(body, agent);
  }

  destroy(): void {
    this.#link.destroy();
  }

  /** @returns true if nothing more is wanted */
  async *#control(event: WmspEvent, wish: () => Wish): AsyncGenerator<readonly LinkEvent[], boolean, undefined> {
    const link = this.#link;
    switch (event.type) {
      case 'header': {
        const isChange = event.cause === 'change';
        if (isChange) link.renderingFinished();
        const header = parseHeader(event.bytes);
        const announced = isChange || event.cause === 'next';
        yield [{ type: 'header', header, announced, entry: link.session.peer.playlistGenId }];
        if (isChange) await link.nextEntry(this.#parameters(wish()));
        else if (event.cause === 'play' && this.#description && !sameStreams(header, this.#description.header)) {
          // The playlist moved on between Describe and Play.
          await link.selectStreams(selectionOf(header, wish().chosen));
        }
        return false;
      }
      case 'end':
        if (isErrorResult(event.reason)) {
          throw new ServerFailure(`The server ended the stream with the error ${hexResult(event.reason)}.`);
        }
        link.renderingFinished();
        return false;
      case 'movedBack':
        // It waits for a request for the previous entry.
        link.stop();
        return true;
      default:
        return false;
    }
  }

  async *#playPlain(plain: PlainAsf): AsyncGenerator<readonly LinkEvent[], 'ended', undefined> {
    let location = 0;
    let last: AsfHeader | undefined;
    let timeline = new Timeline();
    for await (const item of plain.items()) {
      if (item.type === 'packet') {
        yield [{ type: 'parsed', packet: timeline.packet(item.packet), location: location++ }];
      } else if (item.type === 'header') {
        const { header } = item;
        if (last && sameLayout(last, header)) timeline.restart();
        else {
          yield [{ type: 'header', header, announced: last !== undefined }];
          timeline = new Timeline();
        }
        last = header;
      }
    }
    if (plain.truncated) this.#endsEarly(plain, location);
    yield [{ type: 'damaged', packets: plain.damagedPackets }];
    return 'ended';
  }

  /**
   * The body ended before the last packet. The file itself is cut if the response says where it ends, or if it ends in
   * the same place again.
   *
   * @throws WmError WM_SERVER_GONE if the connection may have been cut
   */
  #endsEarly(plain: PlainAsf, packets: number): void {
    const isCut = plain.delimited || this.#peer.endedAfter === packets;
    this.#peer.endedAfter = packets;
    if (!isCut) throw new WmError('WM_SERVER_GONE', 'The server sent only a part of the file.');
    this.#onNote(`The file on the server is cut: it ends after ${packets} packets.`);
  }

  #parameters(wish: Wish): PlayParameters {
    const { link = DEFAULT_LINK, prediction = true, speed = 1 } = this.#peer.options;
    const isFast = speed > 1 && !wish.live && this.#link.session.peer.supported?.has('fastcache');
    return {
      startTime: wish.startTime,
      startPacket: wish.startPacket,
      entryId: wish.entry ?? 0,
      rate: wish.rate,
      maxDuration: wish.maxDuration,
      speed: isFast ? speed : 1,
      streams: selectionOf(wish.header, wish.chosen),
      link,
      prediction,
    };
  }

  #newLink(onNote: (text: string) => void): ClientLink {
    const { identity, guid, url, cookies, proxy, reuse, options } = this.#peer;
    const {
      pipelined = false,
      packetPair = false,
      authorize,
      log = true,
      pullChain = [],
      relayed,
      tolerant = true,
    } = options;
    const session: WmspClientSession = new WmspClientSession({
      identity,
      guid,
      url,
      cookies,
      tolerant,
      pipelined,
      packetPair,
      authenticationSchemes: authorize?.schemes ?? [],
      pullChain,
      relayed,
      buildLog: (kind, form) => (log ? this.#logText(kind, form, session) : undefined),
    });
    return new ClientLink({
      session,
      proxy,
      timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
      tolerant,
      tls: options.tls,
      authorize,
      credentialsFor: url.origin,
      userAgent: identity.text,
      reuse,
      guard: options.guard,
      led: options.led,
      onNote,
    });
  }

  #logText(kind: ClientLogKind, form: 'xml' | 'line', { peer }: WmspClientSession): string {
    const { header, reconnects } = this.#context;
    return this.#report.text(kind, form, {
      usedUrl: peer.url.href,
      header,
      descriptions: peer.metadata?.descriptions ?? [],
      live: this.#description?.live ?? header?.broadcast ?? false,
      reconnected: reconnects > 0,
      rate: this.#peer.options.rate ?? 1,
    });
  }

  #describe(described: Described): WmspDescription {
    const { peer } = this.#link.session;
    const measured = described.kind === 'wmsp' ? described.bandwidth : undefined;
    const header = described.kind === 'wmsp' ? parseHeader(described.header) : described.plain.header;
    const live = header.broadcast || peer.contentFeatures.some((each) => each === 'broadcast' || each === 'live');
    const { streams, bandwidth = measured } = this.#peer.options;
    return {
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
      bandwidth: measured,
      live,
      header,
      chosen: chooseStreams(header, { streams, bandwidth }),
    };
  }
}

function packetsOf(events: readonly WmspEvent[]): LinkEvent[] {
  const packets: LinkEvent[] = [];
  for (const event of events) {
    if (event.type === 'data') packets.push({ type: 'packet', bytes: event.bytes, location: event.location });
  }
  return packets;
}

function sameStreams(a: SourceFacts['header'], b: SourceFacts['header']): boolean {
  return (
    a.streams.length === b.streams.length && a.streams.every(({ number }, index) => number === b.streams[index]!.number)
  );
}
