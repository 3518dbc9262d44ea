import type { Socket } from 'node:net';
import { plainAddress } from './addresses.js';
import { BodyReader } from './body.js';
import { type Detached, Exchange, type ExchangeHost } from './exchange.js';
import { HttpError, headLength, keepsAlive, MAX_HEAD_SIZE, parseRequestHead, requestBodyFraming } from './message.js';
import { peerOf } from './peer.js';
import { refusalStatus } from './refusals.js';

/** Options for each connection of a server; all times in ms. */
export interface ConnectionOptions {
  /** Called for each request as soon as its head is complete; the body may still be arriving. */
  readonly onRequest: (exchange: Exchange) => void;
  /** An exception that escaped from a request handler; the client got a 500. */
  readonly onError?: (error: unknown) => void;
  /** Time limit for a request head, from its first byte. */
  readonly headTimeout: number;
  /** The longest time between two requests. */
  readonly idleTimeout: number;
  /** Time limit for the client to take a complete response. */
  readonly writeTimeout: number;
  /** The longest time in which a client takes nothing of a streaming response although data is waiting for it. */
  readonly stallTimeout: number;
  /** Called once when the connection is closed. */
  readonly onClose?: (connection: ServerConnection) => void;
}

// Requests that may wait for a streaming response; beyond this, the connection is not read until they are answered.
const MAX_WAITING = 64;
// The longest pause in a request body, unless its owner sets another.
const BODY_GAP = 30_000;
// Bytes of untaken responses beyond which no more of the client's requests are read.
const MAX_UNSENT = 256 * 1024;
// Bytes of an unclaimed body beyond which the connection is not read.
const MAX_UNREAD = 64 * 1024;
// How long a client that is refused during its body may keep sending before the connection is cut. Closing at once
// would reset the connection, and the client would never see the reason (RFC 9112 9.6).
const LINGER = 2_000;
// How much it may send then: reading what is discarded costs as much as reading what is wanted. Bytes.
const MAX_LINGER = 4 * 1024 * 1024;
// Time limit for the rest of an unwanted body if its connection is to be kept for another attempt.
const KEPT_BODY = 60_000;

const NOTHING: Buffer = Buffer.alloc(0);

/** One connection of an HTTP server: parses the requests and sends the responses in the same order. */
export class ServerConnection implements ExchangeHost {
  readonly socket: Socket;
  readonly remoteAddress: string;
  readonly local: boolean;
  readonly secure: boolean;
  readonly #options: ConnectionOptions;
  readonly #passedOnFrom: string | undefined;
  #unread: Buffer = NOTHING;
  #body: BodyReader | undefined;
  #receiving: Exchange | undefined;
  // In the order of the requests; the first one is being answered.
  #exchanges: Exchange[] = [];
  #latest: Exchange | undefined;
  #deadline: number;
  #closing = false;
  // Bytes that arrived while the connection was closing.
  #ignored = 0;
  #bodyPaused = false;
  // True if the client sends requests but does not take the responses.
  #awaitingDrain = false;
  #bodyGap = BODY_GAP;
  // True if the client waits for permission to send its body (Expect: 100-continue).
  #awaitsLeave = false;
  // Bytes of streams that the operating system had accepted at the last check.
  #taken = -1;
  // For the whole body.
  #bodyDeadline = Number.POSITIVE_INFINITY;
  // When the first byte of an incomplete head arrived; 0 between heads.
  #headSince = 0;
  // The head of the request that is being handed to its handler.
  #head: Buffer | undefined;
  // True if something else reads the connection now.
  #detached = false;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.socket = socket;
    const { remoteAddress, local, passedOn } = peerOf(socket);
    this.secure = passedOn?.secure ?? 'encrypted' in socket;
    this.remoteAddress = remoteAddress;
    this.local = local;
    this.#passedOnFrom = passedOn?.host;
    this.#options = options;
    this.#deadline = Date.now() + options.headTimeout;
    socket.on('data', (chunk) => this.#take(chunk));
    // The exchanges learn of errors by 'close'; without a listener an error would end the process.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#lost());
  }

  get here(): string {
    const { localAddress = '', localPort } = this.socket;
    const address = plainAddress(localAddress);
    return this.#passedOnFrom ?? `${address.includes(':') ? `[${address}]` : address}:${localPort}`;
  }

