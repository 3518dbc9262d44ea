import { type Command, commandPacket } from '../asf/command.js';
import { CommandReader } from '../asf/command-stream.js';
import { liveHeader, sameLayout } from '../asf/edit.js';
import { AsfError } from '../asf/error.js';
import { startPacket } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import { type DataPacket, parsePacket } from '../asf/packet.js';
import { stripPadding } from '../asf/padding.js';
import {
  type BroadcastCounters,
  type BroadcastOptions,
  DEFAULTS,
  type Follower,
  type JoinOptions,
  type Release,
} from './broadcast-options.js';
import { type Delivery, type LaneLimits, newTotals } from './delivery.js';
import type { AsfEvent, AsfSink, EndEvent } from './events.js';
import { type Group, Player } from './group.js';
import { History } from './history.js';
import type { Lane } from './lane.js';
import { Lanes } from './lanes.js';
import { OnceCommands } from './once-commands.js';
import { PacketClock } from './packet-clock.js';
import { aheadOf, keyStreamsOf, videoPlace } from './packet-marks.js';
import { type BroadcastRun, type Following, PastRuns } from './past-runs.js';
import { TEXT_REPEAT } from './scripted-source.js';
import { Timeline } from './timeline.js';
import type { BroadcastPacket, HeaderCause, LaneChoice, PlayerSession, Wanted, WireFormat } from './wire.js';

export type { BroadcastCounters, BroadcastOptions, Follower, JoinOptions, Release } from './broadcast-options.js';

// An operator who sets a smaller burst than this, in ms, wants players to be close to the source.
const LOW_LATENCY_BURST = 1_000;

/**
 * The live hub between one source and many players.
 *
 * Packets are prepared once, kept for the burst that lets a new player start at a key frame with some seconds in hand,
 * and delivered in batches. A source that comes back with the same layout continues the timeline as if it had never
 * left. One with another header, or that has ended its entry, is announced to the players as a new entry.
 *
 * @public
 */
export class Broadcast implements AsfSink {
  readonly counters: BroadcastCounters = {
    packetsIn: 0,
    bytesIn: 0,
    bytesOut: 0,
    sends: 0,
    lateSends: 0,
    skippedPackets: 0,
    droppedPlayers: 0,
    splices: 0,
  };
  readonly #options: BroadcastOptions & typeof DEFAULTS & { burst: number };
  readonly #now: () => number;
  readonly #lanes: Lanes;
  readonly #followers = new Set<Follower>();
  readonly #history = new History();
  readonly #past: PastRuns;
  // Encoders also restart without announcing it.
  #timeline = new Timeline({ detectsRestarts: true });
  #clock = new PacketClock();
  #header: AsfHeader | undefined;
  #videoStreams: ReadonlySet<number> = new Set();
  #commandStream: number | undefined;
  #generation = 0;
  readonly #awaitingHeader = new Set<() => void>();
  #holds = 0;
  #live = false;
  // True if the source has ended its entry and more are to come.
  #entryEnded = false;
  #nextLocation = 0;
  // When the first packet under this header arrived, or when a player could last have started cleanly.
  #cleanAt: number | undefined;
  #reportedUnclean = false;
  // How far the presentation times are ahead of the send times in the first packet, in ms.
  #ahead: number | undefined;
  #newest: { sendTime: number; commands: number } = { sendTime: 0, commands: 0 };
  // The newest TEXT command and when it was last sent, in ms; repeated for players that join later.
  #text: { readonly command: Command; at: number } | undefined;
  #commands: CommandReader | undefined;
  #once: OnceCommands | undefined;

