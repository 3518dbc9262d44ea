import type { AsfHeader } from '../asf/header.js';
import type { Broadcast } from '../media/broadcast.js';
import type { OnDemandFile } from '../media/on-demand/file.js';

/** A live entry: everybody gets the same, from now on. */
export interface LiveEntry {
  readonly kind: 'live';
  /** playlist-gen-id: from 1, another one for each entry of a program (MS-WMSP 2.2.1.4.18). */
  readonly id: number;
  readonly broadcast: Broadcast;
  /** Milliseconds of the clock after which it is over for a player; default when the broadcast ends. */
  readonly duration?: number;
  /** Milliseconds between the end of what a player has and the beginning of this entry; default 0. */
  readonly delay?: number;
  readonly descriptions?: Descriptions;
}

/** What players are told about an entry, by name, before what its header says. */
export type Descriptions = ReadonlyArray<readonly [name: string, value: string]>;

/** An entry from a file: each player has its own place in it. */
export interface FileEntry {
  readonly kind: 'file';
  readonly id: number;
  readonly file: OnDemandFile;
  /** Milliseconds from the file's start where the entry begins; default 0. */
  readonly begin?: number;
  /** Milliseconds of media from there; default to the end. */
  readonly duration?: number;
  /** As that of a live entry. */
  readonly delay?: number;
  /** The player may not skip it or seek in it, as with an advertisement. */
  readonly noSkip?: boolean;
  readonly descriptions?: Descriptions;
}

export type Entry = LiveEntry | FileEntry;

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

/** Where a server finds what it serves. */
export interface WmspContent {
  /**
   * @param path the decoded path of the URL, with its leading slash
   * @param place where to begin if it is a playlist; default the first entry
   * @returns undefined when nothing has that name
   * @throws HttpError 503 when it is there but cannot be played at the moment, 403 when it may not be
   */
  open(path: string, place?: PlaylistPlace): Promise<Program | Redirect | undefined>;
}

/** Where an entry ends, in ms from the start of its file; Infinity at the end of the file. */
export function endOf({ begin = 0, duration = Number.POSITIVE_INFINITY }: FileEntry): number {
  return begin + duration;
}

/** The header that players of an entry get; undefined for a broadcast that was never fed. */
export function headerOf(entry: Entry): AsfHeader | undefined {
  return entry.kind === 'live' ? entry.broadcast.header : entry.file.header;
}
