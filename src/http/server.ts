import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, Server as TlsServer } from 'node:tls';
import { messageOf, WmError } from '../errors.js';
import { BodyReader } from './body.js';
import { Exchange, type ExchangeHost } from './exchange.js';
import { listenTcp } from './listen.js';
import { HttpError, headLength, keepsAlive, MAX_HEAD_SIZE, parseRequestHead, requestBodyFraming } from './message.js';
import { refusalStatus } from './refusals.js';

/** Who a server is under TLS: PEM texts; `cert` is the whole chain, its own certificate first. */
export interface TlsIdentity {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
}

export interface HttpServerOptions {
  /** Called for each request as soon as its head is complete; the body may still be on its way. */
  readonly onRequest: (exchange: Exchange) => void;
  /** An exception that a request handler let through; the client got a 500. */
  readonly onError?: (error: unknown) => void;
  /** Longest time for a request head, from its first byte, in ms. */
  readonly headTimeout?: number;
  /** Longest time between two requests, in ms. */
  readonly idleTimeout?: number;
  /** Longest time for the client to take a whole response, in ms. */
  readonly writeTimeout?: number;
  /** Longest time in which a client takes nothing of a response that streams, though there is something for it, in ms. */
  readonly stallTimeout?: number;
  readonly maxConnections?: number;
  /** Speak TLS 1.2 and 1.3, and nothing else, on this port. */
  readonly tls?: TlsIdentity;
}

const DEFAULTS = {
  headTimeout: 20_000,
  idleTimeout: 150_000,
  writeTimeout: 30_000,
  // Players that somebody has paused stop reading; they are borne for a while.
  stallTimeout: 20 * 60_000,
  maxConnections: 20_000,
};
// Requests that wait behind a response that streams; past this the connection is not read until they are answered.
const MAX_WAITING = 64;
const SWEEP_INTERVAL = 1_000;
// The longest pause within a request body whose owner did not say otherwise.
const BODY_GAP = 30_000;
// Of responses that the client does not take, so much is held before no more of its requests are read; bytes.
const MAX_UNSENT = 256 * 1024;
// Of a body that nobody takes yet, so much is held before the connection is no longer read.
const MAX_UNREAD = 64 * 1024;
// How long a client that is refused in the middle of its body may go on sending before the connection is cut: closing at
// once would reset the connection and the client would never read why (RFC 9112 9.6).
const LINGER = 2_000;

/**
 * An HTTP/1.0 and 1.1 server for long streams in both directions.
 *
 * It exists beside node:http because the protocols here need what that hides or forbids: answers to later requests while an
 * earlier response streams, refusals in the middle of a body, and half the memory a connection (docs/architecture.md has the
 * figures). One sweep a second replaces timers per connection.
 */
export class HttpServer {
  readonly #options: HttpServerOptions & typeof DEFAULTS;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  // Those whose TLS handshake is not over.
  readonly #handshaking = new Set<Socket>();
  #sweeper: NodeJS.Timeout | undefined;

  /** @throws WmError WM_CONFIG when the key or the certificate of `tls` is unusable, or they do not belong together */
  constructor(options: HttpServerOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#server = options.tls
      ? this.#tlsServer(options.tls)
      : createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#server.maxConnections = this.#options.maxConnections;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Shows another certificate to those who connect from now on; nothing on a server without TLS.
   *
   * @throws WmError WM_CONFIG when it is unusable; the one before stays
   */
  renewTls(identity: TlsIdentity): void {
    const server = this.#server;
    if (server instanceof TlsServer) withTls(() => server.setSecureContext(tlsContext(identity)));
  }

  /**
   * Starts to listen.
   *
   * @param port 0 takes a free port
   * @param host without one, all addresses of the host, IPv4 and IPv6
   * @returns the port
   * @throws WmError WM_PORT_IN_USE, or WM_FAILED when the address cannot be used
   */
  async listen(port: number, host?: string): Promise<number> {
    const taken = await listenTcp(this.#server, { port, ...(host === undefined ? {} : { host }) });
    this.#server.on('error', (error) => this.#options.onError?.(error));
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_INTERVAL);
    return taken;
  }

  /**
   * Stops listening, lets what was written leave for at most `graceMilliseconds`, then closes all connections.
   */
  async close(graceMilliseconds = 1_000): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const connection of this.#connections) connection.finish();
    for (const socket of this.#handshaking) socket.destroy();
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.socket.destroy();
    }, graceMilliseconds);
    await closed;
    clearTimeout(timer);
    clearInterval(this.#sweeper);
  }

