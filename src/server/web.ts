import { orAborted } from '../abort.js';
import { buildAsx } from '../announce/asx.js';
import type { AsfHeader } from '../asf/header.js';
import { writeWhole } from '../asf/whole.js';
import { callerOf, headerRefusal } from '../auth/header-dialog.js';
import { messageOf, printable } from '../errors.js';
import { plainAddress } from '../http/addresses.js';
import type { Exchange, ResponseStream } from '../http/exchange.js';
import { type Field, HttpError } from '../http/message.js';
import { ALLOWED, answersMethod } from '../http/methods.js';
import type { Broadcast } from '../media/broadcast.js';
import type { Player } from '../media/group.js';
import { ASF_TYPE, mediaType } from '../media/names.js';
import { EVERY_STREAM, type PlayerSession, type WireFormat } from '../media/wire.js';
import { isRedirect } from '../playback/content.js';
import type { Entrance, Pass } from '../playback/entrance.js';
import type { SessionRegistry } from '../playback/registry.js';
import { PULL_CHAIN_FIELD, parsePullChain } from '../receiving/pull-chain.js';
import { describeContent } from '../wmsp/packets.js';
import type { ContentRoot } from './content.js';
import type { PointMulticast } from './multicast.js';
import { pathOf, queryOf } from './paths.js';
import { sendFile } from './plain-file.js';
import type { PublishingPoint, PublishingPoints } from './points.js';
import { RefusedStreams } from './refused-streams.js';
import { webFields } from './web-fields.js';

/** Packets as they are in a file: full size, nothing around them; all players share every byte. */
function plainWire(packetSize: number): WireFormat {
  return {
    key: 'asf',
    numbers: 'none',
    mask: 0,
    size: () => packetSize,
    write: (into, at, { bytes }) => writeWhole(into, at, bytes, packetSize),
  };
}

/** A client that gets a broadcast as an endless ASF file. */
class PlainPlayer implements PlayerSession {
  readonly output: ResponseStream;
  readonly player: Player;

  constructor(stream: ResponseStream, broadcast: Broadcast, header: AsfHeader) {
    this.output = stream;
    stream.write(header.bytes);
    this.player = broadcast.join(this, EVERY_STREAM, plainWire(header.packetSize));
    stream.onLost = () => broadcast.leave(this.player);
  }

  /** A file has one header; whoever wants what follows asks again. */
  changed(): undefined {
    this.ended();
  }

  ended(): void {
    this.output.end();
  }
}

/** The announcement of a point. */
interface Announced {
  readonly as: 'asx' | 'nsc';
  readonly path: string;
  readonly point: PublishingPoint;
}

/** What the server tells of its points. */
export interface WebHost {
  /** The way to content. */
  readonly entrance: Pick<Entrance, 'enter'>;
  /** How the point at a path is multicast, if it is. */
  readonly multicast: (path: string) => PointMulticast | undefined;
  /** Where those are known who get a stream or a file. */
  readonly registry: SessionRegistry;
  /** Somebody sends a stream in a way that is not taken: what the operator should know. */
  readonly onWarning: (message: string) => void;
  /** Content cannot be given, through no fault of the client. */
  readonly onError: (error: unknown) => void;
}

/**
 * What clients get that do not speak the protocol: .asx and .nsc announcements, the plain ASF stream of a point, files as they are.
 */
export class WebServer {
  readonly #points: PublishingPoints;
  readonly #content: ContentRoot | undefined;
  readonly #host: WebHost;
  readonly #refusedStreams: RefusedStreams;

  constructor(points: PublishingPoints, content: ContentRoot | undefined, host: WebHost) {
    this.#points = points;
    this.#content = content;
    this.#host = host;
    this.#refusedStreams = new RefusedStreams(host.onWarning);
  }

