import type { AsfHeader } from '../asf/header.js';
import type { EndEvent } from './events.js';

/** A data packet of a broadcast as the lanes take it. */
export interface BroadcastPacket {
  /** Number of the packet in the virtual ASF file that the broadcast is, from 0 for each header (MS-WMSP 2.2.3.1.2). */
  readonly location: number;
  /** Without padding, with an explicit Packet Length where that was cut. */
  readonly wire: Buffer;
  /** The same for a player that starts here: without the ends of objects that began before. */
  readonly start: Buffer;
  /** Milliseconds modulo 2^32. */
  readonly sendTime: number;
  /** A player may start here: a key frame of some video begins in it, or there is no video. */
  readonly cleanStart: boolean;
  /** The video streams of which a key frame begins in it. */
  readonly keyStreams: readonly number[];
}

/** A packet as the players of one lane get it. */
export interface LaneItem {
  readonly location: number;
  readonly bytes: Buffer;
}

/** What a group of players has in common: which streams they get, and how packets are wrapped for them. */
export interface LaneFormat {
  /** Players whose formats have the same key share everything. */
  readonly key: string;
  /**
   * How many different numberings there are: 1 when all players get the same bytes, 256 when each packet carries an 8-bit
   * number that counts the packets of the player's own session.
   */
  readonly phases: 1 | 256;
  /** Whether a player of this lane may start with the packet; by default where any video has a key frame. */
  startsAt?(packet: BroadcastPacket): boolean;
  /** The packet's bytes for this lane, or undefined when nothing in it is for this lane. */
  select(packet: BroadcastPacket, header: AsfHeader): Buffer | undefined;
  /**
   * Wraps packets for the wire.
   * @param sequence the 8-bit number of the first of them
   */
  wrap(items: readonly LaneItem[], sequence: number): Buffer;
}

/** Where a player's bytes go. What is handed to `write` may be shared by many players and does not change. */
export interface PlayerOutput {
  /** @param done called once the operating system has taken the bytes, or never will; where it is given they may change then */
  write(bytes: Buffer, done?: () => void): void;
  /** Bytes written and not yet taken by the operating system. */
  readonly backlog: number;
  destroy(): void;
}

/** A player's session, as the broadcast sees it. */
export interface PlayerSession {
  readonly output: PlayerOutput;
  /**
   * Another header holds from here on.
   * @returns how the player wants what follows, or undefined when it cannot take another header and has ended itself
   */
  changed(header: AsfHeader): LaneFormat | undefined;
  ended(event: EndEvent): void;
}

/** A player's place in a lane. Kept small: there are thousands. */
export class Player {
  readonly session: PlayerSession;
  lane: Lane | undefined;
  /** The lane that it moves to at the next key frame there, because other streams were chosen. */
  successor: Lane | undefined;
  /** Data packets sent. */
  sent = 0;
  /** Packets left out because the player was too slow. */
  skipped = 0;
  /** Not in step: gets nothing until a packet with a clean start. */
  waiting = true;
  /** When the player fell behind, on the broadcast's clock in ms; -1 while it keeps up. */
  behindSince = -1;
  readonly #firstSequence: number;

  /** @param sequence the 8-bit number of the first packet */
  constructor(session: PlayerSession, sequence: number) {
    this.session = session;
    this.#firstSequence = sequence;
  }

