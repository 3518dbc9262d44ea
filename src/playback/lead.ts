import type { FileEntry } from './entry.js';
import { lengthOf, type Pace } from './pace.js';
import type { ChangeTimes } from './port.js';

// In ms of media: a player is kept ahead by the preroll plus this, also across the entries of a playlist.
const LEAD = 2_000;
const MAX_LAG = 15_000;
// In ms. Entries without a duration, such as pictures, take this long; otherwise a playlist of them would be sent at
// once.
const SHORTEST_ENTRY = 1_000;

/** How far ahead a player is with the data it has, and when the next entry may be announced to it. */
export class Lead {
  readonly #now: () => number;
  /** When the player, playing in real time, will have played all the data that it has. */
  #playsUntil = Number.NEGATIVE_INFINITY;
  #selectedAt = Number.NEGATIVE_INFINITY;

  /** @param now a clock in ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The player is given a broadcast, which keeps it no further ahead. */
  live(): void {
    this.#playsUntil = Number.NEGATIVE_INFINITY;
  }

  /** The player is given a file from a packet on. @param continued true if it follows the data that the player has */
  file(entry: FileEntry, from: number, pace: Pace, continued: boolean): void {
    const begun = continued ? Math.max(this.#now(), this.#playsUntil) : this.#now();
    this.#playsUntil = begun + Math.max(lengthOf(entry, from, pace), SHORTEST_ENTRY);
  }

  /** The player chose streams, so nothing changes for a while. */
  selected(): void {
    this.#selectedAt = this.#now();
  }

  /** Returns how much of the next entry is sent at once to keep the player ahead as usual, in ms of media. */
  burst(preroll: number): number {
    const ahead = this.#playsUntil - this.#now();
    return Math.min(Math.max(0, preroll + LEAD - ahead), preroll + LEAD);
  }

  /**
   * Returns when another entry may be announced: not before the player has had time for its data and its choice of
   * streams, and not long before it is through with the entry. The leads of many short entries would add up.
   *
   * @param delay ms between the end of the player's data and the entry
   */
  changeDue(preroll: number, { acceleration }: Pace, { lag, quietAfterSelect }: ChangeTimes, delay = 0): number {
    const now = this.#now();
    const lead = Math.max(preroll + LEAD, acceleration?.milliseconds ?? 0);
    const wanted = delay ? Math.max(now, this.#playsUntil) + delay : this.#playsUntil - lead;
    return Math.max(now + Math.min(lag, MAX_LAG), this.#selectedAt + quietAfterSelect, wanted);
  }
}
