import type { StreamGate } from './gate.js';
import { Page } from './page.js';
import type { PageCache } from './page-cache.js';
import type { ReadQueue } from './read-queue.js';
import type { PacketStore } from './store.js';

/** Bytes of a page with its heads, or one packet if that is larger. */
const PAGE_SIZE = 128 * 1024;
/** Pages are no longer than this, in ms of media on average: a player takes one at a time. */
const LONGEST_PAGE = 2_400;
/** The largest head of a packet, and what a read takes besides the packets, in bytes. */
const LARGEST_HEAD = 16;
const READ_TAIL = 64;
/** A page, or one that is being read. */
type Slot = Page | Promise<Page | undefined>;
type Shelf = Map<number, Slot>;

/** Tells the files of a process apart. */
let files = 0;

/** The pages of one file. */
export class FilePages {
  readonly #store: PacketStore;
  readonly #cache: PageCache;
  readonly #reads: ReadQueue;
  readonly #length: number;
  /** By what is in them and the room before each packet; then by number. */
  readonly #shelves = new Map<string, Shelf>();
  /** The numbers of pages whose packets are not where they are expected. */
  readonly #odd = new Set<number>();
  readonly #id = ++files;
  #closed = false;

  constructor(store: PacketStore, cache: PageCache, reads: ReadQueue) {
    this.#store = store;
    this.#cache = cache;
    this.#reads = reads;
    const inSize = (PAGE_SIZE - READ_TAIL) / (store.packetSize + LARGEST_HEAD);
    const inTime = (LONGEST_PAGE * store.packetCount) / Math.max(store.durationMs, 1);
    this.#length = Math.max(1, Math.floor(Math.min(inSize, inTime)));
  }

  /** Packets of a page. */
  get length(): number {
    return this.#length;
  }

  /**
   * Returns the page with a packet; the caller holds it. Waits only if it is not in memory.
   *
   * @param gate has a key
   * @param gap bytes to leave free before each packet, at most 16
   * @param about `first`: true if this is the first read of a player, which does not wait for others; `again`: true if
   *   the player has had a part of the page before
   * @returns undefined if there is no such page: its packets have to be read one by one
   * @throws WmError if it cannot be read
   */
  take(
    packet: number,
    gate: StreamGate,
    gap: number,
    { first, again }: { readonly first: boolean; readonly again: boolean },
  ): Page | Promise<Page | undefined> | undefined {
    const number = Math.floor(packet / this.#length);
    const from = number * this.#length;
    const count = Math.min(this.#length, this.#store.packetCount - from);
    if (this.#closed || this.#store.available(from, count) < count) return undefined;
    // The last page of a recording in progress will be longer.
    if (count < this.#length && !this.#store.complete) return undefined;
    if (this.#odd.has(number)) return undefined;
    const key = `${gap} ${gate.key}`;
    const slot = this.#shelves.get(key)?.get(number);
    if (slot instanceof Page) return this.#hold(slot, again);
    if (slot) return slot.then((page) => page && this.#hold(page, again));
    const load = () => this.#load(key, number, from, count, gate, gap);
    const loading = first ? load() : this.#reads.run(load);
    this.#put(key, number, loading);
    loading.catch(() => this.#forget(key, number));
    return loading;
  }

  /** Drops what nobody holds; nothing is kept from now on. */
  close(): void {
    this.#closed = true;
    for (const shelf of this.#shelves.values()) {
      for (const slot of shelf.values()) if (slot instanceof Page) this.#cache.drop(slot);
    }
  }

  #put(key: string, number: number, slot: Slot): void {
    let shelf = this.#shelves.get(key);
    if (!shelf) {
      shelf = new Map();
      this.#shelves.set(key, shelf);
    }
    shelf.set(number, slot);
  }

  #forget(key: string, number: number): void {
    const shelf = this.#shelves.get(key);
    shelf?.delete(number);
    if (shelf?.size === 0) this.#shelves.delete(key);
  }

  #hold(page: Page, again: boolean): Page {
    if (page.holders === 0) this.#cache.wake(page);
    if (!again) page.proven = true;
    return page.hold();
  }

  /** Returns a page that is held for the one who asked first. */
  async #load(
    key: string,
    number: number,
    from: number,
    count: number,
    gate: StreamGate,
    gap: number,
  ): Promise<Page | undefined> {
    const filter = gate.fixed();
    const run = await this.#store.borrow(from, count, gap * count);
    const page = Page.of(run, count, {
      name: `${this.#id} ${number} ${key}`,
      packetSize: this.#store.packetSize,
      filter,
      gap,
      idle: (idle) => this.#rest(key, number, idle),
    });
    if (page === undefined) {
      this.#odd.add(number);
      this.#forget(key, number);
      return undefined;
    }
    this.#put(key, number, page);
    this.#cache.add(page.hold());
    return page;
  }

  #rest(key: string, number: number, page: Page): void {
    this.#cache.rest(page, () => this.#forget(key, number));
    if (this.#closed) this.#cache.drop(page);
  }
}
