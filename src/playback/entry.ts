import type { AsfHeader } from '../asf/header.js';
import type { Broadcast } from '../media/broadcast.js';
import type { OnDemandFile } from '../media/on-demand/file.js';
import type { BroadcastRun } from '../media/past-runs.js';
import type { SessionContent } from './registry.js';

/** A live entry: all players get the same, from now on. */
export interface LiveEntry {
  readonly kind: 'live';
  /** The playlist-gen-id: starts at 1 and differs for each entry of a program (MS-WMSP 2.2.1.4.18). */
  readonly id: number;
  readonly broadcast: Broadcast;
  /** The run of the broadcast that a player is at, if others have come since; default: the newest one. */
  readonly run?: BroadcastRun | undefined;
  /** In ms of the clock, after which it ends for a player; default: when the broadcast ends. */
  readonly duration?: number;
  /** In ms, between the end of the previous entry and the start of this one; default: 0. */
  readonly delay?: number;
  readonly descriptions?: Descriptions;
}

/** Names and values that players are told about an entry, before those of its header. */
export type Descriptions = ReadonlyArray<readonly [name: string, value: string]>;

/** The packets of content as they are in its file, padding included. */
export interface RawPackets {
  /** All packets of the content. */
  readonly count: number;
  /**
   * Returns some packets from a number on, at least one, and fetches them if need be; undefined at the end.
   *
   * @throws WmError WM_NO_INPUT if they cannot be fetched
   */
  read(from: number, signal: AbortSignal): Promise<Buffer | undefined>;
}

/** An entry from a file, in which each player has its own position. */
export interface FileEntry {
  readonly kind: 'file';
  /** As for a live entry. A file that joins several recordings has one for each, with fractions after the number. */
  readonly id: number;
  readonly file: OnDemandFile;
  /** For content that is not on this disk as a file. */
  readonly raw?: RawPackets | undefined;
  /** Where the entry begins, in ms from the start of the file; default: 0. */
  readonly begin?: number;
  /** In ms of media from there; default: to the end. */
  readonly duration?: number;
  /** As for a live entry. */
  readonly delay?: number;
  /** True if the player may not skip it or seek in it, as for an advertisement. */
  readonly noSkip?: boolean;
  readonly descriptions?: Descriptions;
}

/** An entry of a program: live, or a file. */
export type Entry = LiveEntry | FileEntry;

/** Returns where an entry ends, in ms from the start of its file; Infinity at the end of the file. */
export function endOf({ begin = 0, duration = Number.POSITIVE_INFINITY }: FileEntry): number {
  return begin + duration;
}

/** Returns the header that players of an entry get; undefined for a broadcast that has had no source yet. */
export function headerOf(entry: Entry): AsfHeader | undefined {
  return entry.kind === 'live' ? (entry.run ?? entry.broadcast).header : entry.file.header;
}

/** Describes an entry, for the log of a session that plays it. @param startedAt where in a file it started, in ms */
export function contentOf(entry: Entry | undefined, startedAt: number | undefined): SessionContent | undefined {
  if (!entry) return undefined;
  const { descriptions } = entry;
  const file = entry.kind === 'file' ? entry.file : undefined;
  return { header: headerOf(entry), file, startedAt, descriptions };
}
