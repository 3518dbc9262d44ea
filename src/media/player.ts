import type { Group } from './group.js';
import type { Lane } from './lane.js';
import { type LaneEntry, type PlayerSession, sent, unitsOf, type WireFormat, type WirePacket } from './wire.js';

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

/** A unit that a player was sent. */
export interface SentUnit {
  readonly packet: WirePacket;
  /** Counted from 0 within the packet. */
  readonly unit: number;
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
