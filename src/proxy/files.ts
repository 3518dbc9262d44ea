import type { AsfHeader } from '../asf/header.js';
import { OnDemandFile } from '../media/on-demand/file.js';
import type { ReadQueue } from '../media/on-demand/read-queue.js';
import type { RawPackets } from '../playback/entry.js';
import type { DiskCache, HeldCopy } from './cache/disk-cache.js';
import { CachedStore } from './cached-store.js';
import type { OriginContent } from './fetch.js';
import { rawPackets } from './raw.js';

/** What identifies a state of content at its origin. */
export interface ContentState {
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

/** Content that is open, for one player or for several. */
export interface OpenContent {
  readonly file: OnDemandFile;
  readonly raw: RawPackets;
  readonly state: ContentState;
  /** True if it can be played from any position. */
  readonly seekable: boolean;
}

/** How to open content. */
export interface OpenOptions extends ContentState {
  readonly url: string;
  /** False for content that one player gets: it is neither kept nor shared. */
  readonly shared: boolean;
  /** Opens it at the origin. */
  readonly origin: () => Promise<OriginContent & { readonly seekable: boolean }>;
  /** True if the copy on the disk may be used, if there is one. */
  readonly stored: boolean;
  /** Makes a copy on the disk; undefined if that is not allowed. */
  readonly create?: ((header: AsfHeader) => Promise<HeldCopy | undefined>) | undefined;
}

/** How cached files are opened. */
export interface OpenContentsOptions {
  readonly cache?: DiskCache | undefined;
  readonly reads: ReadQueue;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** How long content stays open after its last player, in ms; default: 5000. */
  readonly linger?: number | undefined;
  /** Called when an origin has other content than it said. */
  readonly onChanged?: ((url: string) => void) | undefined;
  /** Called for each request to an origin for packets. */
  readonly onFetch?: ((url: string) => void) | undefined;
  /** Called with the bytes of packets that have come from an origin. */
  readonly onFetched?: ((bytes: number) => void) | undefined;
}

interface Open extends OpenContent {
  readonly key: string;
  readonly store: CachedStore;
  readonly held: HeldCopy | undefined;
  users: number;
  timer: NodeJS.Timeout | undefined;
}

const LINGER = 5_000;

/** The content of origins that is being played: each once for all its players, from the cache as far as that goes. */
export class OpenContents {
  readonly #options: OpenContentsOptions;
  /** What new players get, by URL. */
  readonly #current = new Map<string, Promise<Open>>();
  readonly #all = new Set<Open>();
  #closed = false;

  constructor(options: OpenContentsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Returns content; give it back with {@link release}. @throws WmError, Refusal */
  async acquire(options: OpenOptions): Promise<OpenContent> {
    if (!options.shared) return this.#hold(await this.#open(options));
    const { url } = options;
    const known = this.#current.get(url);
    if (known) {
      const open = await known.catch(() => undefined);
      if (open && this.#all.has(open) && !open.store.changed && isSame(open.state, options)) return this.#hold(open);
      if (this.#current.get(url) === known) this.#forget(url);
      // Somebody else may have opened it meanwhile.
      if (this.#current.has(url)) return this.acquire(options);
    }
    const opening = this.#open(options);
    this.#current.set(url, opening);
    opening.catch(() => {
      if (this.#current.get(url) === opening) this.#current.delete(url);
    });
    return this.#hold(await opening);
  }

  release(content: OpenContent): void {
    const open = content as Open;
    if (--open.users > 0) return;
    open.store.setIdle(true);
    open.timer = setTimeout(() => void this.#close(open), this.#options.linger ?? LINGER);
    open.timer.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#all].map((open) => this.#close(open)));
  }

  #forget(url: string): void {
    this.#current.delete(url);
  }

  #hold(open: Open): Open {
    open.users++;
    clearTimeout(open.timer);
    open.timer = undefined;
    open.store.setIdle(false);
    return open;
  }

  async #open(options: OpenOptions): Promise<Open> {
    const { url, etag, lastModified, shared, stored, create, origin } = options;
    const { cache, reads, onWarning, onFetch } = this.#options;
    let held = stored ? await cache?.hold(url) : undefined;
    let first: (OriginContent & { readonly seekable: boolean }) | undefined;
    if (!held) {
      first = await origin();
      held = shared ? await create?.(first.header) : undefined;
    }
    const header = held?.copy.header ?? first!.header;
    const seekable = held ? held.copy.facts.features.includes('seekable') : (first?.seekable ?? true);
    const store = new CachedStore({
      url,
      header,
      copy: held?.copy,
      version: versionOf(options),
      modified: modifiedOf(lastModified),
      origin: async () => {
        const opened = first ?? (await origin());
        first = undefined;
        return opened;
      },
      ...(cache ? { makeRoom: (bytes: number) => cache.makeRoom(bytes) } : {}),
      onDiskFull: (reason) => onWarning?.(`The cache does not take more of ${url}: ${reason}.`),
      onChanged: () => {
        this.#forget(url);
        void cache?.remove(url);
        this.#options.onChanged?.(url);
        onWarning?.(`${url} has changed at its origin while it was fetched.`);
      },
      onFetch: () => onFetch?.(url),
      onFetched: this.#options.onFetched,
    });
    const file = OnDemandFile.over(store, { reads });
    const state = { etag, lastModified };
    const raw = rawPackets(store);
    const open: Open = { key: url, file, raw, store, held, state, seekable, users: 0, timer: undefined };
    this.#all.add(open);
    if (this.#closed) await this.#close(open);
    return open;
  }

  async #close(open: Open): Promise<void> {
    clearTimeout(open.timer);
    if (!this.#all.delete(open)) return;
    const { key, file, held } = open;
    const current = this.#current.get(key);
    if (current && (await current.catch(() => undefined)) === open) this.#current.delete(key);
    await file.close();
    if (held) await this.#options.cache?.release(held);
  }
}

function isSame(a: ContentState, b: ContentState): boolean {
  return a.etag === b.etag && a.lastModified === b.lastModified;
}

/** Letters, digits, `-` and `.`, as players are told. */
function versionOf({ etag, lastModified, url }: OpenOptions): string {
  return (etag ?? lastModified ?? url).replace(/[^\w.-]+/g, '-').slice(0, 100);
}

function modifiedOf(text: string | undefined): Date {
  const modified = new Date(text ?? Number.NaN);
  return Number.isNaN(modified.getTime()) ? new Date(0) : modified;
}
