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

/** Where servers find what they serve. */
export interface Content {
  /**
   * @param path the decoded path of the URL, with its leading slash
   * @param place where to begin if it is a playlist; default the first entry
   * @returns undefined when nothing has that name
   * @throws Refusal when it is there but cannot be played at the moment, or may not be
   */
  open(path: string, place?: PlaylistPlace): Promise<Program | Redirect | undefined>;
}
