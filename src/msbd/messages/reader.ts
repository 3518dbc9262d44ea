import { BASE_SIZE, type MsbdError, readBase } from './base.js';

/**
 * Cuts packets out of a TCP stream that arrives in slices of any size (MS-MSBD 2.2.1, cbMessage). A packet inside one
 * slice is a view of it; a packet split over slices is copied once. Holds at most one packet, 65535 bytes.
 */
export class MessageReader {
  readonly #head = Buffer.alloc(BASE_SIZE);
  #headSize = 0;
  // A packet that is split over slices, once its size is known, and how much of it has arrived.
  #message: Buffer | undefined;
  #messageSize = 0;
  #failure: MsbdError | undefined;

  /** True if the bytes so far end in the middle of a packet. */
  get midMessage(): boolean {
    return this.#headSize > 0 || this.#message !== undefined;
  }

  /**
   * Takes the next bytes of the stream, which must not change while packets from them are in use.
   *
   * @returns the packets that they complete, one after the other
   * @throws MsbdError for bytes that are not a packet; after that, at every call
   */
  *push(slice: Buffer): Generator<Buffer, void, undefined> {
    let at = 0;
    while (at < slice.length) {
      if (this.#failure) throw this.#failure;
      const whole = this.midMessage ? undefined : this.#wholeAt(slice, at);
      if (whole) {
        at += whole.length;
        yield whole;
        continue;
      }
      at += this.#collect(slice, at);
      const message = this.#message;
      if (!message || this.#messageSize < message.length) continue;
      this.#message = undefined;
      yield message;
    }
  }

  #wholeAt(slice: Buffer, at: number): Buffer | undefined {
    if (slice.length - at < BASE_SIZE) return undefined;
    const size = this.#sizeAt(slice, at);
    return slice.length - at < size ? undefined : slice.subarray(at, at + size);
  }

  /** Collects a packet that is split over slices. @returns the bytes taken */
  #collect(slice: Buffer, at: number): number {
    if (this.#message) {
      const taken = slice.copy(this.#message, this.#messageSize, at);
      this.#messageSize += taken;
      return taken;
    }
    const taken = slice.copy(this.#head, this.#headSize, at);
    this.#headSize += taken;
    if (this.#headSize < BASE_SIZE) return taken;
    this.#message = Buffer.allocUnsafe(this.#sizeAt(this.#head, 0));
    this.#messageSize = this.#head.copy(this.#message);
    this.#headSize = 0;
    return taken;
  }

  #sizeAt(bytes: Buffer, at: number): number {
    try {
      return readBase(bytes, at).size;
    } catch (error) {
      this.#failure = error as MsbdError;
      throw error;
    }
  }
}
