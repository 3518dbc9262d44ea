import { exclusionsOf, leftOut } from '../asf/exclusions.js';
import type { ThinningLevel } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import type { StreamChoice } from '../media/on-demand/options.js';

/** One change of a selection, as stream-switch-entry names it (MS-WMSP 2.2.1.4.27). */
export interface StreamSwitch {
  /** The stream that the other one replaces; undefined where there is none. */
  readonly source: number | undefined;
  readonly destination: number;
  readonly level: ThinningLevel;
}

/** Which streams a player wants: the level by stream number, and what holds for streams that it did not name. */
export interface StreamSelection {
  readonly levels: ReadonlyMap<number, ThinningLevel>;
  readonly others: ThinningLevel;
  /** Kinds of streams that it turned off in entries before, where they need not be in this one. */
  readonly unwanted?: ReadonlySet<string>;
}

export const ALL_STREAMS: StreamSelection = { levels: new Map(), others: 0 };
export const NO_STREAMS: StreamSelection = { levels: new Map(), others: 2 };

export function levelOf({ levels, others }: StreamSelection, stream: number): ThinningLevel {
  return levels.get(stream) ?? others;
}

/** A selection as the readers of files want it. */
export function choiceOf(selection: StreamSelection): StreamChoice {
  return { level: (stream) => levelOf(selection, stream) };
}

// ASF 3.3 has 7 bits for it; what clients name beyond is not kept.
const MAX_STREAM = 127;

/**
 * A selection after stream-switch-entry (MS-WMSP 2.2.1.4.27): destinations get their levels, and a stream that another one
 * replaces is turned off. Numbers that no stream can have are left out.
 */
export function switched(selection: StreamSelection, switches: readonly StreamSwitch[]): StreamSelection {
  const levels = new Map(selection.levels);
  for (const { source, destination } of switches)
    if (source !== undefined && source !== destination && source <= MAX_STREAM) levels.set(source, 2);
  for (const { destination, level } of switches) if (destination <= MAX_STREAM) levels.set(destination, level);
  return { ...selection, levels };
}

/**
 * What a player that chose streams of one entry will want of the next (MS-WMSP 3.2.4.2): the same streams where they are of the
 * same kinds; else everything but the kinds that it turned off, in the last entry that had them, and of streams that exclude
 * each other only the first. A player that chose nothing gets nothing.
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
