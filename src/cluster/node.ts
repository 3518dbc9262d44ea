import { randomBytes } from 'node:crypto';
import { messageOf } from '../errors.js';
import type { Broadcast } from '../media/broadcast.js';
import { Refusal } from '../refusal.js';
import { BusError, type ClusterBus } from './bus.js';
import { Calls, decodeParcel, encodeParcel, type Parcel } from './calls.js';
import { Directory, enrol, MAX_NODES, type Member, type OwnedPoint } from './directory.js';
import { Following } from './following.js';
import { Isolation } from './isolation.js';
import { type Claimant, Ownership } from './ownership.js';
import { Senders, type SharedPoint, type WantAnswer, type WantMessage } from './sender.js';
import { type NodeRun, Subjects } from './subjects.js';
import { Tunnels } from './tunnels.js';

/** How often owners are told what is still wanted, in ms. */
const WANT_INTERVAL = 1_500;
const SWEEP = 1_000;
/** How long the start waits for the others, in ms; it goes on without them. */
const START_TIMEOUT = 3_000;
const PING_TIMEOUT = 500;
const RETRY = 250;

/** A node of a cluster, as its server uses it. */
export interface ClusterNodeOptions {
  readonly bus: ClusterBus;
  /** The name of the node. */
  readonly name: string;
  /** The token that all subjects begin with. */
  readonly prefix: string;
  readonly onWarning: (message: string) => void;
  /** For tests, in ms: the shortest time between two beats, and how often owners are told what is wanted. */
  readonly timers?:
    | { readonly beat?: number; readonly want?: number; readonly suspicion?: number; readonly look?: number }
    | undefined;
}

/** What a node does with the points of its server. */
export interface ClusterHost {
  /** Returns the broadcast of a point of this node, with the function that starts its source. */
  find(path: string): Pick<SharedPoint, 'broadcast' | 'demand'> | undefined;
  /** Returns true if a claimant of another node may replace what feeds a point here. */
  yields(path: string, claimant: Claimant): boolean;
  /** Another node feeds the point now. */
  lost(path: string): void;
  /** Others may own what this node owns, because it is cut off from them: it must stop; or it no longer is. */
  isolated(isolated: boolean): void;
  /** The owner of a point has changed; undefined if it has none. */
  pointChanged(path: string, owner: OwnedPoint | undefined): void;
}

/** Shares the publishing points of this host with the other hosts of its cluster. */
export class ClusterNode {
  readonly self: NodeRun;
  readonly calls: Calls;
  readonly subjects: Subjects;
  readonly directory: Directory;
  readonly ownership: Ownership;
  readonly senders: Senders;
  readonly tunnels: Tunnels;
  readonly #bus: ClusterBus;
  readonly #options: ClusterNodeOptions;
  readonly #followings = new Map<string, Following>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #stopListening: () => void;
  readonly #isolation: Isolation;
  #host: ClusterHost | undefined;
  #enrolled = false;
  #closed = false;
  /** Packets that got lost between the nodes. */
  lostPackets = 0;

