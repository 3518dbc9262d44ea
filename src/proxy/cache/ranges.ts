/** Numbers from `from` up to, but not including, `end`. */
export interface Range {
  readonly from: number;
  readonly end: number;
}

/** A set of numbers, kept as ranges: packets that are there. */
export class Ranges implements Iterable<Range> {
  /** Disjoint, not adjacent, ascending. */
  #all: Range[] = [];
  #size = 0;

  /** How many numbers it holds. */
  get size(): number {
    return this.#size;
  }

  [Symbol.iterator](): Iterator<Range> {
    return this.#all[Symbol.iterator]();
  }

  has(number: number): boolean {
    return this.endOf(number) > number;
  }

  /** Returns the first number from here on that is not in the set. */
  endOf(number: number): number {
    const range = this.#all[this.#after(number) - 1];
    return range && range.end > number ? range.end : number;
  }

  /** Returns the first number from here on that is in the set; Infinity without one. */
  nextOf(number: number): number {
    if (this.has(number)) return number;
    return this.#all[this.#after(number)]?.from ?? Number.POSITIVE_INFINITY;
  }

  add(from: number, end: number): void {
    if (end <= from) return;
    let first = this.#after(from);
    const before = this.#all[first - 1];
    if (before && before.end >= from) first--;
    let last = first;
    let merged: Range = { from, end };
    for (let range = this.#all[last]; range && range.from <= end; range = this.#all[++last]) {
      merged = { from: Math.min(merged.from, range.from), end: Math.max(merged.end, range.end) };
      this.#size -= range.end - range.from;
    }
    this.#all.splice(first, last - first, merged);
    this.#size += merged.end - merged.from;
  }

  /** Returns the index of the first range that begins after a number. */
  #after(number: number): number {
    let [low, high] = [0, this.#all.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#all[middle]!.from <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