  /** The 8-bit number of the next packet. */
  get sequence(): number {
    return (this.#firstSequence + this.sent) & 255;
  }
}

interface Entry extends LaneItem {
  /** Instead of `bytes` for a player that starts here. */
  readonly start: Buffer;
  readonly cleanStart: boolean;
  readonly sendTime: number;
}

/** What a lane delivers at once. */
interface Batch {
  readonly entries: readonly Entry[];
  /** Where a player that waits may start; -1 nowhere. */
  readonly firstClean: number;
  /** The wrapped bytes by phase, the number that the first packet has for the player; plus 256 for players that start. */
  readonly wrapped: Map<number, Buffer>;
}

/** The limits that a lane keeps for its players. */
export interface LaneLimits {
  /** Bytes that may wait for a player before packets are left out for it. */
  readonly backlog: number;
  /** Longest time in ms that a player may stay behind before it is dropped. */
  readonly patience: number;
}

/** What one delivery did. */
export interface Delivery {
  bytes: number;
  skippedPackets: number;
  droppedPlayers: number;
}

/**
 * The players of a broadcast that get the same packets in the same wrapping.
 *
 * A session numbers its packets from 0, so two players that joined at different packets need different bytes; but they differ
 * by a constant, and there are only 256 of them. A batch is therefore wrapped once for each difference ("phase") in use, and
 * players of a phase share the very same Buffer.
 */
export class Lane {
  readonly format: LaneFormat;
  readonly players = new Set<Player>();
  readonly #header: AsfHeader;
  #entries: Entry[] = [];
  // Number within the lane of #entries[0]; what a phase is counted from.
  #first = 0;
  // Entries up to here (exclusive, as number within the lane) have been delivered.
  #delivered = 0;
  #burst: { from: number; to: number; bytes: Buffer } | undefined;

  constructor(format: LaneFormat, header: AsfHeader, backlog: Iterable<BroadcastPacket>) {
    this.format = format;
    this.#header = header;
    for (const packet of backlog) this.append(packet);
    this.#delivered = this.#end;
  }

  get #end(): number {
    return this.#first + this.#entries.length;
  }

