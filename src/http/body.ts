import { type BodyFraming, HttpError } from './message.js';

/** Takes the bytes of a body as they arrive. */
export type BodyConsumer = (chunk: Buffer) => void;

// The longest chunk-size line with extensions, or trailer line.
const MAX_LINE = 1024;
// Bytes of chunk extensions in one body. Only attackers use them, to make a body more work than its length suggests.
const MAX_EXTENSIONS = 16 * 1024;

/**
 * Extracts a body from a byte stream (RFC 9112 6 and 7.1). Takes slices of any size and returns the bytes after the
 * body, which belong to the next message. Chunk boundaries are not preserved; nothing is copied.
 */
export class BodyReader {
  readonly #framing: BodyFraming;
  readonly #strict: boolean;
  #remaining: number;
  #state: 'data' | 'size' | 'dataEnd' | 'trailer' | 'done';
  #line = '';
  #trailerLines = 0;
  #extensions = 0;

  /**
   * @param strict requires CR LF at the end of each line of the chunked coding and rejects odd lines, as is a must for
   *   requests
   */
  constructor(framing: BodyFraming, { strict = false } = {}) {
    this.#framing = framing;
    this.#strict = strict;
    this.#remaining = framing.kind === 'length' ? framing.length : 0;
    this.#state = framing.kind === 'chunked' ? 'size' : 'data';
    if (framing.kind === 'length' && framing.length === 0) this.#state = 'done';
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  /** Bytes of the body still to come; Infinity while unknown. */
  get left(): number {
    if (this.done) return 0;
    return this.#framing.kind === 'length' ? this.#remaining : Number.POSITIVE_INFINITY;
  }

  /** True if the end of the connection regularly ends the body. */
  get endsWithConnection(): boolean {
    return this.#framing.kind === 'close';
  }

  /**
   * @param bytes the next bytes of the connection
   * @param consume takes the body's bytes, as views of `bytes`
   * @returns the bytes after the end of the body (empty if the body is not complete)
   * @throws HttpError 400 for a malformed chunk
   */
  feed(bytes: Buffer, consume: BodyConsumer): Buffer {
    let at = 0;
    while (at < bytes.length && this.#state !== 'done') {
      at = this.#state === 'data' ? this.#takeData(bytes, at, consume) : this.#takeLine(bytes, at);
    }
    return bytes.subarray(at);
  }

  #takeData(bytes: Buffer, at: number, consume: BodyConsumer): number {
    if (this.#framing.kind === 'close') {
      consume(bytes.subarray(at));
      return bytes.length;
    }
    const size = Math.min(this.#remaining, bytes.length - at);
    this.#remaining -= size;
    if (this.#remaining === 0) this.#state = this.#framing.kind === 'chunked' ? 'dataEnd' : 'done';
    consume(bytes.subarray(at, at + size));
    return at + size;
  }

  #takeLine(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(10, at);
    const stop = end === -1 ? bytes.length : end;
    if (this.#line.length + (stop - at) > MAX_LINE) throw new HttpError(400, 'A chunk head is too long.');
    this.#line += bytes.toString('latin1', at, stop);
    if (end === -1) return stop;
    const line = this.#lineText(this.#line);
    this.#line = '';
    if (this.#state === 'size') this.#startChunk(line);
    else if (this.#state === 'dataEnd') {
      if (line !== '') throw new HttpError(400, 'A chunk is longer than its size says.');
      this.#state = 'size';
    } else if (line === '') this.#state = 'done';
    else if (++this.#trailerLines > 32) throw new HttpError(400, 'There are too many trailer fields.');
    return end + 1;
  }

  /** If one reader takes a bare LF as a line end and another does not, requests can be smuggled. */
  #lineText(line: string): string {
    if (!this.#strict) return line.trimEnd();
    if (!line.endsWith('\r')) throw new HttpError(400, 'A line of a chunked body does not end with CR LF.');
    return line.slice(0, -1);
  }

  #startChunk(line: string): void {
    const match = /^([0-9a-fA-F]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/.exec(line);
    if (!match) throw new HttpError(400, 'A chunk size is malformed.');
    this.#extensions += line.length - match[1]!.length;
    if (this.#extensions > MAX_EXTENSIONS) throw new HttpError(400, 'There are too many chunk extensions.');
    this.#remaining = Number.parseInt(match[1]!, 16);
    this.#state = this.#remaining === 0 ? 'trailer' : 'data';
  }
}

/** Returns the head of a chunk of the chunked transfer coding; the data and CR LF follow (RFC 9112 7.1). */
export function chunkHead(size: number): Buffer {
  return Buffer.from(`${size.toString(16)}\r\n`, 'latin1');
}

/** The zero-length chunk that ends a chunked body, with no trailer. */
export const LAST_CHUNK: Buffer = Buffer.from('0\r\n\r\n', 'latin1');
