import { orAborted } from '../../abort.js';
import { buildAsx } from '../../announce/asx.js';
import { buildM3u } from '../../announce/m3u.js';
import { buildPls } from '../../announce/pls.js';
import type { AsfHeader } from '../../asf/header.js';
import { callerOf, headerRefusal } from '../../auth/header-dialog.js';
import { messageOf, printable } from '../../errors.js';
import { plainAddress } from '../../http/addresses.js';
import type { Exchange, ResponseStream } from '../../http/exchange.js';
import { type Field, HttpError } from '../../http/message.js';
import { ALLOWED, answersMethod } from '../../http/methods.js';
import { rawQueryOf } from '../../http/target.js';
import type { Broadcast } from '../../media/broadcast.js';
import type { Player } from '../../media/group.js';
import { ASF_TYPE, mediaType } from '../../media/names.js';
import { EVERY_STREAM, type PlayerSession } from '../../media/wire.js';
import { isRedirect, type Visitor } from '../../playback/content.js';
import type { Attempt, Entrance, Pass } from '../../playback/entrance.js';
import type { SessionRegistry } from '../../playback/registry.js';
import { PULL_CHAIN_FIELD, parsePullChain } from '../../receiving/pull-chain.js';
import { describeContent } from '../../wms/content-description.js';
import { relayedOf } from '../../wms/relayed.js';
import type { ContentRoot } from '../content/content.js';
import { pathOf, queryOf } from '../content/paths.js';
import { type AccelRedirect, leaveToProxy, sendFile } from '../content/plain-file.js';
import type { Hls } from '../hls/hls.js';
import type { PointMulticast } from '../listeners/multicast.js';
import type { PublishingPoint, PublishingPoints } from '../points/points.js';
import type { Stills } from '../stills.js';
import { BrowserStreams } from './browser-streams.js';
import { webFields } from './fields.js';
import { type GuideEntry, guidePage, guideQuery } from './guide.js';
import { plainWire } from './plain-wire.js';
import { openedPlain, sendForwarded, sendRaw } from './proxied.js';
import { RefusedStreams } from './refused-streams.js';

/** The usual ports of RTSP and MMS, which URLs need not name. */
const RTSP_PORT = 554;
const MMS_PORT = 1755;

/** A client that receives a broadcast as an endless ASF file. */
class PlainPlayer implements PlayerSession {
  readonly output: ResponseStream;
  readonly player: Player;
  readonly header: AsfHeader;
  /** Called when its response is over. */
  onOver: (() => void) | undefined;

  constructor(stream: ResponseStream, broadcast: Broadcast, header: AsfHeader) {
    this.output = stream;
    this.header = header;
    stream.write(header.bytes);
    this.player = broadcast.join(this, EVERY_STREAM, plainWire(header.packetSize));
    stream.onLost = () => broadcast.leave(this.player);
  }

  /** A file has only one header; a client that wants the next entry requests it again. */
  changed(): undefined {
    this.ended();
  }

  ended(): void {
    this.output.end();
  }
}

/** A point whose announcement was requested. */
interface Announced {
  readonly as: 'asx' | 'nsc' | 'm3u' | 'pls' | 'jpg';
  readonly path: string;
  readonly point: PublishingPoint;
}

/** The server as seen from its web pages. */
export interface WebHost {
  /** Grants access to content. */
  readonly entrance: Pick<Entrance, 'enter'>;
  /** Returns the multicast of the point at a path, if it has one. */
  readonly multicast: (path: string) => PointMulticast | undefined;
  /** Returns the URL that takes the logs of multicast clients, if the server takes any. */
  readonly loggingUrl: (authority: string) => string | undefined;
  /** Returns the ports that players of Windows Media can use besides that of HTTP. */
  readonly ports: () => StreamPorts;
  /** Returns what an nginx in front of the server has, if there is one that sends files. */
  readonly accelRedirect?: () => AccelRedirect | undefined;
  /** True if browsers get a guide to the points at the root. */
  readonly guide: () => boolean;
  /** Pictures of what is on air. */
  readonly stills: Stills;
  /** Streams for browsers. */
  readonly hls: Hls;
  /** True if everybody at the address of a request may play a point, without a login. */
  readonly isPublic: (exchange: Exchange, point: PublishingPoint) => boolean | Promise<boolean>;
  /** Told if a client gets nothing although it has access. */
  readonly onAttempt: (attempt: Attempt) => void;
  /** The registry of clients that receive a stream or a file. */
  readonly registry: SessionRegistry;
  /** Called when somebody sends a stream in an unsupported way: what the operator should know. */
  readonly onWarning: (message: string) => void;
  /** Called when content cannot be delivered, through no fault of the client. */
  readonly onError: (error: unknown) => void;
}

