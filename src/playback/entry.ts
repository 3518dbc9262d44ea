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

/** Where an entry ends, in ms from the start of its file; Infinity at the end of the file. */
export function endOf({ begin = 0, duration = Number.POSITIVE_INFINITY }: FileEntry): number {
  return begin + duration;
}

/** The header that players of an entry get; undefined for a broadcast that was never fed. */
export function headerOf(entry: Entry): AsfHeader | undefined {
  return entry.kind === 'live' ? entry.broadcast.header : entry.file.header;
}
