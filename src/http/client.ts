import { connect, type Socket } from 'node:net';
import { messageOf, WmError } from '../errors.js';
import { BodyReader } from './body.js';
import {
  type Field,
  headLength,
  MAX_HEAD_SIZE,
  parseResponseHead,
  type ResponseHead,
  responseBodyFraming,
  serialiseRequestHead,
} from './message.js';

/** A response with its whole body. */
export interface ClientResponse {
  readonly head: ResponseHead;
  readonly body: Buffer;
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** How long the connection may take to stand, in ms. */
  readonly timeout?: number;
}

const MAX_RESPONSE_BODY = 1024 * 1024;

interface Waiter {
  resolve(response: ClientResponse): void;
  reject(error: WmError): void;
}

/**
 * The client's side of an HTTP connection for requests whose body may last for days: the body is written piece by piece with
 * back-pressure, while a response, be it early, is awaited. Responses pair with requests in their order (RFC 9112 9.3.2).
 */
export class HttpClient {
  readonly #socket: Socket;
  readonly #name: string;
  // Methods of the requests whose response has not come.
  readonly #outstanding: string[] = [];
  readonly #early: ClientResponse[] = [];
  #waiter: Waiter | undefined;
  #unread: Buffer = Buffer.alloc(0);
  #head: ResponseHead | undefined;
  #body: BodyReader | undefined;
  #parts: Buffer[] = [];
  #partsSize = 0;
  #failure: WmError | undefined;
  #drained: Array<() => void> = [];

  private constructor(socket: Socket, name: string) {
    this.#socket = socket;
    this.#name = name;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('drain', () => this.#releaseWriters());
    socket.on('error', (error) =>
      this.#fail(new WmError('WM_SERVER_GONE', `${name} broke the connection: ${messageOf(error)}.`)),
    );
    socket.on('end', () => this.#ended());
    socket.on('close', () => this.#fail(new WmError('WM_SERVER_GONE', `${name} closed the connection.`)));
  }

  /**
   * @throws WmError WM_UNREACHABLE when the name is unknown, nobody listens or nobody answers in time
   */
  static connect({ host, port, timeout = 10_000 }: ConnectOptions): Promise<HttpClient> {
    const name = `${host}:${port}`;
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port });
      const refuse = (why: string) => {
        socket.destroy();
        reject(new WmError('WM_UNREACHABLE', `${name} cannot be reached: ${why}.`));
      };
      const failed = (error: NodeJS.ErrnoException) => refuse(describeConnectError(error));
      const timer = setTimeout(() => refuse(`no answer within ${timeout / 1000} s`), timeout);
      socket.once('error', failed);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.removeListener('error', failed);
        resolve(new HttpClient(socket, name));
      });
      socket.once('close', () => clearTimeout(timer));
    });
  }

  /** Whether the connection can take another request. */
  get open(): boolean {
    return this.#failure === undefined && this.#socket.writable;
  }

  /** Why the connection cannot be used any more. */
  get failure(): WmError | undefined {
    return this.#failure;
  }

  /** Bytes that the operating system has not taken yet. */
  get backlog(): number {
    return this.#socket.writableLength;
  }

  /** Sends the head of a request; its body follows with {@link write}. */
  send(method: string, target: string, fields: readonly Field[], body?: Buffer): void {
    const head = serialiseRequestHead(method, target, fields);
    this.#outstanding.push(method);
    this.#socket.write(body ? Buffer.concat([head, body]) : head);
  }

  /**
   * Sends a piece of a request's body.
   *
   * @returns a promise while the connection is behind: wait for it before the next piece. It is resolved too when the
   *   connection fails; see {@link failure}
   */
  write(bytes: Buffer): Promise<void> | undefined {
    if (!this.open || this.#socket.write(bytes)) return undefined;
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /**
   * The response to the oldest request that has none yet.
   *
   * @param timeout in ms; Infinity waits as long as the connection lasts
   * @throws WmError WM_SERVER_GONE, WM_HTTP_MALFORMED, or WM_UNREACHABLE after the time-out
   */
  response(timeout: number): Promise<ClientResponse> {
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
   * Sends what was written and closes. The other side may take its time as long as it goes on taking bytes; after
   * `graceMilliseconds` without any progress the connection is cut.
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

  #take(chunk: Buffer): void {
    if (this.#failure) return;
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
      const method = this.#outstanding.shift();
      if (method === undefined) throw new WmError('WM_HTTP_MALFORMED', `${this.#name} answered without a request.`);
      this.#head = head;
      this.#body = new BodyReader(responseBodyFraming(head, method));
    }
    this.#unread = this.#body.feed(this.#unread, (piece) => this.#keep(piece));
    if (this.#body.done) this.#deliver();
    return this.#body === undefined;
  }

  #keep(piece: Buffer): void {
    this.#partsSize += piece.length;
    if (this.#partsSize > MAX_RESPONSE_BODY) {
      throw new WmError('WM_PROTOCOL', `${this.#name} sent an answer of more than ${MAX_RESPONSE_BODY} bytes.`);
    }
    this.#parts.push(piece);
  }

  #deliver(): void {
    const response = { head: this.#head!, body: Buffer.concat(this.#parts) };
    this.#head = undefined;
    this.#body = undefined;
    this.#parts = [];
    this.#partsSize = 0;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter) waiter.resolve(response);
    else this.#early.push(response);
  }

  #ended(): void {
    if (this.#body?.endsWithConnection) this.#deliver();
    this.#fail(new WmError('WM_SERVER_GONE', `${this.#name} closed the connection.`));
  }

  #fail(error: WmError): void {
    this.#failure ??= error;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.reject(this.#failure);
    this.#releaseWriters();
    this.#socket.destroy();
  }

  #releaseWriters(): void {
    const waiting = this.#drained;
    this.#drained = [];
    for (const release of waiting) release();
  }
}

function describeConnectError(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'nobody listens on that port';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its name is unknown';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to that network';
    default:
      return messageOf(error);
  }
}
