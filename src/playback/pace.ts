import type { AsfHeader } from '../asf/header.js';
import type { StartPosition } from '../media/on-demand/options.js';
import { type Entry, endOf, type FileEntry } from './entry.js';

/** A rate above real time for the start of what is sent. */
export interface Acceleration {
  readonly bitsPerSecond: number;
  /** How much media is sent at this rate, in ms. */
  readonly milliseconds: number;
}

/** How fast a player wants its data. */
export interface PaceWish {
  /** The rate of the media, -5 to 5 without 0; default: 1. Rates other than 1 send key frames only. */
  readonly rate?: number | undefined;
  /** A multiple of real time for everything that is sent; values up to 1 have no effect. */
  readonly speed?: number | undefined;
  readonly acceleration?: Acceleration | undefined;
}

/** How much a player wants, in ms; the first limit reached ends it. */
export interface LimitWish {
  /** Counted from where it starts. */
  readonly lasting?: number | undefined;
  /** As a time in the file. */
  readonly until?: number | undefined;
}

/** The maximum values that a server grants. */
export interface PaceLimits {
  /** The bandwidth of an acceleration, in bits per second. */
  readonly bandwidth: number;
  /** The length of an acceleration, in ms of media. */
  readonly accelerated: number;
  /** A multiple of real time. */
  readonly speed: number;
}

/** The limits of a server that sets none: 3.5 Mbit/s, 20 s, five times real time. */
export const DEFAULT_LIMITS: PaceLimits = { bandwidth: 3_500_000, accelerated: 20_000, speed: 5 };

/** How fast an entry is sent, and how much of it. */
export interface Pace {
  readonly rate: number;
  readonly speed?: number;
  readonly acceleration?: Acceleration;
  /** Where it begins in the file, in ms; undefined if the client named a packet. */
  readonly start?: number;
  readonly limit?: Limit;
}

/** How much of a file is sent. */
export interface Limit {
  /** Where it starts counting, in ms from the start of the file; default: the time of the first packet. */
  readonly start?: number;
  /** In ms of media, 1 or more. */
  readonly milliseconds: number;
  /** True if the client wants no more than that; then the next entries of a playlist are not sent either. */
  readonly asked: boolean;
}

/** Everything, in real time. */
export const NORMAL_PACE: Pace = { rate: 1 };

/**
 * Grants a wish as far as possible, and never more than was asked for. A broadcast has its own rate and cannot stay
 * faster than real time; only its history can be sent at once.
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

/** Content varies around the rate that its header gives. */
const RATE_MARGIN = 1.5;

/**
 * Returns the rate of a burst in bits per second as it was granted; undefined if none was, or if the content may need
 * more than that.
 */
export function burstRate({ acceleration, speed = 1 }: Pace, { streamBitrates }: AsfHeader): number | undefined {
  if (!acceleration) return undefined;
  let content = 0;
  for (const rate of streamBitrates.values()) content += rate;
  const isEnough = content > 0 && acceleration.bitsPerSecond >= content * speed * RATE_MARGIN;
  return isEnough ? acceleration.bitsPerSecond : undefined;
}

/**
 * Returns where a player begins in a file: not before its entry begins, and at its beginning if the player may not seek
 * in it.
 */
export function positionIn({ begin = 0, noSkip = false }: FileEntry, wish: StartPosition): StartPosition {
  const position: StartPosition = noSkip ? { kind: 'start' } : wish;
  if (position.kind === 'start') return begin > 0 ? { kind: 'time', milliseconds: begin } : position;
  if (position.kind === 'time') return { kind: 'time', milliseconds: Math.max(begin, position.milliseconds) };
  return position;
}

/**
 * Returns how much of a file is sent: no more than the playlist gives and the player wants. Playing backwards ends
 * where the entry begins.
 *
 * @param start where the player begins, in ms; undefined if it named a packet
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
  // 0 would mean no limit.
  return { ...(start === undefined ? {} : { start }), milliseconds: Math.max(1, milliseconds), asked };
}

/** Returns how long a player is busy with its part of a file, in ms; less if it is sent faster. */
export function lengthOf({ file }: FileEntry, from: number, { rate, speed = 1, start, limit }: Pace): number {
  const begin = start ?? (file.durationMs * from) / Math.max(1, file.packetCount);
  const left = rate < 0 ? begin : Math.max(0, file.durationMs - begin);
  return Math.min(left, limit?.milliseconds ?? left) / (Math.abs(rate) * speed);
}

/** True if a player that starts there gets the entry from its beginning. */
export function beginsEntry(entry: Entry, from: number, { start }: Pace): boolean {
  if (entry.kind === 'live') return true;
  return start === undefined ? from === 0 : start <= (entry.begin ?? 0);
}
