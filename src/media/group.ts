import type { Lane } from './lane.js';
import {
  LATE_SEND,
  type LaneEntry,
  type PlayerOutput,
  type PlayerSession,
  type SentUnit,
  sent,
  unitsOf,
  type WireBatch,
  type WireFormat,
  type WirePacket,
} from './wire.js';

/** The limits that a lane keeps for its players. @public */
export interface LaneLimits {
  /** Bytes that may wait for a player before packets are dropped for it. */
  readonly backlog: number;
  /** Longest time in ms that a player may lag before it is disconnected. */
  readonly patience: number;
  /** Longest time in ms that a player waits for a clean start before it begins without one. */
  readonly cleanStart: number;
}

/** The counts of one delivery. @public */
export interface Delivery {
  bytes: number;
  /** Writes to players: batches of what has come since the last one. */
  sends: number;
  /** Of these, those with a packet that was due more than 500 ms before. */
  lateSends: number;
  skippedPackets: number;
  droppedPlayers: number;
  /** Players that began without a key frame, because there was none. */
  uncleanStarts: number;
}

/** Returns totals of zero. */
export function newTotals(): Delivery {
  return { bytes: 0, sends: 0, lateSends: 0, skippedPackets: 0, droppedPlayers: 0, uncleanStarts: 0 };
}

/** The context of a delivery. @public */
export interface Moment {
  readonly limits: LaneLimits;
  /** The broadcast's clock in ms. */
  readonly now: number;
  readonly totals: Delivery;
}

/** The turn of groups that are served quickly, because their players have little in hand. */
export const QUICK = -1;
/** Media that a player must have in hand before it can wait for larger batches, in ms. */
export const SETTLED_LEAD = 2_000;

/** Bytes of each piece of a new player's burst, restored padding included. */
const PIECE_SIZE = 256 * 1024;
/** The most bytes of such pieces that are kept for later players. */
const MAX_PIECES = 4 * 1024 * 1024;

/** Gapless runs of packets that a datagram player remembers, to resend some of them. */
const MAX_RUNS = 8;

/** A gapless stretch of a lane as a player got it, numbered without a gap. */
interface SentRun {
  readonly lane: Lane;
  readonly wire: WireFormat;
  /** The player's number of the first unit. */
  readonly number: number;
  readonly first: WirePacket;
  /** Units of the first packet, which may be fewer than others get of it. */
  readonly units: number;
  /** The lane's number of the first unit of the second packet. */
  readonly after: number;
}

/** A player's place in a broadcast. Kept small: there are thousands. @public */
export class Player {
  readonly session: PlayerSession;
  group: Group | undefined;
  /** The group that it moves to at that group's next key frame, after a change of streams. */
  successor: Group | undefined;
  /** Number of the next unit; unbounded, masked on the wire. */
  number: number;
  /** Data packets sent. */
  sent = 0;
  /** Milliseconds of media that it asked for at once. */
  lead = 0;
  /** Packets dropped because the player was too slow. */
  skipped = 0;
  /** Out of step: gets nothing until a packet with a clean start. */
  waiting = true;
  /** Since when it has waited for that, or for its successor's key frame, on the broadcast's clock in ms. */
  waitingSince = 0;
  /**
   * The lane's number of the next packet, for a player that is getting kept packets piece by piece; -1 for all others.
   */
  at = -1;
  /** When it will have some seconds in hand, on the broadcast's clock in ms. */
  settledAt = Number.POSITIVE_INFINITY;
  /** When the player began to lag, on the broadcast's clock in ms; -1 while it keeps up. */
  laggingSince = -1;
  /** True if it was disconnected for being too slow; its connection may take a while to close. */
  dropped = false;
  /** True if its format has changed since the last packet. */
  rewired = false;
  #runs: SentRun[] | undefined;

  constructor(session: PlayerSession, number: number) {
    this.session = session;
    this.number = number;
  }

  get lane(): Lane | undefined {
    return this.group?.lane;
  }

  /** True if it is in step and has some seconds in hand. */
  isSettled(now: number): boolean {
    return this.settledAt <= now && !this.waiting && this.at < 0 && this.laggingSince < 0;
  }

