import type { BigIntStats } from 'node:fs';
import { createReadStream } from 'node:fs';
import { access, constants, opendir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { MAX_WSX_SIZE, parseWsx, REQUESTED_URL } from '../../announce/wsx.js';
import { WmError } from '../../errors.js';
import { isMediaName } from '../../media/names.js';
import { MAX_PLAYLIST_ENTRIES, Playlist, type PlaylistMedia, type PlaylistNode } from '../../media/playlist.js';
import { systemErrorCode, systemErrorReason } from '../../media/system-error.js';
import { Refusal } from '../../refusal.js';
import {
  type ContentSource,
  Expansion,
  hidden,
  type List,
  mediaFor,
  PLAYLIST_NAME,
  type Wildcard,
  wildcardOf,
} from './expansion.js';

export type { ContentSource } from './expansion.js';

/** The content at a path below the content folder. */
export type ContentItem =
  /** `file` is its absolute path without symbolic links. */
  | { readonly kind: 'file'; readonly path: string; readonly file: string }
  | {
      readonly kind: 'playlist';
      readonly path: string;
      readonly playlist: Playlist<ContentSource>;
      /** Why it is a playlist: it is a .wsx file or a folder, or the wrapper playlist surrounds it. */
      readonly origin: 'wsx' | 'folder' | 'wrapper';
    };

/** The content at a path, as far as it is known without reading it. A playlist may turn out to be empty. */
export type LocatedItem = { readonly kind: 'file'; readonly file: string } | { readonly kind: 'playlist' };

/** How the content folder is served. */
export interface ContentRootOptions {
  /**
   * The wrapper playlist, as a path below the content folder: requested content is played in place of its
   * `%RequestedURL%`. Players cannot request the wrapper itself.
   */
  readonly wrapper?: string;
  /** How long a found path is not looked up again, so that a crowd does not wait for the disk; in ms, default 0. */
  readonly remember?: number;
}

const MAX_PATH = 1024;
const MAX_CACHED = 256;
const MAX_REMEMBERED = 1024;
/** File system time has a limited resolution: a file changed this recently may change again unnoticed. In ns. */
const SETTLED = 2_000_000_000n;

// The same order everywhere, whatever the locale of the server.
const naturalOrder = new Intl.Collator('en', { numeric: true });

/**
 * The content folder of a server: finds what a player asks for, and reads playlists and the names in folders. Opens no
 * media.
 *
 * Never gives access to anything outside the folder: not through `..`, a symbolic link or a playlist. Names that begin
 * with a dot do not exist. Case sensitivity is that of the file system. Playlists and lists of names are cached until
 * their modification time changes.
 */
export class ContentRoot {
  readonly #folder: string;
  readonly #wrapper: string | undefined;
  readonly #remember: number;
  /** Recently found paths, oldest first. */
  readonly #found = new Map<string, { readonly at: number; readonly found: Promise<FoundFile | undefined> }>();
  readonly #cache = new Map<string, { readonly stamp: string; readonly value: unknown }>();
  /** Playlists that name no playlist or folder: they change only when their own file does. */
  readonly #plain = new WeakMap<Playlist, Playlist<ContentSource>>();

  /**
   * The folder is checked at each request, so it may be created later, or replaced.
   *
   * @throws WmError WM_CONFIG if the wrapper is not the path of a .wsx file below the folder
   */
  constructor(folder: string, options: ContentRootOptions = {}) {
    this.#folder = folder;
    const { wrapper, remember = 0 } = options;
    this.#remember = remember;
    if (wrapper === undefined) return;
    if (!PLAYLIST_NAME.test(wrapper) || /^(?:[a-z]:|\/{2})|\\|(?:^|\/)\.|.\/\//i.test(wrapper))
      throw new WmError(
        'WM_CONFIG',
        `The wrapper playlist ${wrapper} is not the path of a .wsx file below the content folder.`,
      );
    this.#wrapper = `/${wrapper.replace(/^\//, '')}`;
  }

  /**
   * Resolves a decoded path with a leading slash, as players request it: a file, a .wsx playlist, or a folder (also as
   * `folder/`, `folder/*`, `folder/*.wmv`), which is a playlist of its .asf, .wmv and .wma files in natural order.
   * Returns undefined if there is nothing to play at the path: then it is 404, unless the path belongs to something
   * else.
   *
   * @throws Refusal `forbidden` for existing content that must not be served: a path or a symbolic link that leaves the
   *   folder, an unreadable file, or something other than a file, such as a pipe; `busy` if the system has no file
   *   descriptors left. WmError WM_CONFIG if a playlist has an error (messages name it by its path below the content
   *   folder), WM_NO_INPUT if the content folder cannot be read.
   */
  async resolve(path: string): Promise<ContentItem | undefined> {
    if (path === this.#wrapper) return undefined;
    const item = await this.#resolve(path);
    if (this.#wrapper === undefined || item === undefined) return item;
    const requested: PlaylistNode<ContentSource> =
      item.kind === 'file'
        ? mediaFor({ kind: 'file', path })
        : { kind: 'seq', items: item.playlist.items, repeat: item.playlist.repeat };
    const playlist = await this.#wrapped(this.#wrapper, requested);
    return { kind: 'playlist', path, playlist, origin: item.kind === 'file' ? 'wrapper' : item.origin };
  }

  /**
   * Locates what {@link resolve} would return, without reading it.
   *
   * @throws as {@link resolve}
   */
  async locate(path: string): Promise<LocatedItem | undefined> {
    if (path === this.#wrapper) return undefined;
    const found = isMediaName(path) ? await this.#find(path) : undefined;
    if (found?.stats.isFile())
      return this.#wrapper === undefined ? { kind: 'file', file: found.real } : { kind: 'playlist' };
    if (path.includes('//')) return undefined;
    const wildcard = wildcardOf(path);
    const list = await this.#find(wildcard ? wildcard.folder : withoutSlash(path));
    return list?.stats.isDirectory() || (list && PLAYLIST_NAME.test(path)) ? { kind: 'playlist' } : undefined;
  }

  /**
   * Returns the wrapper around something outside the content folder, such as a live publishing point; undefined without
   * a wrapper.
   *
   * @throws as {@link resolve}
   */
  async wrap(source: ContentSource, own?: string): Promise<Playlist<ContentSource> | undefined> {
    const wrapper = own === undefined ? this.#wrapper : `/${own.replace(/^\//, '')}`;
    return wrapper === undefined ? undefined : this.#wrapped(wrapper, mediaFor(source));
  }

  /**
   * Returns the absolute path, without symbolic links, of the .asf, .wmv or .wma file that a source of kind `file`
   * names.
   *
   * @throws Refusal `not-found` if it does not exist; otherwise as {@link resolve}
   */
  async file(path: string): Promise<string> {
    const found = isMediaName(path) ? await this.#find(path) : undefined;
    if (!found?.stats.isFile()) throw new Refusal('not-found', `There is nothing at ${path}.`);
    return found.real;
  }

  async #resolve(path: string): Promise<ContentItem | undefined> {
    if (isMediaName(path)) {
      const found = await this.#find(path);
      if (found?.stats.isFile()) return { kind: 'file', path, file: found.real };
    }
    const list = await this.#listAt(path);
    if (list === undefined) return undefined;
    if (list.kind === 'folder') {
      const playlist = new Playlist(list.items);
      return list.items.length === 0 ? undefined : { kind: 'playlist', path, playlist, origin: 'folder' };
    }
    const playlist = await this.#expanded(list.written, path);
    if (playlist.entryCount === 0) throw new WmError('WM_CONFIG', `${path}: The playlist is empty.`);
    return { kind: 'playlist', path, playlist, origin: 'wsx' };
  }

  async #expanded(written: Playlist, path: string): Promise<Playlist<ContentSource>> {
    const known = this.#plain.get(written);
    if (known) return known;
    const expansion = new Expansion((name) => this.#listAt(name));
    const playlist = await expansion.playlist(written, path);
    if (expansion.lists === 0) this.#plain.set(written, playlist);
    return playlist;
  }

  async #wrapped(path: string, requested: PlaylistNode<ContentSource>): Promise<Playlist<ContentSource>> {
    const list = await this.#listAt(path);
    if (list?.kind !== 'wsx') throw new WmError('WM_CONFIG', `There is no wrapper playlist ${path}.`);
    const expansion = new Expansion((name) => this.#listAt(name), requested);
    const playlist = await expansion.playlist(list.written, path);
    if (!expansion.requestedUsed)
      throw new WmError('WM_CONFIG', `${path}: A wrapper playlist needs an entry with src="${REQUESTED_URL}".`);
    return playlist;
  }

  async #listAt(path: string): Promise<List | undefined> {
    // A folder has only one name, with or without a final slash.
    if (path.includes('//')) return undefined;
    const wildcard = wildcardOf(path);
    const found = await this.#find(wildcard ? wildcard.folder : withoutSlash(path));
    if (found?.stats.isDirectory()) return { kind: 'folder', items: await this.#folderItems(path, wildcard, found) };
    if (!found || !PLAYLIST_NAME.test(path)) return undefined;
    return { kind: 'wsx', written: await this.#playlist(path, found) };
  }

  async #playlist(path: string, { real, stats }: FoundFile): Promise<Playlist> {
    return this.#cached(`${path}\0${real}`, stats, async () => {
      const chunks: Buffer[] = [];
      try {
        // Read one byte more than allowed, to notice a file that is too long, whatever its size was a moment ago.
        for await (const chunk of createReadStream(real, { end: MAX_WSX_SIZE })) chunks.push(chunk);
      } catch (error) {
        throw unreadable(path, error);
      }
      return parseWsx(Buffer.concat(chunks), path);
    });
  }

  async #folderItems(
    path: string,
    wildcard: Wildcard | undefined,
    found: FoundFile,
  ): Promise<PlaylistMedia<ContentSource>[]> {
    const folder = wildcard?.folder ?? path;
    const names = await this.#names(folder, found);
    const base = folder.endsWith('/') ? folder : `${folder}/`;
    const suffix = wildcard?.suffix;
    const wanted = suffix === undefined ? names : names.filter((name) => name.toLowerCase().endsWith(suffix));
    return wanted.map((name) => mediaFor({ kind: 'file', path: `${base}${name}` }));
  }

  async #names(path: string, { real, stats }: FoundFile): Promise<readonly string[]> {
    return this.#cached(`${path}\0${real}`, stats, async () => {
      const names: string[] = [];
      try {
        for await (const entry of await opendir(real)) {
          const playable = entry.isFile() || entry.isSymbolicLink();
          if (!playable || !isMediaName(entry.name) || hidden(entry.name)) continue;
          names.push(entry.name);
          if (names.length > MAX_PLAYLIST_ENTRIES)
            throw new WmError('WM_CONFIG', `${path}: A folder is played with at most ${MAX_PLAYLIST_ENTRIES} files.`);
        }
      } catch (error) {
        throw error instanceof WmError ? error : unreadable(path, error);
      }
      return names.sort((one, other) => naturalOrder.compare(one, other) || (one < other ? -1 : 1));
    });
  }

  async #cached<T>(key: string, stats: BigIntStats, load: () => Promise<T>): Promise<T> {
    const stamp = `${stats.dev} ${stats.ino} ${stats.mtimeNs} ${stats.size}`;
    const cached = this.#cache.get(key);
    this.#cache.delete(key);
    if (cached?.stamp === stamp) {
      this.#cache.set(key, cached);
      return cached.value as T;
    }
    const value = await load();
    if (BigInt(Date.now()) * 1_000_000n - stats.mtimeNs > SETTLED) {
      this.#cache.set(key, { stamp, value });
      // A Map keeps insertion order, so the first key is the least recently used.
      if (this.#cache.size > MAX_CACHED) this.#cache.delete(this.#cache.keys().next().value!);
    }
    return value;
  }

  /** Finds the file or folder at a path, if it exists and is below the content folder. */
  #find(path: string): Promise<FoundFile | undefined> {
    const now = performance.now();
    const known = this.#found.get(path);
    if (known && now - known.at < this.#remember) return known.found;
    const found = this.#look(path);
    if (this.#remember === 0) return found;
    this.#found.delete(path);
    this.#found.set(path, { at: now, found });
    if (this.#found.size > MAX_REMEMBERED) this.#found.delete(this.#found.keys().next().value!);
    const forget = () => this.#found.get(path)?.found === found && this.#found.delete(path);
    found.then((there) => there ?? forget(), forget);
    return found;
  }

  async #look(path: string): Promise<FoundFile | undefined> {
    const segments = segmentsOf(path);
    if (segments === undefined) return undefined;
    let root: string;
    try {
      root = await realpath(this.#folder);
    } catch (error) {
      const reason = systemErrorReason(error);
      throw new WmError('WM_NO_INPUT', `The content folder cannot be read: ${reason}.`, { cause: error });
    }
    try {
      const real = await realpath(join(root, ...segments));
      const below = root.endsWith(sep) ? root : `${root}${sep}`;
      if (real !== root && !real.startsWith(below)) throw new Refusal('forbidden', `${path} is not open to players.`);
      const stats = await stat(real, { bigint: true });
      if (!stats.isFile() && !stats.isDirectory()) throw new Refusal('forbidden', `${path} is not a file.`);
      await access(real, constants.R_OK);
      return { real, stats };
    } catch (error) {
      if (error instanceof Refusal) throw error;
      if (MISSING.has(systemErrorCode(error) ?? '')) return undefined;
      throw unreadable(path, error);
    }
  }
}

interface FoundFile {
  readonly real: string;
  readonly stats: BigIntStats;
}

const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EINVAL']);

function unreadable(path: string, error: unknown): Refusal {
  const code = systemErrorCode(error);
  if (code === 'EACCES' || code === 'EPERM') return new Refusal('forbidden', `${path} is not open to players.`);
  return new Refusal('busy', `${path} cannot be read: ${systemErrorReason(error)}.`);
}

/** Returns the segments of a path; undefined if nothing can exist there. */
function segmentsOf(path: string): string[] | undefined {
  if (!path.startsWith('/') || path.length > MAX_PATH) return undefined;
  const segments = path === '/' ? [] : path.slice(1).split('/');
  if (/[\\\0]/.test(path) || segments.includes('..')) throw new Refusal('forbidden', 'The path is not allowed.');
  // On Windows a colon begins an alternate data stream, or ends a drive letter.
  const strange = (segment: string) => segment === '' || hidden(segment) || (sep === '\\' && segment.includes(':'));
  return segments.some(strange) ? undefined : segments;
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
