/** Size of the smallest buffers, in bytes; each larger class has twice the size of the one before. */
const SMALLEST = 8 * 1024;
const CLASSES = 6;
/** The most bytes of idle buffers in the pool of one size. */
const MAX_READY = 2 * 1024 * 1024;

/**
 * Reuses buffers. Each player needs tens of kilobytes a second, and at that rate garbage collection costs more than
 * reading and sending the contents.
 */
export class BufferPool {
  readonly #ready: Buffer[][] = Array.from({ length: CLASSES }, () => []);

  /** Bytes of idle buffers. */
  get size(): number {
    return this.#ready.reduce((sum, buffers, index) => sum + buffers.length * (SMALLEST << index), 0);
  }

  /**
   * Returns a buffer of at least this many bytes, with arbitrary contents. If it is never given back, the garbage
   * collector frees it.
   */
  take(size: number): Buffer {
    const index = classOf(size);
    return this.#ready[index]?.pop() ?? Buffer.allocUnsafeSlow(index < CLASSES ? SMALLEST << index : size);
  }

  /** Takes back a buffer from {@link take}, once; nobody may read or write it after that. */
  give(buffer: Buffer): void {
    const index = classOf(buffer.length);
    const buffers = this.#ready[index];
    if (buffers !== undefined && (buffers.length + 1) * buffer.length <= MAX_READY) buffers.push(buffer);
  }
}

/** Returns the smallest class whose buffers are large enough. */
function classOf(size: number): number {
  return size <= SMALLEST ? 0 : Math.ceil(Math.log2(size / SMALLEST));
}

/** The pool for everything that is read for players and sent to them. */
export const buffers = new BufferPool();
