import type { Broadcast, Follower } from '../media/broadcast.js';
import type { BroadcastPacket } from '../media/wire.js';
import { Refusal } from '../refusal.js';
import { type Batch, EMPTY_BATCH, encodeMedia, MAX_BATCH, type Notice, type Place, sizeInBatch } from './batch.js';
import type { ClusterBus } from './bus.js';
import { type Calls, WithBytes } from './calls.js';
import { type NodeRun, type Subjects, tokenOf } from './subjects.js';

/** How long packets wait for others of their batch, in ms: a message for each would cost more than a copy for a player. */
const BATCH_TIME = 25;
/** A node that has not said for this long that it wants a point no longer gets it, in ms. */
const INTEREST = 6_000;
const SWEEP = 2_000;
/** Room for the JSON text of an answer, in bytes. */
const ANSWER_ROOM = 1_024;

/** A point that other nodes may follow. */
export interface SharedPoint {
  readonly broadcast: Broadcast;
  /** The epoch in which this node owns it. */
  readonly epoch: number;
  /**
   * Starts its source if that waits for players.
   *
   * @param pulls the pulls of servers that are waiting for it, as in the header field that lists them
   * @throws Refusal
   */
  demand(pulls: string): Promise<void>;
}

/** A node's wish to follow a point. */
export interface FollowWish {
  readonly path: string;
  readonly epoch: number;
  readonly pulls: string;
  readonly from: NodeRun;
}

/** Where a broadcast is. */
export interface FollowAnswer extends Place {
  /** Bytes of its header. */
  readonly headerSize: number;
  /** The first packet of this epoch under this header; what came before it was another owner's. */
  readonly first: number;
}

/** A wish for packets that were sent before. */
export interface HistoryWish extends Place {
  readonly path: string;
  readonly epoch: number;
}

/** Says to an owner which of its points a node still follows. */
export interface WantMessage {
  readonly from: NodeRun;
  readonly points: readonly string[];
}

/** Where the points are that a node follows; null for those that it cannot follow any longer. */
export type WantAnswer = Readonly<Record<string, Place | null>>;

/** How a node shares its points. */
export interface SendersOptions {
  readonly bus: ClusterBus;
  readonly calls: Calls;
  readonly subjects: Subjects;
  readonly self: NodeRun;
  /** Returns the point at a path that this node owns. */
  readonly find: (path: string) => SharedPoint | undefined;
}

/** Sends the points that this node owns to the nodes that have players for them, once for all. */
export class Senders {
  readonly #options: SendersOptions;
  readonly #senders = new Map<string, PointSender>();
  /** Where each epoch began, by path. */
  readonly #beginnings = new Map<string, Place>();
  readonly #due = new Set<PointSender>();
  #flushTimer: NodeJS.Timeout | undefined;
  #sweepTimer: NodeJS.Timeout | undefined;
  /** Packets that were not sent because the bus was congested or not there. */
  leftOut = 0;
  bytesSent = 0;

