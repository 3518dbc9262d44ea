/** Bytes of the smallest buffer; the others have twice as many each. */
const SMALLEST = 8 * 1024;
const CLASSES = 6;
/** Bytes that may lie ready in all pools of one size. */
const MAX_READY = 2 * 1024 * 1024;

/**
 * Buffers that are used again. Each player wants tens of kilobytes a second, and memory that is left to the garbage collector
 * at that rate costs more than reading and sending what stands in it.
 */
export class BufferPool {
  readonly #ready: Buffer[][] = Array.from({ length: CLASSES }, () => []);

  /** Bytes that lie ready. */
  get size(): number {
    return this.#ready.reduce((sum, buffers, index) => sum + buffers.length * (SMALLEST << index), 0);
  }

  /** A buffer of at least so many bytes, with anything in it. One that is never given back is left to the collector. */
  take(size: number): Buffer {
    const index = classOf(size);
    return this.#ready[index]?.pop() ?? Buffer.allocUnsafeSlow(index < CLASSES ? SMALLEST << index : size);
  }

  /** Takes back what {@link take} gave, once; nobody may read or write it any more. */
  give(buffer: Buffer): void {
    const index = classOf(buffer.length);
    const buffers = this.#ready[index];
    if (buffers !== undefined && (buffers.length + 1) * buffer.length <= MAX_READY) buffers.push(buffer);
  }
}

/** The smallest class whose buffers are as large. */
function classOf(size: number): number {
  return size <= SMALLEST ? 0 : Math.ceil(Math.log2(size / SMALLEST));
}

/** For all that is read for players, and all that is sent to them. */
export const buffers = new BufferPool();
