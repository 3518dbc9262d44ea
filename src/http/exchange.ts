import type { Socket } from 'node:net';
import { inFlight } from '../media/send-queues.js';
import { chunkHead, LAST_CHUNK } from './body.js';
import { type Field, HeaderFields, HttpError, type RequestHead, serialiseResponseHead } from './message.js';

const EMPTY: Buffer = Buffer.alloc(0);
// In place of a request whose head is not needed any more.
const FORGOTTEN: RequestHead = { method: '', target: '', minorVersion: 1, headers: new HeaderFields() };
// Time for a small body; a client that sends byte by byte must not occupy a connection for hours.
const BODY_TIME = 30_000;
// The most that is read of an unwanted body after the response to keep the connection; a longer one ends with it.
const MAX_DISCARDED = 64 * 1024;

/** The connection, as its exchanges see it. */
export interface ExchangeHost {
  readonly socket: Socket;
  readonly remoteAddress: string;
  /** True if the client runs on this host. */
  readonly local: boolean;
  readonly secure: boolean;
  /** The address that the client connected to, in the form used in a URL. */
  readonly here: string;
  /** Gives the connection away, see {@link Exchange.detach}. */
  detach(exchange: Exchange): Detached | undefined;
  isQueued(exchange: Exchange): boolean;
  /** An exchange changed: its response may be sent now, or the next request may be read. */
  advance(): void;
  /** Sets the longest pause in the rest of the request's body; Infinity if the owner has timers of its own. */
  allowBodyGap(milliseconds: number): void;
  /** Sets the time limit for the whole rest of the request's body, however its pieces arrive. */
  allowBodyTime(milliseconds: number): void;
  /** Bytes of the body still to come; Infinity while unknown. */
  bodyLeft(exchange: Exchange): number;
  /**
   * The rest of the body is not wanted and may take only a short time. @param kept longer, for a connection to be kept
   */
  discardBody(kept: boolean): void;
  /** The body is wanted from now on; what was held back may go out. */
  bodyWanted(): void;
  pauseBody(): void;
  resumeBody(): void;
  /** Closes the connection if `exchange` is its last one and nothing is being sent. */
  closeAfter(exchange: Exchange): void;
}

/** A connection that is no longer read as HTTP. */
export interface Detached {
  /** Paused. */
  readonly socket: Socket;
  /** All bytes of the request so far, its head included, and what followed them. */
  readonly unread: Buffer;
}

/** Takes the body of a request as it arrives. */
export interface BodySink {
  data(chunk: Buffer): void;
  end(): void;
  /** The connection was lost, or timed out, before the body was complete. */
  aborted(): void;
}

/** A body whose parts are sent in TCP segments of their own, the first one together with the head. */
export interface SegmentedBody {
  /** Bytes of all parts. */
  readonly length: number;
  /** @param headSize bytes of the response head */
  parts(headSize: number): readonly Buffer[];
}

/** A complete response to a request. */
export interface Response {
  readonly status: number;
  readonly fields?: readonly Field[];
  readonly body?: Buffer | SegmentedBody;
  /** The version in the status line, if it differs from the request's. */
  readonly minorVersion?: 0 | 1;
  /** Close the connection after this response even if the client would keep it. */
  readonly close?: boolean;
  /**
   * Keep the connection after this response unless the client said `close`: even if its version would not, and even if
   * a large part of the body is still to come.
   */
  readonly keep?: boolean;
}

/**
 * One request and its response on a server connection. Responses are sent in the order of the requests: while an
 * earlier response is streaming, a later one waits for its end (RFC 9112 9.3.2).
 */
export class Exchange {
  readonly #host: ExchangeHost;
  #request: RequestHead;
  #sink: BodySink | undefined;
  #pending: readonly Buffer[] | undefined;
  #stream: ResponseStream | undefined;
  #closing: boolean;
  #aborted = false;
  #controller: AbortController | undefined;
  #bodyAborted = false;
  bodyDone = false;
  responded = false;

  constructor(host: ExchangeHost, request: RequestHead, keepAlive: boolean) {
    this.#host = host;
    this.#request = request;
    this.#closing = !keepAlive;
  }

  /** The head of the request; empty once a stream has started that forgets it. */
  get request(): RequestHead {
    return this.#request;
  }

  get remoteAddress(): string {
    return this.#host.remoteAddress;
  }

  /** Identifies the TCP connection: the same object for all its exchanges, and for no others. */
  get connection(): object {
    return this.#host;
  }

  /** The request's Host, or the address it came to, in the form used in a URL. */
  get host(): string {
    return this.request.headers.get('Host') ?? this.#host.here;
  }

  /** The address that the client connected to, in the form used in a URL. */
  get here(): string {
    return this.#host.here;
  }

