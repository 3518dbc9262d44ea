import { Batch } from './batch.js';
import type { Delivery, Moment } from './delivery.js';
import type { Lane } from './lane.js';
import {
  LATE_SEND,
  type LaneEntry,
  type PlayerOutput,
  type PlayerSession,
  type SentUnit,
  sent,
  sizeOf,
  unitsOf,
  type WireBatch,
  type WireFormat,
  type WirePacket,
} from './wire.js';

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
  /** Of these, the ones before its streams changed last; -1 if they never did. */
  changedAt = -1;
  /** Milliseconds of media that it asked for at once. */
  lead = 0;
  /** Packets dropped because the player was too slow. */
  skipped = 0;
  /**
   * Bytes that may wait in its connection, besides its first burst, before the rest is held back: what its group has of
   * it can still be replaced by other streams, and is skipped only when it is no longer kept.
   */
  room = Number.POSITIVE_INFINITY;
  /** Out of step: gets nothing until a packet with a clean start. */
  waiting = true;
  /** Since when it has waited for that, or for its successor's key frame, on the broadcast's clock in ms. */
  waitingSince = 0;
  /**
   * The lane's number of the next packet, for a player that is getting kept packets piece by piece, at its start or
   * because it is slow; -1 for all others.
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

  /**
   * Sends a player what others already have, in pieces, as far as it takes them.
   *
   * @returns the location at which it continues with its successor, or -1
   */
  #catchUp(player: Player, moment: Moment, starting: boolean): number {
    const { output } = player.session;
    const room = starting && player.sent === 0 ? moment.limits.backlog : roomOf(player, moment);
    const location = player.successor ? this.#nextLocation(player, player.at, moment) : -1;
    const end = location === -1 ? this.delivered : Math.min(this.lane.indexOf(location), this.delivered);
    let first = starting;
    while (player.at >= 0 && player.group === this) {
      if (player.at < this.lane.first) {
        // The player was too slow for the history.
        const lost = this.delivered - player.at;
        player.skipped += lost;
        moment.totals.skippedPackets += lost;
        this.await(player, moment.now);
        return -1;
      }
      if (player.at >= end) {
        player.laggingSince = -1;
        if (location === -1) player.at = -1;
        return location;
      }
      if (output.backlog > room) {
        player.laggingSince = moment.now;
        return -1;
      }
      const { to, batch } = this.#piece(player, { end, room, starting: first });
      first = false;
      this.#put(player, batch, to - player.at, moment.totals);
      player.at = to;
    }
    return -1;
  }

  // Players arrive in crowds; those that start at the same packet share bytes until the next delivery.
  #piece(player: Player, { end, room, starting }: { end: number; room: number; starting: boolean }): Piece {
    const { at } = player;
    const { wire, lane, delivered } = this;
    const phase = this.#phase(player.number, at);
    const key = `${at} ${phase} ${starting}`;
    const most = Math.min(PIECE_SIZE, room);
    const kept = this.#pieces.get(key);
    if (kept && kept.to <= end && (kept.to === delivered || kept.batch.bytes.length >= most)) return kept;
    let to = at;
    for (let size = 0; to < end && size < most; to++) size += sizeOf(wire, lane.entry(to)!);
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
    if (from === to && !moment.last) return moving;
    const batch = from === to ? undefined : new Batch(lane, this.wire, from, to);
    this.delivered = to;
    this.#dropPieces();
    const isLate = batch !== undefined && moment.now - lane.entry(from)!.arrived > LATE_SEND;
    for (const player of this.players) {
      let location = -1;
      if (player.at >= 0) location = this.#goOn(player, moment);
      else if (batch) location = this.#serve(player, batch, isLate, moment);
      if (location >= 0) moving.push([player, location]);
    }
    return moving;
  }

  /**
   * Sends more to a player that gets kept packets piece by piece.
   *
   * @returns the location at which it continues with its successor, or -1
   */
  #goOn(player: Player, moment: Moment): number {
    if (player.laggingSince >= 0 && !moment.last && !this.#catchesUp(player, moment)) return -1;
    return this.#catchUp(player, moment, false);
  }

  /**
   * Sends a batch to a player that keeps up.
   *
   * @returns the location at which it continues with its successor, or -1
   */
  #serve(player: Player, batch: Batch, isLate: boolean, moment: Moment): number {
    const { limits, now, totals } = moment;
    const { from, to } = batch;
    if (player.laggingSince >= 0 && !this.#catchesUp(player, moment)) {
      player.skipped += to - from;
      totals.skippedPackets += to - from;
      return -1;
    }
    const location = player.successor ? this.#handOver(player, batch, moment) : -1;
    if (location >= 0) return location;
    const output = this.#send(player, batch, moment);
    if (!output) return -1;
    totals.sends++;
    if (isLate) totals.lateSends++;
    const { backlog } = output;
    if (backlog > limits.backlog) {
      player.waiting = true;
      player.waitingSince = now;
      player.laggingSince = now;
    } else if (backlog > player.room) {
      player.at = to;
      player.laggingSince = now;
    }
    return -1;
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
  #handOver(player: Player, { from, to }: Batch, moment: Moment): number {
    const { lane } = this;
    const location = this.#nextLocation(player, from, moment);
    if (location === -1) return -1;
    const before = Math.min(lane.indexOf(location), to);
    if (before > from && !player.waiting) {
      const batch = lane.write(this.wire, { from, to: before, number: player.number, starting: false });
      this.#put(player, batch, before - from, moment.totals);
    }
    return location;
  }

  /**
   * Returns the location from a packet on at which a player's successor has a clean start; -1 if not found.
   *
   * @param from the lane's number of the packet
   */
  #nextLocation(player: Player, from: number, { limits, now, totals }: Moment): number {
    const next = player.successor!.lane;
    const entry = this.lane.entry(from);
    if (!entry) return -1;
    const newest = next.indexOf(entry.location);
    let index = next.cleanStartIn(newest, next.end);
    if (index === -1) {
      if (now - player.waitingSince < limits.cleanStart || newest >= next.end) return -1;
      totals.uncleanStarts++;
      index = newest;
    }
    return next.entry(index)!.location;
  }

  /** True if a player that lagged may go on; one that lags for too long is disconnected. */
  #catchesUp(player: Player, moment: Moment): boolean {
    if (player.dropped) return false;
    const { limits, now, totals } = moment;
    const { output } = player.session;
    if (output.backlog <= roomOf(player, moment) / 4) {
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

/** Returns the bytes that may wait for a player. */
function roomOf({ room }: Player, { limits, last }: Moment): number {
  return last ? limits.backlog : Math.min(limits.backlog, room);
}
