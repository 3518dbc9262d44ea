import type { BroadcastPacket } from './wire.js';

/** The bounds of a history. */
export interface HistoryLimits {
  /** Milliseconds of media to keep, and more, back to a packet that a player may start with. */
  readonly milliseconds: number;
  /** The most bytes, counted as players may get them: with padding. */
  readonly bytes: number;
}

// Bytes of overhead of a packet in the history; without it, tiny packets would make a long history.
const ENTRY_OVERHEAD = 300;
// How often the history is trimmed: by packets, and by time in ms.
const TRIM_PACKETS = 1_024;
const TRIM_TIME = 250;

/** The newest packets of a broadcast, kept for new players. */
export class History {
  #packets: BroadcastPacket[] = [];
  #packetSize = 0;
  #wireBytes = 0;
  // Packets, and time in ms, since it was last trimmed.
  #sinceTrim = 0;
  #trimmedAt = 0;

  get packets(): readonly BroadcastPacket[] {
    return this.#packets;
  }

  /** Bytes as kept, without padding. */
  get wireBytes(): number {
    return this.#wireBytes;
  }

  /** @param packetSize of the packets to come, in bytes with padding */
  clear(packetSize: number): void {
    this.#packets = [];
    this.#packetSize = packetSize;
    this.#wireBytes = 0;
    this.#sinceTrim = 0;
    this.#trimmedAt = 0;
  }

  /**
   * Adds a packet, and occasionally trims the history.
   *
   * @returns the location of the oldest remaining packet, if some were dropped
   */
  add(packet: BroadcastPacket, limits: HistoryLimits): number | undefined {
    this.#packets.push(packet);
    this.#wireBytes += packet.wire.length;
    this.#sinceTrim++;
    return this.#trimIsDue(packet, limits) ? this.#trim(packet.time, limits) : undefined;
  }

  #size(packets: number): number {
    return packets * (this.#packetSize + ENTRY_OVERHEAD);
  }

  // Without video every packet is a clean start, and trimming for each of them would take quadratic time.
  #trimIsDue({ cleanStart, time }: BroadcastPacket, { bytes }: HistoryLimits): boolean {
    if (this.#size(this.#packets.length) > bytes) return true;
    return cleanStart && (this.#sinceTrim >= TRIM_PACKETS || time - this.#trimmedAt >= TRIM_TIME);
  }

  /** Keeps what a new player may need: from the newest clean start that is old enough. */
  #trim(newest: number, { milliseconds, bytes }: HistoryLimits): number | undefined {
    this.#sinceTrim = 0;
    this.#trimmedAt = newest;
    const packets = this.#packets;
    let keep = 0;
    for (let index = packets.length - 1; index > 0; index--) {
      const { cleanStart, time } = packets[index]!;
      if (cleanStart && newest - time >= milliseconds) {
        keep = index;
        break;
      }
    }
    if (this.#size(packets.length - keep) > bytes) {
      // Drops more than needed, so that the next packet does not have to trim again.
      const left = Math.floor((bytes * 0.75) / this.#size(1));
      keep = Math.max(keep, Math.min(packets.length - left, packets.length - 1));
    }
    if (keep === 0) return undefined;
    for (let index = 0; index < keep; index++) this.#wireBytes -= packets[index]!.wire.length;
    packets.splice(0, keep);
    return packets[0]!.location;
  }
}
