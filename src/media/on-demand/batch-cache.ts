import type { OnDemandItem } from './options.js';

/** Some packets made ready for the wire, for all players that want them in the same form. */
export interface ReadyPackets {
  readonly items: readonly OnDemandItem[];
  /** Whole packets that were read. */
  readonly packets: number;
  /** Send time of the last one that could be read, ms. */
  readonly until: number | undefined;
  /** Bytes of memory. */
  readonly size: number;
}

interface Entry {
  readonly ready: Promise<ReadyPackets>;
  size: number;
}

/**
 * The packets that were made ready last. Players of one file are often close together (they come in crowds, and start at
 * the start), and then all but the first find here what they need: one read, one copy in memory.
 */
export class BatchCache {
  readonly #maxSize: number;
  readonly #entries = new Map<string, Entry>();
  #size = 0;
  #files = 0;

  /** @param maxSize bytes */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  /** Bytes that are held. */
  get size(): number {
    return this.#size;
  }

  /** A number for the keys of one open file. */
  newFile(): number {
    return ++this.#files;
  }

  /** What stands under the key, or what `make` gives. Errors are not kept, nor is what is not `usable` for others. */
  get(key: string, make: () => Promise<ReadyPackets>, usable: (ready: ReadyPackets) => boolean): Promise<ReadyPackets> {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      // Last used, last dropped.
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return known.ready;
    }
    const entry: Entry = { ready: make(), size: 0 };
    this.#entries.set(key, entry);
    entry.ready.then(
      (ready) => (usable(ready) ? this.#keep(key, entry, ready.size) : this.#drop(key, entry)),
      () => this.#drop(key, entry),
    );
    return entry.ready;
  }

  #keep(key: string, entry: Entry, size: number): void {
    if (this.#entries.get(key) !== entry) return;
    entry.size = size;
    this.#size += size;
    for (const [oldest, other] of this.#entries) {
      if (this.#size <= this.#maxSize) break;
      this.#drop(oldest, other);
    }
  }

  #drop(key: string, entry: Entry): void {
    if (this.#entries.get(key) !== entry) return;
    this.#entries.delete(key);
    this.#size -= entry.size;
  }
}
