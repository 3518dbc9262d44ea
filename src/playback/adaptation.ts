import type { AsfHeader } from '../asf/header.js';
import type { KeepsUp } from './feed.js';
import { keyFrames, lowestRates } from './ladder.js';
import type { StreamSelection } from './selection.js';

/** How well a player's connection keeps up, as far as the server can tell. */
export interface Strain extends Partial<KeepsUp> {
  /** The time of a clock in ms. */
  readonly now: number;
  /** Packets dropped so far because the player was too slow. */
  readonly skipped: number;
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
  /** True while it plays a broadcast of several rates over a byte stream, so that what waits in its connection matters. */
  readonly takesLive: boolean;
  /** @returns true if more waits in its connection than a moment ago, so that it should be looked at again soon */
  adapt(): boolean;
}

// In ms. Strain that recurs within this time is not just momentary.
const PERSISTENT = 15_000;
// In ms, between two steps down, so that one takes effect before the next.
const SETTLING = 5_000;
// In ms without strain, after which a player gets more again; doubled each time that more turns out to be too much.
const QUIET = 30_000;
const LONGEST_QUIET = 480_000;
// In ms. A player of a file has more than this in its buffer; if it becomes later still, it will run dry.
const LATE = 1_500;

/**
 * Gives a player of datagrams of a broadcast less when packets have to be dropped for it again and again: first the
 * lowest of the rates that it turned on, then only key frames. The sound then continues without gaps. A player of a file gets the
 * lowest rate when it becomes later and later, but never less: a file waits, and drops nothing.
 */
export class Thinning implements Adaptation {
  /** 0 takes nothing away; 1 and 2 are the two steps. */
  #step = 0;
  #skipped = 0;
  #late = 0;
  #waits = false;
  #strainedAt = Number.NEGATIVE_INFINITY;
  #steppedAt = Number.NEGATIVE_INFINITY;
  #quiet = QUIET;
  /** True if the last step gave the player more. */
  #raised = false;

  grant(asked: StreamSelection, header: AsfHeader): StreamSelection {
    if (this.#step === 0) return asked;
    const lowest = lowestRates(asked, header);
    if (this.#waits) return lowest;
    // If there are not several rates, the first step is the second.
    return this.#step === 1 && lowest !== asked ? lowest : keyFrames(lowest, header);
  }

  observe({ now, skipped, late = 0 }: Strain): boolean {
    const dropped = skipped > this.#skipped;
    const isLate = late > LATE;
    const strained = dropped || (isLate && late > this.#late);
    this.#skipped = skipped;
    this.#late = late;
    if (strained) this.#waits = !dropped;
    // It catches up with what it gets now.
    if (isLate && !strained) return false;
    return strained ? this.#stepDown(now) : this.#stepUp(now);
  }

  #stepDown(now: number): boolean {
    const isPersistent = now - this.#strainedAt < PERSISTENT;
    this.#strainedAt = now;
    if (!isPersistent || this.#step === (this.#waits ? 1 : 2) || (now - this.#steppedAt < SETTLING && !this.#raised))
      return false;
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
