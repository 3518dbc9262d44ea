import { liveHeader, sameLayout } from '../asf/edit.js';
import { AsfError } from '../asf/error.js';
import { startPacket } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import { stripPadding } from '../asf/padding.js';
import type { AsfEvent, AsfSink, EndEvent } from './events.js';
import { type BroadcastPacket, type Delivery, Lane, type LaneFormat, Player, type PlayerSession } from './lane.js';
import { Timeline } from './timeline.js';

export interface BroadcastOptions {
  /** Media in ms that a new player gets at once; the least is the header's preroll. */
  readonly burst?: number;
  /** Milliseconds between deliveries; by default it grows with the number of players from 0 to 250. */
  readonly batchInterval?: number;
  /** Bytes that may wait for a player, besides its first burst, before packets are left out for it. */
  readonly maxBacklog?: number;
  /** Longest time in ms that a player may stay behind before it is dropped. */
  readonly patience?: number;
  /** Most bytes kept for bursts; a stream whose key frames are rarer than that starts late for new players. */
  readonly maxHistory?: number;
  /** A lane could not be served and its players were dropped; a fault of this program. */
  readonly onError?: (error: unknown) => void;
  /** A clock in ms that never goes back. */
  readonly now?: () => number;
}

/** Counters since the broadcast began; bytes and packets, not rates. */
export interface BroadcastCounters {
  packetsIn: number;
  bytesIn: number;
  bytesOut: number;
  skippedPackets: number;
  droppedPlayers: number;
  /** Times that a source came back and was joined to what was there. */
  splices: number;
}

/**
 * Somebody who takes every packet by itself as soon as it comes, and nothing that was there before: whoever sends datagrams, of which
 * a batch would be a burst that receivers have no room for.
 */
export interface Follower {
  /** This header holds from here on: it is another one than before, or another run begins. */
  started(header: AsfHeader): void;
  /**
   * @param packet as the players get it
   * @param placed the same with its padding
   * @returns the bytes that were sent
   */
  packet(packet: BroadcastPacket, placed: DataPacket): number;
  ended(event: EndEvent): void;
}

const DEFAULTS = { burst: 3_000, maxBacklog: 1024 * 1024, patience: 20_000, maxHistory: 32 * 1024 * 1024 };
const MAX_BATCH_INTERVAL = 250;
// What a packet in the history takes besides its bytes; without it tiny packets would make a long history.
const ENTRY_OVERHEAD = 300;
// How often the history is looked through for what may go: by packets, and by send time in ms.
const TRIM_PACKETS = 1_024;
const TRIM_TIME = 250;

/**
 * The live hub between one source and many players.
 *
 * Packets are prepared once, kept for the burst that lets a new player start at a key frame with some seconds in hand, and
 * delivered in batches. A source that comes back with the same layout is joined to the timeline as if it had never left; one
 * with another header is announced to the players as a new entry.
 */
export class Broadcast implements AsfSink {
  readonly counters: BroadcastCounters = {
    packetsIn: 0,
    bytesIn: 0,
    bytesOut: 0,
    skippedPackets: 0,
    droppedPlayers: 0,
    splices: 0,
  };
  readonly #options: BroadcastOptions & typeof DEFAULTS;
  readonly #now: () => number;
  readonly #lanes = new Map<string, Lane>();
  readonly #followers = new Set<Follower>();
  #timeline = newTimeline();
  #header: AsfHeader | undefined;
  #videoStreams: ReadonlySet<number> = new Set();
  #generation = 0;
  readonly #awaitingHeader = new Set<() => void>();
  #live = false;
  #history: BroadcastPacket[] = [];
  #historyBytes = 0;
  // Packets, and send time in ms, since the history was last looked through.
  #sinceTrim = 0;
  #trimmedAt = 0;
  #nextLocation = 0;
  #flushTimer: NodeJS.Timeout | NodeJS.Immediate | undefined;

  constructor(options: BroadcastOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
    this.#now = options.now ?? (() => performance.now());
  }

  /** The header that players get, in live form; undefined before the first source. */
  get header(): AsfHeader | undefined {
    return this.#header;
  }

  /** Counts the headers; the playlist-gen-id of a live broadcast. */
  get generation(): number {
    return this.#generation;
  }

  /** Whether a source is feeding it, or has left without an end and may come back. */
  get live(): boolean {
    return this.#live;
  }

