import { REQUESTED_URL } from '../../announce/wsx.js';
import { WmError } from '../../errors.js';
import { isMediaName, MEDIA_SUFFIXES } from '../../media/names.js';
import {
  alternativesOf,
  MAX_PLAYLIST_ENTRIES,
  Playlist,
  type PlaylistMedia,
  type PlaylistNode,
} from '../../media/playlist.js';
import { Refusal } from '../../refusal.js';

/** The source of a playlist entry. */
export type ContentSource =
  /** A file, by its path below the content folder; `ContentRoot.file` locates it when it is opened. */
  | { readonly kind: 'file'; readonly path: string }
  /** A live publishing point of this server, by its path. */
  | { readonly kind: 'point'; readonly path: string }
  /** A stream from another server. */
  | { readonly kind: 'url'; readonly url: string };

/** A path that means the files of a folder, all or those of one type. */
export interface Wildcard {
  readonly folder: string;
  readonly suffix: string | undefined;
}

/** What a name in a playlist leads to: the files of a folder, or another playlist. */
export type List =
  | { readonly kind: 'folder'; readonly items: readonly PlaylistMedia<ContentSource>[] }
  | { readonly kind: 'wsx'; readonly written: Playlist };

/** Matches the name of a server-side playlist. */
export const PLAYLIST_NAME = /\.wsx$/i;
/** As the last segment of a path: all files of the folder, or those of one type. */
const WILDCARD = new RegExp(`^\\*(?:\\.(?:\\*|(${MEDIA_SUFFIXES.join('|')})))?$`, 'i');
const REMOTE = /^(?:https?|mms|mms[htu]|rtsp|rtsp[tu]):\/\/[^/?#\s]/i;

/** The maximum number of playlists and folders within one playlist, counting repeated ones each time. */
const MAX_LISTS = 256;
const MAX_LIST_DEPTH = 8;

/** True if no path leads to a file of this name. */
export function hidden(name: string): boolean {
  return name.startsWith('.');
}

/** Returns the folder and the type that a path with a wildcard names; undefined if it has none. */
export function wildcardOf(path: string): Wildcard | undefined {
  const slash = path.lastIndexOf('/');
  const match = WILDCARD.exec(path.slice(slash + 1));
  if (match === null || slash === -1) return undefined;
  return { folder: path.slice(0, slash) || '/', suffix: match[1] && `.${match[1].toLowerCase()}` };
}

const NO_DATA: ReadonlyMap<string, string> = new Map();

/** Returns the playlist entry that plays a source as it is. */
export function mediaFor(source: ContentSource): PlaylistMedia<ContentSource> {
  return { kind: 'media', sources: [source], noSkip: false, clientData: NO_DATA };
}

/**
 * Turns a playlist of names into one of sources. The names of other playlists and of folders are replaced by their
 * entries.
 */
export class Expansion {
  readonly #listAt: (path: string) => Promise<List | undefined>;
  readonly #requested: PlaylistNode<ContentSource> | undefined;
  /** The playlists that enclose the current entry. */
  readonly #open: string[] = [];
  #entries = 0;
  /** The number of names that were looked up because they may be those of lists. */
  lists = 0;
  requestedUsed = false;

  constructor(listAt: (path: string) => Promise<List | undefined>, requested?: PlaylistNode<ContentSource>) {
    this.#listAt = listAt;
    this.#requested = requested;
  }

  async playlist(written: Playlist, path: string): Promise<Playlist<ContentSource>> {
    const items = await this.#within(written, path);
    try {
      return new Playlist(items, { repeat: written.repeat });
    } catch (error) {
      if (error instanceof WmError && !error.message.startsWith('/'))
        throw new WmError('WM_CONFIG', `${path}: ${error.message}`, { cause: error });
      throw error;
    }
  }

  async #within(written: Playlist, path: string): Promise<PlaylistNode<ContentSource>[]> {
    this.#open.push(path);
    const items = await this.#nodes(written.items);
    this.#open.pop();
    return items;
  }

  async #nodes(nodes: readonly PlaylistNode[]): Promise<PlaylistNode<ContentSource>[]> {
    const found: PlaylistNode<ContentSource>[] = [];
    for (const node of nodes) found.push(await this.#node(node));
    return found;
  }

  async #node(node: PlaylistNode): Promise<PlaylistNode<ContentSource>> {
    if (node.kind === 'seq') return { kind: 'seq', items: await this.#nodes(node.items), repeat: node.repeat };
    if (node.kind === 'switch') return alternativesOf(await this.#nodes(node.alternatives));
    const found: PlaylistNode<ContentSource>[] = [];
    for (const text of node.sources) found.push(await this.#source(node, text));
    return alternativesOf(found);
  }

  async #source(media: PlaylistMedia, text: string): Promise<PlaylistNode<ContentSource>> {
    this.#count(media, 1);
    if (text === REQUESTED_URL) {
      if (!this.#requested) throw mistake(media, `${REQUESTED_URL} means something only in a wrapper playlist.`);
      this.requestedUsed = true;
      return withPresentation(this.#requested, media);
    }
    const source = sourceOf(media, text, this.#open.at(-1)!);
    const single = source.kind !== 'file' || (isMediaName(source.path) && !wildcardOf(source.path));
    const list = single ? undefined : await this.#list(media, source.path);
    if (list === undefined) return { ...media, sources: [source] };
    return withPresentation(list, media);
  }

  /**
   * Returns the entries of the list at a path; undefined if there is no list. A missing file fails when its turn comes.
   */
  async #list(media: PlaylistMedia, path: string): Promise<PlaylistNode<ContentSource> | undefined> {
    if (++this.lists > MAX_LISTS) throw mistake(media, `A playlist holds at most ${MAX_LISTS} playlists and folders.`);
    const list = await this.#listAt(path).catch((error: unknown) => {
      if (error instanceof Refusal) return undefined;
      throw error;
    });
    if (list === undefined) return undefined;
    if (list.kind === 'folder') {
      this.#count(media, list.items.length);
      return { kind: 'seq', items: list.items, repeat: 1 };
    }
    if (this.#open.includes(path)) throw mistake(media, `${path} would play itself.`);
    if (this.#open.length >= MAX_LIST_DEPTH) throw mistake(media, 'Playlists are nested too deep.');
    return { kind: 'seq', items: await this.#within(list.written, path), repeat: list.written.repeat };
  }

  #count(media: PlaylistMedia, entries: number): void {
    this.#entries += entries;
    // The name of a list is also counted, so this bound is a little higher than that of the playlist.
    if (this.#entries > MAX_PLAYLIST_ENTRIES + MAX_LISTS)
      throw mistake(media, `A playlist has at most ${MAX_PLAYLIST_ENTRIES} entries.`);
  }
}

function mistake({ place }: PlaylistMedia, sentence: string): WmError {
  return new WmError('WM_CONFIG', `${place}: ${sentence}`);
}

/** Applies the attributes of a playlist entry to the entries that replace it. */
function withPresentation(node: PlaylistNode<ContentSource>, outer: PlaylistMedia): PlaylistNode<ContentSource> {
  const { begin, end, dur, delay, role, mediaName } = outer;
  const times = [begin, end, dur, delay].some((time) => time !== undefined);
  if (times && node.kind !== 'media')
    throw mistake(outer, 'Times are for a single file, not for a playlist or a folder.');
  if (!times && !outer.noSkip && role === undefined && mediaName === undefined && outer.clientData.size === 0)
    return node;
  return presented(node, outer);
}

function presented(node: PlaylistNode<ContentSource>, outer: PlaylistMedia): PlaylistNode<ContentSource> {
  if (node.kind === 'seq') return { ...node, items: node.items.map((item) => presented(item, outer)) };
  if (node.kind === 'switch') return alternativesOf(node.alternatives.map((item) => presented(item, outer)));
  const { kind: _kind, sources: _sources, noSkip, clientData, ...rest } = outer;
  return {
    ...rest,
    ...node,
    noSkip: node.noSkip || noSkip,
    // As between elements, the outer value takes precedence.
    clientData: node.clientData.size === 0 ? clientData : new Map([...node.clientData, ...clientData]),
  };
}

/** Returns the source that a text in a playlist names. */
function sourceOf(media: PlaylistMedia, text: string, playlist: string): ContentSource {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  if (REMOTE.test(text)) return { kind: 'url', url: text };
  // This also catches Windows drive letters.
  if (/^[a-z][a-z0-9+.-]*:|^\\\\/i.test(text))
    throw mistake(media, `src="${shown}" is neither a path below the content folder nor a URL that can be played.`);
  const name = text.replaceAll('\\', '/');
  const isList = name.endsWith('/') || wildcardOf(name) !== undefined;
  if (name.startsWith('/') && !isList && !isMediaName(name) && !PLAYLIST_NAME.test(name))
    return { kind: 'point', path: name.split('?', 1)[0]! };
  const folder = name.startsWith('/') ? '' : playlist.slice(0, playlist.lastIndexOf('/'));
  const segments: string[] = [];
  for (const segment of `${folder}/${name}`.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') {
      if (segments.pop() === undefined) throw mistake(media, `src="${shown}" leaves the content folder.`);
    } else {
      if (hidden(segment)) throw mistake(media, `src="${shown}" names a hidden file.`);
      segments.push(segment);
    }
  }
  return { kind: 'file', path: `/${segments.join('/')}${name.endsWith('/') && segments.length > 0 ? '/' : ''}` };
}
