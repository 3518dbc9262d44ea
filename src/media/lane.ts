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

/** How much sound before a key frame a player gets, in ms. */
const LONGEST_SOUND = 1000;

/** A choice of streams, and the kept packets of these streams. @public */
export class Lane {
  readonly choice: LaneChoice;
  readonly #header: AsfHeader;
  readonly #numberings = new Map<string, Numbering>();
  #entries: LaneEntry[] = [];
  // The lane's number of #entries[0].
  #first = 0;
  /** When the last packet with a clean start arrived, or the lane was created, on the broadcast's clock in ms. */
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
    const { location, wire, time, video } = packet;
    const bytes = this.choice.select(packet, this.#header);
    if (!bytes) return;
    const ownStart =
      packet.start === wire ? undefined : this.choice.select({ ...packet, wire: packet.start }, this.#header);
    const cleanStart = this.choice.startsAt?.(packet) ?? packet.cleanStart;
    if (cleanStart) this.cleanAt = now;
    const start = ownStart && ownStart !== bytes ? { location, bytes: ownStart } : undefined;
    this.#entries.push({ location, bytes, start, cleanStart, time, arrived: now, video });
  }

  /** Replaces a kept packet by another one of the same size. */
  replace(packet: BroadcastPacket): void {
    const index = this.indexOf(packet.location) - this.#first;
    const entry = this.#entries[index];
    const bytes = entry?.location === packet.location ? this.choice.select(packet, this.#header) : undefined;
    if (!entry || !bytes || bytes.length !== entry.bytes.length) return;
    const own = entry.start && this.choice.select({ ...packet, wire: packet.start }, this.#header);
    this.#entries[index] = { ...entry, bytes, start: own ? { location: entry.location, bytes: own } : undefined };
  }

  /**
   * Drops packets before `location`.
   *
   * @param delivered packets from here on stay; the lane's number
   */
  trim(location: number, delivered: number): void {
    let count = 0;
    while (count < delivered - this.#first && this.#entries[count]!.location < location) count++;
    if (count === 0) return;
    for (const numbering of this.#numberings.values()) {
      // Number the packets before they go, or the following ones would have no number.
      numbering.at(this.#first + count, this.#entries, this.#first);
      numbering.trim(this.#first + count);
    }
    this.#entries.splice(0, count);
    this.#first += count;
  }

  /** @param index within the lane, of a packet that is kept */
  entry(index: number): LaneEntry | undefined {
    return this.#entries[index - this.#first];
  }

  /** Returns the number of the first unit of a packet, for `numbers: 'lane'`. */
  numberAt(wire: WireFormat, index: number): number {
    return this.#numbering(wire).at(index, this.#entries, this.#first);
  }

  /** Finds the unit with a number; undefined if it is no longer kept. */
  unit(wire: WireFormat, number: number): SentUnit | undefined {
    this.numberAt(wire, this.end);
    const place = this.#numbering(wire).find(number);
    const packet = place && this.entry(place.index);
    return packet && { packet, unit: place.unit };
  }

  /** Writes a run of packets. @param from within the lane, like `to`, which is exclusive */
  write(wire: WireFormat, run: { from: number; to: number; number: number; starting: boolean }): WireBatch {
    const first = this.#first;
    return writeRun(wire, { ...run, entries: this.#entries, from: run.from - first, to: run.to - first });
  }

  /** Returns the first packet from `from` on and before `to` that a player may start with; -1 if not found. */
  cleanStartIn(from: number, to: number): number {
    for (let index = Math.max(from, this.#first); index < to; index++) if (this.entry(index)!.cleanStart) return index;
    return -1;
  }

  /** Returns the first packet at or after a location; the end if not found. */
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
   * Returns where a player starts that wants `lead` ms of media at once: the newest clean start that is old enough, or
   * else the oldest one.
   *
   * @param end packets from here on are delivered later
   * @param clean false to accept any packet
   * @returns -1 if not found
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
    return clean && oldest !== -1 ? this.withSound(oldest) : oldest;
  }

  /**
   * Returns where a player starts that is to have the sound sent directly before a key frame, in packets of its own.
   *
   * @param index the packet in which the key frame begins
   */
  withSound(index: number): number {
    const { time, video } = this.entry(index)!;
    // Otherwise the packet must be cut, so it has to be the first one.
    if (video !== 'key first') return index;
    let first = index;
    for (let before = index - 1; before >= this.#first; before--) {
      const entry = this.entry(before)!;
      if (!isSound(entry) || time - entry.time > LONGEST_SOUND) break;
      if (entry.video === 'none, whole') first = before;
    }
    return first;
  }

  /** Returns the ms of media at once for a player that wants `lead`, if everything were delivered. */
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

function isSound({ video }: LaneEntry): boolean {
  return video === 'none, whole' || video === 'none, rest';
}