  #tlsServer(identity: TlsIdentity): TlsServer {
    const options = { ...tlsContext(identity), noDelay: true, handshakeTimeout: this.#options.headTimeout };
    const server = withTls(() => createTlsServer(options, (socket) => this.#accept(socket)));
    server.on('connection', (socket) => {
      this.#handshaking.add(socket);
      socket.once('close', () => this.#handshaking.delete(socket));
    });
    return server;
  }

  #accept(socket: Socket): void {
    const connection = new Connection(socket, this.#options);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }

  #sweep(): void {
    const now = Date.now();
    for (const connection of this.#connections) connection.sweep(now);
  }
}

function tlsContext({ key, cert }: TlsIdentity) {
  return { key, cert, minVersion: 'TLSv1.2' } as const;
}

function withTls<T>(use: () => T): T {
  try {
    return use();
  } catch (error) {
    throw new WmError('WM_CONFIG', `The key and the certificate cannot be used: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

const NOTHING: Buffer = Buffer.alloc(0);

class Connection implements ExchangeHost {
  readonly socket: Socket;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly #options: HttpServerOptions & typeof DEFAULTS;
  #unread: Buffer = NOTHING;
  #body: BodyReader | undefined;
  #receiving: Exchange | undefined;
  // In the order of the requests; the first one is being answered.
  #exchanges: Exchange[] = [];
  #latest: Exchange | undefined;
  #deadline: number;
  #closing = false;
  #bodyPaused = false;
  // The client sends requests and does not take the responses.
  #isBehind = false;
  #bodyGap = BODY_GAP;
  // Bytes of streams that the operating system had taken when that was last looked at.
  #taken = -1;
  // For the whole body.
  #bodyDeadline = Number.POSITIVE_INFINITY;
  // When the first byte of a head that is not complete came; 0 between heads.
  #headSince = 0;

  constructor(socket: Socket, options: HttpServerOptions & typeof DEFAULTS) {
    this.socket = socket;
    this.secure = 'encrypted' in socket;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.#options = options;
    this.#deadline = Date.now() + options.headTimeout;
    socket.on('data', (chunk) => this.#take(chunk));
    // What an error means for the exchanges, 'close' tells them; without a listener it would end the process.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#lost());
  }

  /** Ends the connection when what is being sent has left. */
  finish(): void {
    this.#closing = true;
    if (this.#exchanges.length === 0 || this.#exchanges.every((exchange) => exchange.stream)) this.socket.end();
  }

  sweep(now: number): void {
    if (now < this.#deadline) return;
    const current = this.#receiving;
    if (!this.#closing && !current && this.#exchanges[0]?.stream) {
      this.#watchStream(now);
      return;
    }
    if (!this.#closing && current && !current.responded) {
      current.respond({ status: 408, close: true });
    } else if (!this.#closing && this.#unread.length > 0 && this.#exchanges.length === 0) {
      this.#refuse(new HttpError(408, 'The request head took too long.'));
    } else {
      this.socket.destroy();
    }
  }

  /** Cuts a connection that has taken nothing since the last look, though there was something for it. */
  #watchStream(now: number): void {
    const { bytesWritten, writableLength } = this.socket;
    const taken = bytesWritten - writableLength;
    if (writableLength > 0 && taken === this.#taken) this.socket.destroy();
    this.#taken = taken;
    this.#deadline = now + this.#options.stallTimeout;
  }

  isQueued(exchange: Exchange): boolean {
    return this.#exchanges[0] !== exchange;
  }

  allowBodyTime(milliseconds: number): void {
    this.#bodyDeadline = Date.now() + milliseconds;
  }

  allowBodyGap(milliseconds: number): void {
    this.#bodyGap = milliseconds;
    if (this.#receiving && this.#body && !this.#body.done) this.#deadline = Date.now() + milliseconds;
  }

  bodyWanted(): void {
    this.#resumeReading();
    if (this.#unread.length > 0) queueMicrotask(() => this.#take(NOTHING));
  }

  closeBehind(exchange: Exchange): void {
    if (exchange !== this.#latest || !this.#exchanges.every(({ finished }) => finished)) return;
    this.#closing = true;
    this.socket.end();
  }

  pauseBody(): void {
    this.#bodyPaused = true;
    this.socket.pause();
  }

  resumeBody(): void {
    this.#bodyPaused = false;
    this.#resumeReading();
  }

  #resumeReading(): void {
    if (!this.#bodyPaused && !this.#isBehind && this.#exchanges.length < MAX_WAITING) this.socket.resume();
  }

  /** Reads no more requests until the client has taken its responses. */
  #awaitDrain(): void {
    if (this.#isBehind) return;
    this.#isBehind = true;
    this.socket.pause();
    this.socket.once('drain', () => {
      this.#isBehind = false;
      this.#resumeReading();
      this.#take(NOTHING);
    });
  }

  #take(chunk: Buffer): void {
    if (this.#closing) return;
    if (this.#unread.length === 0) this.#unread = chunk;
    else if (chunk.length > 0) this.#unread = Buffer.concat([this.#unread, chunk]);
    try {
      this.#parse();
    } catch (error) {
      this.#refuse(error);
    }
  }

  #parse(): void {
    while (this.#unread.length > 0 && !this.#closing) {
      if (this.#receiving) {
        if (!this.#receiving.takesBody) {
          if (this.#unread.length > MAX_UNREAD) this.socket.pause();
          return;
        }
        if (!this.#readBody(this.#receiving)) return;
      } else if (this.#mayStart()) {
        if (!this.#readHead()) return;
      } else {
        return;
      }
    }
  }

  /** A request is handled when the ones before it are answered, or stream their answers. */
  #mayStart(): boolean {
    if (this.#exchanges.length === 0 && this.socket.writableLength > MAX_UNSENT) {
      this.#awaitDrain();
      return false;
    }
    if (this.#exchanges.every((exchange) => exchange.finished || exchange.stream || exchange.responded)) {
      if (this.#exchanges.length < MAX_WAITING) return true;
    }
    if (this.#unread.length > MAX_HEAD_SIZE) this.socket.pause();
    return false;
  }

  #readHead(): boolean {
    // Some clients put an empty line before a request (RFC 9112 2.2).
    let start = 0;
    while (this.#unread[start] === 13 || this.#unread[start] === 10) start++;
    if (start > 0) this.#unread = this.#unread.subarray(start);
    const size = headLength(this.#unread);
    if (size > MAX_HEAD_SIZE || (size === 0 && this.#unread.length > MAX_HEAD_SIZE)) {
      throw new HttpError(431, 'The request head is too large.');
    }
    if (size === 0) {
      if (!mayBeginHead(this.#unread)) throw new HttpError(400, 'This is not HTTP.');
      if (this.#exchanges.length === 0) this.#awaitHead();
      return false;
    }
    const head = parseRequestHead(this.#unread.subarray(0, size));
    // Before it counts as a request: where nobody knows where the body ends, nothing of the connection can be read on.
    const framing = requestBodyFraming(head);
    this.#unread = this.#unread.subarray(size);
    this.#headSince = 0;
    const exchange = new Exchange(this, head, keepsAlive(head));
    this.#exchanges.push(exchange);
    this.#latest = exchange;
    this.#receiving = exchange;
    this.#body = new BodyReader(framing);
    this.#bodyGap = BODY_GAP;
    this.#bodyDeadline = Number.POSITIVE_INFINITY;
    this.#deadline = Date.now() + this.#bodyGap;
    if (head.headers.tokens('Expect').includes('100-continue') && head.minorVersion === 1) {
      // In the middle of an earlier response it would become a part of that one.
      if (!this.#body.done && !this.isQueued(exchange)) this.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    }
    this.#dispatch(exchange);
    if (this.#body.done) this.#bodyComplete(exchange);
    return true;
  }

  #awaitHead(): void {
    if (this.#headSince === 0) {
      this.#headSince = Date.now();
      this.#deadline = this.#headSince + this.#options.headTimeout;
    }
  }

  #dispatch(exchange: Exchange): void {
    try {
      this.#options.onRequest(exchange);
    } catch (error) {
      const status = refusalStatus(error);
      if (status === undefined) this.#options.onError?.(error);
      exchange.respond({ status: status ?? 500, close: true });
    }
  }

  #readBody(exchange: Exchange): boolean {
    const unread = this.#unread;
    this.#unread = NOTHING;
    this.#deadline = Math.min(Date.now() + this.#bodyGap, this.#bodyDeadline);
    const rest = this.#body!.feed(unread, (piece) => exchange.takeBody(piece));
    this.#unread = rest;
    if (!this.#body!.done) return false;
    this.#bodyComplete(exchange);
    return true;
  }

  #bodyComplete(exchange: Exchange): void {
    this.#receiving = undefined;
    this.#body = undefined;
    exchange.endBody();
    this.advance();
  }

  /** Sends the responses that may leave, and reads on or closes behind them. */
  advance(): void {
    while (this.#exchanges.length > 0) {
      const exchange = this.#exchanges[0]!;
      const response = exchange.takeResponse();
      if (response) {
        for (const piece of response) this.socket.write(piece);
        this.#deadline = Date.now() + this.#options.writeTimeout;
      }
      if (!exchange.finished) break;
      if (exchange.closing || this.#closing) {
        this.#closeBehind(exchange);
        return;
      }
      if (!exchange.bodyDone) {
        // The rest of its body is still to come, if only to be thrown away.
        this.bodyWanted();
        return;
      }
      this.#exchanges.shift();
    }
    if (this.#exchanges.length === 0) this.#deadline = Date.now() + this.#options.idleTimeout;
    else if (this.#exchanges[0]!.stream) this.#deadline = Date.now() + this.#options.stallTimeout;
    this.#resumeReading();
    if (this.#unread.length > 0 && !this.#receiving) queueMicrotask(() => this.#take(NOTHING));
  }

  #closeBehind(exchange: Exchange): void {
    this.#closing = true;
    this.#unread = NOTHING;
    this.socket.end();
    // The rest of a body is read and thrown away for a while, so that the response is not lost with a reset.
    this.#bodyPaused = false;
    this.socket.resume();
    this.#deadline = Date.now() + (exchange.bodyDone ? this.#options.writeTimeout : LINGER);
  }

  #refuse(error: unknown): void {
    if (this.#closing) return;
    const refused = refusalStatus(error);
    if (refused === undefined) this.#options.onError?.(error);
    const status = refused ?? 500;
    const receiving = this.#receiving;
    this.#unread = NOTHING;
    if (receiving && !receiving.responded) {
      receiving.respond({ status, close: true });
      receiving.abort();
      return;
    }
    if (this.#exchanges.length > 0) {
      this.socket.destroy();
      return;
    }
    const exchange = new Exchange(this, { method: '', target: '', minorVersion: 1, headers: EMPTY_FIELDS }, false);
    this.#exchanges.push(exchange);
    exchange.respond({ status, close: true });
  }

  #lost(): void {
    this.#closing = true;
    const exchanges = this.#exchanges;
    this.#exchanges = [];
    this.#receiving = undefined;
    this.#unread = NOTHING;
    for (const exchange of exchanges) exchange.abort();
  }
}

/**
 * Whether the first byte can be that of a method (RFC 9110 5.6.2), so that whoever speaks TLS or another protocol to this port is told at
 * once instead of after the time for a head.
 */
function mayBeginHead(bytes: Buffer): boolean {
  const first = bytes[0];
  return first === undefined || /[\w!#$%&'*+.^`|~-]/.test(String.fromCharCode(first));
}

const EMPTY_FIELDS = parseRequestHead(Buffer.from('GET / HTTP/1.0\r\n\r\n')).headers;
