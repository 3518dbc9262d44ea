import type { StartPosition } from '../media/on-demand/options.js';
import { type Entry, endOf, type FileEntry } from './entry.js';

/** A rate above real time for the start of what is sent. */
export interface Acceleration {
  readonly bitsPerSecond: number;
  /** Milliseconds of media that are sent so fast. */
  readonly milliseconds: number;
}

/** How fast a player wants what it gets. */
export interface PaceWish {
  /** Of the media, -5 to 5 without 0; default 1. Other rates than 1 send key frames only. */
  readonly rate?: number | undefined;
  /** Times real time at which all is sent; 1 and less are no wish. */
  readonly speed?: number | undefined;
  readonly acceleration?: Acceleration | undefined;
}

/** How much a player wants, in ms: whichever comes first. */
export interface LimitWish {
  /** From where it starts. */
  readonly lasting?: number | undefined;
  /** As a time in the file. */
  readonly until?: number | undefined;
}

/** The most that a server grants. */
export interface PaceLimits {
  /** Bits per second of an acceleration. */
  readonly bandwidth: number;
  /** Milliseconds of media of an acceleration. */
  readonly accelerated: number;
  /** Times real time. */
  readonly speed: number;
}

export const DEFAULT_LIMITS: PaceLimits = { bandwidth: 3_500_000, accelerated: 20_000, speed: 5 };

/** How fast an entry is sent, and how much of it. */
export interface Pace {
  readonly rate: number;
  readonly speed?: number;
  readonly acceleration?: Acceleration;
  /** Where in the file it begins, in ms; undefined when the client named a packet. */
  readonly start?: number;
  readonly limit?: Limit;
}

/** How much of a file is sent. */
export interface Limit {
  /** Milliseconds from the start of the file that it counts from; without it, the time of the first packet. */
  readonly start?: number;
  /** Milliseconds of media, 1 or more. */
  readonly milliseconds: number;
  /** The client wants no more than that: what follows in a playlist is not sent either. */
  readonly asked: boolean;
}

/** All of it in real time. */
export const NORMAL_PACE: Pace = { rate: 1 };

/**
 * Grants of a wish what there is, and never more than was asked for. A broadcast has its own rate, and is never faster than real time
 * for long: what is kept of it can be sent at once.
 */
export function grantPace(entry: Entry, wish: PaceWish, limits: PaceLimits): Pace {
  const { rate = 1, speed = 1, acceleration } = wish;
  const bitsPerSecond = Math.min(acceleration?.bitsPerSecond ?? 0, limits.bandwidth);
  const milliseconds = Math.min(acceleration?.milliseconds ?? 0, limits.accelerated);
  const strides = entry.kind === 'file' && entry.file.stridable && !entry.noSkip;
  return {
    rate: strides ? rate : 1,
    ...(speed > 1 ? { speed: entry.kind === 'live' ? 1 : Math.min(speed, limits.speed) } : {}),
    ...(bitsPerSecond > 0 && milliseconds > 0 ? { acceleration: { bitsPerSecond, milliseconds } } : {}),
  };
}

/** Returns where a player begins in a file: not before what the playlist gives of it, and there if it may not seek in it. */
export function positionIn({ begin = 0, noSkip = false }: FileEntry, wish: StartPosition): StartPosition {
  const position: StartPosition = noSkip ? { kind: 'start' } : wish;
  if (position.kind === 'start') return begin > 0 ? { kind: 'time', milliseconds: begin } : position;
  if (position.kind === 'time') return { kind: 'time', milliseconds: Math.max(begin, position.milliseconds) };
  return position;
}

/**
 * Returns how much of a file is sent: what its playlist gives of it, and what the player wants. Backwards it ends where the entry
 * begins.
 *
 * @param start where the player begins, in ms; undefined when it named a packet
 */
export function limitOf(entry: FileEntry, wish: LimitWish, start: number | undefined, rate: number): Limit | undefined {
  const { lasting = Number.POSITIVE_INFINITY, until = Number.POSITIVE_INFINITY } = wish;
  if (rate < 0) {
    const left = start !== undefined && entry.begin ? start - entry.begin : Number.POSITIVE_INFINITY;
    return limit(start, Math.min(lasting, left), lasting < left);
  }
  const clipEnd = endOf(entry);
  const last = Math.min(clipEnd, entry.file.durationMs);
  if (start === undefined) {
    const end = Math.min(clipEnd, until);
    if (Number.isFinite(end)) return limit(0, end, until < last);
    return limit(undefined, lasting, lasting < last);
  }
  const askedEnd = Math.min(until, start + lasting);
  return limit(start, Math.min(clipEnd, askedEnd) - start, askedEnd < last);
}

function limit(start: number | undefined, milliseconds: number, asked: boolean): Limit | undefined {
  if (!Number.isFinite(milliseconds)) return undefined;
  // 0 would be no limit.
  return { ...(start === undefined ? {} : { start }), milliseconds: Math.max(1, milliseconds), asked };
}

/** Returns how long a player is busy with what it gets of a file, in ms; less when it is sent faster. */
export function lengthOf({ file }: FileEntry, from: number, { rate, speed = 1, start, limit }: Pace): number {
  const begin = start ?? (file.durationMs * from) / Math.max(1, file.packetCount);
  const left = rate < 0 ? begin : Math.max(0, file.durationMs - begin);
  return Math.min(left, limit?.milliseconds ?? left) / (Math.abs(rate) * speed);
}

/** True if a player that starts there has an entry from its beginning. */
export function beginsEntry(entry: Entry, from: number, { start }: Pace): boolean {
  if (entry.kind === 'live') return true;
  return start === undefined ? from === 0 : start <= (entry.begin ?? 0);
}
