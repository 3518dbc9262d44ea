import type { Rule } from '../auth/access.js';
import type { Caller } from '../auth/dialog.js';
import type { Refusal } from '../refusal.js';
import type { Entry } from './entry.js';
import type { PathLimits } from './limits.js';

/** One player's way through the content of a URL: a single entry, or the entries of a server-side playlist. */
export interface Program {
  /** True for a server-side playlist. */
  readonly playlist: boolean;
  readonly current: Entry;
  /** True if the player may skip to the next (1) or previous (-1) entry. */
  canSkip(offset: -1 | 1): boolean;
  /** Moves to the next entry; undefined at the end, or if no later entry can be opened. */
  next(): Promise<Entry | undefined>;
  previous(): Promise<Entry | undefined>;
  /**
   * Moves to the entry with this id, and from there by -1, 0 or 1; undefined if there is no such entry (MS-WMSP
   * 2.2.1.4.20).
   */
  seek(id: number, offset: -1 | 0 | 1): Promise<Entry | undefined>;
  /** Closes everything that is open. */
  close(): void;
}

/** The answer for content that is elsewhere (MS-WMSP 3.2.5.4). */
export interface Redirect {
  readonly redirect: string;
  /** True if it names a proxy to ask, false if it names another place. */
  readonly proxy: boolean;
}

/** Where a player wants to continue in a playlist. */
export interface PlaylistPlace {
  /** The id of the entry; 0 for the first one. */
  readonly entry: number;
  /**
   * The id of the furthest entry that this player has been given; 0 for a new player. Up to there it may go back
   * without being held up by entries that must not be skipped.
   */
  readonly reached: number;
}

/** A request for content. */
export interface ContentRequest {
  /** The decoded path of the URL, with its leading slash. */
  readonly path: string;
  readonly caller: Caller;
  /**
   * `play` takes a place among the players; `describe` opens content to describe it; `info` and `event` open nothing.
   */
  readonly purpose: 'describe' | 'play' | 'info' | 'event';
  /** The names of the pulls from other servers that are waiting for it. */
  readonly pulls?: readonly string[] | undefined;
  /** Ends waits, for example for the header of a source that is only just starting, once the caller has gone. */
  readonly signal: AbortSignal;
}

/** The facts about content that are known without opening it. */
export interface ContentInfo {
  /** True for live content, and for playlists that begin with it. */
  readonly live: boolean;
  /** True for a server-side playlist. */
  readonly playlist: boolean;
  /** For a single file only. */
  readonly file?: ContentFile;
}

/** A file, as caches identify it. */
export interface ContentFile {
  /** In bytes. */
  readonly size: number;
  readonly modified: Date;
  /** Changes whenever the file changes. */
  readonly version: string;
}

/** Content that was located but not opened. */
export interface Found {
  /** The path that players are counted under: that of its publishing point, else its own. */
  readonly path: string;
  /** The rule that says who may play it. */
  readonly rule: Rule;
  readonly limits?: PathLimits | undefined;
  /** The bit rate of what a player gets, in bits per second; 0 if it is unknown before it is opened. */
  readonly bitRate?: number | undefined;
  /** The reason why nobody may describe or play it at the moment. */
  readonly closed?: Refusal | undefined;
  /** @throws Refusal if it cannot be determined, for example because a playlist is malformed */
  info(): Promise<ContentInfo>;
  /**
   * Opens it. This may start its source and wait for the header.
   *
   * @param place where to begin in a playlist; default: the first entry
   * @throws Refusal if it cannot be played at the moment; the reason of `signal` once that is aborted
   */
  open(signal: AbortSignal, place?: PlaylistPlace): Promise<Program>;
}

/** A path with nothing to play. */
export interface Missing {
  /** The rule that says who may learn that. */
  readonly rule: Rule;
  readonly missing: Refusal;
}

/** Finds the content that a server offers. */
export interface Content {
  /** Locates the content of a path. Starts nothing, opens nothing, and waits for no source. */
  find(request: Pick<ContentRequest, 'path' | 'pulls'>): Promise<Found | Missing | Redirect>;
}

/** Returns the facts about open content; for a playlist, those of its current entry. */
export function infoOf({ current, playlist }: Program): ContentInfo {
  const live = current.kind === 'live';
  return { live, playlist, ...(live || playlist ? {} : { file: current.file }) };
}

/** True if the content is elsewhere. */
export function isRedirect(found: object): found is Redirect {
  return 'redirect' in found;
}
