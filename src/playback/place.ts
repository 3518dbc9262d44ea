import type { StartPosition } from '../media/on-demand/options.js';
import type { Entry, FileEntry } from './entry.js';
import { grantPace, type LimitWish, limitOf, type Pace, type PaceLimits, type PaceWish, positionIn } from './pace.js';
import type { Started } from './port.js';
import { choiceOf, type StreamSelection } from './selection.js';

/** The request of a player that starts. */
export interface PlayOrder extends PaceWish {
  /** Where to start; a broadcast always starts now. */
  readonly position: StartPosition;
  /** The streams; default: those that were asked for last. */
  readonly selection?: StreamSelection;
  readonly limit?: LimitWish;
  /** True if it asks what it needs to start early. */
  readonly profile?: boolean;
  /** True if it chooses the streams after the entry was announced to it, and then resumes. */
  readonly wait?: boolean;
}

/** The beginning of an entry; for a broadcast, now. */
export const AT_START: StartPosition = { kind: 'start' };

/** Where and how an entry is sent. */
export interface Place {
  /** The number of the packet in a file. */
  readonly from: number;
  readonly pace: Pace;
  readonly profile?: Started['profile'];
  /** True if the player wants a profile; that of a broadcast is known only when the player joins. */
  readonly profiled?: boolean;
  /** How much media is sent at once, in ms, when it continues what was sent before. */
  readonly burst?: number;
}

/**
 * Finds where an entry begins for a player, and how fast it is sent.
 *
 * @param granted returns the choice of streams, which may change meanwhile; undefined once the place is no longer
 * wanted
 * @returns undefined if the place is no longer wanted
 * @throws WmError WM_NO_INPUT if the file cannot be read
 */
export async function findPlace(
  entry: Entry,
  order: PlayOrder,
  limits: PaceLimits,
  granted: () => StreamSelection | undefined,
): Promise<Place | undefined> {
  const pace = grantPace(entry, order, limits);
  if (entry.kind === 'live') return { from: 0, pace, profiled: order.profile ?? false };
  for (let selection = granted(); selection; ) {
    const place = await placeIn(entry, order, pace, selection);
    const now = granted();
    // The key frame of another stream may be elsewhere.
    if (now === selection) return place;
    selection = now;
  }
  return undefined;
}

async function placeIn(entry: FileEntry, order: PlayOrder, pace: Pace, selection: StreamSelection): Promise<Place> {
  const { file, begin } = entry;
  const choice = choiceOf(selection);
  const position = positionIn(entry, order.position);
  let from = await file.locate(position, choice);
  let start = position.kind === 'time' ? position.milliseconds : position.kind === 'start' ? 0 : undefined;
  if (begin && start === undefined) {
    const first = await file.locate({ kind: 'time', milliseconds: begin }, choice);
    if (first > from) [from, start] = [first, begin];
  }
  const limit = limitOf(entry, order.limit ?? {}, start, pace.rate);
  const { acceleration } = pace;
  const profile =
    order.profile && acceleration && pace.rate === 1
      ? await file.startupProfile(from, { choice, duration: acceleration.milliseconds })
      : undefined;
  const where = { ...(start === undefined ? {} : { start }), ...(limit ? { limit } : {}) };
  return { from, pace: { ...pace, ...where }, ...(profile ? { profile } : {}) };
}

/** Returns what a player is told about its start in a file, or in a broadcast that has not started yet. */
export function startedAt(number: number, entry: Entry, { from, pace, profile }: Place): Started {
  if (entry.kind === 'file') return { number, location: from, position: pace.start, pace, profile };
  const { acceleration: _, ...granted } = pace;
  return { number, location: undefined, position: undefined, pace: granted, profile };
}

/** Returns the order that continues at a packet of a file, as fast and as far as before. */
export function orderFrom(packet: number, { rate, speed, limit }: Pace): PlayOrder {
  const until = limit?.asked && limit.start !== undefined ? { until: limit.start + limit.milliseconds } : {};
  return { position: { kind: 'packet', packet }, rate, speed, limit: until };
}
