import type { Rule } from '../auth/access.js';
import type { Caller } from '../auth/dialog.js';
import type { Refusal } from '../refusal.js';
import type { Entry } from './entry.js';

/** One player's way through what a URL names: a single entry, or the entries of a server-side playlist. */
export interface Program {
  /** Whether it is a server-side playlist. */
  readonly playlist: boolean;
  readonly current: Entry;
  /** Whether the player may skip to the entry after (1) or before (-1). */
  canSkip(offset: -1 | 1): boolean;
  /** Moves on; undefined at the end, or when nothing that follows can be opened. */
  next(): Promise<Entry | undefined>;
  previous(): Promise<Entry | undefined>;
  /** Moves to the entry with that id and from there by -1, 0 or 1 (MS-WMSP 2.2.1.4.20); undefined when there is none. */
  seek(id: number, offset: -1 | 0 | 1): Promise<Entry | undefined>;
  /** Gives back what is open. */
  close(): void;
}

/** A URL whose content is somewhere else (MS-WMSP 3.2.5.4). */
export interface Redirect {
  readonly redirect: string;
  /** It names a proxy to ask, not another place. */
  readonly proxy: boolean;
}

/** Where a player wants to go on in a playlist. */
export interface PlaylistPlace {
  /** The id of the entry; 0 for the first one. */
  readonly entry: number;
  /**
   * The furthest entry, by its id, that this player has been given: it may go back there without being held up by entries that
   * must not be skipped. 0 for a new player.
   */
  readonly reached: number;
}

/** What somebody asks for. */
export interface ContentRequest {
  /** The decoded path of the URL, with its leading slash. */
  readonly path: string;
  /** Who asks. */
  readonly caller: Caller;
  /**
   * `play` takes a place among the players; `describe` opens content to tell of it; `info` and `event` open nothing.
   */
  readonly purpose: 'describe' | 'play' | 'info' | 'event';
  /** The pulls of other servers that wait for it, by their names. */
  readonly pulls?: readonly string[] | undefined;
  /** Ends waits, for the header of a source that starts only now for example, once whoever asks has gone. */
  readonly signal: AbortSignal;
}

/** What is known of content without opening it. */
export interface ContentInfo {
  /** True for what is live, or begins with it. */
  readonly live: boolean;
  /** True for a server-side playlist. */
  readonly playlist: boolean;
  /** Only for a single file. */
  readonly file?: ContentFile;
}

/** A file as caches know it. */
export interface ContentFile {
  /** Bytes. */
  readonly size: number;
  readonly modified: Date;
  /** Another one whenever the file is another one. */
  readonly version: string;
}

/** Content that was located. Nothing of it is open. */
export interface Found {
  /** What it is counted under: the path of its publishing point, else its own. */
  readonly path: string;
  /** Who may play it. */
  readonly rule: Rule;
  /** Most players at a time. */
  readonly maxPlayers?: number | undefined;
  /** @throws Refusal if it cannot be told, because a playlist is wrong for example */
  info(): Promise<ContentInfo>;
  /**
   * Opens it. This may start what feeds it and wait for its header.
   *
   * @param place where to begin if it is a playlist; default the first entry
   * @throws Refusal if it cannot be played at the moment; the reason of `signal` once that is aborted
   */
  open(signal: AbortSignal, place?: PlaylistPlace): Promise<Program>;
}

/** A path that names nothing that can be played. */
export interface Missing {
  /** Who may know that. */
  readonly rule: Rule;
  readonly missing: Refusal;
}

/** Where servers find what they serve. */
export interface Content {
  /** Locates what a path names: it starts nothing, opens nothing and waits for no source. */
  find(request: Pick<ContentRequest, 'path' | 'pulls'>): Promise<Found | Missing | Redirect>;
}

/** What is known of content that is open, of a playlist by the entry that it is on. */
export function infoOf({ current, playlist }: Program): ContentInfo {
  const live = current.kind === 'live';
  return { live, playlist, ...(live || playlist ? {} : { file: current.file }) };
}

/** True if content is somewhere else. */
export function isRedirect(found: object): found is Redirect {
  return 'redirect' in found;
}