  constructor(options: BroadcastOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
    this.#now = options.now ?? (() => performance.now());
    this.#past = new PastRuns({
      now: this.#now,
      current: () => (this.#live ? this.#header : undefined),
      limits: () => this.#limits,
      counted: (totals) => this.#count(totals),
      enter: (player, wanted) => {
        const { group, from } = this.#place(wanted, this.#burst);
        this.#enter(player, group, from, this.#burst);
      },
    });
    this.#lanes = new Lanes({
      batchInterval: options.batchInterval,
      lowLatency: this.#options.burst < LOW_LATENCY_BURST,
      now: this.#now,
      limits: () => this.#limits,
      counted: (totals) => this.#count(totals),
      failed: (error) => this.#options.onError?.(error),
    });
  }

  /** The header for players, in live form; undefined before the first source. */
  get header(): AsfHeader | undefined {
    return this.#header;
  }

  /** Counts the entries; the playlist-gen-id of a live broadcast. */
  get generation(): number {
    return this.#generation;
  }

  /** The location of the next packet under the current header. */
  get nextLocation(): number {
    return this.#nextLocation;
  }

  /** True while a source is connected, or has left without an end and may come back. */
  get live(): boolean {
    return this.#live;
  }

  /** Changes how much new players get at once, in ms; undefined for the default. */
  setBurst(milliseconds: number | undefined): void {
    this.#options.burst = milliseconds ?? DEFAULTS.burst;
  }

  get players(): number {
    return this.#lanes.players;
  }

  /** True while there are players, followers or other holders. */
  get wanted(): boolean {
    return this.#holds > 0 || this.#followers.size > 0 || this.players > 0;
  }

  /**
   * Keeps an on-demand source running, as a player does, for those that are not players: archives, waiting sessions,
   * peers.
   */
  hold(): Release {
    let held = true;
    this.#holds++;
    return () => {
      if (held) this.#holds--;
      held = false;
    };
  }

  /** Resolves when a source's header arrives, or after `milliseconds`. */
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

  /** Returns the kept packets, from a location on. */
  since(location: number): readonly BroadcastPacket[] {
    const { packets } = this.#history;
    const oldest = packets[0]?.location ?? 0;
    return packets.slice(Math.max(0, location - oldest));
  }

  /** Takes the next event of the source; never waits. */
  write(event: AsfEvent): void {
    if (event.type === 'header') this.#setHeader(event.header);
    else if (event.type === 'packet') this.#addPacket(event.packet);
    else if (event.moreEntries) this.#entryEnded = true;
    else this.#end(event);
  }

  /**
   * Sends players a script command, to be run with the newest packet.
   *
   * @returns false if the header has no stream of commands, or nothing is live
   * @throws AsfError if it does not fit a packet
   */
  insert(command: Command): boolean {
    const header = this.#header;
    const stream = this.#commandStream;
    if (!header || !this.#live || stream === undefined) return false;
    const { sendTime } = this.#newest;
    const bytes = commandPacket(command, {
      stream,
      sendTime,
      presentationTime: sendTime + this.#preroll,
      mediaObjectNumber: this.#newest.commands++,
      packetSize: header.packetSize,
    });
    const packet = parsePacket(bytes);
    this.#pass(packet, false);
    this.#noteOnce(packet, [command]);
    if (command.type === 'TEXT') this.#text = { command, at: this.#now() };
    return true;
  }

  /** Ends the broadcast for all players. */
  async close(): Promise<void> {
    if (this.#live) this.#end({ type: 'end', moreEntries: false, reason: 0 });
  }

  /** Returns the run under a header, if it is over and kept for players who had to wait for its header. */
  pastRun(header: AsfHeader): BroadcastRun | undefined {
    return this.#past.find(header);
  }

  /**
   * Adds a player: it gets the kept packets from a key frame on, then everything as it arrives. The session sends the
   * header itself, and learns before the first byte what the player starts with. In a run that is over the player gets
   * that; {@link goOn} has to follow.
   */
  join(session: PlayerSession, choice: LaneChoice, wire: WireFormat, options: JoinOptions = {}): Player {
    const { header } = options;
    if (header && this.pastRun(header)) {
      return this.#past.join(new Player(session, options.number ?? 0), header, { choice, wire });
    }
    const lead = Math.max(options.lead ?? 0, this.#burst);
    const { group, from } = this.#place({ choice, wire }, lead);
    const byLane = wire.numbers === 'lane' ? group.numberFrom(from === -1 ? group.delivered : from) : 0;
    const player = new Player(session, options.number ?? byLane);
    this.#enter(player, group, from, lead);
    return player;
  }

  /** Leads a player that joined a run that was over to what came after it; does nothing for others. */
  goOn(player: Player): void {
    this.#past.goOn(player);
  }

  /** Returns the group of a new player, and the packet that it starts with; -1 if it has to wait for one. */
  #place({ choice, wire }: Wanted, lead: number): { readonly group: Group; readonly from: number } {
    if (this.#once?.pending) this.#lanes.replace(this.#once.retire(this.#oldest));
    const lane = this.#lane(choice);
    const group = this.#lanes.group(lane, wire, lane.leadFor(lead));
    return { group, from: this.#startIn(group, lead) };
  }

  #enter(player: Player, group: Group, from: number, lead: number): void {
    player.lead = lead;
    const totals = newTotals();
    const moment = { now: this.#now(), limits: this.#limits, totals };
    group.await(player, moment.now);
    const location = group.lane.entry(from)?.location;
    player.session.starting?.({ number: player.number, location, lead: group.leadFrom(from) });
    if (from !== -1 && player.group === group) group.startAt(player, from, moment);
    this.#count(totals);
  }

  /**
   * Gives a player other streams: from the next key frame of the new choice on, while the old streams continue until
   * then. A choice of no stream takes effect at once.
   */
  change(player: Player, choice: LaneChoice, wire: WireFormat | undefined = player.group?.wire): void {
    if (!player.group || !wire) return;
    const abandoned = player.successor;
    const isAtOnce = choice.nothing || player.lane?.choice.nothing;
    // What was sent before the change is still wanted.
    if (isAtOnce) this.#lanes.flush();
    const successor = this.#lanes.group(this.#lane(choice), wire, 0);
    const isSame = successor.lane === player.lane && wire.key === player.group.wire.key;
    player.successor = isSame ? undefined : successor;
    player.waitingSince = this.#now();
    if (isSame) this.#lanes.dropIdle(successor);
    else if (isAtOnce) this.#lanes.moveAtOnce(player, this.#now());
    if (abandoned && abandoned !== successor) this.#lanes.dropIdle(abandoned);
  }

  /** Changes the format of what a player gets from now on; its streams and numbers continue. */
  rewire(player: Player, wire: WireFormat): void {
    const { group } = player;
    if (!group || group.wire === wire) return;
    // Earlier packets are still sent in the old format.
    this.#lanes.flush();
    if (player.group !== group) return;
    const { waiting, waitingSince, at, successor } = player;
    group.leave(player);
    this.#lanes.sibling(group, wire).await(player, waitingSince);
    Object.assign(player, { waiting, at, rewired: true });
    if (successor) player.successor = this.#lanes.sibling(successor, wire);
    this.#lanes.dropIdle(group);
    if (successor) this.#lanes.dropIdle(successor);
  }

  leave(player: Player): void {
    this.#lanes.leave(player);
  }

  /**
   * Adds a follower, which is told at once if there is something to follow. It stays across ends until {@link
   * unfollow}.
   */
  follow(follower: Follower): void {
    this.#followers.add(follower);
    const header = this.#header;
    if (header && this.#live) this.#call(follower, () => follower.started(header, 'run'));
  }

  unfollow(follower: Follower): void {
    this.#followers.delete(follower);
  }

  /** A follower that fails is removed, without harm to others. */
  #call<T>(follower: Follower, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#followers.delete(follower);
      this.#options.onError?.(error);
      return undefined;
    }
  }

  #announceStart(header: AsfHeader, cause: HeaderCause | 'run'): void {
    for (const follower of [...this.#followers]) this.#call(follower, () => follower.started(header, cause));
  }

  /** Notes commands that players who join later must not get, with the packet that was kept last. */
  #noteOnce(packet: DataPacket, commands: readonly Command[]): void {
    this.#once?.note(packet, this.#history.packets.at(-1)!, commands, this.#oldest);
  }

  get #oldest(): number {
    return this.#history.packets[0]?.location ?? 0;
  }

  #lane(choice: LaneChoice): Lane {
    const once = this.#once;
    const { packets } = this.#history;
    const kept = {
      backlog: once ? packets.map((packet) => once.later(packet)) : packets,
      cleanAt: this.#cleanAt ?? this.#now(),
    };
    return this.#lanes.lane(choice, this.#header!, kept);
  }

  /** Returns where a new player starts; -1 if it has to wait for a key frame. */
  #startIn({ lane, delivered }: Group, lead: number): number {
    const clean = lane.startFor(lead, delivered, true);
    if (clean !== -1 || this.#now() - lane.cleanAt < this.#options.cleanStartPatience) return clean;
    this.#reportUnclean();
    return lane.startFor(lead, delivered, false);
  }

  #reportUnclean(): void {
    if (this.#reportedUnclean) return;
    this.#reportedUnclean = true;
    const seconds = this.#options.cleanStartPatience / 1000;
    this.#options.onWarning?.(
      `No key frame came for ${seconds} s, so players begin without one; the encoder marks none, or sends them too rarely.`,
    );
  }

  #setHeader(encoderHeader: AsfHeader): void {
    const previous = this.#header;
    const header = liveHeader(encoderHeader);
    const wasLive = this.#live;
    const isEntry = this.#entryEnded && wasLive;
    this.#live = true;
    this.#entryEnded = false;
    for (const notify of [...this.#awaitingHeader]) queueMicrotask(notify);
    if (previous && !isEntry && sameLayout(previous, header)) {
      if (this.#nextLocation > 0) {
        this.#timeline.restart();
        this.counters.splices++;
      }
      if (!wasLive) this.#announceStart(previous, 'run');
      return;
    }
    this.#lanes.finish();
    const cause = isEntry ? 'entry' : 'layout';
    if (wasLive) this.#keepRun({ header, cause });
    this.#begin(header);
    for (const player of this.#lanes.clear()) this.#announce(player, header, cause);
    this.#announceStart(header, cause);
  }

  /** Keeps what is over for players who may not have another header yet. */
  #keepRun(following: Following): void {
    if (!this.#header) return;
    this.#past.keep({ header: this.#header, generation: this.#generation }, this.#history.packets, following);
  }

  #begin(header: AsfHeader): void {
    this.#header = header;
    this.#generation++;
    const numbers = (type: string) =>
      header.streams.filter((stream) => stream.type === type).map(({ number }) => number);
    this.#videoStreams = new Set(numbers('video'));
    this.#commandStream = numbers('command')[0];
    this.#commands = this.#commandStream === undefined ? undefined : new CommandReader(header);
    this.#once = this.#commandStream === undefined ? undefined : new OnceCommands(this.#commandStream);
    this.#text = undefined;
    this.#timeline = new Timeline({ detectsRestarts: true });
    this.#clock = new PacketClock();
    this.#history.clear(header.packetSize);
    this.#nextLocation = 0;
    this.#ahead = undefined;
    this.#cleanAt = undefined;
    this.#reportedUnclean = false;
    this.#newest = { sendTime: 0, commands: 0 };
  }

  #announce(player: Player, header: AsfHeader, cause: HeaderCause): void {
    const wanted = player.session.changed(header, cause);
    if (wanted) this.#lanes.group(this.#lane(wanted.choice), wanted.wire, 0).await(player, this.#now());
  }

  #addPacket(packet: DataPacket): void {
    if (!this.#header) throw new AsfError('A data packet came before the header.');
    this.counters.packetsIn++;
    this.counters.bytesIn += packet.bytes.length;
    if (packet.parity) return;
    const placed = this.#timeline.packet(packet);
    this.#ahead ??= aheadOf(placed);
    this.#newest.sendTime = placed.sendTime;
    this.#pass(placed, true);
    if (this.#commandStream !== undefined) this.#repeatText(packet);
  }

  /** Sends the newest TEXT again from time to time. Encoders that do so themselves are not outdone. */
  #repeatText(packet: DataPacket): void {
    const now = this.#now();
    const commands = this.#commands?.read(packet) ?? [];
    this.#noteOnce(packet, commands);
    for (const command of commands) {
      if (command.type === 'TEXT') this.#text = { command, at: now };
    }
    if (this.#text && now - this.#text.at >= TEXT_REPEAT) this.insert(this.#text.command);
  }

  /** @param media false for a packet made by this program, which no player may start with */
  #pass(placed: DataPacket, media: boolean): void {
    const now = this.#now();
    const keyStreams = keyStreamsOf(placed, this.#videoStreams);
    const cleanStart = media && (keyStreams.length > 0 || this.#videoStreams.size === 0);
    const wire = stripPadding(placed);
    const start = cleanStart ? startPacket(placed, this.#videoStreams) : undefined;
    const entry: BroadcastPacket = {
      location: this.#nextLocation++,
      wire,
      // A packet without cut objects comes back as the same bytes, with its padding.
      start: start === undefined || start === placed.bytes ? wire : start,
      time: media ? this.#clock.of(placed) : this.#clock.now,
      cleanStart,
      keyStreams,
      video: videoPlace(placed, this.#videoStreams),
    };
    if (cleanStart) this.#cleanAt = now;
    this.#cleanAt ??= now;
    const { history, maxHistory } = this.#options;
    const limits = { milliseconds: Math.max(history, this.#burst), bytes: maxHistory };
    const oldest = this.#history.add(entry, limits);
    for (const follower of this.#followers) {
      this.counters.bytesOut += this.#call(follower, () => follower.packet(entry, placed)) ?? 0;
    }
    this.#lanes.append(entry, this.#header!.packetSize);
    if (oldest !== undefined) this.#lanes.trim(oldest);
  }

  /** The preroll of the header in ms, if the packets agree with it. */
  get #preroll(): number {
    const said = this.#header?.preroll ?? 0;
    return this.#ahead === undefined ? Math.min(said, this.#options.history) : Math.min(said, Math.max(this.#ahead, 0));
  }

  get #burst(): number {
    return Math.max(this.#options.burst, this.#preroll);
  }

  get #limits(): LaneLimits {
    const { maxBacklog, patience, cleanStartPatience } = this.#options;
    return { backlog: maxBacklog + this.#history.wireBytes, patience, cleanStart: cleanStartPatience };
  }

  #count(totals: Delivery): void {
    this.counters.bytesOut += totals.bytes;
    this.counters.sends += totals.sends;
    this.counters.lateSends += totals.lateSends;
    this.counters.skippedPackets += totals.skippedPackets;
    this.counters.droppedPlayers += totals.droppedPlayers;
    if (totals.uncleanStarts > 0) this.#reportUnclean();
  }

  #end(event: EndEvent): void {
    this.#lanes.finish();
    if (this.#live) this.#keepRun(event);
    this.#live = false;
    this.#entryEnded = false;
    for (const player of this.#lanes.clear()) player.session.ended(event);
    for (const follower of [...this.#followers]) this.#call(follower, () => follower.ended(event));
    // Players that join the next run must not get the last seconds of this one.
    this.#history.clear(this.#header?.packetSize ?? 0);
  }
}
