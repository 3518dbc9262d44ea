import type { Socket } from 'node:net';
import { messageOf, WmError } from '../../errors.js';
import type { Field } from '../../framing/text-head.js';
import { plainAddress } from '../../http/addresses.js';
import { type Endpoint, openConnection } from '../../http/connection.js';
import { RtspError } from '../messages/error.js';
import {
  RtspReader,
  type RtspRequest,
  type RtspResponse,
  serialiseRequest,
  serialiseResponse,
} from '../messages/message.js';

/** Receives what comes over a connection besides responses. */
export interface ConnectionEvents {
  /** A request of the server. @returns the status to answer */
  request(request: RtspRequest): number;
  frame(channel: number, bytes: Buffer): void;
  /** The connection is lost, or the server closed it. */
  lost(error: WmError): void;
}

/** An SDP holds an ASF header in base64, which may be large. */
const MAX_BODY = 48 * 1024 * 1024;
/** Bytes of answers that a server may leave unread. */
const MAX_UNREAD = 256 * 1024;
/**
 * Over one connection, an answer comes after the media that was sent before it, which may take long on a slow line.
 * While media comes, an answer has so many times as long.
 */
const BEHIND_MEDIA = 4;

interface Pending {
  readonly resolve: (response: RtspResponse) => void;
  readonly reject: (error: WmError) => void;
  timer: NodeJS.Timeout;
  readonly onBody: ((received: number) => void) | undefined;
}

/** A client's connection: responses belong to requests in their order (MS-RTSP 3.1.5.2). */
export class RtspClientConnection {
  /** When the last request was sent, in ms of `performance.now`. */
  sentAt = performance.now();
  readonly #socket: Socket;
  readonly #name: string;
  readonly #events: ConnectionEvents;
  readonly #reader = new RtspReader({ maxBody: MAX_BODY, onBody: (received) => this.#pending[0]?.onBody?.(received) });
  readonly #pending: Pending[] = [];
  #sequence = 0;
  /** When the last frame of media came, in ms of `performance.now`. */
  #mediaAt = Number.NEGATIVE_INFINITY;
  #failure: WmError | undefined;

  private constructor(socket: Socket, name: string, events: ConnectionEvents) {
    this.#socket = socket;
    this.#name = name;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('error', (error) =>
      this.#fail(
        new WmError('WM_SERVER_GONE', `The connection to ${name} was lost: ${messageOf(error)}.`, { cause: error }),
      ),
    );
    socket.on('end', () => this.#closed());
    socket.on('close', () => this.#closed());
  }

  /** @throws WmError WM_UNREACHABLE; WM_PROTOCOL for an address that the guard does not allow */
  static async open(
    endpoint: Endpoint,
    name: string,
    timeout: number,
    events: ConnectionEvents,
  ): Promise<RtspClientConnection> {
    return new RtspClientConnection(await openConnection(endpoint, timeout), name, events);
  }

  /** True if nothing can be asked any more. */
  get isOver(): boolean {
    return this.#failure !== undefined;
  }

  /** This end's address, as people write it. */
  get localAddress(): string {
    return plainAddress(this.#socket.localAddress ?? '');
  }

  /** The server's address, as people write it. */
  get remoteAddress(): string {
    return plainAddress(this.#socket.remoteAddress ?? '');
  }

  /**
   * Sends a request; CSeq is added.
   *
   * @param timeout for the response, in ms; four times as long while media comes before it
   * @param onBody called as the body of the response arrives, with its bytes so far
   * @throws WmError WM_SERVER_GONE, WM_UNREACHABLE without a response in time, WM_PROTOCOL if the server breaks RTSP
   */
  ask(
    method: string,
    url: string,
    fields: readonly Field[],
    body: Buffer | undefined,
    timeout: number,
    onBody?: (received: number) => void,
  ): Promise<RtspResponse> {
    return new Promise((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure);
        return;
      }
      this.sentAt = performance.now();
      const last = this.sentAt + timeout * BEHIND_MEDIA;
      const late = () => {
        const left = Math.min(this.#mediaAt + timeout, last) - performance.now();
        if (left > 0) pending.timer = setTimeout(late, left);
        else
          this.#fail(
            new WmError('WM_UNREACHABLE', `${this.#name} did not answer ${method} within ${timeout / 1000} s.`),
          );
      };
      const pending: Pending = { resolve, reject, timer: setTimeout(late, timeout), onBody };
      this.#pending.push(pending);
      this.#socket.write(serialiseRequest(method, url, [['CSeq', `${++this.#sequence}`], ...fields], body));
    });
  }

  /** Stops and continues reading, while what came is too much. */
  read(wanted: boolean): void {
    if (wanted) this.#socket.resume();
    else this.#socket.pause();
  }

  /** Ends the connection once everything is sent; the server has a second to read it. */
  end(): void {
    this.#over(new WmError('WM_FAILED', 'The connection is closed.'));
    const socket = this.#socket;
    if (socket.destroyed) return;
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), 1_000);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
  }

  #receive(bytes: Buffer): void {
    if (this.#failure) return;
    try {
      for (const input of this.#reader.push(bytes)) {
        if (this.#failure) return;
        if (input.type === 'frame') {
          this.#mediaAt = performance.now();
          this.#events.frame(input.channel, input.bytes);
        } else if (input.type === 'response') this.#answered(input);
        else this.#answer(input);
      }
    } catch (error) {
      const text = error instanceof RtspError ? error.message : messageOf(error);
      this.#fail(new WmError('WM_PROTOCOL', `${this.#name} breaks RTSP: ${text}`, { cause: error }));
    }
  }

  #answered(response: RtspResponse): void {
    // 1xx announces the response (RFC 2326 7.1.1).
    if (response.status < 200) return;
    const pending = this.#pending.shift();
    clearTimeout(pending?.timer);
    pending?.resolve(response);
  }

  #answer(request: RtspRequest): void {
    const status = this.#events.request(request);
    const sequence = request.headers.get('CSeq')?.trim().slice(0, 20);
    const session = request.headers.get('Session')?.slice(0, 100);
    const fields: Field[] = [];
    if (sequence !== undefined) fields.push(['CSeq', sequence]);
    if (session !== undefined) fields.push(['Session', session]);
    if (this.#socket.writableLength > MAX_UNREAD) {
      this.#fail(new WmError('WM_PROTOCOL', `${this.#name} keeps asking and does not read the answers.`));
    } else this.#socket.write(serialiseResponse(status, fields));
  }

  #closed(): void {
    this.#fail(new WmError('WM_SERVER_GONE', `${this.#name} closed the connection.`));
  }

  #fail(error: WmError): void {
    if (this.#failure) return;
    this.#over(error);
    this.#socket.destroy();
    this.#events.lost(error);
  }

  #over(error: WmError): void {
    this.#failure ??= error;
    for (const { reject, timer } of this.#pending.splice(0)) {
      clearTimeout(timer);
      reject(error);
    }
  }
}
