import type { Page } from './page.js';

/** Bytes of pages in memory for all files of a server: some seconds of some dozens of popular files. */
const DEFAULT_LIMIT = 8 * 1024 * 1024;
/** The part of it for pages that one player has read so far: small, so that it stays in the caches of the processor. */
const UNPROVEN_SHARE = 1 / 4;
/** One for each page of this size, in bytes, that fits the limit, is remembered after it was dropped. */
const REMEMBERED_SIZE = 128 * 1024;

/**
 * Bounds the pages in memory, over all files. Pages that several players have read stay while there are no others that
 * were read more recently. Those that only one has read soon make room: with a thousand players at places of their own,
 * they would be dropped before the next player comes in any case. If one of them is read again soon after that, it
 * counts as read by several.
 */
export class PageCache {
  readonly #limit: number;
  readonly #unprovenLimit: number;
  /** The pages that nobody holds, those that were read longest ago first; and how to forget them. */
  readonly #proven = new Map<Page, () => void>();
  readonly #unproven = new Map<Page, () => void>();
  /** The names of pages that only one player had read when they were dropped. */
  readonly #remembered = new Set<string>();
  #used = 0;
  #unprovenUsed = 0;

  /** @param limit bytes; pages that players hold count, but are not dropped */
  constructor(limit: number = DEFAULT_LIMIT) {
    this.#limit = limit;
    this.#unprovenLimit = limit * UNPROVEN_SHARE;
  }

  /** Bytes of all pages. */
  get used(): number {
    return this.#used;
  }

  /** A page was read. */
  add(page: Page): void {
    this.#used += page.size;
    if (this.#remembered.delete(page.name)) page.proven = true;
    this.#shrink();
  }

  /** Nobody holds the page any more. @param forget called when it is dropped */
  rest(page: Page, forget: () => void): void {
    if (page.proven) this.#proven.set(page, forget);
    else {
      this.#unproven.set(page, forget);
      this.#unprovenUsed += page.size;
    }
    this.#shrink();
  }

  /** Somebody takes the page again, before it is held. */
  wake(page: Page): void {
    if (this.#unproven.delete(page)) this.#unprovenUsed -= page.size;
    else this.#proven.delete(page);
  }

  /** Drops a page, unless somebody holds it. */
  drop(page: Page): void {
    const forget = this.#unproven.get(page) ?? this.#proven.get(page);
    if (forget === undefined) return;
    this.wake(page);
    this.#used -= page.size;
    forget();
    page.destroy();
  }

  #shrink(): void {
    for (const page of this.#unproven.keys()) {
      if (this.#used <= this.#limit && this.#unprovenUsed <= this.#unprovenLimit) break;
      this.drop(page);
      this.#remember(page.name);
    }
    for (const page of this.#proven.keys()) {
      if (this.#used <= this.#limit) break;
      this.drop(page);
    }
  }

  #remember(name: string): void {
    this.#remembered.add(name);
    if (this.#remembered.size * REMEMBERED_SIZE <= this.#limit) return;
    const [oldest] = this.#remembered;
    this.#remembered.delete(oldest!);
  }
}