  /**
   * Starts a new run: the next packet does not follow the last one, in the lane or in its form.
   *
   * @param index of the next packet within the lane
   * @param starting true if it is sent as a start
   */
  begin(entry: LaneEntry, index: number, starting: boolean): void {
    const { group } = this;
    this.rewired = false;
    if (!group || this.session.output.framing !== 'datagrams') return;
    const { lane, wire } = group;
    const first = sent(entry, starting);
    this.#runs ??= [];
    if (this.#runs.length === MAX_RUNS) this.#runs.shift();
    const units = unitsOf(wire, first);
    this.#runs.push({ lane, wire, number: this.number, first, units, after: lane.numberAt(wire, index + 1) });
  }

  /**
   * Finds a unit that this player was sent, even before it left.
   *
   * @param number as the player got it, unbounded
   * @returns undefined if it was not sent or is no longer kept
   */
  recent(number: number): SentUnit | undefined {
    if (number >= this.number) return undefined;
    const run = this.#runs?.findLast((candidate) => candidate.number <= number);
    if (!run) return undefined;
    const unit = number - run.number;
    if (unit < run.units) return { packet: run.first, unit };
    return run.lane.unit(run.wire, run.after + unit - run.units);
  }
}

interface Piece {
  readonly from: number;
  readonly to: number;
  readonly batch: WireBatch;
}

/**
 * The players of a lane whose packets are written in the same way.
 *
 * If a protocol counts the packets of each session, two players that joined at different packets need different bytes.
 * But the numbers differ by a constant, of which the wire shows only some bits. So a batch is written once for each
 * difference ("phase") in use, and players of a phase share the very same Buffer.
 *
 * @public
 */
export class Group {
  readonly lane: Lane;
  readonly wire: WireFormat;
  /** When it is served, or {@link QUICK}. */
  readonly turn: number;
  readonly players = new Set<Player>();
  /** Packets before this one have been delivered; the lane's number. */
  delivered: number;
  // Pieces of bursts for later players, by where the piece starts and its phase.
  readonly #pieces = new Map<string, Piece>();
  #piecesSize = 0;

  constructor(lane: Lane, wire: WireFormat, turn: number) {
    this.lane = lane;
    this.wire = wire;
    this.turn = turn;
    this.delivered = lane.end;
  }

  /** The lane's number of the next unit to deliver. */
  get number(): number {
    return this.lane.numberAt(this.wire, this.delivered);
  }

  /** Adds a player that starts at the next clean start. */
  await(player: Player, now: number): void {
    player.group = this;
    player.waiting = true;
    player.waitingSince = now;
    player.at = -1;
    this.players.add(player);
  }

  leave(player: Player): void {
    this.players.delete(player);
    player.group = undefined;
    player.at = -1;
  }

  /** Moves a player to a group that has delivered as much. */
  hand(player: Player, to: Group): void {
    this.players.delete(player);
    to.players.add(player);
    player.group = to;
  }

  /** Starts a player at a packet that was already delivered to others; it gets everything from there on. */
  startAt(player: Player, index: number, moment: Moment): void {
    player.waiting = false;
    player.at = index;
    const entry = this.lane.entry(index);
    if (entry) player.begin(entry, index, true);
    player.settledAt = moment.now + SETTLED_LEAD - this.leadFrom(index);
    this.#catchUp(player, moment, true);
  }

  /** Returns the ms of media that a player gets at once if it starts with this packet. */
  leadFrom(index: number): number {
    const first = this.lane.entry(index);
    const last = this.lane.entry(this.delivered - 1);
    return first && last ? Math.max(last.time - first.time, 0) : 0;
  }

  /**
   * Returns the number of the first unit for a player that starts at a packet, if all players are to share their bytes.
   */
  numberFrom(index: number): number {
    const { lane, wire } = this;
    if (index >= this.delivered || !wire.units) return lane.numberAt(wire, index);
    const { start } = lane.entry(index)!;
    return lane.numberAt(wire, index + 1) - wire.units(start ?? lane.entry(index)!);
  }