  constructor(options: SendersOptions) {
    this.#options = options;
    const { calls } = options;
    calls.answer('follow', (wish: FollowWish) => this.#follow(wish));
    calls.answer('header', (wish: { path: string; epoch: number; generation: number; offset: number }) =>
      this.#header(wish),
    );
    calls.answer('history', (wish: HistoryWish) => this.#history(wish));
    calls.answer('want', (message: WantMessage) => this.#want(message));
  }

  /** The number of points that other nodes follow. */
  get size(): number {
    return this.#senders.size;
  }

  /** This node has become the owner of a point: followers that continue get nothing older than this moment. */
  begun(path: string, broadcast: Broadcast): void {
    this.stop(path);
    this.#beginnings.set(path, placeOf(broadcast));
  }

  /** This node owns the point no longer. */
  stop(path: string): void {
    this.#beginnings.delete(path);
    const sender = this.#senders.get(path);
    if (sender) this.#drop(path, sender);
  }

  #drop(path: string, sender: PointSender): void {
    this.#senders.delete(path);
    this.#due.delete(sender);
    sender.close();
  }

  close(): void {
    for (const path of [...this.#senders.keys()]) this.stop(path);
    clearTimeout(this.#flushTimer);
    clearInterval(this.#sweepTimer);
  }

  #shared({ path, epoch }: { readonly path: string; readonly epoch: number }): SharedPoint {
    if (typeof path !== 'string') throw new Refusal('bad-request', 'A request names no point.');
    const point = this.#options.find(path);
    if (!point || point.epoch !== epoch) throw new Refusal('gone', `This node does not own ${path} in that epoch.`);
    return point;
  }

  async #follow(wish: FollowWish): Promise<FollowAnswer> {
    await this.#shared(wish).demand(String(wish.pulls));
    const { broadcast, epoch } = this.#shared(wish);
    const { header, live } = broadcast;
    if (!header || !live) throw new Refusal('offline', `${wish.path} is offline.`);
    this.#senderFor(wish.path, broadcast, epoch).want(String(wish.from.run));
    const place = placeOf(broadcast);
    const began = this.#beginnings.get(wish.path);
    const first = began?.generation === place.generation ? began.location : 0;
    return { ...place, headerSize: header.bytes.length, first };
  }

  #header(wish: { path: string; epoch: number; generation: number; offset: number }): WithBytes {
    const { broadcast } = this.#shared(wish);
    const { generation, header } = broadcast;
    if (!header || generation !== wish.generation) throw new Refusal('gone', 'Another header applies now.');
    const offset = Number.isSafeInteger(wish.offset) && wish.offset >= 0 ? wish.offset : 0;
    return new WithBytes({ size: header.bytes.length }, header.bytes.subarray(offset, offset + this.#room));
  }

  #history(wish: HistoryWish): WithBytes {
    const { broadcast } = this.#shared(wish);
    const { generation } = broadcast;
    if (generation !== wish.generation) throw new Refusal('gone', 'Another header applies now.');
    if (!Number.isSafeInteger(wish.location) || wish.location < 0) throw new Refusal('bad-request', 'No such packet.');
    const kept = broadcast.since(wish.location);
    const batch = new BatchBuilder(generation, kept[0]?.location ?? placeOf(broadcast).location);
    for (const packet of kept) if (!batch.add(packet, this.#room)) break;
    return new WithBytes({ next: placeOf(broadcast).location }, batch.encode());
  }

  #want({ from, points }: WantMessage): WantAnswer {
    if (!Array.isArray(points)) throw new Refusal('bad-request', 'A request names no points.');
    const answer: Record<string, Place | null> = {};
    for (const path of points.slice(0, 10_000)) {
      const sender = this.#senders.get(String(path));
      sender?.want(String(from.run));
      answer[String(path)] = sender?.place ?? null;
    }
    return answer;
  }

  get #room(): number {
    return Math.min(MAX_BATCH, this.#options.bus.maxPayload - ANSWER_ROOM);
  }

  #senderFor(path: string, broadcast: Broadcast, epoch: number): PointSender {
    const present = this.#senders.get(path);
    if (present?.epoch === epoch) return present;
    // The store has written the point once more: nobody listens at the subject of the epoch before.
    if (present) this.#drop(path, present);
    const { bus, subjects, self } = this.#options;
    const subject = subjects.media(self, epoch, tokenOf(path)!);
    const sender = new PointSender(broadcast, epoch, {
      room: () => this.#room,
      due: () => this.#dueSoon(sender),
      send: (message) => {
        const bytes = encodeMedia(message);
        if (bus.publish(subject, bytes)) this.bytesSent += bytes.length;
        else if (message.type === 'batch') this.leftOut += message.packets.length;
      },
    });
    this.#senders.set(path, sender);
    this.#sweepTimer ??= setInterval(() => this.#sweep(), SWEEP).unref();
    return sender;
  }

  /** All points share one timer. */
  #dueSoon(sender: PointSender): void {
    this.#due.add(sender);
    this.#flushTimer ??= setTimeout(() => {
      this.#flushTimer = undefined;
      const due = [...this.#due];
      this.#due.clear();
      for (const each of due) each.flush();
    }, BATCH_TIME);
  }

  #sweep(): void {
    const now = performance.now();
    for (const [path, sender] of this.#senders) {
      if (!sender.isWanted(now)) this.#drop(path, sender);
    }
  }
}

/** Sends one point. */
class PointSender implements Follower {
  /** The epoch that its subject names. */
  readonly epoch: number;
  readonly #broadcast: Broadcast;
  readonly #how: { room(): number; due(): void; send(message: Batch | Notice): void };
  /** When each node last said that it wants the point, by its run. */
  readonly #wanted = new Map<string, number>();
  #batch: BatchBuilder | undefined;
  #begun = false;