  /** True if the client runs on this host: it came over the loopback, or from the very address that it connected to. */
  get local(): boolean {
    return this.#host.local;
  }

  /** True if the connection uses TLS. */
  get secure(): boolean {
    return this.#host.secure;
  }

  /** True if the connection is lost; nothing more can be sent. */
  get lost(): boolean {
    return this.#aborted;
  }

  /** Aborted when the connection is lost. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted) this.#controller.abort();
    return this.#controller.signal;
  }

  /** True if an earlier response on this connection is still streaming, so that this one has to wait. */
  get queued(): boolean {
    return this.#host.isQueued(this);
  }

  /** True if the connection closes after the response. */
  get closing(): boolean {
    return this.#closing;
  }

  get stream(): ResponseStream | undefined {
    return this.#stream;
  }

  /** True if the response is complete and the next one may follow. */
  get finished(): boolean {
    return this.responded && this.#pending === undefined && (this.#stream === undefined || this.#stream.ended);
  }

  /**
   * Delivers the body to `sink` as it arrives. Until this is called or the response is sent, the body waits in the
   * connection.
   * @param gapMilliseconds the longest pause between two pieces; Infinity if the sink has timers of its own
   */
  receive(sink: BodySink, gapMilliseconds: number): void {
    this.#sink = sink;
    if (this.bodyDone) {
      // The body ended, or the connection was lost, before the sink was set.
      queueMicrotask(() => (this.#bodyAborted ? sink.aborted() : sink.end()));
      return;
    }
    this.#host.allowBodyGap(gapMilliseconds);
    this.#host.bodyWanted();
  }

  /**
   * Reads the whole body, for at most 30 s in all; a slower client gets 408.
   * @throws HttpError 413 if it is larger than `limit` bytes, 400 if the connection ends before it is complete
   */
  readBody(limit: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      let size = 0;
      const refuse = () => reject(new HttpError(413, `The body is larger than ${limit} bytes.`));
      const data = (chunk: Buffer) => {
        size += chunk.length;
        if (size > limit) refuse();
        else parts.push(chunk);
      };
      const aborted = () => reject(new HttpError(400, 'The request ended before its body was complete.'));
      // A client that announces too large a body is refused before it sends it.
      if (Number(this.request.headers.get('Content-Length') ?? 0) > limit) {
        refuse();
        return;
      }
      this.receive({ data, end: () => resolve(Buffer.concat(parts)), aborted }, BODY_TIME);
      if (!this.bodyDone) this.#host.allowBodyTime(BODY_TIME);
    });
  }

  /** Closes the connection once this exchange is finished, unless a later request has come over it. */
  closeConnection(): void {
    this.#host.closeAfter(this);
  }

  /**
   * Gives the connection away, to be passed on to another process. Only while the request is being handed to its
   * handler, and only if no earlier response is outstanding.
   *
   * @returns undefined if that is not possible any more
   */
  detach(): Detached | undefined {
    return this.#host.detach(this);
  }

  pauseBody(): void {
    this.#host.pauseBody();
  }

  resumeBody(): void {
    this.#host.resumeBody();
  }

