import type { Command } from '../asf/command.js';
import { type DataPacket, parsePacket } from '../asf/packet.js';
import type { BroadcastPacket } from './wire.js';

/** Commands that change what a player shows: done again for a player that joins later, they would do harm. */
const ONCE: ReadonlySet<string> = new Set(['URL', 'URLANDEXIT', 'FILENAME', 'EVENT', 'OPENEVENT']);

/** The kept packets with script commands that only the players of their moment may get. */
export class OnceCommands {
  readonly #stream: number;
  /** Packets of a command that is split over several. */
  #open: BroadcastPacket[] = [];
  /** Packets with commands that nobody has joined since. */
  #fresh: BroadcastPacket[] = [];
  /** Packets without these commands, by their locations, which ascend. */
  readonly #without = new Map<number, BroadcastPacket>();

  /** @param stream the number of the command stream */
  constructor(stream: number) {
    this.#stream = stream;
  }

  /**
   * Notes a packet.
   *
   * @param kept as the history has it
   * @param commands those that end in it
   * @param oldest the location of the first packet in the history; no older one is kept here, either
   */
  note({ payloads }: DataPacket, kept: BroadcastPacket, commands: readonly Command[], oldest: number): void {
    if (!payloads.some(({ stream }) => stream === this.#stream)) return;
    dropBefore(this.#open, oldest);
    dropBefore(this.#fresh, oldest);
    this.#open.push(kept);
    if (commands.length === 0) return;
    if (commands.some(({ type }) => ONCE.has(type))) this.#fresh = this.#fresh.concat(this.#open);
    this.#open = [];
  }

  /** Packets that are kept because of a command. */
  get size(): number {
    return this.#open.length + this.#fresh.length + this.#without.size;
  }

  /** Returns the packets that changed since the last call: from now on their commands are of the past. */
  retire(oldest: number): readonly BroadcastPacket[] {
    dropBefore(this.#fresh, oldest);
    const fresh = this.#fresh.map((packet) => this.#blank(packet));
    this.#fresh = [];
    for (const packet of fresh) this.#without.set(packet.location, packet);
    for (const location of this.#without.keys()) {
      if (location >= oldest) break;
      this.#without.delete(location);
    }
    return fresh;
  }

  /** True if {@link retire} has something to return. */
  get pending(): boolean {
    return this.#fresh.length > 0;
  }

  /** Returns a packet as players get it that join later. */
  later(packet: BroadcastPacket): BroadcastPacket {
    return this.#without.get(packet.location) ?? packet;
  }

  /** Empties the command: its size stays, and with it all numbers. Players ignore a command without a type. */
  #blank(packet: BroadcastPacket): BroadcastPacket {
    const wire = this.#blanked(packet.wire);
    return { ...packet, wire, start: packet.start === packet.wire ? wire : this.#blanked(packet.start) };
  }

  #blanked(bytes: Buffer): Buffer {
    const copy = Buffer.from(bytes);
    for (const { stream, dataStart, dataLength, compressed } of parsePacket(copy).payloads) {
      // The lengths of several objects in one payload stay.
      for (let at = dataStart; stream === this.#stream && at < dataStart + dataLength; ) {
        const length = compressed ? copy[at]! : dataLength;
        const from = compressed ? at + 1 : at;
        copy.fill(0, from, Math.min(from + length, dataStart + dataLength));
        at = from + length;
      }
    }
    return copy;
  }
}

/** Removes the packets before a location from the front. */
function dropBefore(packets: BroadcastPacket[], oldest: number): void {
  const first = packets.findIndex(({ location }) => location >= oldest);
  packets.splice(0, first === -1 ? packets.length : first);
}
