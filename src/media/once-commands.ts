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
  /** Packets without these commands, by their locations. */
  readonly #without = new Map<number, BroadcastPacket>();
  #fresh: BroadcastPacket[] = [];

  /** @param stream the number of the command stream */
  constructor(stream: number) {
    this.#stream = stream;
  }

  /**
   * Notes a packet.
   *
   * @param kept as the history has it
   * @param commands those that end in it
   */
  note({ payloads }: DataPacket, kept: BroadcastPacket, commands: readonly Command[]): void {
    if (!payloads.some(({ stream }) => stream === this.#stream)) return;
    this.#open.push(kept);
    if (commands.length === 0) return;
    if (commands.some(({ type }) => ONCE.has(type))) {
      for (const packet of this.#open) this.#fresh.push(this.#blank(packet));
    }
    this.#open = [];
  }

  /** Returns the packets that changed since the last call: from now on their commands are of the past. */
  retire(oldest: number): readonly BroadcastPacket[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const packet of fresh) this.#without.set(packet.location, packet);
    for (const location of this.#without.keys()) if (location < oldest) this.#without.delete(location);
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
