import { type LaneEntry, unitsOf, type WireFormat } from './wire.js';

/** The position of a unit: its packet in the lane, and its index in the packet. */
export interface UnitPlace {
  /** Number of the packet within the lane. */
  readonly index: number;
  readonly unit: number;
}

/**
 * Numbers the units of a lane's packets in one format. With one unit a packet, that is the packet's own number;
 * otherwise the units are counted once, on first use.
 */
export class Numbering {
  readonly #wire: WireFormat;
  // The lane's number of the first counted packet, the number of its first unit, and where the units of each packet
  // end.
  #first: number;
  #base: number;
  #ends: number[] = [];

  /** @param first the lane's number of the oldest packet */
  constructor(wire: WireFormat, first: number) {
    this.#wire = wire;
    this.#first = first;
    this.#base = first;
  }

  /**
   * Returns the number of the first unit of a packet.
   *
   * @param index of the packet within the lane, at most one past the newest
   * @param entries the packets from `first` on
   */
  at(index: number, entries: readonly LaneEntry[], first: number): number {
    if (!this.#wire.units) return index;
    for (let next = this.#first + this.#ends.length; next < index; next++) {
      const before = this.#ends.at(-1) ?? this.#base;
      this.#ends.push(before + unitsOf(this.#wire, entries[next - first]!));
    }
    return this.#ends[index - this.#first - 1] ?? this.#base;
  }

  /** Finds the unit with a number; undefined if it was not counted or has been dropped. */
  find(number: number): UnitPlace | undefined {
    if (!this.#wire.units) return { index: number, unit: 0 };
    if (number < this.#base) return undefined;
    let [low, high] = [0, this.#ends.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ends[middle]! > number) high = middle;
      else low = middle + 1;
    }
    if (low === this.#ends.length) return undefined;
    return { index: this.#first + low, unit: number - (this.#ends[low - 1] ?? this.#base) };
  }

  /** Drops the packets before `index`. */
  trim(index: number): void {
    const count = Math.min(index - this.#first, this.#ends.length);
    if (!this.#wire.units || count <= 0) return;
    this.#base = this.#ends[count - 1]!;
    this.#ends.splice(0, count);
    this.#first += count;
  }
}
