import { exclusionsOf, leftOut } from '../asf/exclusions.js';
import type { ThinningLevel } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import { levelOf, type StreamSelection } from './selection.js';

/** What a player may get of its selection. */
export interface Rung {
  readonly selection: StreamSelection;
  /** In bits per second, as the header says; an estimate where only key frames are sent. */
  readonly rate: number;
  /** True if it has no more than the key frames of any video. */
  readonly thinned: boolean;
}

/** The part of a video's rate that its key frames need, roughly: one of them is as large as several other frames. */
const KEY_FRAMES = 0.3;

/**
 * Returns what may be left of a selection for a player on a slow line, from the selection itself down: where streams
 * exclude each other by rate, one of those that are on, with less and less rate; then only key frames; then only the
 * sound, if there is any. No rung turns on what the player did not.
 */
export function ladderOf(asked: StreamSelection, header: AsfHeader): readonly Rung[] {
  const rates = ratesOf(asked, header);
  const lowest = rates.at(-1)!;
  const thinned = keyFrames(lowest, header);
  const sound = soundOnly(lowest, header);
  const selections = [...rates];
  if (thinned !== lowest) selections.push(thinned);
  if (sound !== lowest) selections.push(sound);
  return selections.map((selection, index) => ({
    selection,
    rate: rateOf(selection, header),
    thinned: index >= rates.length,
  }));
}

const offers = new WeakMap<AsfHeader, boolean>();

/** True if streams of a broadcast exclude each other by rate, so that a player on a slow line can get another one. */
export function offersRates(header: AsfHeader): boolean {
  let known = offers.get(header);
  if (known === undefined) offers.set(header, (known = exclusionsOf(header).some(({ by }) => by === 'bitrate')));
  return known;
}

/** Keeps only the lowest-rate stream of those that are on, where streams exclude each other by rate. */
export function lowestRates(asked: StreamSelection, header: AsfHeader): StreamSelection {
  return ratesOf(asked, header).at(-1)!;
}

/** Returns the rate of a selection in bits per second; 0 if the header tells none. */
export function rateOf(selection: StreamSelection, { streams, streamBitrates }: AsfHeader): number {
  let sum = 0;
  for (const { number } of streams) {
    const level = levelOf(selection, number);
    if (level < 2) sum += (streamBitrates.get(number) ?? 0) * (level === 1 ? KEY_FRAMES : 1);
  }
  return sum;
}

/** Returns the selection with only the key frames of its videos; the same object if it has no other frames of any. */
export function keyFrames(selection: StreamSelection, header: AsfHeader): StreamSelection {
  const whole = streamsOn(selection, header, 'video').filter((number) => levelOf(selection, number) === 0);
  return withLevel(selection, whole, 1);
}

/** Returns the selection without its videos; the same object if it has none, or no sound. */
function soundOnly(selection: StreamSelection, header: AsfHeader): StreamSelection {
  return streamsOn(selection, header, 'audio').length > 0
    ? withLevel(selection, streamsOn(selection, header, 'video'), 2)
    : selection;
}

/** Returns the selection, and what is left of it with one choice of each exclusion by rate, from the highest down. */
function ratesOf(asked: StreamSelection, header: AsfHeader): StreamSelection[] {
  const isOn = (number: number) => levelOf(asked, number) < 2;
  const rate = (choice: readonly number[]) =>
    choice.reduce((sum, number) => sum + (header.streamBitrates.get(number) ?? 0), 0);
  const exclusions = exclusionsOf(header)
    .filter(({ by }) => by === 'bitrate')
    .map(({ by, choices }) => ({ by, choices: choices.filter((choice) => choice.some(isOn)) }))
    .filter(({ choices }) => choices.length > 1);
  const most = Math.max(0, ...exclusions.map(({ choices }) => choices.length));
  const selections = [asked];
  for (let rank = 0; rank < most; rank++) {
    const out = leftOut(exclusions, (choices) => {
      const falling = [...choices].sort((one, other) => rate(other) - rate(one));
      return falling[Math.min(rank, falling.length - 1)]!;
    });
    selections.push(withLevel(asked, [...out].filter(isOn), 2));
  }
  return selections;
}

function streamsOn(selection: StreamSelection, { streams }: AsfHeader, kind: string): number[] {
  return streams
    .filter(({ number, type }) => type === kind && levelOf(selection, number) < 2)
    .map(({ number }) => number);
}

function withLevel(selection: StreamSelection, streams: readonly number[], level: ThinningLevel): StreamSelection {
  if (streams.length === 0) return selection;
  const levels = new Map(selection.levels);
  for (const number of streams) levels.set(number, level);
  return { ...selection, levels };
}
