import type { WmError } from '../errors.js';

/** What a body needs of the connection it comes from. */
export interface BodyFlow {
  /** Nobody takes the body at the moment: read no more. */
  pause(): void;
  resume(): void;
  /** Nothing came for so long, in ms: the connection is of no use any more. Gives the error that says so. */
  silent(milliseconds: number): WmError;
}

/** What may wait for the reader before the connection is paused, in bytes. */
const HIGH_WATER = 256 * 1024;
/** Counted for each piece beside its bytes, so that a body of one-byte chunks is bounded as well. */
const PIECE_OVERHEAD = 128;

interface Waiter {
  resolve(piece: Buffer | undefined): void;
  reject(error: WmError): void;
}

/**
 * The body of a response, read while it comes. At most 256 KiB wait for the reader; then the connection is paused, so that the
 * server feels that the reader is behind.
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

  /** Whether all of it has come from the server, be it read or not. */
  get complete(): boolean {
    return this.#complete;
  }

  /**
   * What has come since the last call, at least one byte; undefined at the end of the body.
   *
   * @param timeout in ms; Infinity waits as long as the connection lasts
   * @throws WmError WM_SERVER_GONE when the connection ends in the middle or nothing comes in time, WM_HTTP_MALFORMED for a bad
   *   chunk; what came before is given first
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

  /** Takes a piece from the connection. */
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

  /** Nothing follows: the body is whole. */
  end(): void {
    this.#complete = true;
    this.#waiter?.resolve(undefined);
    this.#waiter = undefined;
  }

  /** Nothing follows: the rest of the body is lost. */
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