  get players(): number {
    let count = 0;
    for (const lane of this.#lanes.values()) count += lane.players.size;
    return count;
  }

  /** Resolves when a source's header comes, or after `milliseconds`. */
  nextHeader(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#awaitingHeader.delete(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds).unref();
      this.#awaitingHeader.add(done);
    });
  }

  /** Takes the next event of the source; never waits. */
  write(event: AsfEvent): void {
    if (event.type === 'header') this.#setHeader(event.header);
    else if (event.type === 'packet') this.#addPacket(event.packet);
    else if (!event.moreEntries) this.#end(event);
    // With more entries to come, the next header decides whether the players notice anything.
  }

  /** Ends the broadcast for all players. */
  async close(): Promise<void> {
    if (this.#live) this.#end({ type: 'end', moreEntries: false, reason: 0 });
  }

  /**
   * Adds a player: it gets a burst that starts at a key frame, then everything as it comes.
   * The header is not sent; the session has sent it.
   *
   * @param sequence the 8-bit number of the first packet
   */
  join(session: PlayerSession, format: LaneFormat, sequence = 0): Player {
    const player = new Player(session, sequence);
    this.counters.bytesOut += this.#lane(format).join(player, this.#burst);
    return player;
  }

  /**
   * Gives a player other streams: from the next key frame of what it then gets, while what it has goes on until there.
   */
  change(player: Player, format: LaneFormat): void {
    if (!player.lane) return;
    const successor = this.#lane(format);
    player.successor = successor === player.lane ? undefined : successor;
  }

  leave(player: Player): void {
    const { lane } = player;
    if (!lane) return;
    lane.leave(player);
    player.successor = undefined;
    this.#dropIdle(lane);
  }

  /** Adds a follower, which is told at once when there is something to follow; until {@link unfollow}, over all ends. */
  follow(follower: Follower): void {
    this.#followers.add(follower);
    const header = this.#header;
    if (header && this.#live) this.#tell(follower, () => follower.started(header));
  }

  unfollow(follower: Follower): void {
    this.#followers.delete(follower);
  }

  /** A follower that fails goes by itself. */
  #tell<T>(follower: Follower, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#followers.delete(follower);
      this.#options.onError?.(error);
      return undefined;
    }
  }

  #tellStarted(header: AsfHeader): void {
    for (const follower of [...this.#followers]) this.#tell(follower, () => follower.started(header));
  }

  #lane(format: LaneFormat): Lane {
    let lane = this.#lanes.get(format.key);
    if (!lane) {
      // What waits for the next delivery must not be taken for delivered by the new lane's first player.
      this.#flush();
      lane = new Lane(format, this.#header!, this.#history);
      this.#lanes.set(format.key, lane);
    }
    return lane;
  }

  /** Forgets a lane without players, unless somebody is about to move there. */
  #dropIdle(lane: Lane): void {
    if (lane.players.size > 0) return;
    for (const { players } of this.#lanes.values()) {
      for (const { successor } of players) if (successor === lane) return;
    }
    this.#lanes.delete(lane.format.key);
  }

  #setHeader(encoderHeader: AsfHeader): void {
    const previous = this.#header;
    const header = liveHeader(encoderHeader);
    const wasLive = this.#live;
    this.#live = true;
    for (const notify of [...this.#awaitingHeader]) queueMicrotask(notify);
    if (previous && sameLayout(previous, header)) {
      if (this.#nextLocation > 0) {
        this.#timeline.restart();
        this.counters.splices++;
      }
      if (!wasLive) this.#tellStarted(previous);
      return;
    }
    this.#flush();
    this.#header = header;
    this.#generation++;
    this.#videoStreams = new Set(
      header.streams.filter((stream) => stream.type === 'video').map((stream) => stream.number),
    );
    this.#timeline = newTimeline();
    this.#history = [];
    this.#historyBytes = 0;
    this.#nextLocation = 0;
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    for (const lane of lanes) this.#announce(lane, header);
    this.#tellStarted(header);
  }

  #announce(lane: Lane, header: AsfHeader): void {
    for (const player of lane.players) {
      lane.leave(player);
      player.successor = undefined;
      const format = player.session.changed(header);
      if (format) this.#lane(format).await(player);
    }
  }

  #addPacket(packet: DataPacket): void {
    if (!this.#header) throw new AsfError('A data packet came before the header.');
    this.counters.packetsIn++;
    this.counters.bytesIn += packet.bytes.length;
    if (packet.parity) return;
    const placed = this.#timeline.packet(packet);
    const keyStreams = keyStreamsOf(placed, this.#videoStreams);
    const cleanStart = keyStreams.length > 0 || this.#videoStreams.size === 0;
    const wire = stripPadding(placed);
    const start = cleanStart ? startPacket(placed, this.#videoStreams) : undefined;
    const entry: BroadcastPacket = {
      location: this.#nextLocation++,
      wire,
      // What is whole comes back as the same bytes, with its padding.
      start: start === undefined || start === placed.bytes ? wire : start,
      sendTime: placed.sendTime,
      cleanStart,
      keyStreams,
    };
    this.#history.push(entry);
    this.#historyBytes += entry.wire.length + ENTRY_OVERHEAD;
    for (const lane of this.#lanes.values()) this.#guard(lane, () => lane.append(entry));
    for (const follower of this.#followers) {
      this.counters.bytesOut += this.#tell(follower, () => follower.packet(entry, placed)) ?? 0;
    }
    if (this.#trimIsDue(entry)) this.#trim(entry.sendTime);
    this.#schedule();
  }

  /** A lane that fails takes its own players with it and nobody else. */
  #guard<T>(lane: Lane, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#lanes.delete(lane.format.key);
      for (const player of lane.players) {
        lane.leave(player);
        player.session.output.destroy();
      }
      this.#options.onError?.(error);
      return undefined;
    }
  }

  // Without video every packet is a clean start; looking through the history for each of them would be quadratic.
  #trimIsDue({ cleanStart, sendTime }: BroadcastPacket): boolean {
    this.#sinceTrim++;
    if (this.#historyBytes > this.#options.maxHistory) return true;
    return cleanStart && (this.#sinceTrim >= TRIM_PACKETS || ((sendTime - this.#trimmedAt) | 0) >= TRIM_TIME);
  }

  /** Keeps what a new player may need: from the newest clean start that is a whole burst old. */
  #trim(newest: number): void {
    this.#sinceTrim = 0;
    this.#trimmedAt = newest;
    let keep = 0;
    for (let index = this.#history.length - 1; index > 0; index--) {
      const { cleanStart, sendTime } = this.#history[index]!;
      if (cleanStart && ((newest - sendTime) | 0) >= this.#burst) {
        keep = index;
        break;
      }
    }
    let bytes = this.#historyBytes;
    for (let index = 0; index < keep; index++) bytes -= this.#history[index]!.wire.length + ENTRY_OVERHEAD;
    if (bytes > this.#options.maxHistory) {
      // Some more than needed goes, so that the next packet does not have to do it again.
      const target = this.#options.maxHistory * 0.75;
      while (bytes > target && keep < this.#history.length - 1) {
        bytes -= this.#history[keep++]!.wire.length + ENTRY_OVERHEAD;
      }
    }
    if (keep === 0) return;
    this.#historyBytes = bytes;
    this.#history.splice(0, keep);
    const oldest = this.#history[0]!.location;
    for (const lane of this.#lanes.values()) lane.trim(oldest);
  }

  get #burst(): number {
    return Math.max(this.#options.burst, this.#header?.fileProperties.preroll ?? 0);
  }

  #schedule(): void {
    if (this.#flushTimer !== undefined || this.#lanes.size === 0) return;
    const interval = this.#options.batchInterval ?? Math.min(MAX_BATCH_INTERVAL, Math.floor(this.players / 10));
    const flush = () => this.#flush();
    this.#flushTimer = interval === 0 ? setImmediate(flush) : setTimeout(flush, interval);
  }

  #flush(): void {
    if (this.#flushTimer !== undefined) {
      clearTimeout(this.#flushTimer as NodeJS.Timeout);
      clearImmediate(this.#flushTimer as NodeJS.Immediate);
      this.#flushTimer = undefined;
    }
    const totals: Delivery = { bytes: 0, skippedPackets: 0, droppedPlayers: 0 };
    const limits = { backlog: this.#options.maxBacklog + this.#historyBytes, patience: this.#options.patience };
    const now = this.#now();
    const moving = [...this.#lanes.values()].flatMap(
      (lane) => this.#guard(lane, () => lane.deliver(limits, now, totals)) ?? [],
    );
    for (const [player, location] of moving) this.#move(player, location, totals);
    this.counters.bytesOut += totals.bytes;
    this.counters.skippedPackets += totals.skippedPackets;
    this.counters.droppedPlayers += totals.droppedPlayers;
  }

  #move(player: Player, location: number, totals: Delivery): void {
    const { lane: previous, successor } = player;
    // It may have left while others were served.
    if (!previous || !successor) return;
    previous.leave(player);
    player.successor = undefined;
    totals.bytes += successor.takeOver(player, location);
    this.#dropIdle(previous);
  }

  #end(event: EndEvent): void {
    this.#flush();
    this.#live = false;
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    for (const lane of lanes) {
      for (const player of lane.players) {
        lane.leave(player);
        player.session.ended(event);
      }
    }
    for (const follower of [...this.#followers]) this.#tell(follower, () => follower.ended(event));
    // Whoever joins the next run must not get the last seconds of this one.
    this.#history = [];
    this.#historyBytes = 0;
  }
}

const NONE: readonly number[] = [];

/** The video streams of which a key frame begins in a packet. */
function keyStreamsOf({ payloads }: DataPacket, videoStreams: ReadonlySet<number>): readonly number[] {
  let found: number[] | undefined;
  for (const { key, offset, stream } of payloads) {
    if (!key || offset !== 0 || !videoStreams.has(stream)) continue;
    found ??= [];
    found.push(stream);
  }
  return found ?? NONE;
}

/** Encoders restart without a word too: a jump of the send times is taken for another run. */
function newTimeline(): Timeline {
  return new Timeline({ spliceJumps: true });
}
