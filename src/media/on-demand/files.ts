import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { WmError } from '../../errors.js';
import { versionOf } from './disk-file.js';
import { OnDemandFile } from './file.js';
import { PageCache } from './page-cache.js';
import { ReadQueue } from './read-queue.js';

/** The bounds of the open files. */
export interface OnDemandFilesOptions {
  /** The most files open at once; default 256. */
  readonly maxFiles?: number;
  /** How long a file stays open after its last player, in ms; default 5000. */
  readonly linger?: number;
  /** Bytes of packets in memory that players of a file share; default: 8 MiB. */
  readonly shared?: number;
}

interface Entry {
  /** The path, and where in the file it begins. */
  readonly key: string;
  readonly file: Promise<OnDemandFile>;
  users: number;
  /** Runs while there are no users. */
  timer: NodeJS.Timeout | undefined;
}

const DEFAULTS = { maxFiles: 256, linger: 5000, shared: 8 * 1024 * 1024 };

function keyOf(path: string, at: number): string {
  return `${at}:${resolve(path)}`;
}

/** The files that are being looked at: players that come at the same time share that. */
const looks = new WeakMap<OnDemandFile, Promise<boolean>>();

function isCurrent(file: OnDemandFile): Promise<boolean> {
  let look = looks.get(file);
  if (!look) {
    look = lookAt(file).finally(() => looks.delete(file));
    looks.set(file, look);
  }
  return look;
}

async function lookAt(file: OnDemandFile): Promise<boolean> {
  try {
    return versionOf(await stat(file.path)) === file.version;
  } catch {
    // Opening it again will report what is wrong.
    return false;
  }
}

/**
 * The open files of a server. All players of a path share one file, which is closed some seconds after the last of them
 * has gone. If it was changed or replaced on the disk, new players get it reopened, while the others go on with the old
 * one.
 */
export class OnDemandFiles {
  readonly #options: Required<OnDemandFilesOptions>;
  readonly #reads = new ReadQueue();
  readonly #cache: PageCache;
  /** The files for new players. */
  readonly #current = new Map<string, Entry>();
  /** All files that are open or being opened, oldest first. */
  readonly #entries = new Set<Entry>();
  readonly #byFile = new Map<OnDemandFile, Entry>();
  #closed = false;

  constructor(options: OnDemandFilesOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
    this.#cache = new PageCache(this.#options.shared);
  }

  /** Number of files that are open or being opened. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Returns the open file of a path; give it back with {@link release}.
   *
   * @param at where to begin, in bytes from the start: {@link OnDemandFile.next} of the recordings before; default: 0
   * @throws WmError as {@link OnDemandFile.open}; WM_FAILED if the limit of open files is reached and all are playing,
   *   and after close
   */
  async acquire(path: string, at = 0): Promise<OnDemandFile> {
    if (this.#closed) throw new WmError('WM_FAILED', `${path} cannot be opened: the server is closing.`);
    const key = keyOf(path, at);
    const known = this.#current.get(key);
    if (known === undefined) return this.#open(key, path, at);
    this.#hold(known);
    try {
      const file = await known.file;
      if (await isCurrent(file)) return file;
      if (this.#current.get(key) === known) {
        // An older state of a growing file is better than none.
        if (!this.#hasRoom()) return file;
        this.#current.delete(key);
      }
    } catch (error) {
      this.#letGo(known);
      throw error;
    }
    this.#letGo(known);
    return this.acquire(path, at);
  }

  /** Returns the file of a path that is open and was not replaced by an {@link acquire}; it must not be released. */
  async peek(path: string): Promise<OnDemandFile | undefined> {
    return this.#current.get(keyOf(path, 0))?.file.catch(() => undefined);
  }

  /** Call once for each {@link acquire}. */
  release(file: OnDemandFile): void {
    const entry = this.#byFile.get(file);
    if (entry !== undefined) this.#letGo(entry);
  }

  /** Closes all files, even those that are playing; their readers fail. */
  async close(): Promise<void> {
    this.#closed = true;
    const entries = [...this.#entries];
    await Promise.all(entries.map((entry) => this.#close(entry)));
  }

  #hasRoom(): boolean {
    if (this.#entries.size < this.#options.maxFiles) return true;
    return [...this.#entries].some(({ users }) => users === 0);
  }

  async #open(key: string, path: string, at: number): Promise<OnDemandFile> {
    if (this.#entries.size >= this.#options.maxFiles) {
      const idle = [...this.#entries].find(({ users }) => users === 0);
      if (idle === undefined) {
        throw new WmError('WM_FAILED', `${path} cannot be opened: ${this.#entries.size} files are playing already.`);
      }
      void this.#close(idle);
    }
    const opening = OnDemandFile.open(path, { reads: this.#reads, cache: this.#cache, at });
    const entry: Entry = { key, file: opening, users: 1, timer: undefined };
    this.#entries.add(entry);
    this.#current.set(key, entry);
    try {
      const file = await opening;
      this.#byFile.set(file, entry);
      if (this.#closed) {
        await this.#close(entry);
        throw new WmError('WM_FAILED', `${path} cannot be opened: the server is closing.`);
      }
      return file;
    } catch (error) {
      this.#forget(entry);
      throw error;
    }
  }

  #hold(entry: Entry): void {
    entry.users++;
    clearTimeout(entry.timer);
    entry.timer = undefined;
  }

  #letGo(entry: Entry): void {
    if (entry.users === 0 || --entry.users > 0 || !this.#entries.has(entry)) return;
    if (this.#current.get(entry.key) !== entry) {
      void this.#close(entry);
      return;
    }
    entry.timer = setTimeout(() => void this.#close(entry), this.#options.linger);
    entry.timer.unref();
  }

  #forget(entry: Entry): void {
    clearTimeout(entry.timer);
    this.#entries.delete(entry);
    if (this.#current.get(entry.key) === entry) this.#current.delete(entry.key);
  }

  async #close(entry: Entry): Promise<void> {
    this.#forget(entry);
    try {
      const file = await entry.file;
      this.#byFile.delete(file);
      await file.close();
    } catch {
      // It was never open, or the disk fails: nobody reads from it any more.
    }
  }
}