/**
 * Serves clients that do not speak the protocol: .asx and .nsc announcements, the plain ASF stream of a point, and
 * unchanged files.
 */
export class WebServer {
  readonly #points: PublishingPoints;
  readonly #content: () => ContentRoot | undefined;
  readonly #host: WebHost;
  readonly #refusedStreams: RefusedStreams;
  readonly #browserStreams: BrowserStreams;

  constructor(points: PublishingPoints, content: () => ContentRoot | undefined, host: WebHost) {
    this.#points = points;
    this.#content = content;
    this.#host = host;
    this.#refusedStreams = new RefusedStreams(host.onWarning);
    this.#browserStreams = new BrowserStreams({ points, hls: host.hls, entrance: host.entrance });
  }

  /** True if a request is for the announcement of a point. Players fetch those under their protocol's User-Agent. */
  announces({ request: { method, target } }: Exchange): boolean {
    if ((method !== 'GET' && method !== 'HEAD') || !/\.(?:asx|nsc|m3u|pls|jpg)(?:[?#]|$)/i.test(target)) return false;
    try {
      return this.#announcedBy(pathOf(target)) !== undefined;
    } catch {
      return false;
    }
  }

  /** Answers a request that no protocol claimed. */
  handle(exchange: Exchange): void {
    this.#answer(exchange).catch((error: unknown) => {
      if (exchange.lost) return;
      const refusal = headerRefusal(error, exchange.request);
      if (!refusal) this.#host.onError(error);
      const { status = 500, challenge = false } = refusal ?? {};
      const fields: Field[] = [
        ...webFields('text/plain; charset=utf-8'),
        ...(status === 405 ? [ALLOWED] : []),
        ...(refusal?.fields ?? []),
      ];
      const text = refusal ? messageOf(error) : 'An internal error occurred.';
      exchange.respond({ status, fields, body: Buffer.from(`${text}\n`), close: !challenge });
    });
  }

  async #answer(exchange: Exchange): Promise<void> {
    const { request, remoteAddress } = exchange;
    const { method, target } = request;
    if (method === 'OPTIONS') {
      answersMethod(exchange, webFields('text/plain; charset=utf-8'));
      return;
    }
    const path = pathOf(target);
    if (method !== 'GET' && method !== 'HEAD') {
      if (['POST', 'PUT', 'SOURCE'].includes(method)) this.#refusedStreams.refused(exchange, path);
      if (method === 'POST') throw new HttpError(405, 'This POST request is neither a push nor a log.');
      throw new HttpError(405, `${printable(method, 20)} is not supported here; allowed: ${ALLOWED[1]}.`);
    }
    if (path === '/' && wantsPages(exchange) && this.#host.guide()) return this.#guide(exchange);
    if (await this.#browserStreams.handle(exchange, path)) return;
    // The parameter that Windows Media Services puts into its .asx responses, for clients that judge by the extension
    // of a URL.
    const wantsMedia = queryOf(target).has('MSWMExt');
    const announced = this.#announcedBy(path);
    const starts = wantsMedia || !(announced ?? this.#points.named(path));
    const visitor = starts ? visitorOf(exchange) : undefined;
    const pass = await this.#host.entrance.enter({
      path: announced?.path ?? path,
      caller: callerOf(exchange, { player: true }),
      purpose: starts ? 'play' : 'info',
      query: rawQueryOf(target),
      relayed: relayedOf(request.headers, method, productOf(exchange)),
      pulls: parsePullChain(request.headers.get(PULL_CHAIN_FIELD)),
      visitor,
      signal: exchange.signal,
    });
    if (isRedirect(pass)) {
      const fields: Field[] = [...webFields('text/plain; charset=utf-8'), ['Location', pass.redirect]];
      exchange.respond({ status: pass.proxy ? 305 : 302, fields });
      return;
    }
    let player: PlainPlayer | undefined;
    try {
      player = await this.#serve(exchange, path, announced, wantsMedia, pass);
    } catch (error) {
      if (visitor) this.#host.onAttempt({ visitor, path: pass.path, remoteAddress, user: pass.user, error });
      throw error;
    } finally {
      const { stream } = exchange;
      if (stream && !stream.ended) this.#register(exchange, stream, pass, player);
      else pass.leave();
    }
  }

  /** Registers a client that receives a stream or a file. */
  #register(exchange: Exchange, stream: ResponseStream, pass: Pass, player: PlainPlayer | undefined): void {
    const { remoteAddress, secure } = exchange;
    const over = this.#host.registry.begin({
      role: 'player',
      protocol: 'HTTP',
      transport: secure ? 'tls' : 'tcp',
      path: pass.path,
      client: productOf(exchange),
      remoteAddress: plainAddress(remoteAddress),
      user: pass.user,
      content: () => player && { header: player.header },
      counts: () => ({ bytes: stream.bytes, packets: player?.player.sent ?? 0, lost: player?.player.skipped ?? 0 }),
      stop: () => (player ? player.ended() : stream.destroy()),
    });
    stream.onOver = () => {
      player?.onOver?.();
      over();
      pass.leave();
    };
  }

  /** Serves the content of a path to an admitted client. @returns the player, if it receives a stream */
  async #serve(
    exchange: Exchange,
    path: string,
    announced: Announced | undefined,
    wantsMedia: boolean,
    pass: Pass,
  ): Promise<PlainPlayer | undefined> {
    const point = this.#points.get(path);
    if (point) return this.#give(exchange, point, wantsMedia);
    if (announced) {
      if (announced.as === 'jpg') await this.#still(exchange, announced.point);
      else if (announced.as === 'nsc') this.#announceMulticast(exchange, announced.path);
      else if (announced.as !== 'asx') this.#announceList(exchange, announced.as, announced.point);
      else this.#announce(exchange, announced.path, announced.point.broadcast.header);
      return undefined;
    }
    const item = await this.#content()?.resolve(path);
    if (item) {
      if (item.kind === 'file' && (wantsMedia || !isBrowser(exchange))) await this.#file(exchange, item.file);
      else this.#announce(exchange, path, undefined);
      return undefined;
    }
    const similar = this.#points.find(path);
    if (!similar && pass.forward) return this.#proxied(exchange, pass);
    if (!similar) throw new HttpError(404, `There is nothing at ${path}.`);
    return this.#give(exchange, similar, wantsMedia || this.#points.named(path) === undefined);
  }

  async #file(exchange: Exchange, file: string): Promise<void> {
    const accel = this.#host.accelRedirect?.();
    if (!accel || !(await leaveToProxy(exchange, file, accel))) await sendFile(exchange, file);
  }

  async #give(exchange: Exchange, point: PublishingPoint, asMedia: boolean): Promise<PlainPlayer | undefined> {
    if (asMedia) return this.#stream(exchange, point);
    this.#announce(exchange, point.path, point.broadcast.header);
    return undefined;
  }

  #announce(exchange: Exchange, path: string, header: AsfHeader | undefined): void {
    const about = Object.fromEntries(header ? describeContent(header) : []);
    const authority = authorityOf(exchange);
    // A player that cannot receive multicasts continues with the next reference.
    const multicast = this.#host.multicast(path) ? [announcementUrl(exchange, path, 'nsc')] : [];
    const body = buildAsx([
      { ...about, refs: [...multicast, ...pointUrls(authority, path, exchange.secure, this.#host.ports())] },
    ]);
    exchange.respond({ status: 200, fields: webFields(ASF_TYPE), body: Buffer.from(body, 'utf8') });
  }

  /** Answers with a picture of what is on air. */
  async #still(exchange: Exchange, point: PublishingPoint): Promise<void> {
    const body = await orAborted(this.#host.stills.of(point), exchange.signal);
    if (!body) throw new HttpError(404, `There is no picture of ${point.path}.`);
    exchange.respond({ status: 200, fields: webFields('image/jpeg'), body });
  }

  /** Answers with a playlist of one entry, for players that know no .asx. They take the stream over HTTP. */
  #announceList(exchange: Exchange, as: 'm3u' | 'pls', { path, broadcast }: PublishingPoint): void {
    const url = pointUrls(authorityOf(exchange), path, exchange.secure).at(-1)!;
    const { title } = Object.fromEntries(broadcast.header ? describeContent(broadcast.header) : []);
    const entries = [{ url, title: title ?? path }];
    const isM3u = as === 'm3u';
    const body = Buffer.from(isM3u ? buildM3u(entries) : buildPls(entries), 'utf8');
    exchange.respond({ status: 200, fields: webFields(isM3u ? 'audio/x-mpegurl' : 'audio/x-scpls'), body });
  }

  /** Lists what everybody at the visitor's address may play, without asking for a login. */
  async #guide(exchange: Exchange): Promise<void> {
    const entries: GuideEntry[] = [];
    for (const point of this.#points) {
      const { path, broadcast, feeder } = point;
      if (point.stopped || !point.acceptsPlayers || !(broadcast.live || feeder)) continue;
      if (!(await this.#host.isPublic(exchange, point))) continue;
      const { header } = broadcast;
      const about = Object.fromEntries(header ? describeContent(header) : []);
      entries.push({
        path,
        title: about['title'] ?? '',
        author: about['author'] ?? '',
        description: about['description'] ?? '',
        live: broadcast.live,
        still: this.#host.stills.offers(point),
        hls: this.#host.hls.offered,
        bitRate: header?.fileProperties.maximumBitrate ?? 0,
        urls: pointUrls(authorityOf(exchange), path, exchange.secure, this.#host.ports()),
      });
    }
    const { host } = exchange;
    const page = guidePage(`On ${host}`, entries, guideQuery(queryOf(exchange.request.target)));
    exchange.respond({
      status: 200,
      fields: webFields('text/html; charset=us-ascii'),
      body: Buffer.from(page, 'latin1'),
    });
  }

  /** Returns the point whose announcement a path names: `/live.asx`, .m3u or .pls, `/live.nsc` if it is multicast; `/live.jpg` shows it. */
  #announcedBy(path: string): Announced | undefined {
    const [, stem, ending] = /^(.+)\.(asx|nsc|m3u|pls|jpg)$/i.exec(path) ?? [];
    const point = stem === undefined || this.#points.get(path) ? undefined : this.#points.named(stem);
    if (!point) return undefined;
    const as = ending!.toLowerCase() as Announced['as'];
    return as === 'nsc' && !this.#host.multicast(point.path) ? undefined : { as, path: point.path, point };
  }

  #announceMulticast(exchange: Exchange, path: string): void {
    const authority = authorityOf(exchange);
    const [unicastUrl] = pointUrls(authority, path, exchange.secure);
    // Clients submit logs without TLS only.
    const logUrl = exchange.secure ? undefined : this.#host.loggingUrl(authority);
    const text = this.#host.multicast(path)!.nsc(unicastUrl!, logUrl);
    if (text === undefined)
      throw new HttpError(503, `No encoder has fed ${path} yet, so there is no header to announce.`);
    exchange.respond({ status: 200, fields: webFields(ASF_TYPE), body: Buffer.from(text, 'latin1') });
  }

  async #stream(exchange: Exchange, point: PublishingPoint): Promise<PlainPlayer | undefined> {
    const pulls = parsePullChain(exchange.request.headers.get(PULL_CHAIN_FIELD));
    if (point.feeder) await orAborted(point.feeder.demand(pulls), exchange.signal);
    return playPlain(exchange, point.broadcast, point.path);
  }

  /** Gives content of another server: a stream, a file from the cache, or what that server answers. */
  async #proxied(exchange: Exchange, pass: Pass): Promise<PlainPlayer | undefined> {
    const program = await openedPlain(pass);
    if (!program) {
      await sendForwarded(exchange, pass);
      return undefined;
    }
    const { current } = program;
    let player: PlainPlayer | undefined;
    try {
      if (current.kind === 'live') player = playPlain(exchange, current.broadcast, pass.path);
      else sendRaw(exchange, current.file, current.raw!, program.close);
    } finally {
      if (current.kind === 'live') closeWith(player, program.close);
    }
    return player;
  }
}

