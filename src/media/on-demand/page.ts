import { buffers } from './buffer-pool.js';
import type { PayloadFilter } from './gate.js';
import type { OnDemandItem } from './options.js';
import type { PacketRun } from './packet-run.js';
import { wirePacket } from './prepare.js';

/** Packets of a page, from the one at index `from` up to the one at `to`, both counted from the first of the page. */
export interface PageStretch {
  readonly page: Page;
  readonly from: number;
  /** After the last one. */
  readonly to: number;
}

/** How a page is framed: players with the same framing are sent the bytes of the page as they are. */
export interface PageFraming {
  /** The format of the wire. */
  readonly key: string;
  /** The number of the first packet of the page, as far as it reaches the wire. */
  readonly number: number;
}

/** What a page is made with. */
export interface PageOptions {
  /** Differs for each page of a process. */
  readonly name: string;
  readonly packetSize: number;
  /** The payloads to keep. */
  readonly filter: PayloadFilter;
  /** Bytes before each packet. */
  readonly gap: number;
  /** Called each time that nobody holds the page any more. */
  readonly idle: (page: Page) => void;
}

/**
 * Packets of a file that follow one another, without padding and with the payloads of one choice of streams, in one piece
 * of memory with room for a head before each. Shared by the players of a file: nothing is read, parsed or copied for
 * those that are sent the same bytes.
 */
export class Page {
  readonly name: string;
  /** Number of the first packet. */
  readonly first: number;
  readonly count: number;
  /** Bytes before each packet. */
  readonly gap: number;
  /** The memory, from a pool: valid while the page is held. */
  readonly bytes: Buffer;
  /** True if several players have read it. */
  proven = false;
  /** What players have been sent, or undefined if the heads are not written yet. Changes only while one player holds it. */
  framing: PageFraming | undefined;
  /** Where the room of each packet begins, and where that of the last one ends. */
  readonly #starts: Uint32Array;
  /** In ms modulo 2^32. */
  readonly #sendTimes: Uint32Array;
  /** How many packets before each one have payloads; the last is the number of all that do. */
  readonly #orders: Uint32Array;
  readonly #idle: (page: Page) => void;
  #items: OnDemandItem[] | undefined;
  #holders = 0;

  private constructor(first: number, bytes: Buffer, places: Places, { name, gap, idle }: PageOptions) {
    this.name = name;
    this.first = first;
    this.count = places.sendTimes.length;
    this.gap = gap;
    this.bytes = bytes;
    this.#starts = places.starts;
    this.#sendTimes = places.sendTimes;
    this.#orders = places.orders;
    this.#idle = idle;
  }

  /**
   * Makes a page of a run, which becomes invalid and must not be released.
   *
   * @param run was borrowed with the gap of each of its packets in reserve
   * @param count packets of the page
   * @returns undefined if a packet is not where it is expected: then its readers do without pages
   */
  static of(run: PacketRun, count: number, options: PageOptions): Page | undefined {
    const { room } = run;
    const places = room && !run.short && run.count === count ? fill(run, room, options) : undefined;
    if (places) return new Page(run.from, room!, places, options);
    run.release();
    return undefined;
  }

  /** Bytes of memory. */
  get size(): number {
    return this.bytes.length;
  }

  /** Number of those who hold it. */
  get holders(): number {
    return this.#holders;
  }

  /** Keeps the bytes valid and as they are, until the same number of calls of {@link release}. */
  hold(): this {
    this.#holders++;
    return this;
  }

  release(): void {
    if (--this.#holders === 0) this.#idle(this);
  }

  /** Gives the memory back; nobody may hold the page. */
  destroy(): void {
    buffers.give(this.bytes);
  }

  /** Where the room of a packet begins in {@link bytes}. @param index 0 to {@link count} */
  start(index: number): number {
    return this.#starts[index]!;
  }

  /** Bytes of a packet, without the room before it; 0 if it has no payload that is wanted, and no room. */
  sizeOf(index: number): number {
    const size = this.#starts[index + 1]! - this.#starts[index]!;
    return size === 0 ? 0 : size - this.gap;
  }

  /** The send time of a packet, in ms modulo 2^32. */
  sendTime(index: number): number {
    return this.#sendTimes[index]!;
  }

  /** Number of packets with payloads before one. @param index 0 to {@link count} */
  order(index: number): number {
    return this.#orders[index]!;
  }

  /** Returns the packets of a stretch one by one; the same objects for all players. */
  items(from: number, to: number): readonly OnDemandItem[] {
    this.#items ??= this.#makeItems();
    return this.#items.slice(this.order(from), this.order(to));
  }

  #makeItems(): OnDemandItem[] {
    const items: OnDemandItem[] = [];
    for (let index = 0; index < this.count; index++) {
      if (this.sizeOf(index) === 0) continue;
      const bytes = this.bytes.subarray(this.start(index) + this.gap, this.start(index + 1));
      items.push({ location: this.first + index, bytes, sendTime: this.sendTime(index) });
    }
    return items;
  }
}

interface Places {
  readonly starts: Uint32Array;
  readonly sendTimes: Uint32Array;
  readonly orders: Uint32Array;
}

/** Moves the packets of a run to where they belong in a page, in place: each one forward in memory, or not at all. */
function fill(run: PacketRun, room: Buffer, { packetSize, filter, gap }: PageOptions): Places | undefined {
  const { count, from } = run;
  const starts = new Uint32Array(count + 1);
  const sendTimes = new Uint32Array(count);
  const orders = new Uint32Array(count + 1);
  const isWanted = filter.open ? undefined : filter.passes.bind(filter);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const whole = filter.open ? run.nextWholeAt() : -1;
    let size = packetSize;
    if (whole !== -1) {
      room.copyWithin(at + gap, whole, whole + packetSize);
      sendTimes[index] = run.sendTime;
    } else {
      const packet = run.next();
      if (packet === undefined || run.cut) return undefined;
      const wire = wirePacket(packet, packetSize, 'cut', isWanted);
      size = wire?.length ?? 0;
      sendTimes[index] = packet.sendTime;
      if (size > packetSize) return undefined;
      if (wire) room.set(wire, at + gap);
    }
    if (run.location !== from + index) return undefined;
    if (size > 0) at += gap + size;
    starts[index + 1] = at;
    orders[index + 1] = orders[index]! + (size > 0 ? 1 : 0);
  }
  return { starts, sendTimes, orders };
}