  /** Sends a player what others already have, in pieces, as far as it takes them. */
  #catchUp(player: Player, moment: Moment, starting: boolean): void {
    const { output } = player.session;
    let first = starting;
    while (player.at >= 0 && player.group === this) {
      if (player.at < this.lane.first) {
        // The player was too slow for the history.
        const lost = this.delivered - player.at;
        player.skipped += lost;
        moment.totals.skippedPackets += lost;
        this.await(player, moment.now);
        return;
      }
      if (player.at >= this.delivered) {
        player.at = -1;
        player.laggingSince = -1;
        return;
      }
      if (output.backlog > moment.limits.backlog) {
        player.laggingSince = moment.now;
        return;
      }
      const { to, batch } = this.#piece(player, first);
      first = false;
      this.#put(player, batch, to - player.at, moment.totals);
      player.at = to;
    }
  }

  // Players arrive in crowds; those that start at the same packet share bytes until the next delivery.
  #piece(player: Player, starting: boolean): Piece {
    const { at } = player;
    const { wire, lane, delivered } = this;
    const phase = this.#phase(player.number, at);
    const key = `${at} ${phase} ${starting}`;
    const kept = this.#pieces.get(key);
    if (kept && (kept.to === delivered || kept.batch.bytes.length >= PIECE_SIZE)) return kept;
    let to = at;
    for (let size = 0; to < delivered && size < PIECE_SIZE; to++) size += sizeOf(wire, lane.entry(to)!);
    const piece = { from: at, to, batch: lane.write(wire, { from: at, to, number: player.number, starting }) };
    this.#keep(key, piece);
    return piece;
  }

  #keep(key: string, piece: Piece): void {
    const size = piece.batch.bytes.length;
    if (this.#piecesSize + size > MAX_PIECES) {
      this.#pieces.clear();
      this.#piecesSize = 0;
    }
    this.#piecesSize += size - (this.#pieces.get(key)?.batch.bytes.length ?? 0);
    this.#pieces.set(key, piece);
  }

  /** Forgets the pieces that no player can get any more: they may be megabytes. */
  #dropPieces(): void {
    for (const [key, { from, to, batch }] of this.#pieces) {
      const { length } = batch.bytes;
      if (from >= this.lane.first && (to === this.delivered || length >= PIECE_SIZE)) continue;
      this.#pieces.delete(key);
      this.#piecesSize -= length;
    }
  }

  #phase(number: number, index: number): number {
    if (this.wire.numbers === 'none') return 0;
    return ((number - this.lane.numberAt(this.wire, index)) & this.wire.mask) >>> 0;
  }

  #put(player: Player, batch: WireBatch, packets: number, totals: Delivery): PlayerOutput {
    player.sent += packets;
    player.number += batch.ends.length;
    totals.bytes += batch.bytes.length;
    const { output } = player.session;
    output.put(batch);
    return output;
  }

  /**
   * Sends what was appended since the last delivery to every player that keeps up.
   *
   * @returns the players that move to their successors, with the location where they continue there
   */
  deliver(moment: Moment): Array<readonly [player: Player, location: number]> {
    const { lane } = this;
    const from = this.delivered;
    const to = lane.end;
    const moving: Array<readonly [Player, number]> = [];
    if (from === to) return moving;
    const batch = new Batch(this, from, to);
    this.delivered = to;
    this.#dropPieces();
    const { limits, now, totals } = moment;
    const isLate = now - lane.entry(from)!.arrived > LATE_SEND;
    for (const player of this.players) {
      if (player.at >= 0) {
        if (player.laggingSince < 0 || this.#catchesUp(player, moment)) this.#catchUp(player, moment, false);
        continue;
      }
      if (player.laggingSince >= 0 && !this.#catchesUp(player, moment)) {
        player.skipped += to - from;
        totals.skippedPackets += to - from;
        continue;
      }
      const location = player.successor ? this.#handOver(player, batch, moment) : -1;
      if (location >= 0) {
        moving.push([player, location]);
        continue;
      }
      const output = this.#send(player, batch, moment);
      if (!output) continue;
      totals.sends++;
      if (isLate) totals.lateSends++;
      if (output.backlog > limits.backlog) {
        player.waiting = true;
        player.waitingSince = now;
        player.laggingSince = now;
      }
    }
    return moving;
  }

  /** @returns the output it was sent to; undefined if nothing was sent */
  #send(player: Player, batch: Batch, moment: Moment): PlayerOutput | undefined {
    const { limits, now, totals } = moment;
    const { from, to, firstClean } = batch;
    let start = from;
    if (player.waiting) {
      start = firstClean;
      if (start === -1) {
        const waited = now - player.waitingSince;
        if (waited < limits.cleanStart) return undefined;
        totals.uncleanStarts++;
        start = from;
        if (player.sent === 0) {
          // The player also gets what arrived while it waited.
          this.startAt(player, this.lane.startFor(player.lead + waited, to, false), moment);
          return undefined;
        }
      } else if (player.sent === 0) {
        const sound = this.lane.withSound(start);
        if (sound < start) {
          this.startAt(player, sound, moment);
          return undefined;
        }
      }
    }
    if (player.waiting || player.rewired) player.begin(this.lane.entry(start)!, start, player.waiting);
    if (player.waiting) player.settledAt = now + SETTLED_LEAD;
    const written = batch.write(start, player.number, player.waiting);
    player.waiting = false;
    return this.#put(player, written, to - start, totals);
  }

  /**
   * Sends a player the packets before the location at which its successor has a clean start within this batch, and
   * returns that location; -1 while there is no such location. The streams that are replaced go on until the key frame
   * of the new one (MS-WMSP 3.2.5.7).
   */
  #handOver(player: Player, { from, to }: Batch, { limits, now, totals }: Moment): number {
    const { lane } = this;
    const next = player.successor!.lane;
    const newest = next.indexOf(lane.entry(from)!.location);
    let index = next.cleanStartIn(newest, next.end);
    if (index === -1) {
      if (now - player.waitingSince < limits.cleanStart || newest >= next.end) return -1;
      totals.uncleanStarts++;
      index = newest;
    }
    const { location } = next.entry(index)!;
    const before = Math.min(lane.indexOf(location), to);
    if (before > from && !player.waiting) {
      const batch = lane.write(this.wire, { from, to: before, number: player.number, starting: false });
      this.#put(player, batch, before - from, totals);
    }
    return location;
  }

  /** True if a player that lagged may go on; one that lags for too long is disconnected. */
  #catchesUp(player: Player, { limits, now, totals }: Moment): boolean {
    if (player.dropped) return false;
    const { output } = player.session;
    if (output.backlog <= limits.backlog / 4) {
      player.laggingSince = -1;
      return true;
    }
    if (now - player.laggingSince > limits.patience) {
      totals.droppedPlayers++;
      player.dropped = true;
      output.destroy();
    }
    return false;
  }
}