/** Begins to send a broadcast as a file without an end. @throws HttpError 503, 400 */
function playPlain(exchange: Exchange, broadcast: Broadcast, path: string): PlainPlayer | undefined {
  if (!broadcast.live || !broadcast.header) throw new HttpError(503, `${path} is offline: no encoder is connected.`);
  if (exchange.queued) throw new HttpError(400, 'This connection is already streaming.');
  const fields = webFields(mediaType(broadcast.header.streams.map(({ type }) => type)));
  if (exchange.request.method === 'HEAD') {
    exchange.startStream(200, fields, { chunked: false });
    return undefined;
  }
  return new PlainPlayer(exchange.startStream(200, fields, { chunked: false }), broadcast, broadcast.header);
}

/** Closes what a player plays once it has gone; at once without one. */
function closeWith(player: PlainPlayer | undefined, close: () => void): void {
  if (player) player.onOver = close;
  else close();
}

/** Returns the product that a client names. */
function productOf({ request }: Exchange): string {
  return printable(request.headers.get('User-Agent') ?? '');
}

/** Returns the sender of a request for the logs; undefined for browsers, which ask for pages. */
function visitorOf(exchange: Exchange): Visitor | undefined {
  if (isBrowser(exchange)) return undefined;
  return { protocol: 'HTTP', transport: exchange.secure ? 'tls' : 'tcp', client: productOf(exchange) };
}