  detach(exchange: Exchange): Detached | undefined {
    const head = this.#head;
    if (!head || this.#exchanges.length !== 1 || this.#exchanges[0] !== exchange || exchange.responded)
      return undefined;
    const unread = Buffer.concat([head, this.#unread]);
    this.#detached = this.#closing = true;
    this.#exchanges = [];
    this.#receiving = this.#body = undefined;
    this.#unread = NOTHING;
    this.socket.pause().removeAllListeners('data');
    return { socket: this.socket, unread };
  }

  /** Ends the connection once everything has been sent. */
  finish(): void {
    this.#closing = true;
    if (this.#exchanges.length === 0 || this.#exchanges.every((exchange) => exchange.stream)) this.socket.end();
  }

  sweep(now: number): void {
    if (this.#detached || now < this.#deadline) return;
    const current = this.#receiving;
    if (!this.#closing && (!current || this.#isStreaming(current)) && this.#exchanges[0]?.stream) {
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

  /** Cuts a connection that has taken nothing since the last check although data was waiting. */
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

  /** True for the request that is being answered with a stream: further pieces of its body move no deadline. */
  #isStreaming(exchange: Exchange): boolean {
    return exchange.stream !== undefined && this.#exchanges[0] === exchange;
  }

  bodyLeft(exchange: Exchange): number {
    if (exchange !== this.#receiving) return 0;
    // Without permission a client may or may not send the body, so the start of the next request is unknown.
    return this.#awaitsLeave ? Number.POSITIVE_INFINITY : (this.#body?.left ?? 0);
  }

  allowBodyTime(milliseconds: number): void {
    this.#bodyDeadline = Date.now() + milliseconds;
  }

  allowBodyGap(milliseconds: number): void {
    this.#bodyGap = milliseconds;
    if (this.#receiving && this.#body && !this.#body.done) this.#deadline = Date.now() + milliseconds;
  }

  discardBody(kept: boolean): void {
    this.#awaitsLeave = false;
    this.#bodyDeadline = Math.min(this.#bodyDeadline, Date.now() + (kept ? KEPT_BODY : BODY_GAP));
  }

  bodyWanted(): void {
    if (this.#awaitsLeave) {
      this.#awaitsLeave = false;
      this.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    }
    this.#resumeReading();
    if (this.#unread.length > 0) queueMicrotask(() => this.#take(NOTHING));
  }

  closeAfter(exchange: Exchange): void {
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
    if (!this.#bodyPaused && !this.#awaitingDrain && this.#exchanges.length < MAX_WAITING) this.socket.resume();
  }

  /** Reads no more requests until the client has taken its responses. */
  #awaitDrain(): void {
    if (this.#awaitingDrain) return;
    this.#awaitingDrain = true;
    this.socket.pause();
    this.socket.once('drain', () => {
      this.#awaitingDrain = false;
      this.#resumeReading();
      this.#take(NOTHING);
    });
  }

  #take(chunk: Buffer): void {
    if (this.#closing) {
      this.#ignored += chunk.length;
      if (this.#ignored > MAX_LINGER) this.socket.destroy();
      return;
    }
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

  /** True if a request may be handled: those before it are answered, or their responses are streaming. */
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
    // Some clients send an empty line before a request (RFC 9112 2.2).
    let start = 0;
    while (this.#unread[start] === 13 || this.#unread[start] === 10) start++;
    if (start > 0) this.#unread = restOf(this.#unread, start);
    const size = headLength(this.#unread);
    if (size > MAX_HEAD_SIZE || (size === 0 && this.#unread.length > MAX_HEAD_SIZE)) {
      throw new HttpError(431, 'The request head is too large.');
    }
    if (size === 0) {
      if (!mayBeginHead(this.#unread)) throw new HttpError(400, 'This is not HTTP.');
      if (this.#exchanges.length === 0) this.#awaitHead();
      return false;
    }
    const raw = this.#unread.subarray(0, size);
    const head = parseRequestHead(raw);
    // Before it counts as a request: if the end of the body is unknown, nothing more of the connection can be read.
    const framing = requestBodyFraming(head);
    this.#unread = restOf(this.#unread, size);
    this.#headSince = 0;
    const exchange = new Exchange(this, head, keepsAlive(head));
    // An array of one takes no more than that; a push would reserve places for 17.
    if (this.#exchanges.length === 0) this.#exchanges = [exchange];
    else this.#exchanges.push(exchange);
    this.#latest = exchange;
    this.#receiving = exchange;
    this.#body = new BodyReader(framing, { strict: true });
    this.#bodyGap = BODY_GAP;
    this.#bodyDeadline = Number.POSITIVE_INFINITY;
    this.#deadline = Date.now() + this.#bodyGap;
    const expects = head.minorVersion === 1 && head.headers.tokens('Expect').includes('100-continue');
    // In the middle of an earlier response, "100 Continue" would become part of it.
    this.#awaitsLeave = expects && !this.#body.done && !this.isQueued(exchange);
    this.#head = raw;
    this.#dispatch(exchange);
    this.#head = undefined;
    if (this.#detached) return false;
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
    if (!this.#isStreaming(exchange)) this.#deadline = Math.min(Date.now() + this.#bodyGap, this.#bodyDeadline);
    const rest = this.#body!.feed(unread, (piece) => exchange.takeBody(piece));
    this.#unread = rest.length > 0 ? rest : NOTHING;
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

  /** Sends the responses that may go, then reads on or closes. */
  advance(): void {
    while (this.#exchanges.length > 0) {
      const exchange = this.#exchanges[0]!;
      const response = exchange.takeResponse();
      if (response) {
        for (const piece of response) this.socket.write(piece);
        this.#deadline = Date.now() + this.#options.writeTimeout;
        if (!exchange.bodyDone) this.#deadline = Math.min(this.#deadline, this.#bodyDeadline);
      }
      if (!exchange.finished) break;
      if (exchange.closing || this.#closing) {
        this.#closeWithLinger(exchange);
        return;
      }
      if (!exchange.bodyDone) {
        // The rest of its body is still to come, even if only to be discarded.
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

  #closeWithLinger(exchange: Exchange): void {
    this.#closing = true;
    this.#unread = NOTHING;
    this.socket.end();
    // The rest of a body is read and discarded for a while, so that a reset does not destroy the response.
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
    this.#options.onClose?.(this);
  }
}

/** What follows the first `size` bytes. An empty view would keep the memory of all that was received. */
function restOf(bytes: Buffer, size: number): Buffer {
  return size === bytes.length ? NOTHING : bytes.subarray(size);
}

/**
 * True if the first byte can begin a method (RFC 9110 5.6.2). A client that speaks TLS or another protocol to this port
 * is answered at once, not only after the head's time limit.
 */
function mayBeginHead(bytes: Buffer): boolean {
  const first = bytes[0];
  return first === undefined || /[\w!#$%&'*+.^`|~-]/.test(String.fromCharCode(first));
}

const EMPTY_FIELDS = parseRequestHead(Buffer.from('GET / HTTP/1.0\r\n\r\n')).headers;
