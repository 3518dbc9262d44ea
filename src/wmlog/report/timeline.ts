/** The viewers in one part of the time. */
export interface TimelinePoint {
  /** The start, in s since 1970. */
  readonly at: number;
  /** The average number of viewers. */
  readonly average: number;
  /** The highest number of viewers. */
  readonly peak: number;
}

/** The number of slots: six days in seconds, or a year in minutes. */
const SLOTS = 1 << 19;
/** How much of the slots a period may take when they are laid out: the rest is for what comes. */
const FILLED = 0.75;

/**
 * Counts how many viewers there were at each time, of views that come in any order. Memory is fixed: slots of a second
 * get wider, by powers of two, as the period gets longer.
 */
export class Timeline {
  // For each slot: how many views start and end in it, and the sum of their distances from its start, in s.
  #startCounts = new Int32Array(SLOTS);
  #startOffsets = new Float64Array(SLOTS);
  #endCounts = new Int32Array(SLOTS);
  #endOffsets = new Float64Array(SLOTS);
  /** The time of the first slot in s since 1970, a multiple of the width. */
  #base = Number.NaN;
  /** The width of a slot in s. */
  #width = 1;
  /** The first and the last time of all views. */
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;

  /** The width of a slot, in s: peaks are exact if it is 1, and estimates otherwise. */
  get resolution(): number {
    return this.#width;
  }

  /** Adds a view. @param from in s since 1970 @param to as `from`, and not before it */
  add(from: number, to: number): void {
    if (to <= from) return;
    this.#first = Math.min(this.#first, from);
    this.#last = Math.max(this.#last, to);
    this.#fit();
    const start = Math.floor((from - this.#base) / this.#width);
    this.#startCounts[start]!++;
    this.#startOffsets[start]! += from - this.#base - start * this.#width;
    // One that ends with a slot is not in the next one.
    const end = Math.ceil((to - this.#base) / this.#width) - 1;
    this.#endCounts[end]!++;
    this.#endOffsets[end]! += to - this.#base - end * this.#width;
  }

  /** Returns the average and the peak of the whole period; undefined without any view. */
  total(): TimelinePoint | undefined {
    const points = [...this.points(1)];
    return points[0];
  }

  /** Yields at most `most` points, each a whole number of slots, from the first view to the end of the last. */
  *points(most: number): Generator<TimelinePoint, void, undefined> {
    if (Number.isNaN(this.#base)) return;
    const width = this.#width;
    const firstSlot = Math.floor((this.#first - this.#base) / width);
    const lastSlot = Math.max(firstSlot, Math.ceil((this.#last - this.#base) / width) - 1);
    const perPoint = Math.ceil((lastSlot - firstSlot + 1) / most);
    let level = 0;
    for (let slot = firstSlot; slot <= lastSlot; slot += perPoint) {
      let [seconds, peak] = [0, 0];
      const end = Math.min(lastSlot + 1, slot + perPoint);
      for (let each = slot; each < end; each++) {
        const [starts, ends] = [this.#startCounts[each]!, this.#endCounts[each]!];
        peak = Math.max(peak, this.#peakOf(each, level));
        seconds += level * width + starts * width - this.#startOffsets[each]!;
        seconds -= ends * width - this.#endOffsets[each]!;
        level += starts - ends;
      }
      yield { at: this.#base + slot * width, average: seconds / ((end - slot) * width), peak };
    }
  }

  /** Finds when the peak was, in s since 1970. */
  peakAt(): number | undefined {
    if (Number.isNaN(this.#base)) return undefined;
    let [level, peak, at] = [0, -1, 0];
    for (let slot = 0; slot < SLOTS; slot++) {
      const highest = this.#peakOf(slot, level);
      if (highest > peak) [peak, at] = [highest, slot];
      level += this.#startCounts[slot]! - this.#endCounts[slot]!;
    }
    return this.#base + at * this.#width;
  }

  /**
   * Returns the highest number of viewers in a slot. In a slot of a second it is exact; in wider ones, views that on
   * average end before others start are taken to make room for them.
   *
   * @param level the number of viewers when it starts
   */
  #peakOf(slot: number, level: number): number {
    const [starts, ends] = [this.#startCounts[slot]!, this.#endCounts[slot]!];
    if (starts === 0) return level;
    const areApart = ends > 0 && this.#endOffsets[slot]! / ends <= this.#startOffsets[slot]! / starts;
    return areApart ? Math.max(level, level + starts - ends) : level + starts;
  }

  /** Makes the slots cover the period. */
  #fit(): void {
    const isCovered = this.#first >= this.#base && this.#last < this.#base + SLOTS * this.#width;
    if (isCovered) return;
    let width = this.#width;
    const span = this.#last - this.#first;
    while (span > (SLOTS - 2) * width * FILLED) width *= 2;
    // Room on both sides: files, and views in them, may come in any order.
    const base = Math.floor((this.#first - (SLOTS * width - span) / 2) / width) * width;
    if (Number.isNaN(this.#base)) {
      this.#base = base;
      this.#width = width;
      return;
    }
    this.#move(base, width);
  }

  #move(base: number, width: number): void {
    const before = {
      base: this.#base,
      width: this.#width,
      startCounts: this.#startCounts,
      startOffsets: this.#startOffsets,
      endCounts: this.#endCounts,
      endOffsets: this.#endOffsets,
    };
    this.#base = base;
    this.#width = width;
    this.#startCounts = new Int32Array(SLOTS);
    this.#startOffsets = new Float64Array(SLOTS);
    this.#endCounts = new Int32Array(SLOTS);
    this.#endOffsets = new Float64Array(SLOTS);
    for (let slot = 0; slot < SLOTS; slot++) {
      const [starts, ends] = [before.startCounts[slot]!, before.endCounts[slot]!];
      if (starts === 0 && ends === 0) continue;
      const at = before.base + slot * before.width;
      const moved = Math.floor((at - base) / width);
      const shift = at - base - moved * width;
      this.#startCounts[moved]! += starts;
      this.#startOffsets[moved]! += before.startOffsets[slot]! + starts * shift;
      this.#endCounts[moved]! += ends;
      this.#endOffsets[moved]! += before.endOffsets[slot]! + ends * shift;
    }
  }
}
