import { exclusionsOf, leftOut } from '../asf/exclusions.js';
import type { ThinningLevel } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import { levelOf, type StreamSelection } from './selection.js';

/** How well a player's connection keeps up, as far as the server can tell. */
export interface Strain {
  /** The time of a clock in ms. */
  readonly now: number;
  /** True for a broadcast, which goes on without the player; a file waits for it. */
  readonly live: boolean;
  /** Packets dropped so far because the player was too slow. */
  readonly skipped: number;
  /** How late the player is because it takes its packets too slowly, in ms. */
  readonly late: number;
  /** The part of the last units that a player of datagrams has lost, from 0 to 1; 0 until it was measured again. */
  readonly lost: number;
}

/**
 * Decides how much of its selection a player gets. The player's own selection is never changed, so a new choice undoes
 * nothing here. An adaptation may only reduce: it thins, or keeps one of the exclusive streams that the player turned
 * on. A player that chose one stream does not know what to do with another.
 */
export interface Adaptation {
  /** Returns what the player gets of a selection; the same object if that is all of it. */
  grant(asked: StreamSelection, header: AsfHeader): StreamSelection;
  /**
   * Records how the player keeps up; called about once a second while something is sent.
   * @returns true if another grant is due
   */
  observe(strain: Strain): boolean;
}

/** A session that can be given more or less of what it plays. */
export interface AdaptingSession {
  adapt(): void;
}

// In ms. Strain that recurs within this time is not just momentary.
const PERSISTENT = 15_000;
// In ms, between two steps down, so that one takes effect before the next.
const SETTLING = 5_000;
// In ms without strain, after which a player gets more again; doubled each time that more turns out to be too much.
const QUIET = 30_000;
const LONGEST_QUIET = 480_000;
// In ms. A player has more than this in its buffer; if it becomes later still, it will run dry. Of a file it has more.
const LATE = { live: 1_000, file: 1_500 } as const;
// Networks that are not full lose less than this.
const MUCH_LOST = 0.15;

/**
 * Gives a player less while its connection is too slow: the lowest of the rates that it turned on, then only key frames,
 * so that the sound goes on without gaps. Of a file it never gets less than the lowest rate: a file waits, and drops
 * nothing. After a quiet time it gets the next higher rate.
 */
export class Thinning implements Adaptation {
  /** 0 takes nothing away; the ladder of the selection has the other steps. */
  #step = 0;
  /** The steps of the last selection: the one of its lowest rate, and the last one. */
  #lowest = 0;
  #last = 0;
  #live = true;
  #skipped = 0;
  #late = 0;
  #strainedAt = Number.NEGATIVE_INFINITY;
  #steppedAt = Number.NEGATIVE_INFINITY;
  #quiet = QUIET;
  /** True if the last step gave the player more. */
  #raised = false;

  grant(asked: StreamSelection, header: AsfHeader): StreamSelection {
    const rates = ladder(asked, header);
    this.#lowest = rates.length - 1;
    this.#last = rates.length;
    const step = Math.min(this.#step, this.#bottom);
    return rates[step] ?? keyFrames(rates.at(-1)!, header);
  }

  observe({ now, live, skipped, late, lost }: Strain): boolean {
    const isLate = late > LATE[live ? 'live' : 'file'];
    const strained = skipped > this.#skipped || (isLate && late > this.#late) || lost > MUCH_LOST;
    this.#live = live;
    this.#skipped = skipped;
    this.#late = late;
    this.#step = Math.min(this.#step, this.#bottom);
    // It catches up with what it gets now.
    if (isLate && !strained) return false;
    return strained ? this.#stepDown(now) : this.#stepUp(now);
  }

  get #bottom(): number {
    return this.#live ? this.#last : this.#lowest;
  }

  #stepDown(now: number): boolean {
    const isPersistent = now - this.#strainedAt < PERSISTENT;
    this.#strainedAt = now;
    if (!isPersistent || this.#step >= this.#bottom || (now - this.#steppedAt < SETTLING && !this.#raised))
      return false;
    if (this.#raised) this.#quiet = Math.min(this.#quiet * 2, LONGEST_QUIET);
    // What it had before the last step up was not too much.
    this.#step = this.#raised || this.#step >= this.#lowest ? this.#step + 1 : this.#lowest;
    this.#raised = false;
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

/**
 * Returns what may be left of a selection where streams exclude each other by rate: first the selection itself, then
 * one of each with less and less rate.
 */
function ladder(asked: StreamSelection, header: AsfHeader): StreamSelection[] {
  const isOn = (number: number) => levelOf(asked, number) < 2;
  const rate = (choice: readonly number[]) =>
    choice.reduce((sum, number) => sum + (header.streamBitrates.get(number) ?? 0), 0);
  const exclusions = exclusionsOf(header)
    .filter(({ by }) => by === 'bitrate')
    .map(({ by, choices }) => ({ by, choices: choices.filter((choice) => choice.some(isOn)) }))
    .filter(({ choices }) => choices.length > 1);
  const most = Math.max(0, ...exclusions.map(({ choices }) => choices.length));
  const steps = [asked];
  for (let rank = 0; rank < most; rank++) {
    const out = leftOut(exclusions, (choices) => {
      const falling = [...choices].sort((one, other) => rate(other) - rate(one));
      return falling[Math.min(rank, falling.length - 1)]!;
    });
    steps.push(withLevels(asked, header, (number, level) => (out.has(number) ? 2 : level)));
  }
  return steps;
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
