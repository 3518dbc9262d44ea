import type { Lane } from './lane.js';
import type { WireBatch, WireFormat } from './wire.js';

/** The packets that a group delivers at once. */
export class Batch {
  readonly from: number;
  readonly to: number;
  /** Where a waiting player may start, as the lane's number; -1 if nowhere. */
  readonly firstClean: number;
  readonly #lane: Lane;
  readonly #wire: WireFormat;
  // Number of the first unit of the first packet, and of the packet that players start with.
  readonly #number: number;
  #startNumber: number | undefined;
  readonly #written = new Map<number, WireBatch>();
  // The last result: most players are of one phase, one after another.
  #lastKey = -1;
  #last: WireBatch | undefined;

  constructor(lane: Lane, wire: WireFormat, from: number, to: number) {
    this.#lane = lane;
    this.#wire = wire;
    this.from = from;
    this.to = to;
    this.firstClean = lane.cleanStartIn(from, to);
    this.#number = lane.numberAt(wire, from);
  }

  /**
   * Returns the packets from `start` on, for all players of a phase.
   *
   * @param number the player's number of the first unit
   */
  write(start: number, number: number, starting: boolean): WireBatch {
    const wire = this.#wire;
    const phase = wire.numbers === 'none' ? 0 : ((number - this.#numberOf(start)) & wire.mask) >>> 0;
    const key = phase * 2 + (starting ? 1 : 0);
    if (key === this.#lastKey) return this.#last!;
    let written = this.#written.get(key);
    if (!written) {
      written = this.#lane.write(wire, { from: start, to: this.to, number, starting });
      this.#written.set(key, written);
    }
    this.#lastKey = key;
    this.#last = written;
    return written;
  }

  #numberOf(start: number): number {
    if (start === this.from) return this.#number;
    this.#startNumber ??= this.#lane.numberAt(this.#wire, start);
    return this.#startNumber;
  }
}
