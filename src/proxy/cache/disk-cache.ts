import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AsfHeader } from '../../asf/header.js';
import { messageOf, WmError } from '../../errors.js';
import { systemErrorCode, systemErrorReason } from '../../media/system-error.js';
import { type CopyFacts, CopyFile } from './copy-file.js';

/** The bounds of a cache on the disk. */
export interface DiskCacheOptions {
  readonly folder: string;
  /** The maximum size of all copies together, in bytes. */
  readonly maxSize: number;
  /** Gets a sentence about what an operator can fix. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** What identifies a state of content: a copy is of one state only. */
export interface CopyKey {
  readonly url: string;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

interface Entry {
  readonly name: string;
  /** Undefined while nobody uses it. */
  copy: CopyFile | undefined;
  opening: Promise<CopyFile> | undefined;
  closing: Promise<void> | undefined;
  facts: CopyFacts;
  /** Bytes, when it was last closed. */
  size: number;
  users: number;
  usedAt: number;
  /** True if it goes once nobody uses it. */
  doomed: boolean;
}

/** A held copy; release it with {@link DiskCache.release}. */
export interface HeldCopy {
  readonly copy: CopyFile;
  readonly entry: object;
}

/** What a copy takes on the disk besides its packets, in bytes. */
const OVERHEAD = 64 * 1024;
const NAME = /^([0-9a-f]{40})\.json$/;
const LOCK = 'in-use';

/**
 * The copies of a proxy on the disk, of bounded size: what was used least recently goes first, and never what is in use.
 * They survive a restart of the program, however it ended.
 */
export class DiskCache {
  readonly #options: DiskCacheOptions;
  readonly #byName = new Map<string, Entry>();
  /** The newest copy of each URL. */
  readonly #byUrl = new Map<string, Entry>();
  #clock = 0;
  #maxSize: number;

  private constructor(options: DiskCacheOptions) {
    this.#options = options;
    this.#maxSize = options.maxSize;
  }

  /**
   * Opens a folder, and removes from it what is not a valid copy.
   *
   * @throws WmError WM_CONFIG if it cannot be used, or another server uses it
   */
  static async open(options: DiskCacheOptions): Promise<DiskCache> {
    const { folder } = options;
    const cache = new DiskCache(options);
    try {
      await mkdir(folder, { recursive: true });
      await lock(folder);
      await cache.#scan();
    } catch (error) {
      if (error instanceof WmError) throw error;
      const sentence = `The cache folder ${folder} cannot be used: ${systemErrorReason(error)}.`;
      throw new WmError('WM_CONFIG', sentence, { cause: error });
    }
    await cache.#makeRoom(0).catch(() => undefined);
    return cache;
  }

