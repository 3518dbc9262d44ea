import type { FileEntry } from './entry.js';
import { lengthOf, type Pace } from './pace.js';
import type { ChangeTimes } from './port.js';

// A player is kept ahead by the preroll and this, in ms of media, also from one entry of a playlist to the next.
const LEAD = 2_000;
const MAX_LAG = 15_000;
// Entries without a duration, such as pictures, take as long, in ms; a playlist of them would otherwise be sent at once.
const SHORTEST_ENTRY = 1_000;

/** How far a player is ahead with what it was given, and when it may be told of what comes next. */
export class Lead {
  readonly #now: () => number;
  /** When the player, if it plays in real time, will be through with what it was given. */
  #playsUntil = Number.NEGATIVE_INFINITY;
  #selectedAt = Number.NEGATIVE_INFINITY;

  /** @param now a clock in ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The player is given a broadcast: it has nothing ahead that counts. */
  live(): void {
    this.#playsUntil = Number.NEGATIVE_INFINITY;
  }

  /** The player is given a file from a packet on. @param continued behind what it has */
  file(entry: FileEntry, from: number, pace: Pace, continued: boolean): void {
    const begun = continued ? Math.max(this.#now(), this.#playsUntil) : this.#now();
    this.#playsUntil = begun + Math.max(lengthOf(entry, from, pace), SHORTEST_ENTRY);
  }

  /** The player chose streams, after which nothing changes for a while. */
  selected(): void {
    this.#selectedAt = this.#now();
  }

  /** Milliseconds of media that the next entry may begin with at once, so that the player is ahead as usual. */
  burst(preroll: number): number {
    const ahead = this.#playsUntil - this.#now();
    return Math.min(Math.max(0, preroll + LEAD - ahead), preroll + LEAD);
  }

  /**
   * When another entry may be announced: not before the player has had time for what it has, and for what it chose. Nor long before it
   * is through with the entry: the leads of many short ones would add up.
   *
   * @param delay ms between the end of what it has and the entry
   */
  changeDue(preroll: number, { acceleration }: Pace, { lag, quietAfterSelect }: ChangeTimes, delay = 0): number {
    const now = this.#now();
    const lead = Math.max(preroll + LEAD, acceleration?.milliseconds ?? 0);
    const wanted = delay ? Math.max(now, this.#playsUntil) + delay : this.#playsUntil - lead;
    return Math.max(now + Math.min(lag, MAX_LAG), this.#selectedAt + quietAfterSelect, wanted);
  }
}
