// In ms, and in lost units: fewer say little.
const SPAN = 3_000;
const ENOUGH = 5;

/** What a player of datagrams loses, by what it asks for again and by what it reports. */
export class Losses {
  /** Units up to here were asked for again or not; a second request for one is no second loss. */
  #highest = -1;
  #asked = 0;
  #reported = 0;
  #since = { at: Number.NEGATIVE_INFINITY, number: 0 };

  /** Notes a request. @param numbers of the units that were lost, unbounded */
  ask(numbers: readonly number[]): void {
    for (const number of numbers) {
      if (number <= this.#highest) continue;
      this.#highest = number;
      this.#asked++;
    }
  }

  /** Notes what a receiver reports. @param share of the units since its last report that it lost, from 0 to 1 */
  report(share: number): void {
    this.#reported = Math.max(this.#reported, share);
  }

  /**
   * Returns the part of the last units that was lost, from 0 to 1, once every few seconds; 0 in between.
   *
   * @param number of the next unit
   */
  share(now: number, number: number): number {
    const { at, number: before } = this.#since;
    if (now - at < SPAN) return 0;
    const sent = number - before;
    const asked = this.#asked >= ENOUGH && sent > 0 ? Math.min(this.#asked / sent, 1) : 0;
    const share = Math.max(asked, this.#reported);
    this.#since = { at: now, number };
    this.#asked = 0;
    this.#reported = 0;
    return share;
  }
}
