const EMPTY = Buffer.alloc(0);

/** The smallest buffer that is made to join chunks. */
const MIN_JOIN = 4096;

/**
 * Bytes that come in chunks and are taken in pieces. A piece that lies inside one chunk is a view of it; only one that
 * spans chunks is copied, once, into a buffer that is never written over. Memory: the last chunk and one piece.
 */
export class ByteQueue {
  /** What comes first; `#end` is not its length while chunks are being joined in it. */
  #head: Buffer = EMPTY;
  #at = 0;
  #end = 0;
  /** `#head` was made here, so that bytes may be added behind `#end`. */
  #owned = false;
  /** The rest of the last chunk. */
  #tail: Buffer = EMPTY;

  get length(): number {
    return this.#end - this.#at + this.#tail.length;
  }

  /** The first byte, or -1 when there is none. */
  get first(): number {
    if (this.#at < this.#end) return this.#head[this.#at]!;
    return this.#tail.length > 0 ? this.#tail[0]! : -1;
  }

  /** Adds a chunk, which must not be written to any more. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    // More than one chunk waits only when nothing was asked for in between; joining them is right then too.
    if (this.#tail.length > 0) this.#join(this.length);
    this.#tail = chunk;
  }

  /** The first `size` bytes in one piece, still in the queue; undefined when there are fewer. */
  peek(size: number): Buffer | undefined {
    if (this.#end - this.#at < size) {
      if (this.#at === this.#end) this.#useTail();
      else this.#join(size);
      if (this.#end - this.#at < size) return undefined;
    }
    return this.#head.subarray(this.#at, this.#at + size);
  }

  /** Takes up to `size` bytes away; returns how many. */
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

  /** Moves bytes from the tail behind the head until that has `size` bytes or the tail is empty. */
  #join(size: number): void {
    const have = this.#end - this.#at;
    const moved = Math.min(size - have, this.#tail.length);
    if (moved <= 0) return;
    if (!this.#owned || this.#head.length - this.#end < moved) {
      // Grows with what has come, not with what a length field promises.
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
