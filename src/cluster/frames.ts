import { WmError } from '../errors.js';

/*
 * A frame between two processes of one server; integers are big-endian.
 *
 *   1 byte    type
 *   4 bytes   channel: one subscription to a publishing point, numbered by the process that plays it
 *   4 bytes   length of the content
 *             content
 */
const HEAD_SIZE = 9;
/** A header of 32 MiB, which is the largest that is read, and some room. */
const MAX_CONTENT = 33 * 1024 * 1024;

/** The types of frames. */
export const FRAME = {
  /** Wants a point: its path and the pulls that wait for it, as JSON. */
  follow: 1,
  /** Wants it no more. */
  leave: 2,
  /** An ASF header, without its Data Object's packets. */
  header: 3,
  /** An ASF data packet without its padding. */
  packet: 4,
  /** The end; one byte, 1 if more entries follow. */
  end: 5,
  /** The point cannot be followed: the kind and the sentence of the refusal, as JSON. */
  refused: 6,
} as const;

/** @public */
export interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly content: Buffer;
}

/** Returns the head of a frame, after which its content is to be written. */
export function frameHead(type: number, channel: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(HEAD_SIZE);
  head.writeUInt8(type, 0);
  head.writeUInt32BE(channel, 1);
  head.writeUInt32BE(length, 5);
  return head;
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #size = 0;

  /**
   * Takes the next bytes.
   *
   * @returns the frames that are complete; they share the memory of what was received
   * @throws WmError WM_PROTOCOL if a frame is impossibly long
   */
  feed(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const frames: Frame[] = [];
    // Joined only once something is complete: a large header arrives in many pieces.
    while (this.#size >= HEAD_SIZE) {
      if (this.#chunks[0]!.length < HEAD_SIZE) this.#join();
      const length = this.#chunks[0]!.readUInt32BE(5);
      if (length > MAX_CONTENT) throw new WmError('WM_PROTOCOL', `A frame of ${length} bytes is too long.`);
      if (this.#size < HEAD_SIZE + length) break;
      this.#join();
      const bytes = this.#chunks[0]!;
      const content = bytes.subarray(HEAD_SIZE, HEAD_SIZE + length);
      frames.push({ type: bytes.readUInt8(0), channel: bytes.readUInt32BE(1), content });
      this.#size -= HEAD_SIZE + length;
      this.#chunks = this.#size === 0 ? [] : [bytes.subarray(HEAD_SIZE + length)];
    }
    return frames;
  }

  #join(): void {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
  }
}
