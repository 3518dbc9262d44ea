import type { Lane } from './lane.js';
import {
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

/** The limits that a lane keeps for its players. */
export interface LaneLimits {
  /** Bytes that may wait for a player before packets are left out for it. */
  readonly backlog: number;
  /** Longest time in ms that a player may stay behind before it is dropped. */
  readonly patience: number;
  /** Longest time in ms that a player waits for a clean start before it begins with what there is. */
  readonly cleanStart: number;
}

/** What one delivery did. */
export interface Delivery {
  bytes: number;
  skippedPackets: number;
  droppedPlayers: number;
  /** Players that began without a key frame, because none came. */
  uncleanStarts: number;
}

export function newTotals(): Delivery {
  return { bytes: 0, skippedPackets: 0, droppedPlayers: 0, uncleanStarts: 0 };
}

/** What a delivery needs to know. */
export interface Moment {
  readonly limits: LaneLimits;
  /** The broadcast's clock in ms. */
  readonly now: number;
  readonly totals: Delivery;
}

/** The turn of groups that are served quickly, because their players have little in hand. */
export const QUICK = -1;
/** What a player has to have in hand before it can wait for larger batches, ms of media. */
export const SETTLED_LEAD = 2_000;

/** Bytes of a piece of what a new player gets at once; restored padding counts. */
const PIECE_SIZE = 256 * 1024;
/** Most bytes of such pieces that are kept for players to come. */
const MAX_PIECES = 4 * 1024 * 1024;

/** Runs of packets without a gap that a player of datagrams remembers, to send some of them again. */
const MAX_RUNS = 8;

/** A stretch of a lane as a player got it: without a gap, and numbered without one. */
interface SentRun {
  readonly lane: Lane;
  readonly wire: WireFormat;
  /** Number of the first unit, for the player. */
  readonly number: number;
  readonly first: WirePacket;
  /** Units of the first packet, which may be fewer than others get of it. */
  readonly units: number;
  /** Number within the lane of the first unit of the second packet. */
  readonly after: number;
}

/** A player's place in a broadcast. Kept small: there are thousands. */
export class Player {
  readonly session: PlayerSession;
  group: Group | undefined;
  /** Where it moves to at the next key frame there, because other streams were chosen. */
  successor: Group | undefined;
  /** Number of the next unit; unbounded, the wire masks it. */
  number: number;
  /** Data packets sent. */
  sent = 0;
  /** Milliseconds of media that it wants at once. */
  lead = 0;
  /** Packets left out because the player was too slow. */
  skipped = 0;
  /** Out of step: gets nothing until a packet with a clean start. */
  waiting = true;
  /** Since when it waits for that, or for the key frame of its successor, on the broadcast's clock in ms. */
  waitingSince = 0;
  /** Number within the lane of the next packet, for a player that is getting what was kept piece by piece; -1 for all others. */
  at = -1;
  /** When it will have some seconds in hand, on the broadcast's clock in ms. */
  settledAt = Number.POSITIVE_INFINITY;
  /** When the player fell behind, on the broadcast's clock in ms; -1 while it keeps up. */
  behindSince = -1;
  /** Its format has changed since the last packet. */
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
    return this.settledAt <= now && !this.waiting && this.at < 0 && this.behindSince < 0;
  }

  /**
   * Notes that what comes next does not follow what was sent last, in the lane or in its form.
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
   * Finds a unit that this player was sent, also in what it had before it left.
   *
   * @param number as the player got it, unbounded
   * @returns undefined when it was not sent or is not kept any more
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
  readonly to: number;
  readonly batch: WireBatch;
}

/**
 * The players of a lane whose packets are written in the same way.
 *
 * Where a protocol counts the packets of each session, two players that joined at different packets need different bytes; but they
 * differ by a constant, of which the wire shows only some bits. So a batch is written once for each difference ("phase") in use, and
 * players of a phase share the very same Buffer.
 */
export class Group {
  readonly lane: Lane;
  readonly wire: WireFormat;
  /** When it is served, or {@link QUICK}. */
  readonly turn: number;
  readonly players = new Set<Player>();
  /** Packets up to here (exclusive, as number within the lane) have been delivered. */
  delivered: number;
  // What players were given at once, for those that come after them, by where the piece starts and its phase.
  readonly #pieces = new Map<string, Piece>();
  #piecesSize = 0;

  constructor(lane: Lane, wire: WireFormat, turn: number) {
    this.lane = lane;
    this.wire = wire;
    this.turn = turn;
    this.delivered = lane.end;
  }

  /** The number, within the lane, of the next unit to be delivered. */
  get number(): number {
    return this.lane.numberAt(this.wire, this.delivered);
  }

  /** Adds a player that starts with the next clean start to come. */
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

  /** Hands a player over to a group that has delivered as much. */
  hand(player: Player, to: Group): void {
    this.players.delete(player);
    to.players.add(player);
    player.group = to;
  }

  /** Lets a player start with a packet that was delivered to others; it gets all from there on. */
  startAt(player: Player, index: number, moment: Moment): void {
    player.waiting = false;
    player.at = index;
    const entry = this.lane.entry(index);
    if (entry) player.begin(entry, index, true);
    player.settledAt = moment.now + SETTLED_LEAD - this.leadFrom(index);
    this.#catchUp(player, moment, true);
  }

  /** Milliseconds of media that a player gets at once that starts with a packet. */
  leadFrom(index: number): number {
    const first = this.lane.entry(index);
    const last = this.lane.entry(this.delivered - 1);
    return first && last ? Math.max(last.time - first.time, 0) : 0;
  }

  /** Number of the first unit for a player that starts at a packet, when all players are to share their bytes. */
  numberFrom(index: number): number {
    const { lane, wire } = this;
    if (index >= this.delivered || !wire.units) return lane.numberAt(wire, index);
    const { start } = lane.entry(index)!;
    return lane.numberAt(wire, index + 1) - wire.units(start ?? lane.entry(index)!);
  }

  /** Gives a player what others have got already, in pieces, as far as it takes them. */
  #catchUp(player: Player, moment: Moment, starting: boolean): void {
    const { output } = player.session;
    let first = starting;
    while (player.at >= 0 && player.group === this) {
      if (player.at < this.lane.first) {
        // It was too slow for what is kept.
        const lost = this.delivered - player.at;
        player.skipped += lost;
        moment.totals.skippedPackets += lost;
        this.await(player, moment.now);
        return;
      }
      if (player.at >= this.delivered) {
        player.at = -1;
        player.behindSince = -1;
        return;
      }
      if (output.backlog > moment.limits.backlog) {
        player.behindSince = moment.now;
        return;
      }
      const { to, batch } = this.#piece(player, first);
      first = false;
      this.#put(player, batch, to - player.at, moment.totals);
      player.at = to;
    }
  }

  // Players come in crowds; those that start at the same packet get the same bytes as long as nothing new was delivered.
  #piece(player: Player, starting: boolean): Piece {
    const { at } = player;
    const { wire, lane, delivered } = this;
    const phase = this.#phase(player.number, at);
    const key = `${at} ${phase} ${starting}`;
    const kept = this.#pieces.get(key);
    if (kept && (kept.to === delivered || kept.batch.bytes.length >= PIECE_SIZE)) return kept;
    let to = at;
    for (let size = 0; to < delivered && size < PIECE_SIZE; to++) size += sizeOf(wire, lane.entry(to)!);
    const piece = { to, batch: lane.write(wire, { from: at, to, number: player.number, starting }) };
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
   * @returns the players that move to their successors, with the location from which they get the packets there
   */
  deliver(moment: Moment): Array<readonly [player: Player, location: number]> {
    const { lane } = this;
    const from = this.delivered;
    const to = lane.end;
    const moving: Array<readonly [Player, number]> = [];
    if (from === to) return moving;
    const batch = new Batch(this, from, to);
    this.delivered = to;
    const { limits, now, totals } = moment;
    for (const player of this.players) {
      if (player.at >= 0) {
        if (player.behindSince < 0 || this.#catchesUp(player, moment)) this.#catchUp(player, moment, false);
        continue;
      }
      if (player.behindSince >= 0 && !this.#catchesUp(player, moment)) {
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
      if (output && output.backlog > limits.backlog) {
        player.waiting = true;
        player.waitingSince = now;
        player.behindSince = now;
      }
    }
    return moving;
  }

  /** @returns where it was sent to; undefined when nothing was */
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
          // It gets what came while it waited, too.
          this.startAt(player, this.lane.startFor(player.lead + waited, to, false), moment);
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
   * The location at which a player's successor has a clean start within this batch, after what comes before it here was sent; -1
   * while there is none: the streams that are replaced go on until the key frame of the new one (MS-WMSP 3.2.5.7).
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

  /** True if a player that fell behind may go on; one that stays behind for too long is dropped. */
  #catchesUp(player: Player, { limits, now, totals }: Moment): boolean {
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

/** What a group delivers at once. */
class Batch {
  readonly from: number;
  readonly to: number;
  /** Where a player that waits may start, as number within the lane; -1 nowhere. */
  readonly firstClean: number;
  readonly #group: Group;
  // Number of the first unit of the first packet, and of the one that players start with.
  readonly #number: number;
  #startNumber: number | undefined;
  readonly #written = new Map<number, WireBatch>();
  // What was given last: most players are of one phase, one after another.
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
   * The packets from `start` on, for all players of a phase.
   *
   * @param number of the first unit for the player
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

/** Bytes of a packet on the wire. */
function sizeOf(wire: WireFormat, packet: LaneEntry): number {
  const units = wire.units ? wire.units(packet) : 1;
  let size = 0;
  for (let unit = 0; unit < units; unit++) size += wire.size(packet, unit);
  return size;
}
