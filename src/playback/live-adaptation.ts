import type { AsfHeader } from '../asf/header.js';
import { ladderOf, type Rung } from './ladder.js';
import { NO_STREAMS, type StreamSelection } from './selection.js';

/** How a player of a broadcast over a byte stream keeps up, as far as the server can tell. */
export interface LiveStrain {
  /** The time of a clock in ms. */
  readonly now: number;
  /** How much media waits for the player because its connection takes it too slowly, in ms; 0 if nothing does. */
  readonly late: number;
  /** Packets dropped so far because the player was later than the broadcast's history. */
  readonly skipped: number;
  /** True while the player still gets the streams that it had before the last change. */
  readonly switching: boolean;
}

interface Sample {
  readonly now: number;
  readonly late: number;
}

const NO_SAMPLES: readonly Sample[] = [];

/** In ms, of media that waits, more than there usually does: a player has about three times as much in hand. */
const LATE = 600;
/** The same soon after a step up, which is a try. */
const LATE_TRY = 500;
/** The same if the player is to be looked at again soon, and if it was not late only now. */
const WARY = 300;
const BEGUN = 150;
/** The same for a connection that takes nothing for a moment, so that less would not help it; and the most in any case. */
const VERY_LATE = 2_500;
/** In ms of media that waits: a good connection has less, with what has just been sent and is on its way. */
const FINE = 1_000;
/** What waits at the least within this time, in ms, is what usually waits. */
const USUALLY = 15_000;
/** How much later the player becomes in each ms if it takes nothing. */
const STANDS = 0.9;
/** Nobody becomes later by more than the time that passes, in ms, unless a burst waits: packets come in batches. */
const BATCH = 600;
/** In ms, between two steps down, so that one takes effect before the next. */
export const SETTLING = 4_000;
/** The part of what the line carries, as it is measured, that is used; and the one that takes the last whole video. */
const USED = 0.9;
const TOO_LITTLE = 1.3;
/** In ms without strain, after which a player gets more again; doubled each time that more is too much. */
export const SHORTEST_QUIET = 15_000;
export const LONGEST_QUIET = 480_000;
/** A step up has failed if there is strain within so many quiet times after it. */
const TRY = 2;

/**
 * Decides what a player of a broadcast gets while its connection carries less than its streams. It steps down as soon as
 * the player has become a second late and becomes later still, to what the line carries by that measure. It steps up,
 * rung by rung, after a quiet time, which doubles each time that this was too much.
 *
 * Pure: samples in, one a second or more, and decisions out. The player's own selection is never changed.
 */
export class LiveAdaptation {
  #asked: StreamSelection = NO_STREAMS;
  #header: AsfHeader | undefined;
  /** Made when it is needed: few players are slow. */
  #ladder: readonly Rung[] | undefined;
  #rung = 0;
  /** The last samples, the oldest first. */
  #samples: readonly Sample[] = NO_SAMPLES;
  #at = Number.NEGATIVE_INFINITY;
  #skipped = 0;
  #busyAt = Number.NEGATIVE_INFINITY;
  #steppedAt = Number.NEGATIVE_INFINITY;
  #switching = false;
  /** True from a step up until it has succeeded or failed. */
  #trying = false;
  #quiet = SHORTEST_QUIET;

  /** True if the player became later, so that the next sample should come soon. */
  get isWary(): boolean {
    const [before, last] = this.#samples.slice(-2);
    return before !== undefined && last !== undefined && last.late > before.late && this.#excess(last) > WARY;
  }

  /** Returns what the player gets of a selection; the same object if that is all of it. */
  grant(asked: StreamSelection, header: AsfHeader): StreamSelection {
    const before = this.#rung > 0 ? this.#rungs[this.#rung] : undefined;
    this.#asked = asked;
    this.#header = header;
    this.#ladder = undefined;
    if (!before) return asked;
    this.#rung = this.#keep(before);
    return this.#rungs[this.#rung]!.selection;
  }

