import { liveHeader } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import { type DataPacket, tryParsePacket } from '../asf/packet.js';
import { rebasePacket } from '../asf/rebase.js';
import type { AsfEvent, AsfSink, AsfSource } from '../media/events.js';
import { type Fault, type FaultPlan, faultsAt, strikes } from './fault-plan.js';
import { Random } from './random.js';

/** How to see a data packet inside something else, and to change it. */
export interface PacketAccess<T> {
  /** The bytes of the packet, from its error correction on. */
  bytes(item: T): Buffer;
  /** Returns the item with other bytes in place of its packet's. */
  withBytes(item: T, bytes: Buffer): T;
}

interface Held<T> {
  readonly item: T;
  /** Goes out after a packet with this send time or a later one, in ms; or after the next packet. */
  readonly until: number | 'next';
}

/** The faults of packets, done to one stream of them. Nothing that was given is changed; copies are. */
export class PacketFaults<T> {
  readonly #access: PacketAccess<T>;
  readonly #faults: ReadonlyArray<{ readonly fault: Fault; readonly random: Random }>;
  #count = 0;
  #held: Held<T>[] = [];

  /** @param stream makes the choices of several streams with one plan differ */
  constructor(plan: FaultPlan, stream: number, access: PacketAccess<T>) {
    this.#access = access;
    this.#faults = faultsAt(plan, 'packets').map((fault, index) => ({
      fault,
      random: new Random(plan.seed, stream, index),
    }));
  }

  /** Returns what goes out when a packet comes. */
  take(given: T): T[] {
    const { item, copies, until } = this.#struck(given);
    const due = this.#release(given);
    if (copies === 0) return due;
    if (until === undefined) return [...Array.from({ length: copies }, () => item), ...due];
    this.#held.push({ item, until });
    return due;
  }

  /** Changes a packet, and decides how often and when it goes out. */
  #struck(given: T): { item: T; copies: number; until: Held<T>['until'] | undefined } {
    let item = given;
    let copies = 1;
    let until: Held<T>['until'] | undefined;
    const count = this.#count++;
    for (const { fault, random } of this.#faults) {
      if (fault.name === 'jump' && count >= fault.amount!) item = this.#jumped(item, fault.time!);
      if (fault.name === 'jump' || fault.name === 'header' || !strikes(fault, count, random)) continue;
      if (fault.name === 'corrupt') item = this.#corrupted(item, random);
      else if (fault.name === 'lose') copies = 0;
      else if (fault.name === 'duplicate') copies *= 2;
      else until = fault.name === 'reorder' ? 'next' : this.#sendTime(item) + fault.time!;
    }
    return { item, copies, until };
  }

  /** Returns what is still held. */
  end(): T[] {
    return this.#held.splice(0).map(({ item }) => item);
  }

  /** Returns what was waiting for a packet like this one. */
  #release(item: T): T[] {
    if (this.#held.length === 0) return [];
    const now = this.#sendTime(item);
    const due = this.#held.filter(({ until }) => until === 'next' || until <= now);
    this.#held = this.#held.filter((held) => !due.includes(held));
    return due.map((held) => held.item);
  }

  #sendTime(item: T): number {
    return tryParsePacket(this.#access.bytes(item))?.sendTime ?? 0;
  }

  #jumped(item: T, time: number): T {
    const packet = tryParsePacket(this.#access.bytes(item));
    return packet ? this.#access.withBytes(item, rebasePacket(packet, time)) : item;
  }

  #corrupted(item: T, random: Random): T {
    const bytes = Buffer.from(this.#access.bytes(item));
    if (bytes.length === 0) return item;
    for (let left = 1 + random.below(8); left > 0; left--) {
      const at = random.below(bytes.length);
      bytes[at] = bytes[at]! ^ (1 + random.below(255));
    }
    return this.#access.withBytes(item, bytes);
  }
}

const OF_EVENT: PacketAccess<DataPacket> = {
  bytes: (packet) => packet.bytes,
  // The places of its parts stay those of the sound packet: the receiver has to see the damage, not this program.
  withBytes: (packet, bytes) => {
    const read = tryParsePacket(bytes);
    return read && read.payloads.length === packet.payloads.length ? read : { ...packet, bytes };
  },
};

/** Does the faults of packets to events. */
class EventFaults {
  readonly #packets: PacketFaults<DataPacket>;
  readonly #everyHeader: number | undefined;
  #header: AsfHeader | undefined;
  #sinceHeader = 0;
  #headers = 0;

  constructor(plan: FaultPlan) {
    this.#packets = new PacketFaults(plan, 0, OF_EVENT);
    this.#everyHeader = faultsAt(plan, 'packets').find(({ name }) => name === 'header')?.amount;
  }

  *take(event: AsfEvent): Generator<AsfEvent, void, undefined> {
    if (event.type === 'header') {
      this.#header = event.header;
      this.#sinceHeader = 0;
    }
    if (event.type !== 'packet') {
      for (const packet of this.#packets.end()) yield { type: 'packet', packet };
      yield event;
      return;
    }
    if (this.#header && this.#sinceHeader === this.#everyHeader) {
      this.#sinceHeader = 0;
      yield { type: 'end', moreEntries: true, reason: 1 };
      yield { type: 'header', header: liveHeader(this.#header, { title: `Another header ${++this.#headers}` }) };
    }
    this.#sinceHeader++;
    for (const packet of this.#packets.take(event.packet)) yield { type: 'packet', packet };
  }
}

/**
 * A source with the faults of packets of a plan; the other faults have no effect on events.
 *
 * @public
 */
export function faultySource(source: AsfSource, plan: FaultPlan): AsfSource {
  const faults = new EventFaults(plan);
  return {
    async *[Symbol.asyncIterator]() {
      for await (const event of source) yield* faults.take(event);
    },
    close: () => source.close(),
  };
}

/**
 * A sink that does the faults of packets of a plan to what it passes on; the other faults have no effect on events.
 *
 * @public
 */
export function faultySink(sink: AsfSink, plan: FaultPlan): AsfSink {
  const faults = new EventFaults(plan);
  return {
    write: async (event) => {
      for (const each of faults.take(event)) await sink.write(each);
    },
    close: () => sink.close(),
  };
}
