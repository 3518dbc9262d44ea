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
  /** A player may start here: a key frame of the video begins in it, or there is no video. */
  readonly cleanStart: boolean;
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
  /** No video is chosen, so that a player need not wait for a key frame. */
  readonly startsAnywhere?: boolean;
  /** The packet's bytes for this lane, or undefined when nothing in it is for this lane. */
  select(packet: BroadcastPacket, header: AsfHeader): Buffer | undefined;
  /**
   * Wraps packets for the wire.
   * @param sequence the 8-bit number of the first of them
   */
  wrap(items: readonly LaneItem[], sequence: number): Buffer;
}

/** Where a player's bytes go. Everything handed to `write` is shared by many players and never changes. */
export interface PlayerOutput {
  write(bytes: Buffer): void;
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
  /** Data packets sent since the session began; its low 8 bits number the next one. */
  sent = 0;
  /** Packets left out because the player was too slow. */
  skipped = 0;
  /** Not in step: gets nothing until a packet with a clean start. */
  waiting = true;
  /** When the player fell behind, on the broadcast's clock in ms; -1 while it keeps up. */
  behindSince = -1;

  constructor(session: PlayerSession) {
    this.session = session;
  }
}

interface Entry extends LaneItem {
  /** Instead of `bytes` for a player that starts here. */
  readonly start: Buffer;
  readonly cleanStart: boolean;
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
    const cleanStart = packet.cleanStart || this.format.startsAnywhere === true;
    this.#entries.push({ location, bytes, start: ownStart ?? bytes, cleanStart });
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
   * Adds a player and sends it what it needs to start at once.
   * @param location the packet to start with; -1 waits for the next clean start
   * @returns the bytes sent
   */
  join(player: Player, location: number): number {
    player.lane = this;
    player.waiting = true;
    this.players.add(player);
    if (location < 0) return 0;
    const index = this.#entries.findIndex((entry) => entry.location >= location);
    if (index === -1 || this.#first + index >= this.#delivered) return 0;
    const from = this.#first + index;
    const bytes = this.#wrapBurst(from, player.sent & 255);
    player.waiting = false;
    player.sent += this.#delivered - from;
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

  /** Sends what was appended since the last delivery to every player that keeps up. */
  deliver(limits: LaneLimits, now: number, totals: Delivery): void {
    const from = this.#delivered;
    const batch = this.#entries.slice(from - this.#first);
    this.#delivered = this.#end;
    if (batch.length === 0) return;
    const firstClean = batch.findIndex((entry) => entry.cleanStart);
    // Wrapped batches by phase; a phase is the number that the batch's first packet has for the player.
    const wrapped = new Map<number, Buffer>();
    for (const player of this.players) {
      const { output } = player.session;
      if (player.behindSince >= 0) this.#mayCatchUp(player, limits, now, totals);
      const start = player.waiting ? (player.behindSince >= 0 ? -1 : firstClean) : 0;
      if (start === -1) {
        if (player.behindSince >= 0) {
          player.skipped += batch.length;
          totals.skippedPackets += batch.length;
        }
        continue;
      }
      const phase = this.format.phases === 1 ? 0 : (player.sent - start) & 255;
      const key = player.waiting ? phase + 256 : phase;
      let bytes = wrapped.get(key);
      if (!bytes) {
        bytes = this.format.wrap(player.waiting ? starting(batch.slice(start)) : batch, (phase + start) & 255);
        wrapped.set(key, bytes);
      }
      player.waiting = false;
      player.sent += batch.length - start;
      output.write(bytes);
      totals.bytes += bytes.length;
      if (output.backlog > limits.backlog) {
        player.waiting = true;
        player.behindSince = now;
      }
    }
  }

  #mayCatchUp(player: Player, limits: LaneLimits, now: number, totals: Delivery): void {
    const { output } = player.session;
    if (output.backlog <= limits.backlog / 4) {
      player.behindSince = -1;
    } else if (now - player.behindSince > limits.patience) {
      totals.droppedPlayers++;
      output.destroy();
    }
  }
}

/** What a player gets that starts with the first of these. */
function starting([first, ...rest]: readonly Entry[]): LaneItem[] {
  return first ? [{ location: first.location, bytes: first.start }, ...rest] : [];
}