/** The packets that a group delivers at once. */
class Batch {
  readonly from: number;
  readonly to: number;
  /** Where a waiting player may start, as the lane's number; -1 if nowhere. */
  readonly firstClean: number;
  readonly #group: Group;
  // Number of the first unit of the first packet, and of the packet that players start with.
  readonly #number: number;
  #startNumber: number | undefined;
  readonly #written = new Map<number, WireBatch>();
  // The last result: most players are of one phase, one after another.
  #lastKey = -1;
  #last: WireBatch | undefined;

  constructor(group: Group, from: number, to: number) {
    this.#group = group;
    this.from = from;
    this.to = to;
    this.firstClean = group.lane.cleanStartIn(from, to);
    this.#number = group.lane.numberAt(group.wire, from);
  }

  /**
   * Returns the packets from `start` on, for all players of a phase.
   *
   * @param number the player's number of the first unit
   */
  write(start: number, number: number, starting: boolean): WireBatch {
    const { wire } = this.#group;
    const phase = wire.numbers === 'none' ? 0 : ((number - this.#numberOf(start)) & wire.mask) >>> 0;
    const key = phase * 2 + (starting ? 1 : 0);
    if (key === this.#lastKey) return this.#last!;
    let written = this.#written.get(key);
    if (!written) {
      written = this.#group.lane.write(wire, { from: start, to: this.to, number, starting });
      this.#written.set(key, written);
    }
    this.#lastKey = key;
    this.#last = written;
    return written;
  }

  #numberOf(start: number): number {
    if (start === this.from) return this.#number;
    this.#startNumber ??= this.#group.lane.numberAt(this.#group.wire, start);
    return this.#startNumber;
  }
}

/** Returns the bytes of a packet on the wire. */
function sizeOf(wire: WireFormat, packet: LaneEntry): number {
  const units = wire.units ? wire.units(packet) : 1;
  let size = 0;
  for (let unit = 0; unit < units; unit++) size += wire.size(packet, unit);
  return size;
}
