import { buildAsx } from '../announce/asx.js';
import type { AsfHeader } from '../asf/header.js';
import { parsePacket } from '../asf/packet.js';
import { restorePadding } from '../asf/padding.js';
import type { Exchange, ResponseStream } from '../http/exchange.js';
import { type Field, HttpError } from '../http/message.js';
import type { Broadcast } from '../media/broadcast.js';
import type { LaneFormat, PlayerSession } from '../media/lane.js';
import { describeContent } from '../wmsp/packets.js';
import { SERVER_NAME } from '../wmsp/responses.js';
import { pathOf, queryOf } from './paths.js';
import type { PublishingPoint, PublishingPoints } from './points.js';

/** Packets as they stand in a file: full size, nothing around them; all players of it share every byte. */
const plainFormat: LaneFormat = {
  key: 'asf',
  phases: 1,
  select: ({ wire }, header) => restorePadding(parsePacket(wire), header.packetSize),
  wrap: (items) => Buffer.concat(items.map(({ bytes }) => bytes)),
};

/** A client that gets a broadcast as an endless ASF file. */
class PlainPlayer implements PlayerSession {
  readonly output: ResponseStream;

  constructor(stream: ResponseStream, broadcast: Broadcast, header: AsfHeader) {
    this.output = stream;
    stream.write(header.bytes);
    const player = broadcast.join(this, plainFormat);
    stream.onLost = () => broadcast.leave(player);
  }

  /** A file has one header; whoever wants what follows asks again. */
  changed(): undefined {
    this.output.end();
  }

  ended(): void {
    this.output.end();
  }
}

const ASF_SUFFIXES = ['.asf', '.wmv', '.wma'];

/** Where a client can find a point that asks as a browser does: the .asx answer, and the plain ASF stream. */
export class WebServer {
  readonly #points: PublishingPoints;

  constructor(points: PublishingPoints) {
    this.#points = points;
  }

  /** Answers a request that no protocol claimed. */
  handle(exchange: Exchange): void {
    const { method, target } = exchange.request;
    try {
      if (method !== 'GET' && method !== 'HEAD') throw new HttpError(405, `${method} is not possible here.`);
      this.#get(exchange, pathOf(target), queryOf(target));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const fields: Field[] = [...webFields('text/plain; charset=utf-8'), ...(error.status === 405 ? ALLOWED : [])];
      exchange.respond({ status: error.status, fields, body: Buffer.from(`${error.message}\n`), close: true });
    }
  }

  #get(exchange: Exchange, path: string, query: URLSearchParams): void {
    const exact = this.#points.get(path);
    // The parameter that Windows Media Services puts into its .asx answers, for clients that go by the ending of a URL.
    const wantsMedia = query.has('MSWMExt');
    if (exact && !wantsMedia) {
      this.#announce(exchange, exact);
      return;
    }
    const point = exact ?? this.#pointWithSuffix(path);
    if (!point) throw new HttpError(404, `There is nothing at ${path}.`);
    this.#stream(exchange, point);
  }

  #pointWithSuffix(path: string): PublishingPoint | undefined {
    const suffix = ASF_SUFFIXES.find((ending) => path.toLowerCase().endsWith(ending));
    return suffix === undefined ? undefined : this.#points.get(path.slice(0, -suffix.length));
  }

  #announce(exchange: Exchange, point: PublishingPoint): void {
    const { header } = point.broadcast;
    const about = Object.fromEntries(header ? describeContent(header) : []);
    const body = buildAsx([{ ...about, refs: pointUrls(authorityOf(exchange), point.path, exchange.secure) }]);
    exchange.respond({ status: 200, fields: webFields('video/x-ms-asf'), body: Buffer.from(body, 'utf8') });
  }

  #stream(exchange: Exchange, point: PublishingPoint): void {
    const { broadcast } = point;
    if (!broadcast.live || !broadcast.header) throw new HttpError(503, `Nobody feeds ${point.path} at the moment.`);
    const fields = webFields('video/x-ms-asf');
    if (exchange.request.method === 'HEAD') {
      exchange.respond({ status: 200, fields, close: true });
      return;
    }
    if (exchange.queued) throw new HttpError(400, 'This connection streams already.');
    new PlainPlayer(exchange.startStream(200, fields, { chunked: false }), broadcast, broadcast.header);
  }
}

const ALLOWED: Field[] = [['Allow', 'GET, HEAD, POST, OPTIONS']];

function webFields(contentType: string): Field[] {
  return [
    ['Server', SERVER_NAME],
    ['Content-Type', contentType],
    ['Cache-Control', 'no-cache'],
  ];
}

/** The host and port that the client used; what cannot be one is not repeated to it. */
function authorityOf(exchange: Exchange): string {
  const host = exchange.host;
  if (!/^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.test(host))
    throw new HttpError(400, 'The Host header is malformed.');
  return host;
}

/** The URLs of a point: for players of the protocol first, then for any other. */
export function pointUrls(authority: string, path: string, secure = false): string[] {
  const escaped = path.split('/').map(encodeURIComponent).join('/');
  return [`mms://${authority}${escaped}`, `${secure ? 'https' : 'http'}://${authority}${escaped}?MSWMExt=.asf`];
}