  private constructor(options: ClusterNodeOptions) {
    this.#options = options;
    const { bus, name, prefix, onWarning } = options;
    this.#bus = bus;
    this.self = { node: name, run: randomBytes(6).toString('hex') };
    this.subjects = new Subjects(prefix);
    this.calls = new Calls(bus, this.subjects, this.self);
    this.tunnels = new Tunnels({ calls: this.calls, self: this.self });
    this.directory = new Directory(bus, {
      self: this.self,
      onPoint: (path, owner) => this.#pointChanged(path, owner),
      onNode: () => this.#nodesChanged(),
      onWarning,
      interval: options.timers?.beat,
    });
    this.ownership = new Ownership({
      bus,
      calls: this.calls,
      directory: this.directory,
      self: this.self,
      yields: (path, claimant) => this.#host?.yields(path, claimant) ?? true,
      onLost: (path) => {
        this.senders.stop(path);
        this.#host?.lost(path);
      },
    });
    this.senders = new Senders({
      bus,
      calls: this.calls,
      subjects: this.subjects,
      self: this.self,
      find: (path) => {
        const epoch = this.ownership.epochOf(path);
        const point = epoch === undefined ? undefined : this.#host?.find(path);
        return point && epoch !== undefined ? { ...point, epoch } : undefined;
      },
    });
    const { suspicion, look: interval } = options.timers ?? {};
    this.#isolation = new Isolation({
      bus,
      renewedAt: () => this.directory.renewedAt,
      onChange: (isolated) => this.#isolated(isolated),
      timers: suspicion === undefined || interval === undefined ? undefined : { suspicion, interval },
    });
    this.#stopListening = bus.onConnection((connected) => this.#connection(connected));
  }

  /**
   * Joins a cluster. If the bus cannot be reached in time, goes on without it and joins later.
   *
   * @throws WmError WM_CONFIG if another node has the name
   */
  static async join(options: ClusterNodeOptions): Promise<ClusterNode> {
    const node = new ClusterNode(options);
    await node.#enrol();
    return node;
  }

  /** True while the bus can be reached and all points are known. */
  get connected(): boolean {
    return this.#bus.connected && this.directory.ready;
  }

  /** True while this node is cut off from servers that may give its points to others. */
  get isolated(): boolean {
    return this.#isolation.isolated;
  }

  /** The number of this node in the ids of sessions. */
  get number(): number {
    return this.directory.number;
  }

  /** The number of points that this node follows. */
  get followed(): number {
    let count = 0;
    for (const following of this.#followings.values()) if (following.owner) count++;
    return count;
  }

  /** Serves a server's points from now on. */
  attend(host: ClusterHost): void {
    this.#host = host;
    for (const owned of this.directory.points) host.pointChanged(owned.path, owned);
    this.#timers.push(
      setInterval(() => this.#sayWants(), this.#options.timers?.want ?? WANT_INTERVAL).unref(),
      setInterval(() => {
        for (const following of this.#followings.values()) following.sweep();
      }, SWEEP).unref(),
    );
  }

  /** The node that owns a point, unless that is this one or it is dead. */
  remoteOwner(path: string): OwnedPoint | undefined {
    const owner = this.directory.ownerOf(path);
    if (!owner || owner.run === this.self.run || this.ownership.holds(path)) return undefined;
    return this.directory.isAlive(owner) ? owner : undefined;
  }

  /**
   * Makes this node the owner of a point.
   *
   * @param broadcast of the point, which is no longer fed from another node
   * @throws Refusal `taken` if another node has it and does not yield
   */
  async claim(
    path: string,
    broadcast: Broadcast,
    claimant: Claimant,
    facts: { offered?: boolean; settings?: unknown } = {},
  ): Promise<void> {
    const isNew = !this.ownership.holds(path);
    await this.ownership.claim(path, claimant, facts);
    this.#followings.get(path)?.release();
    if (isNew) this.senders.begun(path, broadcast);
  }

  /** This node feeds the point no longer. */
  release(path: string): void {
    this.senders.stop(path);
    this.ownership.release(path);
  }

  /** Returns what feeds a broadcast from other nodes. */
  following(path: string, broadcast: Broadcast): Following {
    const present = this.#followings.get(path);
    if (present) return present;
    const { calls, subjects, self } = this;
    const following = new Following({
      bus: this.#bus,
      calls,
      subjects,
      self,
      path,
      broadcast,
      owner: () => this.remoteOwner(path),
      onLost: (packets) => {
        this.lostPackets += packets;
      },
    });
    this.#followings.set(path, following);
    return following;
  }

  /** The point is gone from this node. */
  forget(path: string): void {
    this.#followings.get(path)?.end();
    this.#followings.delete(path);
  }

  /** Sends something to all other nodes. */
  tellAll(operation: string, text: unknown): void {
    this.#bus.publish(this.subjects.all(operation), encodeParcel(text));
  }

  /** Takes what other nodes send to all. */
  onAll(operation: string, take: (text: unknown) => void): void {
    this.#bus.subscribe(this.subjects.all(operation), ({ data }) => {
      const parcel = parcelIn(data);
      if (parcel) take(parcel.text);
    });
  }

  /** Tells one node something, which may get lost. */
  tell(to: NodeRun, operation: string, text: unknown, bytes?: Uint8Array): void {
    this.#bus.publish(this.subjects.node(to, operation), encodeParcel(text, bytes));
  }

  /** Returns the living nodes other than this one. */
  get others(): Member[] {
    return this.directory.members.filter(({ alive, run }) => alive && run !== this.self.run);
  }

  /** Gives all points back and leaves. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#isolation.close();
    this.tunnels.close();
    // The others wait for the next owner: no end is sent to them.
    this.senders.close();
    for (const following of this.#followings.values()) following.end();
    await this.ownership.releaseAll();
    await this.directory.close();
    this.calls.close();
    this.#stopListening();
    await this.#bus.close();
  }

  async #enrol(): Promise<void> {
    const preferred = numberFor(this.self.node);
    const joined = this.#join(preferred);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), START_TIMEOUT);
    });
    try {
      if ((await Promise.race([joined, late])) !== 'late') return;
      this.#options.onWarning('The cluster cannot be reached: this node works by itself until it can.');
      joined.catch((error: unknown) => this.#options.onWarning(messageOf(error)));
      this.directory.start(preferred);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Joins as soon as the store can be asked. @throws WmError WM_CONFIG */
  async #join(preferred: number): Promise<void> {
    await whenConnected(this.#bus);
    while (!this.#closed) {
      try {
        const number = await enrol(this.#bus, this.self, preferred, (other) => this.#isThere(other));
        this.#enrolled = true;
        // Sessions that have begun keep the number that this node has.
        if (!this.directory.started) this.directory.start(number);
        break;
      } catch (error) {
        if (!(error instanceof BusError)) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY).unref());
      }
    }
    await this.directory.whenReady(START_TIMEOUT);
  }

  async #isThere(other: NodeRun): Promise<boolean> {
    try {
      await this.calls.ask(other, 'ping', null, { timeout: PING_TIMEOUT });
      return true;
    } catch (error) {
      return error instanceof Refusal;
    }
  }

  #connection(connected: boolean): void {
    if (this.#closed) return;
    if (!connected) {
      this.#options.onWarning('The connection to NATS is lost: this node goes on by itself until it is back.');
      return;
    }
    if (this.#enrolled) this.#options.onWarning('NATS is there again: this node works with the others.');
    this.directory.refresh();
    this.ownership.reconnected();
    for (const following of this.#followings.values()) following.reconnected();
  }

  #isolated(isolated: boolean): void {
    this.#options.onWarning(
      isolated
        ? 'Most servers of NATS are silent: the others may have them, so this node gives its encoders away.'
        : 'NATS answers again: this node takes encoders again.',
    );
    // Its server may have lost the others, and take long to find them again.
    if (!isolated) this.#bus.move();
    this.#host?.isolated(isolated);
  }

  #pointChanged(path: string, owner: OwnedPoint | undefined): void {
    this.ownership.changed(path, owner);
    this.#host?.pointChanged(path, owner);
    this.#followings.get(path)?.ownerChanged();
  }

  #nodesChanged(): void {
    this.tunnels.sweep((node) => this.directory.isAlive(node));
    for (const following of this.#followings.values()) following.ownerChanged();
  }

  /** Tells each owner which of its points are still wanted. */
  #sayWants(): void {
    const byOwner = new Map<string, { owner: OwnedPoint; followings: Map<string, Following> }>();
    for (const [path, following] of this.#followings) {
      const { owner } = following;
      if (!owner) continue;
      const entry = byOwner.get(owner.run) ?? { owner, followings: new Map<string, Following>() };
      entry.followings.set(path, following);
      byOwner.set(owner.run, entry);
    }
    for (const { owner, followings } of byOwner.values()) void this.#sayWant(owner, followings);
  }

  async #sayWant(owner: NodeRun, followings: ReadonlyMap<string, Following>): Promise<void> {
    const message: WantMessage = { from: this.self, points: [...followings.keys()] };
    try {
      const { text } = await this.calls.ask<WantAnswer>(owner, 'want', message);
      for (const [path, following] of followings)
        if (following.owner?.run === owner.run) following.told(text[path] ?? null);
    } catch {
      // It is told again soon, and its lease shows if it is dead.
    }
  }
}

/** Decodes a message; undefined if it is malformed. */
function parcelIn(data: Uint8Array): Parcel | undefined {
  try {
    return decodeParcel(Buffer.from(data));
  } catch {
    return undefined;
  }
}

/** Returns a number that a name prefers, so that nodes keep theirs even if nothing can be looked up. */
function numberFor(name: string): number {
  let hash = 0;
  for (const byte of Buffer.from(name, 'utf8')) hash = (hash * 31 + byte) % 65_521;
  return hash % MAX_NODES;
}

function whenConnected(bus: ClusterBus): Promise<void> {
  if (bus.connected) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = bus.onConnection((connected) => {
      if (!connected) return;
      stop();
      resolve();
    });
  });
}
