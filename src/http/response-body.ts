import type { WmError } from '../errors.js';

/** The connection, as far as a body needs it. @public */
export interface BodyFlow {
  /** The body is not being read: stop reading the connection. */
  pause(): void;
  resume(): void;
  /** Nothing arrived for this many ms, so the connection is dead. Returns the error to report. */
  silent(milliseconds: number): WmError;
}

/** Bytes that may wait for the reader before the connection is paused. */
const HIGH_WATER = 256 * 1024;
/** Counted for each piece in addition to its bytes, to bound a body of one-byte chunks too. */
const PIECE_OVERHEAD = 128;

interface Waiter {
  resolve(piece: Buffer | undefined): void;
  reject(error: WmError): void;
}

/**
 * The body of a response, read as it arrives. At most 256 KiB wait for the reader; then the connection is paused, so
 * that the server slows down to the reader's pace.
 *
 * @public
 */
export class ResponseBody {
  readonly #flow: BodyFlow;
  #pieces: Buffer[] = [];
  #waitingSize = 0;
  #paused = false;
  #complete = false;
  #failure: WmError | undefined;
  #waiter: Waiter | undefined;

  constructor(flow: BodyFlow) {
    this.#flow = flow;
  }

  /** True if all of it has arrived from the server, read or not. */
  get complete(): boolean {
    return this.#complete;
  }

  /**
   * Returns what has arrived since the last call, at least one byte; undefined at the end of the body.
   * @param timeout in ms; Infinity waits as long as the connection lasts
   * @throws WmError WM_SERVER_GONE if the connection ends in the middle or nothing arrives in time, WM_HTTP_MALFORMED
   *   for a bad chunk; earlier bytes are returned first
   */
  next(timeout: number): Promise<Buffer | undefined> {
    if (this.#waitingSize > 0) return Promise.resolve(this.#takeAll());
    if (this.#complete) return Promise.resolve(undefined);
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const timer = Number.isFinite(timeout)
        ? setTimeout(() => this.fail(this.#flow.silent(timeout)), timeout)
        : undefined;
      this.#waiter = {
        resolve: (piece) => {
          clearTimeout(timer);
          resolve(piece);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
    });
  }

  /** Adds a piece from the connection. */
  push(piece: Buffer): void {
    if (piece.length === 0) return;
    const waiter = this.#waiter;
    if (waiter) {
      this.#waiter = undefined;
      waiter.resolve(piece);
      return;
    }
    this.#pieces.push(piece);
    this.#waitingSize += piece.length + PIECE_OVERHEAD;
    if (this.#waitingSize > HIGH_WATER && !this.#paused) {
      this.#paused = true;
      this.#flow.pause();
    }
  }

  /** The body is complete. */
  end(): void {
    this.#complete = true;
    this.#waiter?.resolve(undefined);
    this.#waiter = undefined;
  }

  /** The rest of the body is lost. */
  fail(error: WmError): void {
    if (this.#complete) return;
    this.#failure ??= error;
    this.#waiter?.reject(this.#failure);
    this.#waiter = undefined;
  }

  #takeAll(): Buffer {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#waitingSize = 0;
    if (this.#paused) {
      this.#paused = false;
      this.#flow.resume();
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }
}
