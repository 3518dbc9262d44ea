const EMPTY = Buffer.alloc(0);

/** The smallest buffer allocated to join chunks. */
const MIN_JOIN = 4096;

/**
 * Bytes that arrive in chunks and are taken in pieces. A piece inside one chunk is a view of it; a piece that spans
 * chunks is copied once, into a buffer that is never overwritten. Memory: the last chunk and one piece.
 */
export class ByteQueue {
  /** The first bytes. While chunks are joined in it, its length exceeds `#end`. */
  #head: Buffer = EMPTY;
  #at = 0;
  #end = 0;
  /** True if `#head` was allocated here, so that bytes may be added after `#end`. */
  #owned = false;
  /** The rest of the last chunk. */
  #tail: Buffer = EMPTY;

  get length(): number {
    return this.#end - this.#at + this.#tail.length;
  }

  /** The first byte, or -1 if empty. */
  get first(): number {
    if (this.#at < this.#end) return this.#head[this.#at]!;
    return this.#tail.length > 0 ? this.#tail[0]! : -1;
  }

  /** Adds a chunk, which must not be written to afterwards. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    // More than one chunk waits only if nothing was asked for in between; joining them is right then too.
    if (this.#tail.length > 0) this.#join(this.length);
    this.#tail = chunk;
  }

  /** Returns the first `size` bytes in one piece and leaves them in the queue; undefined if there are fewer. */
  peek(size: number): Buffer | undefined {
    if (this.#end - this.#at < size) {
      if (this.#at === this.#end) this.#useTail();
      else this.#join(size);
      if (this.#end - this.#at < size) return undefined;
    }
    return this.#head.subarray(this.#at, this.#at + size);
  }

  /** Removes up to `size` bytes; returns how many. */
  skip(size: number): number {
    const inHead = Math.min(size, this.#end - this.#at);
    this.#at += inHead;
    const inTail = Math.min(size - inHead, this.#tail.length);
    if (inTail > 0) this.#tail = this.#tail.subarray(inTail);
    if (this.#at === this.#end) this.#useTail();
    return inHead + inTail;
  }

  #useTail(): void {
    this.#head = this.#tail;
    this.#at = 0;
    this.#end = this.#tail.length;
    this.#owned = false;
    this.#tail = EMPTY;
  }

  /** Moves bytes from the tail to the end of the head until the head has `size` bytes or the tail is empty. */
  #join(size: number): void {
    const have = this.#end - this.#at;
    const moved = Math.min(size - have, this.#tail.length);
    if (moved <= 0) return;
    if (!this.#owned || this.#head.length - this.#end < moved) {
      // Grows with the bytes received, not with the promise of a length field.
      const larger = Buffer.allocUnsafeSlow(Math.max(have + moved, Math.min(size, Math.max(2 * have, MIN_JOIN))));
      this.#head.copy(larger, 0, this.#at, this.#end);
      this.#head = larger;
      this.#at = 0;
      this.#end = have;
      this.#owned = true;
    }
    this.#tail.copy(this.#head, this.#end, 0, moved);
    this.#end += moved;
    this.#tail = this.#tail.subarray(moved);
  }
}
