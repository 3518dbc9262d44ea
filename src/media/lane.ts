import type { AsfHeader } from '../asf/header.js';
import { Numbering } from './numbering.js';
import {
  type BroadcastPacket,
  type LaneChoice,
  type LaneEntry,
  type SentUnit,
  type WireBatch,
  type WireFormat,
  writeRun,
} from './wire.js';

/** A choice of streams, and the packets of these streams that are kept. */
export class Lane {
  readonly choice: LaneChoice;
  readonly #header: AsfHeader;
  readonly #numberings = new Map<string, Numbering>();
  #entries: LaneEntry[] = [];
  // Number within the lane of #entries[0].
  #first = 0;
  /** When a packet with a clean start last came, or the lane was made, on the broadcast's clock in ms. */
  cleanAt: number;

  constructor(
    choice: LaneChoice,
    header: AsfHeader,
    { backlog, cleanAt }: { backlog: Iterable<BroadcastPacket>; cleanAt: number },
  ) {
    this.choice = choice;
    this.#header = header;
    this.cleanAt = cleanAt;
    for (const packet of backlog) this.append(packet, cleanAt);
  }

  get first(): number {
    return this.#first;
  }

  /** One past the newest packet. */
  get end(): number {
    return this.#first + this.#entries.length;
  }

  append(packet: BroadcastPacket, now: number): void {
    const { location, wire, time } = packet;
    const bytes = this.choice.select(packet, this.#header);
    if (!bytes) return;
    const ownStart =
      packet.start === wire ? undefined : this.choice.select({ ...packet, wire: packet.start }, this.#header);
    const cleanStart = this.choice.startsAt?.(packet) ?? packet.cleanStart;
    if (cleanStart) this.cleanAt = now;
    const start = ownStart && ownStart !== bytes ? { location, bytes: ownStart } : undefined;
    this.#entries.push({ location, bytes, start, cleanStart, time });
  }

  /**
   * Forgets packets from before `location`.
   *
   * @param delivered packets from here on stay; number within the lane
   */
  trim(location: number, delivered: number): void {
    let count = 0;
    while (count < delivered - this.#first && this.#entries[count]!.location < location) count++;
    if (count === 0) return;
    for (const numbering of this.#numberings.values()) {
      // Counted before it goes, or what follows it would have no number.
      numbering.at(this.#first + count, this.#entries, this.#first);
      numbering.trim(this.#first + count);
    }
    this.#entries.splice(0, count);
    this.#first += count;
  }

  /** @param index within the lane, of a packet that is there */
  entry(index: number): LaneEntry | undefined {
    return this.#entries[index - this.#first];
  }

  /** Number of the first unit of a packet, as `numbers: 'lane'` has it. */
  numberAt(wire: WireFormat, index: number): number {
    return this.#numbering(wire).at(index, this.#entries, this.#first);
  }

  /** The unit with a number; undefined when it is not there any more. */
  unit(wire: WireFormat, number: number): SentUnit | undefined {
    this.numberAt(wire, this.end);
    const place = this.#numbering(wire).find(number);
    const packet = place && this.entry(place.index);
    return packet && { packet, unit: place.unit };
  }

  /** Writes a run of packets. @param from within the lane, as `to`, which is exclusive */
  write(wire: WireFormat, run: { from: number; to: number; number: number; starting: boolean }): WireBatch {
    const first = this.#first;
    return writeRun(wire, { ...run, entries: this.#entries, from: run.from - first, to: run.to - first });
  }

  /** The first packet from `from` on, and before `to`, that a player may start with; -1 when there is none. */
  cleanStartIn(from: number, to: number): number {
    for (let index = Math.max(from, this.#first); index < to; index++) if (this.entry(index)!.cleanStart) return index;
    return -1;
  }

  /** The first packet at or behind a location; the end when there is none. */
  indexOf(location: number): number {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle]!.location >= location) high = middle;
      else low = middle + 1;
    }
    return this.#first + low;
  }

  /**
   * Where a player starts that wants `lead` ms of media at once: the newest clean start that is so old, or else the oldest there is.
   *
   * @param end what comes from here on is delivered later
   * @param clean false to take any packet
   * @returns -1 when there is none
   */
  startFor(lead: number, end: number, clean: boolean): number {
    let oldest = -1;
    const newest = this.entry(end - 1)?.time ?? 0;
    for (let index = end - 1; index >= this.#first; index--) {
      const { cleanStart, time } = this.entry(index)!;
      if (clean && !cleanStart) continue;
      oldest = index;
      if (newest - time >= lead) break;
    }
    return oldest;
  }

  /** Milliseconds of media that a player gets at once that wants `lead`, if everything were delivered. */
  leadFor(lead: number): number {
    const first = this.entry(this.startFor(lead, this.end, true));
    return first ? this.entry(this.end - 1)!.time - first.time : 0;
  }

  #numbering(wire: WireFormat): Numbering {
    let numbering = this.#numberings.get(wire.key);
    if (!numbering) {
      numbering = new Numbering(wire, this.#first);
      this.#numberings.set(wire.key, numbering);
    }
    return numbering;
  }
}