  append(packet: BroadcastPacket): void {
    const { location, wire } = packet;
    const bytes = this.format.select(packet, this.#header);
    if (!bytes) return;
    const ownStart =
      packet.start === wire ? undefined : this.format.select({ ...packet, wire: packet.start }, this.#header);
    const cleanStart = this.format.startsAt?.(packet) ?? packet.cleanStart;
    this.#entries.push({ location, bytes, start: ownStart ?? bytes, cleanStart, sendTime: packet.sendTime });
  }

  /** Forgets packets from before `location`; what has not been delivered stays. */
  trim(location: number): void {
    let count = 0;
    const limit = this.#delivered - this.#first;
    while (count < limit && this.#entries[count]!.location < location) count++;
    if (count === 0) return;
    this.#entries.splice(0, count);
    this.#first += count;
  }

  /**
   * Adds a player and sends it what it needs to start at once: from the newest clean start that is `burst` ms old, or else the
   * oldest there is. Without one it waits.
   *
   * @returns the bytes sent
   */
  join(player: Player, burst: number): number {
    this.await(player);
    const from = this.#burstStart(burst);
    if (from === -1) return 0;
    const bytes = this.#wrapBurst(from, player.sequence);
    player.waiting = false;
    player.sent += this.#delivered - from;
    player.session.output.write(bytes);
    return bytes.length;
  }

  /** Adds a player that starts with the next clean start to come. */
  await(player: Player): void {
    player.lane = this;
    player.waiting = true;
    this.players.add(player);
  }

  /** The number within the lane of the entry that a burst starts with; -1 when there is none. */
  #burstStart(burst: number): number {
    let oldest = -1;
    const newest = this.#entries[this.#delivered - this.#first - 1]?.sendTime ?? 0;
    for (let index = this.#delivered - this.#first - 1; index >= 0; index--) {
      const { cleanStart, sendTime } = this.#entries[index]!;
      if (!cleanStart) continue;
      oldest = this.#first + index;
      if (((newest - sendTime) | 0) >= burst) break;
    }
    return oldest;
  }

  /** Sends all that was delivered to others from `location` on to a player that comes from another lane. */
  takeOver(player: Player, location: number): number {
    this.await(player);
    const index = this.#entries.findIndex((entry) => entry.location >= location);
    const end = this.#delivered - this.#first;
    if (index === -1 || index >= end) return 0;
    player.waiting = false;
    const bytes = this.format.wrap(starting(this.#entries.slice(index, end)), player.sequence);
    player.sent += end - index;
    player.session.output.write(bytes);
    return bytes.length;
  }

  // Players come in crowds; those that start at the same packet get the same bytes as long as no new batch came.
  #wrapBurst(from: number, sequence: number): Buffer {
    const cached = this.#burst;
    if (sequence === 0 && cached && cached.from === from && cached.to === this.#delivered) return cached.bytes;
    const entries = this.#entries.slice(from - this.#first, this.#delivered - this.#first);
    const bytes = this.format.wrap(starting(entries), sequence);
    if (sequence === 0) this.#burst = { from, to: this.#delivered, bytes };
    return bytes;
  }

  leave(player: Player): void {
    this.players.delete(player);
    player.lane = undefined;
  }

  /**
   * Sends what was appended since the last delivery to every player that keeps up.
   *
   * @returns the players that move to their successor lanes, with the location from which they get that lane's packets
   */
  deliver(limits: LaneLimits, now: number, totals: Delivery): Array<readonly [player: Player, location: number]> {
    const entries = this.#entries.slice(this.#delivered - this.#first);
    this.#delivered = this.#end;
    const moving: Array<readonly [Player, number]> = [];
    if (entries.length === 0) return moving;
    const batch: Batch = {
      entries,
      firstClean: entries.findIndex((entry) => entry.cleanStart),
      wrapped: new Map(),
    };
    for (const player of this.players) {
      if (player.behindSince >= 0 && !this.#catchesUp(player, limits, now, totals)) {
        player.skipped += entries.length;
        totals.skippedPackets += entries.length;
        continue;
      }
      const location = player.successor ? this.#handOver(player, entries, totals) : -1;
      if (location >= 0) {
        moving.push([player, location]);
        continue;
      }
      this.#send(player, batch, totals);
      if (player.session.output.backlog > limits.backlog) {
        player.waiting = true;
        player.behindSince = now;
      }
    }
    return moving;
  }

  #send(player: Player, { entries, firstClean, wrapped }: Batch, totals: Delivery): void {
    const start = player.waiting ? firstClean : 0;
    if (start === -1) return;
    const phase = this.format.phases === 1 ? 0 : (player.sequence - start) & 255;
    const key = player.waiting ? phase + 256 : phase;
    let bytes = wrapped.get(key);
    if (!bytes) {
      bytes = this.format.wrap(player.waiting ? starting(entries.slice(start)) : entries, (phase + start) & 255);
      wrapped.set(key, bytes);
    }
    player.waiting = false;
    player.sent += entries.length - start;
    player.session.output.write(bytes);
    totals.bytes += bytes.length;
  }

  /**
   * The location at which a player's successor lane has a clean start within this batch, after what comes before it here was
   * sent; -1 while there is none: the streams that are replaced go on until the key frame of the new one (MS-WMSP 3.2.5.7).
   */
  #handOver(player: Player, batch: readonly Entry[], totals: Delivery): number {
    const location = player.successor!.#cleanStartFrom(batch[0]!.location);
    if (location === -1) return -1;
    const before = batch.filter((entry) => entry.location < location);
    if (before.length > 0 && !player.waiting) {
      const bytes = this.format.wrap(before, player.sequence);
      player.sent += before.length;
      player.session.output.write(bytes);
      totals.bytes += bytes.length;
    }
    return location;
  }

  #cleanStartFrom(location: number): number {
    return this.#entries.find((entry) => entry.cleanStart && entry.location >= location)?.location ?? -1;
  }

  /** Whether a player that fell behind may go on; one that stays behind for too long is dropped. */
  #catchesUp(player: Player, limits: LaneLimits, now: number, totals: Delivery): boolean {
    const { output } = player.session;
    if (output.backlog <= limits.backlog / 4) {
      player.behindSince = -1;
      return true;
    }
    if (now - player.behindSince > limits.patience) {
      totals.droppedPlayers++;
      output.destroy();
    }
    return false;
  }
}

/** What a player gets that starts with the first of these. */
function starting([first, ...rest]: readonly Entry[]): LaneItem[] {
  return first ? [{ location: first.location, bytes: first.start }, ...rest] : [];
}