  /**
   * Records how the player keeps up.
   *
   * @returns true if another grant is due
   */
  observe({ now, late, skipped, switching }: LiveStrain): boolean {
    if (now <= this.#at) return false;
    const dropped = skipped > this.#skipped;
    const before = this.#at;
    this.#at = now;
    this.#skipped = skipped;
    if (this.#switching && !switching) this.#settle(now);
    this.#switching = switching;
    this.#note(before, now, late);
    if (dropped || late > FINE) this.#busyAt = now;
    const growth = this.#growth();
    const strained = dropped || (growth > 0 && (late > VERY_LATE || this.#excess({ now, late }) > this.#limit(growth)));
    return strained ? this.#strain(now, dropped ? STANDS : growth) : this.#stepUp(now);
  }

  /** What follows a change is measured on its own. */
  #settle(now: number): void {
    this.#steppedAt = now;
    this.#samples = NO_SAMPLES;
  }

  #note(before: number, now: number, late: number): void {
    const last = this.#samples.at(-1);
    if (last && late - last.late > now - before + BATCH) this.#samples = NO_SAMPLES;
    // With nothing waiting, as for nearly all players, the samples before say no more.
    if (late === 0) this.#samples = this.#samples.slice(-2).filter((sample) => now - sample.now < USUALLY);
    this.#samples = [...this.#samples.filter((sample) => now - sample.now < USUALLY), { now, late }];
  }

  /** How much more waits than usually, in ms of media: some is always on its way to a player far away. */
  #excess({ late }: Sample): number {
    return late - Math.min(...this.#samples.map((sample) => sample.late));
  }

  /** Returns how much later the player becomes in each ms; 0 unless it did so for more than a moment. */
  #growth(): number {
    const [first, second, third] = this.#samples.slice(-3);
    if (!first || !second || !third || this.#excess(second) < BEGUN) return 0;
    if (third.late <= first.late || third.late <= second.late) return 0;
    const over = (from: Sample) => (third.late - from.late) / (third.now - from.now);
    // It may have begun since the first of them.
    return Math.max(over(first), over(second));
  }

  #limit(growth: number): number {
    if (growth >= STANDS) return VERY_LATE;
    return this.#trying ? LATE_TRY : LATE;
  }

  #strain(now: number, growth: number): boolean {
    const failed = this.#trying;
    if (failed) this.#quiet = Math.min(this.#quiet * 2, LONGEST_QUIET);
    // What the player gets until the change says nothing of what it gets then.
    else if (this.#switching || now - this.#steppedAt < SETTLING) return false;
    this.#trying = false;
    const next = failed ? this.#rung + 1 : this.#below(growth);
    if (next === this.#rung) return false;
    this.#rung = next;
    this.#steppedAt = now;
    this.#samples = NO_SAMPLES;
    return true;
  }

  /** Returns the next rung down that the line carries; of those below the lowest rate, at most the first. */
  #below(growth: number): number {
    const rungs = this.#rungs;
    const next = Math.min(this.#rung + 1, rungs.length - 1);
    if (growth >= STANDS) return next;
    const carried = rungs[this.#rung]!.rate * (1 - growth);
    const isTooMuch = ({ rate }: Rung, below: Rung) => rate > carried * (below.thinned ? TOO_LITTLE : USED);
    let fitting = next;
    for (; !rungs[fitting]!.thinned && fitting + 1 < rungs.length; fitting++)
      if (!isTooMuch(rungs[fitting]!, rungs[fitting + 1]!)) break;
    return fitting;
  }

  #stepUp(now: number): boolean {
    if (this.#trying && now - this.#steppedAt >= TRY * this.#quiet) {
      this.#trying = false;
      this.#quiet = Math.max(this.#quiet / 2, SHORTEST_QUIET);
    }
    if (this.#rung === 0 || this.#switching) return false;
    if (now - Math.max(this.#busyAt, this.#steppedAt) < this.#quiet) return false;
    this.#rung--;
    this.#trying = true;
    this.#steppedAt = now;
    return true;
  }

  get #rungs(): readonly Rung[] {
    this.#ladder ??= this.#header
      ? ladderOf(this.#asked, this.#header)
      : [{ selection: this.#asked, rate: 0, thinned: false }];
    return this.#ladder;
  }

  /** Returns the highest rung that is no more than what the player got of another selection, or of another header. */
  #keep(before: Rung): number {
    const last = this.#rungs.length - 1;
    if (before.rate === 0) return Math.min(this.#rung, last);
    const fitting = this.#rungs.findIndex(({ rate, thinned }) => rate <= before.rate || (thinned && !before.thinned));
    return fitting === -1 ? last : fitting;
  }
}