  constructor(
    broadcast: Broadcast,
    epoch: number,
    how: { room(): number; due(): void; send(message: Batch | Notice): void },
  ) {
    this.#broadcast = broadcast;
    this.epoch = epoch;
    this.#how = how;
    broadcast.follow(this);
    this.#begun = true;
  }

  get place(): Place {
    return placeOf(this.#broadcast);
  }

  want(run: string): void {
    this.#wanted.set(run, performance.now());
  }

  isWanted(now: number): boolean {
    for (const [run, at] of this.#wanted) if (now - at > INTEREST) this.#wanted.delete(run);
    return this.#wanted.size > 0;
  }

  close(): void {
    this.flush();
    this.#broadcast.unfollow(this);
  }

  started(): void {
    // Followers ask for the header themselves when they begin.
    if (!this.#begun) return;
    this.flush();
    this.#how.send({ type: 'header', ...this.place });
  }

  packet(packet: BroadcastPacket): number {
    const { generation } = this.#broadcast;
    this.#batch ??= new BatchBuilder(generation, packet.location);
    if (!this.#batch.add(packet, this.#how.room())) {
      this.flush();
      this.#batch = new BatchBuilder(generation, packet.location);
      this.#batch.add(packet, this.#how.room());
    }
    if (this.#batch.size === 1) this.#how.due();
    return 0;
  }

  ended(): void {
    this.flush();
    this.#how.send({ type: 'end', ...this.place });
  }

  /** Sends what has been collected. */
  flush(): void {
    const batch = this.#batch;
    this.#batch = undefined;
    if (batch) this.#how.send(batch.message);
  }
}

/** Collects packets that follow each other. */
class BatchBuilder {
  readonly #generation: number;
  readonly #location: number;
  readonly #packets: Buffer[] = [];
  #bytes = EMPTY_BATCH;
  #startable = false;

  constructor(generation: number, location: number) {
    this.#generation = generation;
    this.#location = location;
  }

  /** The number of packets. */
  get size(): number {
    return this.#packets.length;
  }

  get message(): Batch {
    const [generation, location, startable] = [this.#generation, this.#location, this.#startable];
    return { type: 'batch', generation, location, startable, packets: this.#packets };
  }

  /** @param room the most bytes of the batch @returns false if the packet does not fit, or does not follow */
  add({ wire, location, cleanStart }: BroadcastPacket, room: number): boolean {
    const size = sizeInBatch(wire);
    const fits = this.#packets.length === 0 || (this.#bytes + size <= room && this.#packets.length < 0xffff);
    if (!fits || location !== this.#location + this.#packets.length) return false;
    this.#packets.push(wire);
    this.#bytes += size;
    this.#startable ||= cleanStart;
    return true;
  }

  encode(): Buffer {
    return encodeMedia(this.message);
  }
}

/** Returns the place of the next packet of a broadcast. */
function placeOf(broadcast: Broadcast): Place {
  return { generation: broadcast.generation, location: broadcast.nextLocation };
}
