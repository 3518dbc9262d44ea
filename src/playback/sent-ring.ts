import type { SentUnit, WireBatch, WireFormat, WirePacket } from '../media/wire.js';

// For each player, in ms.
const KEEP = 10_000;
// For all players, and the limits of what one of them gets of that, in bytes.
const MAX_ALL = 64 * 1024 * 1024;
const SHARE = { least: 256 * 1024, most: 8 * 1024 * 1024 } as const;
// The memory that a packet takes in addition to its bytes.
const OVERHEAD = 200;

/** Bounds the packets of files that a server keeps for resending, over all players. */
export class ResendBudget {
  readonly #most: number;
  readonly #rings = new Set<SentRing>();
  #used = 0;

  /** @param most bytes */
  constructor(most: number = MAX_ALL) {
    this.#most = most;
  }

  /** The number of bytes kept. */
  get used(): number {
    return this.#used;
  }

  /** The bytes that each player may use: few players get more, so that they find what they lost long ago or fast. */
  get #share(): number {
    return Math.min(Math.max(Math.floor(this.#most / Math.max(this.#rings.size, 1)), SHARE.least), SHARE.most);
  }

  /** Makes a ring for one player. @param now a clock in ms */
  ring(now: () => number): SentRing {
    const ring = new SentRing(
      {
        take: (size) => {
          if (this.#used + size > this.#most) return false;
          this.#used += size;
          this.#rings.add(ring);
          return true;
        },
        most: () => this.#share,
        give: (size) => {
          this.#used -= size;
          if (ring.bytes === 0) this.#rings.delete(ring);
        },
      },
      now,
    );
    return ring;
  }

  /** Drops packets that are too old to be asked for. Call about once a second. */
  sweep(): void {
    for (const ring of this.#rings) ring.expire();
  }
}

interface Share {
  take(size: number): boolean;
  /** The bytes that the player may use at the moment. */
  most(): number;
  give(size: number): void;
}

interface Kept {
  /** The number of the first unit. */
  readonly number: number;
  readonly units: number;
  readonly packet: WirePacket;
  readonly at: number;
  /** The memory that it takes, in bytes. */
  readonly size: number;
}

/**
 * Copies of the packets that a player was sent last by datagrams; copies, because the buffers of files are reused at
 * once. Bounded in time and bytes for the player, and in bytes over all players.
 */
export class SentRing {
  readonly #share: Share;
  readonly #now: () => number;
  /** The oldest first; in ascending order of number. */
  #kept: Kept[] = [];
  #bytes = 0;

  /** For {@link ResendBudget.ring}. */
  constructor(share: Share, now: () => number) {
    this.#share = share;
    this.#now = now;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param number the number of its first unit */
  add(number: number, units: number, packet: WirePacket): void {
    const size = packet.bytes.length + OVERHEAD;
    const share = this.#share.most();
    if (this.#bytes + size > share) this.#drop((_, left) => left + size > share * 0.75);
    if (size > share) return;
    if (!this.#share.take(size)) {
      // The budget is used up, so this player replaces its oldest packets with the newest.
      const most = this.#bytes - size;
      this.#drop((_, left) => left > most);
      if (!this.#share.take(size)) return;
    }
    this.#bytes += size;
    const copy = { ...packet, bytes: Buffer.from(packet.bytes) };
    this.#kept.push({ number, units, packet: copy, at: this.#now(), size });
  }

  /** Finds a unit by its number. */
  find(number: number): SentUnit | undefined {
    let [low, high] = [0, this.#kept.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { number: first, units } = this.#kept[middle]!;
      if (first + units <= number) low = middle + 1;
      else high = middle;
    }
    const found = this.#kept[low];
    if (!found || found.number > number || found.at < this.#now() - KEEP) return undefined;
    return { packet: found.packet, unit: number - found.number };
  }

  /** Drops packets that are too old. */
  expire(): void {
    const oldest = this.#now() - KEEP;
    this.#drop(({ at }) => at < oldest);
  }

  clear(): void {
    this.#drop(() => true);
  }

  /** Drops the oldest packets as long as `wanted` says so. @param wanted gets the bytes left, including the packet */
  #drop(wanted: (kept: Kept, left: number) => boolean): void {
    let count = 0;
    let freed = 0;
    while (count < this.#kept.length && wanted(this.#kept[count]!, this.#bytes - freed))
      freed += this.#kept[count++]!.size;
    if (count === 0) return;
    this.#kept.splice(0, count);
    this.#bytes -= freed;
    this.#share.give(freed);
  }
}

/** Writes units that need not be consecutive. */
export function writeUnits(wire: WireFormat, units: ReadonlyArray<SentUnit & { readonly number: number }>): WireBatch {
  const sizes = units.map(({ packet, unit }) => wire.size(packet, unit));
  const bytes = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  const ends = units.map(({ packet, unit, number }) => (at += wire.write(bytes, at, packet, unit, number)));
  return { bytes, ends };
}
