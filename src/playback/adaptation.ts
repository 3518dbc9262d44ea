import { exclusionsOf, leftOut } from '../asf/exclusions.js';
import type { ThinningLevel } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import { levelOf, type StreamSelection } from './selection.js';

/** What a player's line bears, as far as it shows. */
export interface Strain {
  /** Of a clock, ms. */
  readonly now: number;
  /** Packets left out so far because the player was too slow. */
  readonly skipped: number;
}

/**
 * Decides what a player gets of what it asked for. What it asked for stays as it is: its next choice undoes nothing of this. It may
 * only take away, by thinning or by keeping one of the exclusive streams that the player turned on: a player that chose one stream does
 * not know what to do with another.
 */
export interface Adaptation {
  /** Returns what the player gets of a selection; the selection itself when that is all of it. */
  grant(asked: StreamSelection, header: AsfHeader): StreamSelection;
  /** Takes note of how it goes; called about once a second while a broadcast is sent. @returns true if another grant is due */
  observe(strain: Strain): boolean;
}

/** Something that may get more or less of a broadcast. */
export interface AdaptingSession {
  adapt(): void;
}

// Milliseconds: strain that comes again within this is more than a moment's.
const PERSISTENT = 15_000;
// Milliseconds between two steps down, so that one has an effect before the next.
const SETTLING = 5_000;
// Milliseconds without strain after which a player gets more again; twice as long each time that this was too much.
const QUIET = 30_000;
const LONGEST_QUIET = 480_000;

/**
 * Gives a player of a broadcast less when packets have to be left out for it again and again: first the lowest of the rates that it
 * turned on, then key frames alone. Sound goes on then, where whole stretches would be missing otherwise.
 */
export class Thinning implements Adaptation {
  /** 0 takes nothing away. */
  #step = 0;
  #skipped = 0;
  #strainedAt = Number.NEGATIVE_INFINITY;
  #steppedAt = Number.NEGATIVE_INFINITY;
  #quiet = QUIET;
  /** The last step gave more. */
  #raised = false;

  grant(asked: StreamSelection, header: AsfHeader): StreamSelection {
    if (this.#step === 0) return asked;
    const lowest = lowestRates(asked, header);
    // Without several rates the first step is the second.
    return this.#step === 1 && lowest !== asked ? lowest : keyFrames(lowest, header);
  }

  observe({ now, skipped }: Strain): boolean {
    const strained = skipped > this.#skipped;
    this.#skipped = skipped;
    return strained ? this.#stepDown(now) : this.#stepUp(now);
  }

  #stepDown(now: number): boolean {
    const isPersistent = now - this.#strainedAt < PERSISTENT;
    this.#strainedAt = now;
    if (!isPersistent || this.#step === 2 || (now - this.#steppedAt < SETTLING && !this.#raised)) return false;
    if (this.#raised) this.#quiet = Math.min(this.#quiet * 2, LONGEST_QUIET);
    this.#raised = false;
    this.#step++;
    this.#steppedAt = now;
    return true;
  }

  #stepUp(now: number): boolean {
    if (this.#step === 0 || now - Math.max(this.#strainedAt, this.#steppedAt) < this.#quiet) return false;
    this.#step--;
    this.#raised = true;
    this.#steppedAt = now;
    return true;
  }
}

/** Of streams that exclude each other by their rate, the lowest of those that are on. */
function lowestRates(asked: StreamSelection, header: AsfHeader): StreamSelection {
  const isOn = (number: number) => levelOf(asked, number) < 2;
  const rate = (choice: readonly number[]) =>
    choice.reduce((sum, number) => sum + (header.streamBitrates.get(number) ?? 0), 0);
  const exclusions = exclusionsOf(header)
    .filter(({ by }) => by === 'bitrate')
    .map(({ by, choices }) => ({ by, choices: choices.filter((choice) => choice.some(isOn)) }))
    .filter(({ choices }) => choices.length > 1);
  if (exclusions.length === 0) return asked;
  const out = leftOut(exclusions, (choices) => choices.reduce((low, each) => (rate(each) < rate(low) ? each : low)));
  return withLevels(asked, header, (number, level) => (out.has(number) ? 2 : level));
}

function keyFrames(selection: StreamSelection, header: AsfHeader): StreamSelection {
  const video = new Set(header.streams.filter(({ type }) => type === 'video').map(({ number }) => number));
  return withLevels(selection, header, (number, level) => (video.has(number) && level === 0 ? 1 : level));
}

function withLevels(
  selection: StreamSelection,
  { streams }: AsfHeader,
  change: (number: number, level: ThinningLevel) => ThinningLevel,
): StreamSelection {
  const levels = new Map(selection.levels);
  for (const { number } of streams) levels.set(number, change(number, levelOf(selection, number)));
  return { ...selection, levels };
}
