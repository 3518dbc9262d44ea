import type { AsfHeader } from '../asf/header.js';
import { type Delivery, type LaneLimits, type Moment, newTotals } from './delivery.js';
import { Group, type Player, QUICK, SETTLED_LEAD } from './group.js';
import { Lane } from './lane.js';
import type { BroadcastPacket, LaneChoice, WireFormat } from './wire.js';

/** When packets are delivered, and what every lane is told. */
export interface LanesOptions {
  /** Milliseconds between deliveries, for all players alike; default: by what each player has in hand. */
  readonly batchInterval: number | undefined;
  /** True if players are to get everything as soon as it arrives. */
  readonly lowLatency: boolean;
  readonly now: () => number;
  limits(): LaneLimits;
  /** Called after a delivery. */
  counted(totals: Delivery): void;
  /** Called when a lane failed and its players were dropped. */
  failed(error: unknown): void;
}

/** Up to this many players are served at once, however much they have in hand, because it costs little. */
const FEW_PLAYERS = 20;
/**
 * Up to this many settled players are served together; more are spread, so that no delivery keeps the others waiting.
 */
const MANY_PLAYERS = 500;
/**
 * The turns of settled players, and the most ms between them: nobody waits longer than all of them. On a busy machine,
 * where timers are late, the turns are closer together, so that packets still leave in the time of {@link LONGEST_WAIT}.
 */
const TURNS = 5;
const TURN_INTERVAL = 84;
const SHORTEST_TURN_INTERVAL = 40;
/** How old packets may become before they leave, in ms: somewhat less than makes a send late. */
const LONGEST_WAIT = 480;
/** How much of the lag of a turn is still expected 84 ms later: half of it after half a minute. */
const LAG_KEPT = 0.998;
/** The longest that packets wait for players with little in hand, in ms. */
const MAX_QUICK_INTERVAL = 100;
/** Bytes, with padding, that may wait for the next delivery; more is delivered at once. */
const MAX_PENDING = 1024 * 1024;

/** A lane, and the groups of players that get it. */
interface Served {
  readonly lane: Lane;
  readonly groups: Map<string, Group>;
}

/**
 * The players of a broadcast, by what they get and when. A player with little in hand is served quickly. One with some
 * seconds in hand cannot tell whether packets come one by one or in batches of 420 ms, which cost the server a
 * fraction.
 */
export class Lanes {
  readonly #options: LanesOptions;
  readonly #lanes = new Map<string, Served>();
  #quickTimer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #turnTimer: NodeJS.Timeout | undefined;
  #turn = 0;
  #turnDue = 0;
  /** How late turns are, in ms: the most of the last ones, forgotten little by little. */
  #lag = 0;
  #turnsSincePacket = 0;
  // After this many turns without a packet, everybody has everything.
  #quietTurns = TURNS;
  #nextTurn = 0;
  // Bytes since the last delivery to everybody.
  #pending = 0;

  constructor(options: LanesOptions) {
    this.#options = options;
  }

  get players(): number {
    let count = 0;
    // No generator here or in #has: both are asked for each packet.
    for (const { groups } of this.#lanes.values()) for (const { players } of groups.values()) count += players.size;
    return count;
  }

  /** Replaces kept packets by others of the same size, for players that join from now on. */
  replace(packets: readonly BroadcastPacket[]): void {
    // Players that are there get the packets as they were.
    this.flush();
    for (const { lane } of this.#lanes.values()) for (const packet of packets) lane.replace(packet);
  }

  /** Returns the lane of a choice; creates it with the kept packets if it does not exist. */
  lane(choice: LaneChoice, header: AsfHeader, kept: { backlog: Iterable<BroadcastPacket>; cleanAt: number }): Lane {
    let served = this.#lanes.get(choice.key);
    if (!served) {
      served = { lane: new Lane(choice, header, kept), groups: new Map() };
      this.#lanes.set(choice.key, served);
    }
    return served.lane;
  }

  /**
   * Returns the group of a lane for a player that has `lead` ms of media in hand; a new group has nothing to deliver
   * yet.
   */
  group(lane: Lane, wire: WireFormat, lead: number): Group {
    return this.#group(lane, wire, lead >= SETTLED_LEAD && this.#mayWait ? this.#someTurn() : QUICK);
  }

  /** Returns the group in which a player continues in another format. */
  sibling({ lane, turn }: Group, wire: WireFormat): Group {
    return this.#group(lane, wire, turn);
  }

  #group(lane: Lane, wire: WireFormat, turn: number): Group {
    const { groups } = this.#lanes.get(lane.choice.key)!;
    const key = `${turn} ${wire.key}`;
    let group = groups.get(key);
    if (!group) {
      group = new Group(lane, wire, turn);
      groups.set(key, group);
    }
    return group;
  }

  *#groups(): Generator<Group, void, undefined> {
    for (const { groups } of this.#lanes.values()) yield* groups.values();
  }

  /** True if players are served in turns once they have something in hand. */
  get #mayWait(): boolean {
    const { batchInterval, lowLatency } = this.#options;
    return batchInterval === undefined && !lowLatency && this.players >= FEW_PLAYERS;
  }

