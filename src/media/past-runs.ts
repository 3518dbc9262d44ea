import type { AsfHeader } from '../asf/header.js';
import { type Delivery, type LaneLimits, newTotals } from './delivery.js';
import type { EndEvent } from './events.js';
import { Group, type Player, QUICK } from './group.js';
import { Lane } from './lane.js';
import type { BroadcastPacket, HeaderCause, LaneChoice, Wanted, WireFormat } from './wire.js';

/** What a broadcast was under one header, until another one came or it ended. @public */
export interface BroadcastRun {
  readonly header: AsfHeader;
  /** The number of the entry. */
  readonly generation: number;
}

/** What came after a run. */
export type Following = { readonly header: AsfHeader; readonly cause: HeaderCause } | EndEvent;

interface PastRun extends BroadcastRun {
  readonly packets: readonly BroadcastPacket[];
  readonly bytes: number;
  readonly endedAt: number;
  readonly following: Following;
  /** The packets of each choice of streams, for all players together. */
  readonly lanes: Map<string, Lane>;
  readonly groups: Map<string, Group>;
}

/** How long a run is kept for players who may not have another header yet, in ms: longer than they have to wait. */
const KEPT = 30_000;
const MAX_RUNS = 64;
/** Of all runs of a broadcast, as players may get them: with padding. */
const MAX_BYTES = 8 * 1024 * 1024;

/** A broadcast, as its past needs it. */
export interface PastRunsHost {
  /** Returns the time of a clock in ms. */
  now(): number;
  /** Returns the header of the run that goes on; undefined after the end. */
  current(): AsfHeader | undefined;
  limits(): LaneLimits;
  /** Called after packets were sent. */
  counted(totals: Delivery): void;
  /** Adds a player to the run that goes on. */
  enter(player: Player, wanted: Wanted): void;
}

/**
 * The runs of a broadcast that are over. Players who cannot take another header for a while get short runs
 * afterwards, which nobody could have played otherwise.
 */
export class PastRuns {
  readonly #host: PastRunsHost;
  #runs: PastRun[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** What came after the run in which a player began. */
  readonly #behind = new WeakMap<Player, Following>();

  constructor(host: PastRunsHost) {
    this.#host = host;
  }

  /** Keeps the last packets of a run. */
  keep(run: BroadcastRun, packets: readonly BroadcastPacket[], following: Following): void {
    this.#trim();
    if (packets.length === 0) return;
    const { packetSize } = run.header;
    const newest = packets.slice(-Math.max(Math.floor(MAX_BYTES / packetSize), 1));
    const bytes = newest.length * packetSize;
    const endedAt = this.#host.now();
    this.#runs.push({ ...run, packets: newest, bytes, endedAt, following, lanes: new Map(), groups: new Map() });
    let sum = 0;
    const first = this.#runs.findLastIndex((each) => (sum += each.bytes) > MAX_BYTES);
    this.#runs.splice(0, Math.max(first + 1, this.#runs.length - MAX_RUNS));
    // A broadcast that is off the air must not keep them for ever.
    this.#timer ??= setTimeout(() => this.#expire(), KEPT).unref();
  }

  /** Finds the run under a header; undefined if it is not over, or no longer kept. */
  find(header: AsfHeader): BroadcastRun | undefined {
    // A source that came back continues the run that had ended.
    return header === this.#host.current() ? undefined : this.#runs.find((run) => run.header === header);
  }

  /** Sends a new player a run that {@link find} finds; {@link goOn} has to follow. */
  join(player: Player, header: AsfHeader, wanted: Wanted): Player {
    this.#behind.set(player, this.#send(player, header, wanted));
    return player;
  }

  /** Leads a player that joined a run to what came after it; does nothing for others. */
  goOn(player: Player): void {
    let next = this.#behind.get(player);
    this.#behind.delete(player);
    while (next) {
      const end = 'type' in next ? next : undefined;
      const header = 'type' in next ? undefined : this.#kept(next.header);
      if ('type' in next || !header) {
        player.session.ended(end ?? { type: 'end', moreEntries: false, reason: 0 });
        return;
      }
      const wanted = player.session.changed(header, next.cause);
      if (!wanted) return;
      if (!this.find(header)) {
        this.#host.enter(player, wanted);
        return;
      }
      next = this.#send(player, header, wanted);
    }
  }

  /** Returns a header, or the current one if the run under that header is no longer kept; undefined after the end. */
  #kept(header: AsfHeader): AsfHeader | undefined {
    return this.find(header) ? header : this.#host.current();
  }

  /**
   * Sends a player all of a run, as far as its output takes it.
   *
   * @returns what came after the run
   */
  #send(player: Player, header: AsfHeader, { choice, wire }: Wanted): Following {
    const run = this.#runs.find((each) => each.header === header)!;
    const group = this.#group(run, choice, wire);
    const moment = { now: this.#host.now(), limits: this.#host.limits(), totals: newTotals(), last: true };
    group.await(player, moment.now);
    const { lane } = group;
    const clean = lane.startFor(Number.POSITIVE_INFINITY, lane.end, true);
    const from = clean === -1 ? lane.startFor(Number.POSITIVE_INFINITY, lane.end, false) : clean;
    const location = lane.entry(from)?.location;
    player.session.starting?.({ number: player.number, location, lead: group.leadFrom(from) });
    if (from !== -1 && player.group === group) group.startAt(player, from, moment);
    const left = player.group === group && player.at >= 0 ? lane.end - player.at : 0;
    player.skipped += left;
    moment.totals.skippedPackets += left;
    group.leave(player);
    this.#host.counted(moment.totals);
    return run.following;
  }

  #group(run: PastRun, choice: LaneChoice, wire: WireFormat): Group {
    let lane = run.lanes.get(choice.key);
    if (!lane) {
      lane = new Lane(choice, run.header, { backlog: run.packets, cleanAt: run.endedAt });
      run.lanes.set(choice.key, lane);
    }
    const key = `${choice.key}\n${wire.key}`;
    let group = run.groups.get(key);
    if (!group) {
      group = new Group(lane, wire, QUICK);
      run.groups.set(key, group);
    }
    return group;
  }

  #trim(): void {
    const oldest = this.#host.now() - KEPT;
    this.#runs = this.#runs.filter(({ endedAt }) => endedAt > oldest);
  }

  #expire(): void {
    this.#timer = undefined;
    this.#trim();
    if (this.#runs.length > 0) this.#timer = setTimeout(() => this.#expire(), KEPT).unref();
  }
}