  /** Sends a complete response; Content-Length and Connection are added. A second call is ignored. */
  respond(response: Response): void {
    if (this.responded) return;
    const { status, fields = [], body, minorVersion = this.request.minorVersion, keep = false } = response;
    this.#settleClosing(response.close ?? false, keep);
    const length: Field = ['Content-Length', String(body?.length ?? 0)];
    // Serialised before anything counts as sent: if a field cannot be sent, another response still can.
    const head = serialiseResponseHead(status, [...fields, length, this.#connectionField()], minorVersion);
    this.responded = true;
    if (!this.bodyDone) this.#host.discardBody(keep);
    if (body === undefined || this.request.method === 'HEAD') this.#pending = [head];
    else if (Buffer.isBuffer(body)) this.#pending = [Buffer.concat([head, body])];
    else {
      const [first = EMPTY, ...rest] = body.parts(head.length);
      this.#pending = [Buffer.concat([head, first]), ...rest];
    }
    this.#host.advance();
  }

  /**
   * Starts a response of unknown length: chunked, or until the connection ends. A response to HEAD is only the head,
   * and its stream has already ended.
   *
   * The response has to be the first in line: check {@link queued} before.
   *
   * @param options `forget` drops the head of the request and its signal, which take 2 KB: too much to hold for hours when
   *   thousands of streams run. Nothing may still wait for that signal.
   */
  startStream(
    status: number,
    fields: readonly Field[],
    options: { readonly chunked: boolean; readonly forget?: boolean },
  ): ResponseStream {
    this.responded = true;
    this.#settleClosing(!options.chunked, false);
    const isHead = this.request.method === 'HEAD';
    const framing: Field[] = options.chunked ? [['Transfer-Encoding', 'chunked']] : [];
    const head = serialiseResponseHead(
      status,
      [...fields, ...framing, this.#connectionField()],
      this.request.minorVersion,
    );
    this.#stream = new ResponseStream(this.#host, options.chunked);
    if (isHead) this.#stream.ended = true;
    if (options.forget) {
      this.#request = FORGOTTEN;
      this.#controller = undefined;
    }
    const { socket } = this.#host;
    // Bytes written right away share a segment with the head.
    socket.cork();
    socket.write(head);
    queueMicrotask(() => {
      socket.uncork();
      // A request that came in the same segment may be answered while this response is streaming.
      this.#host.advance();
    });
    return this.#stream;
  }

  /** Decides if the connection outlives the response. */
  #settleClosing(close: boolean, keep: boolean): void {
    if (keep) this.#closing = this.request.headers.tokens('Connection').includes('close');
    else if (close || this.#host.bodyLeft(this) > MAX_DISCARDED) this.#closing = true;
  }

  #connectionField(): Field {
    return ['Connection', this.#closing ? 'close' : 'Keep-Alive'];
  }

  /** For the connection: true if the body is wanted, even if only to discard it. */
  get takesBody(): boolean {
    return this.#sink !== undefined || this.responded;
  }

  /** For the connection: a piece of the body arrived. */
  takeBody(chunk: Buffer): void {
    this.#sink?.data(chunk);
  }

  /** For the connection: the body is complete. */
  endBody(): void {
    if (this.bodyDone) return;
    this.bodyDone = true;
    this.#sink?.end();
  }

  /** For the connection: it was lost. */
  abort(): void {
    this.#aborted = true;
    this.#controller?.abort();
    if (!this.bodyDone) {
      this.bodyDone = true;
      this.#bodyAborted = true;
      this.#sink?.aborted();
    }
    this.#stream?.lost();
  }

  /** For the connection: returns a complete response that waits, as the pieces to send one by one; only once. */
  takeResponse(): readonly Buffer[] | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    return pending;
  }
}

/** The body of a response that is sent piece by piece. */
export class ResponseStream {
  readonly #host: ExchangeHost;
  readonly #chunked: boolean;
  readonly framing = 'stream';
  ended = false;
  /** Bytes of the body so far. */
  bytes = 0;
  /** Called once if the connection is lost before `end`. */
  onLost: (() => void) | undefined;
  /** Called once when nothing more will be sent: after `end`, or after {@link onLost}. */
  onOver: (() => void) | undefined;

  constructor(host: ExchangeHost, chunked: boolean) {
    this.#host = host;
    this.#chunked = chunked;
  }

  /** The TCP connection, see {@link Exchange.connection}. */
  get connection(): object {
    return this.#host;
  }

  /** Bytes that were written but not yet accepted by the operating system. */
  get backlog(): number {
    return this.#host.socket.writableLength;
  }

  /** Bytes that the operating system has accepted but the client has not, at the last look; undefined if unknown. */
  get inFlight(): number | undefined {
    return inFlight(this.#host.socket);
  }

  /** Sends the bytes of an object, as {@link write} does. */
  put({ bytes }: { readonly bytes: Buffer }, done?: () => void): void {
    this.write(bytes, done);
  }

  /** Calls back once the operating system has accepted everything; never if the connection is lost before. */
  drained(callback: () => void): void {
    const { socket } = this.#host;
    if (socket.writableNeedDrain) socket.once('drain', callback);
    else queueMicrotask(callback);
  }

  /**
   * Sends bytes. `bytes` is not copied.
   * @param done called when the operating system has accepted the bytes, or never will; until then they must not change
   */
  write(bytes: Buffer, done?: () => void): void {
    if (this.ended) {
      done?.();
      return;
    }
    const { socket } = this.#host;
    this.bytes += bytes.length;
    if (this.#chunked) {
      socket.cork();
      socket.write(chunkHead(bytes.length));
      socket.write(bytes, done);
      socket.write('\r\n');
      socket.uncork();
    } else {
      socket.write(bytes, done);
    }
  }

  /** Ends the body. Responses that waited for it follow, or the connection closes. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    if (this.#chunked) this.#host.socket.write(LAST_CHUNK);
    this.#host.advance();
    this.onOver?.();
  }

  /** Drops the connection at once: the client reads too slowly or violated the protocol. */
  destroy(): void {
    this.#host.socket.destroy();
  }

  /** For the exchange: the connection was lost. */
  lost(): void {
    if (this.ended) return;
    this.ended = true;
    this.onLost?.();
    this.onOver?.();
  }
}