  #someTurn(): number {
    if (this.players < MANY_PLAYERS) return 0;
    this.#nextTurn = (this.#nextTurn + 1) % TURNS;
    return this.#nextTurn;
  }

  /** @param size bytes of the packet with its padding */
  append(entry: BroadcastPacket, size: number): void {
    const now = this.#options.now();
    for (const served of this.#lanes.values()) this.#guard(served, () => served.lane.append(entry, now));
    this.#schedule(size);
  }

  /** Drops packets before a location. */
  trim(location: number): void {
    for (const { lane, groups } of this.#lanes.values()) {
      let delivered = lane.end;
      for (const group of groups.values()) delivered = Math.min(delivered, group.delivered);
      lane.trim(location, delivered);
    }
  }

  leave(player: Player): void {
    const { group, successor } = player;
    if (!group) return;
    group.leave(player);
    player.successor = undefined;
    this.dropIdle(group);
    if (successor) this.dropIdle(successor);
  }

  /** Removes all players from their lanes, and returns them. */
  clear(): Player[] {
    const players = [...this.#players()];
    this.#lanes.clear();
    for (const player of players) {
      player.group?.leave(player);
      player.successor = undefined;
    }
    return players;
  }

  /**
   * Removes the groups of a lane without players, and the lane without groups, unless a player is about to move there.
   */
  dropIdle({ lane, players }: Group): void {
    const served = this.#lanes.get(lane.choice.key);
    if (players.size > 0 || served?.lane !== lane) return;
    const awaited = new Set<Group>();
    for (const { successor } of this.#players()) if (successor) awaited.add(successor);
    for (const [key, group] of served.groups) {
      if (group.players.size === 0 && !awaited.has(group)) served.groups.delete(key);
    }
    if (served.groups.size === 0) this.#lanes.delete(lane.choice.key);
  }

  *#players(): Generator<Player, void, undefined> {
    for (const { players } of this.#groups()) yield* players;
  }

  /** Serves everybody. */
  flush(): void {
    this.#pending = 0;
    this.#cancel();
    this.#deliver(() => true);
  }

  /** Serves everybody for the last time under a header, also with what was held back for slow players. */
  finish(): void {
    this.flush();
    this.#deliver(() => true, true);
  }

  #schedule(size: number): void {
    if (this.#lanes.size === 0) return;
    this.#pending += size;
    this.#turnsSincePacket = 0;
    if (this.#pending > MAX_PENDING) {
      this.flush();
      return;
    }
    if (this.#quickTimer === undefined && this.#has((turn) => turn === QUICK)) this.#scheduleQuick();
    if (this.#turnTimer === undefined && (this.#mayWait || this.#has((turn) => turn !== QUICK))) {
      this.#turnDue = this.#options.now();
      this.#scheduleTurn();
    }
  }

  #scheduleQuick(): void {
    const { batchInterval } = this.#options;
    const interval = batchInterval ?? Math.min(MAX_QUICK_INTERVAL, Math.floor(this.players / 10));
    const flush = () => {
      this.#quickTimer = undefined;
      this.#deliver(({ turn }) => turn === QUICK);
    };
    this.#quickTimer = interval === 0 ? setImmediate(flush) : setTimeout(flush, interval);
  }

  #scheduleTurn(): void {
    const isOne = this.players < MANY_PLAYERS && !this.#has((turn) => turn > 0);
    if (isOne) this.#turn = 0;
    this.#quietTurns = isOne ? 1 : TURNS;
    this.#turnDue += isOne ? TURNS * this.#turnInterval : this.#turnInterval;
    this.#turnTimer = setTimeout(() => this.#takeTurn(), this.#turnDue - this.#options.now());
  }

  get #turnInterval(): number {
    const interval = Math.floor((LONGEST_WAIT - this.#lag) / TURNS);
    return Math.min(Math.max(interval, SHORTEST_TURN_INTERVAL), TURN_INTERVAL);
  }

  #takeTurn(): void {
    const turn = this.#turn;
    this.#lag = Math.max(
      this.#options.now() - this.#turnDue,
      this.#lag * LAG_KEPT ** (this.#quietTurns === 1 ? TURNS : 1),
    );
    this.#turn = (turn + 1) % TURNS;
    if (turn === 0) this.#pending = 0;
    this.#turnTimer = undefined;
    this.#deliver((group) => group.turn === turn || group.turn === QUICK);
    if (this.#mayWait && (turn === 0 || this.players >= MANY_PLAYERS)) this.#settle(turn);
    this.#turnsSincePacket++;
    // While packets arrive, the turns keep their distance.
    if (this.#turnsSincePacket <= this.#quietTurns && this.#has((other) => other !== QUICK)) this.#scheduleTurn();
  }

  /** Moves players that now have enough in hand to the turn that has just been delivered completely. */
  #settle(turn: number): void {
    const now = this.#options.now();
    for (const group of [...this.#groups()]) {
      if (group.turn !== QUICK) continue;
      for (const player of group.players)
        if (player.isSettled(now)) group.hand(player, this.#group(group.lane, group.wire, turn));
    }
  }

  #deliver(isServed: (group: Group) => boolean, last = false): void {
    const totals = newTotals();
    const moment = { totals, now: this.#options.now(), limits: this.#options.limits(), last };
    const moving: Array<readonly [Player, number]> = [];
    for (const served of [...this.#lanes.values()]) {
      for (const group of [...served.groups.values()]) {
        if (isServed(group)) moving.push(...(this.#guard(served, () => group.deliver(moment)) ?? []));
      }
    }
    for (const [player, location] of moving) this.#move(player, location, moment);
    this.#options.counted(totals);
  }

  #move(player: Player, location: number, moment: Moment): void {
    const { group: previous, successor } = player;
    // The player may have left while others were served.
    if (!previous || !successor) return;
    previous.leave(player);
    player.successor = undefined;
    successor.await(player, moment.now);
    player.changedAt = player.sent;
    successor.startAt(player, successor.lane.indexOf(location), moment);
    this.dropIdle(previous);
  }

  /** Moves a player to its successor, where it waits for a clean start. */
  moveAtOnce(player: Player, now: number): void {
    const { group: previous, successor } = player;
    if (!previous || !successor) return;
    previous.leave(player);
    player.successor = undefined;
    player.changedAt = player.sent;
    successor.await(player, now);
    this.dropIdle(previous);
  }

  /** A lane that fails takes only its own players with it. */
  #guard<T>({ lane, groups }: Served, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#lanes.delete(lane.choice.key);
      for (const group of groups.values()) {
        for (const player of group.players) {
          group.leave(player);
          player.session.output.destroy();
        }
      }
      this.#options.failed(error);
      return undefined;
    }
  }

  #cancel(): void {
    clearTimeout(this.#quickTimer as NodeJS.Timeout);
    clearImmediate(this.#quickTimer as NodeJS.Immediate);
    this.#quickTimer = undefined;
  }

  #has(isMeant: (turn: number) => boolean): boolean {
    for (const { groups } of this.#lanes.values()) {
      for (const { turn, players } of groups.values()) if (players.size > 0 && isMeant(turn)) return true;
    }
    return false;
  }
}