/** True for a web browser, which can pass a stream to a player only through an .asx file. */
function isBrowser({ request }: Exchange): boolean {
  return request.headers.tokens('Accept').some((type) => type.startsWith('text/html'));
}

/**
 * True for a client that can show a page: also Internet Explorer up to version 8 and Links, whose Accept names no HTML.
 * Not enough to refuse a file to a client: set-top boxes call themselves Mozilla, too.
 */
function wantsPages(exchange: Exchange): boolean {
  const agent = exchange.request.headers.get('User-Agent') ?? '';
  return isBrowser(exchange) || /^(?:Mozilla|Opera|Links|ELinks|Lynx|w3m|Dillo)\b/i.test(agent);
}

/** Returns the host and port that the client used; a malformed value is not echoed. */
function authorityOf(exchange: Exchange): string {
  const host = exchange.host;
  if (!/^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.test(host))
    throw new HttpError(400, 'The Host header is malformed.');
  return host;
}

function announcementUrl(exchange: Exchange, path: string, ending: string): string {
  return `${exchange.secure ? 'https' : 'http'}://${authorityOf(exchange)}${escapedPath(path)}.${ending}`;
}

function escapedPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** The ports of other protocols than HTTP, as far as they are open. */
export interface StreamPorts {
  readonly rtsp?: number | undefined;
  readonly mms?: number | undefined;
}

/**
 * Returns the URLs of a point in the order in which players should try them: RTSP, MMS, HTTP for players of Windows
 * Media, and HTTP for all others. Players of Windows Media have no scheme for TLS.
 *
 * @param authority host and port of HTTP
 */
export function pointUrls(authority: string, path: string, secure = false, { rtsp, mms }: StreamPorts = {}): string[] {
  const escaped = escapedPath(path);
  if (secure) return [`https://${authority}${escaped}?MSWMExt=.asf`];
  const host = authority.replace(/:\d+$/, '');
  const at = (port: number, usual: number) => (port === usual ? host : `${host}:${port}`);
  return [
    ...(rtsp === undefined ? [] : [`rtsp://${at(rtsp, RTSP_PORT)}${escaped}`]),
    ...(mms === undefined ? [] : [`mms://${at(mms, MMS_PORT)}${escaped}`]),
    `mms://${authority}${escaped}`,
    `http://${authority}${escaped}?MSWMExt=.asf`,
  ];
}
