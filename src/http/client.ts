import type { Socket } from 'node:net';
import { messageOf, WmError } from '../errors.js';
import { BodyReader } from './body.js';
import { authorityOf, CONNECT_TIMEOUT, type Endpoint, openConnection } from './connection.js';
import {
  type Field,
  headLength,
  MAX_HEAD_SIZE,
  parseResponseHead,
  type ResponseHead,
  responseBodyFraming,
  serialiseRequestHead,
} from './message.js';
import { ResponseBody } from './response-body.js';

/**
 * A reused connection broke at the next request, before the first byte of its response: the server or a load balancer
 * had closed it silently. The request may be sent once more on a new connection (RFC 9112 9.3.1).
 */
export class StaleConnection extends WmError {
  constructor(message: string, options?: ErrorOptions) {
    super('WM_SERVER_GONE', message, options);
    this.name = 'StaleConnection';
  }
}

/**
 * Remembers servers that close idle connections silently. All connections of a client share it, so that a retry does
 * not reuse a connection that will break again.
 */
export class ConnectionReuse {
  readonly #refused = new Set<string>();

  /** True unless a reused connection to the server broke. @param server scheme and authority, or any other name */
  allows(server: string): boolean {
    return !this.#refused.has(server);
  }

  /** A connection failed with {@link StaleConnection}. */
  broke(server: string): void {
    this.#refused.add(server);
  }
}

/** A response with its whole body. @public */
export interface ClientResponse {
  readonly head: ResponseHead;
  readonly body: Buffer;
}

/** A response whose body is read as it arrives. @public */
export interface StreamedResponse {
  readonly head: ResponseHead;
  /** Bytes of the head, its empty line included. */
  readonly headSize: number;
  readonly body: ResponseBody;
}

/** @public */
export interface SendOptions {
  /** Of HTTP/1.x; default 1. */
  readonly minorVersion?: 0 | 1 | undefined;
  /** Read the response with {@link HttpClient.streamedResponse}. Default false: with {@link HttpClient.response}. */
  readonly streamed?: boolean | undefined;
}

/** @public */
export interface ConnectOptions extends Endpoint {
  /** Time limit for connecting, in ms; default 10000. */
  readonly timeout?: number;
}

const MAX_RESPONSE_BODY = 1024 * 1024;

type AnyResponse = ClientResponse | StreamedResponse;

interface Waiter {
  resolve(response: AnyResponse): void;
  reject(error: WmError): void;
}

interface Outstanding {
  readonly method: string;
  readonly streamed: boolean;
}

/**
 * The client side of an HTTP connection for requests whose body may last for days. The body is written piece by piece
 * with back-pressure while the response, possibly an early one, is awaited. Responses are matched to requests in order
 * (RFC 9112 9.3.2).
 *
 * @public
 */
