import { exclusionsOf, leftOut } from '../asf/exclusions.js';
import type { ThinningLevel } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import type { StreamChoice } from '../media/on-demand/options.js';

/** One change of a selection, as in a stream-switch-entry (MS-WMSP 2.2.1.4.27). */
export interface StreamSwitch {
  /** The stream to be replaced, if there is one. */
  readonly source: number | undefined;
  readonly destination: number;
  readonly level: ThinningLevel;
}

/** The streams that a player wants: a level by stream number, and the level of all other streams. */
export interface StreamSelection {
  readonly levels: ReadonlyMap<number, ThinningLevel>;
  readonly others: ThinningLevel;
  /** Kinds of streams that it turned off in previous entries; this entry need not have any. */
  readonly unwanted?: ReadonlySet<string>;
}

/** Every stream, whole. */
export const ALL_STREAMS: StreamSelection = { levels: new Map(), others: 0 };
/** No stream. */
export const NO_STREAMS: StreamSelection = { levels: new Map(), others: 2 };

/** Returns how much of a stream is selected. */
export function levelOf({ levels, others }: StreamSelection, stream: number): ThinningLevel {
  return levels.get(stream) ?? others;
}

/** Returns a selection in the form that file readers take. */
export function choiceOf(selection: StreamSelection): StreamChoice {
  return { level: (stream) => levelOf(selection, stream) };
}

// A stream number has 7 bits (ASF 3.3); larger ones from clients are ignored.
const MAX_STREAM = 127;

/**
 * Returns the selection after a stream-switch-entry (MS-WMSP 2.2.1.4.27): destinations get their levels, and a replaced
 * stream is turned off. Impossible stream numbers are ignored.
 */
export function switched(selection: StreamSelection, switches: readonly StreamSwitch[]): StreamSelection {
  const levels = new Map(selection.levels);
  for (const { source, destination } of switches)
    if (source !== undefined && source !== destination && source <= MAX_STREAM) levels.set(source, 2);
  for (const { destination, level } of switches) if (destination <= MAX_STREAM) levels.set(destination, level);
  return { ...selection, levels };
}

/**
 * Predicts which streams of the next entry a player will want (MS-WMSP 3.2.4.2). If both entries have the same streams
 * of the same kinds, it wants the same ones. Otherwise it wants all but the kinds that it turned off in the last entry
 * that had them, and only the first of streams that exclude each other. A player that chose nothing gets nothing.
 */
export function predicted(selection: StreamSelection, previous: AsfHeader, next: AsfHeader): StreamSelection {
  const unwanted = new Set(selection.unwanted);
  const kindOf = new Map(previous.streams.map(({ number, type }) => [number, type]));
  const chosen = new Set(
    previous.streams.filter(({ number }) => levelOf(selection, number) < 2).map(({ type }) => type),
  );
  for (const kind of kindOf.values()) {
    if (chosen.has(kind)) unwanted.delete(kind);
    else unwanted.add(kind);
  }
  const sameStreams = next.streams.every(({ number, type }) => kindOf.get(number) === type);
  if (sameStreams && next.streams.length === previous.streams.length) return { ...selection, unwanted };
  const excluded = leftOut(exclusionsOf(next));
  const levels = next.streams.map(({ number, type }): [number, ThinningLevel] => [
    number,
    chosen.size > 0 && !unwanted.has(type) && !excluded.has(number) ? 0 : 2,
  ]);
  return { levels: new Map(levels), others: 2, unwanted };
}