  /** Whether a request is for the announcement of a point, which players fetch under the name that they have in the protocol. */
  announces({ request: { method, target } }: Exchange): boolean {
    if ((method !== 'GET' && method !== 'HEAD') || !/\.(?:asx|nsc)(?:[?#]|$)/i.test(target)) return false;
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
      const text = refusal ? messageOf(error) : 'Something went wrong here.';
      exchange.respond({ status, fields, body: Buffer.from(`${text}\n`), close: !challenge });
    });
  }

  async #answer(exchange: Exchange): Promise<void> {
    const { method, target } = exchange.request;
    if (method === 'OPTIONS') {
      answersMethod(exchange, webFields('text/plain; charset=utf-8'));
      return;
    }
    const path = pathOf(target);
    if (method !== 'GET' && method !== 'HEAD') {
      if (['POST', 'PUT', 'SOURCE'].includes(method)) this.#refusedStreams.refused(exchange, path);
      throw new HttpError(405, `${printable(method, 20)} is not supported here; allowed: ${ALLOWED[1]}.`);
    }
    // The parameter that Windows Media Services puts into its .asx answers, for clients that go by the ending of a URL.
    const wantsMedia = queryOf(target).has('MSWMExt');
    const announced = this.#announcedBy(path);
    const starts = wantsMedia || !(announced ?? this.#points.named(path));
    const pass = await this.#host.entrance.enter({
      path: announced?.path ?? path,
      caller: callerOf(exchange, { player: true }),
      purpose: starts ? 'play' : 'info',
      signal: exchange.signal,
    });
    if (isRedirect(pass)) {
      const fields: Field[] = [...webFields('text/plain; charset=utf-8'), ['Location', pass.redirect]];
      exchange.respond({ status: pass.proxy ? 305 : 302, fields });
      return;
    }
    let player: PlainPlayer | undefined;
    try {
      player = await this.#serve(exchange, path, announced, wantsMedia);
    } finally {
      const { stream } = exchange;
      if (stream && !stream.ended) this.#register(exchange, stream, pass, player);
      else pass.leave();
    }
  }

  /** Somebody gets a stream, or a file. */
  #register(exchange: Exchange, stream: ResponseStream, pass: Pass, player: PlainPlayer | undefined): void {
    const { request, remoteAddress, secure } = exchange;
    const over = this.#host.registry.begin({
      role: 'player',
      protocol: 'HTTP',
      transport: secure ? 'tls' : 'tcp',
      path: pass.path,
      client: printable(request.headers.get('User-Agent') ?? ''),
      remoteAddress: plainAddress(remoteAddress),
      user: pass.user,
      counts: () => ({ bytes: stream.bytes, packets: player?.player.sent ?? 0, lost: player?.player.skipped ?? 0 }),
      stop: () => (player ? player.ended() : stream.destroy()),
    });
    stream.onOver = () => {
      over();
      pass.leave();
    };
  }

  /** Gives what is at a path to somebody who may have it. @returns who gets a stream of it */
  async #serve(
    exchange: Exchange,
    path: string,
    announced: Announced | undefined,
    wantsMedia: boolean,
  ): Promise<PlainPlayer | undefined> {
    const point = this.#points.get(path);
    if (point) return this.#give(exchange, point, wantsMedia);
    if (announced) {
      if (announced.as === 'nsc') this.#announceMulticast(exchange, announced.path);
      else this.#announce(exchange, announced.path, announced.point.broadcast.header);
      return undefined;
    }
    const item = await this.#content?.resolve(path);
    if (item) {
      if (item.kind === 'file' && (wantsMedia || !isBrowser(exchange))) await sendFile(exchange, item.file);
      else this.#announce(exchange, path, undefined);
      return undefined;
    }
    const similar = this.#points.find(path);
    if (!similar) throw new HttpError(404, `There is nothing at ${path}.`);
    return this.#give(exchange, similar, wantsMedia || this.#points.named(path) === undefined);
  }

  async #give(exchange: Exchange, point: PublishingPoint, asMedia: boolean): Promise<PlainPlayer | undefined> {
    if (asMedia) return this.#stream(exchange, point);
    this.#announce(exchange, point.path, point.broadcast.header);
    return undefined;
  }

  #announce(exchange: Exchange, path: string, header: AsfHeader | undefined): void {
    const about = Object.fromEntries(header ? describeContent(header) : []);
    const authority = authorityOf(exchange);
    // A player that cannot receive multicasts goes on to the next one.
    const multicast = this.#host.multicast(path) ? [announcementUrl(exchange, path, 'nsc')] : [];
    const body = buildAsx([{ ...about, refs: [...multicast, ...pointUrls(authority, path, exchange.secure)] }]);
    exchange.respond({ status: 200, fields: webFields(ASF_TYPE), body: Buffer.from(body, 'utf8') });
  }

  /** The point whose announcement a path names: `/live.asx`, and `/live.nsc` when it is multicast. */
  #announcedBy(path: string): Announced | undefined {
    const [, stem, ending] = /^(.+)\.(asx|nsc)$/i.exec(path) ?? [];
    const point = stem === undefined || this.#points.get(path) ? undefined : this.#points.named(stem);
    if (!point) return undefined;
    const as = ending!.toLowerCase() as 'asx' | 'nsc';
    return as === 'nsc' && !this.#host.multicast(point.path) ? undefined : { as, path: point.path, point };
  }

  #announceMulticast(exchange: Exchange, path: string): void {
    const [unicastUrl] = pointUrls(authorityOf(exchange), path, exchange.secure);
    const text = this.#host.multicast(path)!.nsc(unicastUrl!);
    if (text === undefined) throw new HttpError(503, `Nobody has fed ${path} yet, so there is no header to announce.`);
    exchange.respond({ status: 200, fields: webFields(ASF_TYPE), body: Buffer.from(text, 'latin1') });
  }

  async #stream(exchange: Exchange, point: PublishingPoint): Promise<PlainPlayer | undefined> {
    const pulls = parsePullChain(exchange.request.headers.get(PULL_CHAIN_FIELD));
    if (point.feeder) await orAborted(point.feeder.demand(pulls), exchange.signal);
    const { broadcast } = point;
    if (!broadcast.live || !broadcast.header) throw new HttpError(503, `Nobody feeds ${point.path} at the moment.`);
    if (exchange.queued) throw new HttpError(400, 'This connection streams already.');
    const fields = webFields(mediaType(broadcast.header.streams.map(({ type }) => type)));
    if (exchange.request.method === 'HEAD') {
      exchange.startStream(200, fields, { chunked: false });
      return undefined;
    }
    return new PlainPlayer(exchange.startStream(200, fields, { chunked: false }), broadcast, broadcast.header);
  }
}

/** Whether a person's browser asks, which can show a file to a player only through an .asx. */
function isBrowser({ request }: Exchange): boolean {
  return request.headers.tokens('Accept').some((type) => type.startsWith('text/html'));
}

/** The host and port that the client used; what cannot be one is not repeated to it. */
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

/** The URLs of a point: for players of the protocol first, then for any other; there is no name for the protocol under TLS. */
export function pointUrls(authority: string, path: string, secure = false): string[] {
  const escaped = escapedPath(path);
  if (secure) return [`https://${authority}${escaped}?MSWMExt=.asf`];
  return [`mms://${authority}${escaped}`, `http://${authority}${escaped}?MSWMExt=.asf`];
}