export class HttpClient {
  /** The address of the other side when the connection was made. */
  readonly remoteAddress: string;
  /** The address of this side. */
  readonly localAddress: string;
  readonly #socket: Socket;
  readonly #name: string;
  readonly #listeners = {
    data: (chunk: Buffer) => this.#take(chunk),
    drain: () => this.#releaseWriters(),
    error: (error: Error) => {
      this.#broken = true;
      this.#fail(this.#lost(`${this.#name} broke the connection: ${messageOf(error)}.`));
    },
    end: () => this.#ended(),
    close: () => this.#fail(this.#lost(`${this.#name} closed the connection.`)),
  };
  // Complete responses so far.
  #answers = 0;
  // Bytes received since the last complete response.
  #begun = 0;
  // True if pieces of the last request's body were written.
  #bodyBegun = false;
  // The requests without a response.
  readonly #outstanding: Outstanding[] = [];
  readonly #early: AnyResponse[] = [];
  #waiter: Waiter | undefined;
  #unread: Buffer = Buffer.alloc(0);
  #head: ResponseHead | undefined;
  #body: BodyReader | undefined;
  // The reader of a streamed body.
  #stream: ResponseBody | undefined;
  #parts: Buffer[] = [];
  #partsSize = 0;
  #failure: WmError | undefined;
  #broken = false;
  #drained: Array<() => void> = [];

  private constructor(socket: Socket, name: string) {
    this.#socket = socket;
    this.#name = name;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.localAddress = socket.localAddress ?? '';
    socket.setNoDelay(true);
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener);
  }

  /**
   * @throws WmError WM_UNREACHABLE if the name is unknown, nothing listens or there is no answer in time; WM_TLS if the
   *   host's certificate is not trusted; WM_SERVER_GONE
   */
  static async connect({ timeout = CONNECT_TIMEOUT, ...endpoint }: ConnectOptions): Promise<HttpClient> {
    return new HttpClient(await openConnection(endpoint, timeout), authorityOf(endpoint));
  }

  /** Creates a client on an open connection. @param name what messages call the other side */
  static over(socket: Socket, name: string): HttpClient {
    return new HttpClient(socket, name);
  }

  /** Gives the socket to a function that changes how it writes; call it before the first request. */
  tamper(take: (socket: Socket) => void): void {
    take(this.#socket);
  }

  /** True if the connection can take another request. */
  get open(): boolean {
    return this.#failure === undefined && this.#socket.writable;
  }

  /** Why the connection is no longer usable. */
  get failure(): WmError | undefined {
    return this.#failure;
  }

  /** True if the connection ended with an error, or with bytes that could not be sent. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Bytes that the operating system has not accepted yet. */
  get backlog(): number {
    return this.#socket.writableLength;
  }

  /** Sends the head of a request; its body follows with {@link write}. */
  send(method: string, target: string, fields: readonly Field[], body?: Buffer, options: SendOptions = {}): void {
    const head = serialiseRequestHead(method, target, fields, options.minorVersion);
    this.#bodyBegun = false;
    this.#outstanding.push({ method, streamed: options.streamed ?? false });
    this.#socket.write(body ? Buffer.concat([head, body]) : head);
  }

  /**
   * Sends a piece of a request's body.
   * @returns a promise while the connection is congested: wait for it before the next piece. It also resolves if the
   *   connection fails; see {@link failure}
   */
  write(bytes: Buffer): Promise<void> | undefined {
    this.#bodyBegun = true;
    if (!this.open || this.#socket.write(bytes)) return undefined;
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /**
   * Returns the response to the oldest request without one.
   * @param timeout in ms; Infinity waits as long as the connection lasts
   * @throws WmError WM_SERVER_GONE, WM_HTTP_MALFORMED, or WM_UNREACHABLE after the timeout
   */
  response(timeout: number): Promise<ClientResponse> {
    return this.#next(timeout) as Promise<ClientResponse>;
  }

  /**
   * The same as {@link response}, but as soon as the head has arrived; {@link StreamedResponse.body} reads the body as
   * it arrives. For requests that were sent as `streamed`. The next response follows only after this body was read.
   */
  streamedResponse(timeout: number): Promise<StreamedResponse> {
    return this.#next(timeout) as Promise<StreamedResponse>;
  }

  #next(timeout: number): Promise<AnyResponse> {
    const early = this.#early.shift();
    if (early) return Promise.resolve(early);
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const timer = Number.isFinite(timeout)
        ? setTimeout(
            () => this.#fail(new WmError('WM_UNREACHABLE', `${this.#name} did not answer within ${timeout / 1000} s.`)),
            timeout,
          )
        : undefined;
      this.#waiter = {
        resolve: (response) => {
          clearTimeout(timer);
          resolve(response);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
    });
  }

  /**
   * Sends what was written and closes. The other side may be slow as long as it accepts bytes; after
   * `graceMilliseconds` without progress the connection is cut.
   */
  close(graceMilliseconds = 2_000): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) {
        resolve();
        return;
      }
      let backlog = Number.POSITIVE_INFINITY;
      const timer = setInterval(() => {
        const left = this.#socket.writableLength;
        if (left > 0 && left >= backlog) this.#broken = true;
        if (left === 0 || left >= backlog) this.#socket.destroy();
        backlog = left;
      }, graceMilliseconds);
      this.#socket.once('close', () => {
        clearInterval(timer);
        resolve();
      });
      this.#socket.end();
      this.#socket.resume();
    });
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Gives up the connection, after a success response to CONNECT, to another protocol. */
  detach(): Socket {
    const socket = this.#socket;
    this.#failure ??= new WmError('WM_FAILED', `The connection to ${this.#name} is used for something else.`);
    for (const [event, listener] of Object.entries(this.#listeners)) socket.removeListener(event, listener);
    socket.pause();
    if (this.#unread.length > 0) socket.unshift(this.#unread);
    this.#unread = Buffer.alloc(0);
    return socket;
  }

  #take(chunk: Buffer): void {
    if (this.#failure) return;
    this.#begun += chunk.length;
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    try {
      while (this.#unread.length > 0 && this.#parse());
    } catch (error) {
      this.#fail(error instanceof WmError ? error : new WmError('WM_HTTP_MALFORMED', messageOf(error)));
    }
  }

  #parse(): boolean {
    if (!this.#body) {
      const size = headLength(this.#unread);
      if (size > MAX_HEAD_SIZE || (size === 0 && this.#unread.length > MAX_HEAD_SIZE)) {
        throw new WmError('WM_HTTP_MALFORMED', `${this.#name} sent a head larger than ${MAX_HEAD_SIZE} bytes.`);
      }
      if (size === 0) return false;
      const head = parseResponseHead(this.#unread.subarray(0, size));
      this.#unread = this.#unread.subarray(size);
      if (head.status >= 100 && head.status < 200) return true;
      const request = this.#outstanding.shift();
      if (!request) throw new WmError('WM_HTTP_MALFORMED', `${this.#name} answered without a request.`);
      // Proxies send this on a connection that was idle for too long, even if a request crosses it; during a body it
      // means that request.
      if (head.status === 408 && this.#answers > 0 && !this.#bodyBegun)
        throw new StaleConnection(`${this.#name} gave up the connection.`);
      this.#head = head;
      this.#body = new BodyReader(responseBodyFraming(head, request.method));
      if (request.streamed) this.#startStream(head, size);
    }
    this.#unread = this.#body.feed(this.#unread, (piece) => this.#keep(piece));
    if (this.#body.done) this.#endBody();
    return this.#body === undefined;
  }

  #startStream(head: ResponseHead, headSize: number): void {
    this.#stream = new ResponseBody({
      pause: () => this.#socket.pause(),
      resume: () => this.#socket.resume(),
      silent: (milliseconds) => {
        const error = new WmError('WM_SERVER_GONE', `${this.#name} has sent nothing for ${milliseconds / 1000} s.`);
        this.#fail(error);
        return error;
      },
    });
    this.#hand({ head, headSize, body: this.#stream });
  }

  #keep(piece: Buffer): void {
    if (this.#stream) {
      this.#stream.push(piece);
      return;
    }
    this.#partsSize += piece.length;
    if (this.#partsSize > MAX_RESPONSE_BODY) {
      throw new WmError('WM_PROTOCOL', `${this.#name} sent an answer of more than ${MAX_RESPONSE_BODY} bytes.`);
    }
    this.#parts.push(piece);
  }

  #endBody(): void {
    this.#body = undefined;
    this.#answers++;
    this.#begun = this.#unread.length;
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream) {
      stream.end();
      return;
    }
    const response = { head: this.#head!, body: Buffer.concat(this.#parts) };
    this.#head = undefined;
    this.#parts = [];
    this.#partsSize = 0;
    this.#hand(response);
  }

  #hand(response: AnyResponse): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter) waiter.resolve(response);
    else this.#early.push(response);
  }

  #ended(): void {
    if (this.#body?.endsWithConnection) this.#endBody();
    this.#fail(this.#lost(`${this.#name} closed the connection.`));
  }

  #lost(message: string): WmError {
    const isStale = this.#answers > 0 && this.#begun === 0 && this.#outstanding.length > 0;
    return isStale ? new StaleConnection(message) : new WmError('WM_SERVER_GONE', message);
  }

  #fail(error: WmError): void {
    this.#failure ??= error;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.reject(this.#failure);
    this.#stream?.fail(this.#failure);
    this.#releaseWriters();
    this.#socket.destroy();
  }

  #releaseWriters(): void {
    const waiting = this.#drained;
    this.#drained = [];
    for (const release of waiting) release();
  }
}