  /** Bytes of all copies. */
  get size(): number {
    let size = 0;
    for (const { copy, size: closed } of this.#byName.values()) size += (copy?.size ?? closed) + OVERHEAD;
    return size;
  }

  get count(): number {
    return this.#byName.size;
  }

  /** Returns what is known about the copy of a URL. */
  facts(url: string): CopyFacts | undefined {
    const entry = this.#byUrl.get(url);
    return entry && (entry.copy?.facts ?? entry.facts);
  }

  /** Changes what the origin says about the copy of a URL. A disk that does not take it only loses that. */
  async update(
    url: string,
    changes: Partial<Pick<CopyFacts, 'cacheControl' | 'checkedAt' | 'guarded'>>,
  ): Promise<void> {
    const held = await this.hold(url);
    if (!held) return;
    await held.copy.describe(changes).catch(() => undefined);
    await this.release(held);
  }

  /** Opens the copy of a URL; undefined if it does not exist, or is damaged. */
  async hold(url: string): Promise<HeldCopy | undefined> {
    const entry = this.#byUrl.get(url);
    if (!entry) return undefined;
    entry.users++;
    entry.usedAt = ++this.#clock;
    try {
      const copy = await this.#opened(entry);
      void copy.touch();
      return { copy, entry };
    } catch (error) {
      this.#options.onWarning?.(`The copy of ${url} is damaged, and is removed: ${messageOf(error)}`);
      entry.users--;
      entry.doomed = true;
      await this.#settle(entry);
      return undefined;
    }
  }

  /**
   * Makes a copy without packets, in place of any other one of the URL.
   *
   * @returns undefined if there is no room for the content, or the disk does not take it
   */
  async create(
    key: CopyKey,
    header: AsfHeader,
    known: Pick<CopyFacts, 'cacheControl' | 'features' | 'guarded' | 'checkedAt'>,
  ): Promise<HeldCopy | undefined> {
    const { folder, onWarning } = this.#options;
    const size = header.bytes.length + Number(header.dataObject.packetCount) * header.packetSize + OVERHEAD;
    if (size > this.#maxSize) return undefined;
    await this.remove(key.url);
    const name = nameOf(key, ++this.#clock);
    try {
      await this.#makeRoom(header.bytes.length + OVERHEAD);
      const { url, etag, lastModified } = key;
      const copy = await CopyFile.create(folder, name, header, {
        ...known,
        url,
        ...(etag === undefined ? {} : { etag }),
        ...(lastModified === undefined ? {} : { lastModified }),
      });
      const entry: Entry = {
        name,
        copy,
        opening: undefined,
        closing: undefined,
        facts: copy.facts,
        size: copy.size,
        users: 1,
        usedAt: this.#clock,
        doomed: false,
      };
      this.#byName.set(name, entry);
      this.#byUrl.set(url, entry);
      return { copy, entry };
    } catch (error) {
      onWarning?.(`The cache cannot keep ${key.url}: ${reasonOf(error)}.`);
      return undefined;
    }
  }

  /** Makes room for more packets. @returns false if everything that is there is in use */
  async makeRoom(bytes: number): Promise<boolean> {
    return this.#makeRoom(bytes).then(
      () => true,
      () => false,
    );
  }

  /** Changes the maximum size of all copies. Those that are in use stay. @param maxSize in bytes */
  async limit(maxSize: number): Promise<void> {
    this.#maxSize = maxSize;
    await this.makeRoom(0);
  }

  /** Gives a copy back. */
  async release({ entry }: HeldCopy): Promise<void> {
    const held = entry as Entry;
    held.users--;
    await this.#settle(held);
  }

  /** Forgets the copy of a URL; players that have it keep it until they are done. */
  async remove(url: string): Promise<void> {
    const entry = this.#byUrl.get(url);
    if (!entry) return;
    this.#byUrl.delete(url);
    entry.doomed = true;
    await this.#settle(entry);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byName.values()].map(({ copy }) => copy?.close().catch(() => undefined)));
    await rm(join(this.#options.folder, LOCK), { force: true }).catch(() => undefined);
  }

  async #opened(entry: Entry): Promise<CopyFile> {
    await entry.closing;
    if (entry.copy) return entry.copy;
    entry.opening ??= CopyFile.open(this.#options.folder, entry.name).finally(() => {
      entry.opening = undefined;
    });
    entry.copy = await entry.opening;
    return entry.copy;
  }

  /** Closes what nobody uses, and removes it if it has to go. */
  async #settle(entry: Entry): Promise<void> {
    if (entry.users > 0) return;
    const { copy } = entry;
    if (copy) {
      entry.facts = copy.facts;
      entry.size = copy.size;
      entry.copy = undefined;
      entry.closing = copy.close().catch(() => undefined);
      await entry.closing;
    }
    if (!entry.doomed || entry.users > 0 || this.#byName.get(entry.name) !== entry) return;
    this.#byName.delete(entry.name);
    if (this.#byUrl.get(entry.facts.url) === entry) this.#byUrl.delete(entry.facts.url);
    await CopyFile.remove(this.#options.folder, entry.name).catch(() => undefined);
  }

  /** @throws WmError WM_FAILED if there is not enough that can go */
  async #makeRoom(bytes: number): Promise<void> {
    while (this.size + bytes > this.#maxSize) {
      let oldest: Entry | undefined;
      for (const entry of this.#byName.values()) {
        if (entry.users === 0 && entry.usedAt < (oldest?.usedAt ?? Number.POSITIVE_INFINITY)) oldest = entry;
      }
      if (!oldest) throw new WmError('WM_FAILED', 'The cache is full of what is being played.');
      oldest.doomed = true;
      await this.#settle(oldest);
    }
  }

  async #scan(): Promise<void> {
    const { folder } = this.#options;
    const files = await readdir(folder);
    const found: Array<Entry & { readonly at: number }> = [];
    for (const file of files) {
      const name = NAME.exec(file)?.[1];
      if (name === undefined) continue;
      try {
        const copy = await CopyFile.open(folder, name);
        const { mtimeMs: at } = await stat(join(folder, file));
        const { facts, size } = copy;
        await copy.close();
        found.push({
          name,
          copy: undefined,
          opening: undefined,
          closing: undefined,
          facts,
          size,
          users: 0,
          usedAt: 0,
          doomed: false,
          at,
        });
      } catch {
        await CopyFile.remove(folder, name);
      }
    }
    for (const entry of found.sort((a, b) => a.at - b.at)) {
      entry.usedAt = ++this.#clock;
      this.#byName.set(entry.name, entry);
      const before = this.#byUrl.get(entry.facts.url);
      this.#byUrl.set(entry.facts.url, entry);
      if (before) {
        before.doomed = true;
        await this.#settle(before);
      }
    }
    for (const file of files) {
      const name = /^([0-9a-f]{40})\.(?:asf|map|json\.new)$/.exec(file)?.[1];
      if (name !== undefined && !this.#byName.has(name)) await CopyFile.remove(folder, name);
    }
  }
}

/** Two copies never have the same name, so that one can go while another one of the same URL is made. */
function nameOf({ url, etag, lastModified }: CopyKey, count: number): string {
  const salt = `${process.pid} ${Date.now()} ${count}`;
  return createHash('sha1')
    .update(JSON.stringify([url, etag, lastModified, salt]))
    .digest('hex');
}

function reasonOf(error: unknown): string {
  return systemErrorCode(error) === undefined ? messageOf(error).replace(/\.$/, '') : systemErrorReason(error);
}

/** @throws WmError WM_CONFIG if another running server has the folder */
async function lock(folder: string): Promise<void> {
  const path = join(folder, LOCK);
  const owner = Number(await readFile(path, 'utf8').catch(() => ''));
  if (owner > 0 && owner !== process.pid && isRunning(owner)) {
    throw new WmError('WM_CONFIG', `The cache folder ${folder} is in use by process ${owner}: name another folder.`);
  }
  await writeFile(path, String(process.pid));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === 'EPERM';
  }
}
