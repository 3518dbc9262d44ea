import { messageOf, WmError } from '../errors.js';
import { type BusChange, BusError, type ClusterBus } from './bus.js';
import { type NodeRun, textOf, tokenOf } from './subjects.js';

/** The most nodes of a cluster: a session's id names one of them. */
export const MAX_NODES = 256;
/** The shortest time between two beats of a node, in ms. */
const MIN_INTERVAL = 500;
/** What each node adds to it, in ms, so that the store has at most a hundred beats a second to write. */
const INTERVAL_PER_NODE = 10;
/** A node is taken for dead when others have beaten this often since its last beat. */
const LEASE = 5;
/** Beats after which the keys of a dead node are removed. */
const BURIAL = 60;
/** Beats without a change after which the watch is started again. */
const DEAF = 6;

/** Returns the time between two beats of a node in ms. */
export function beatInterval(nodes: number, shortest: number = MIN_INTERVAL): number {
  return Math.max(shortest, nodes * INTERVAL_PER_NODE);
}

/** What a node says about itself. */
export interface NodeFacts extends NodeRun {
  /** Its number in the ids of sessions. */
  readonly number: number;
  /** True if it takes no new sessions. */
  readonly draining: boolean;
  /** The time between its beats in ms. */
  readonly interval: number;
}

/** A node of the cluster. */
export interface Member extends NodeFacts {
  /** True unless its lease has run out. */
  readonly alive: boolean;
}

/** What the store says about a point. */
export interface PointFacts {
  readonly node: string;
  readonly run: string;
  /** Another one for each time that this run of the node has claimed a point. */
  readonly epoch: number;
  /** True for a source that the owner pulls: others with a source of their own use that. */
  readonly offered?: boolean;
  /** What the owner's configuration says about the point, less what only concerns the owner. */
  readonly settings?: unknown;
}

/** A point of the cluster, and the node that owns it. */
export interface OwnedPoint extends PointFacts {
  readonly path: string;
  /** The revision of its key: of two owners, the later one has the higher. */
  readonly revision: number;
}

interface Standing {
  facts: NodeFacts;
  revision: number;
  alive: boolean;
  /** The count of our own beats when it last beat. */
  beat: number;
}

/** What a directory calls back. */
export interface DirectoryOptions {
  readonly self: NodeRun;
  /** Called when the owner of a point changes; undefined if it has none. */
  readonly onPoint: (path: string, owner: OwnedPoint | undefined) => void;
  /** Called when a node comes, changes or goes. */
  readonly onNode: (member: Member) => void;
  readonly onWarning: (message: string) => void;
  /** The shortest time between two beats in ms, for tests. */
  readonly interval?: number | undefined;
}

/**
 * The nodes and points of a cluster, as the store of the bus has them.
 *
 * Leases need no clock: each node writes its key again and again, and all see all keys in the same order. A node whose
 * key has not changed while ours has five times is dead. While the store takes no beats, nobody dies.
 */
export class Directory {
  readonly #bus: ClusterBus;
  readonly #options: DirectoryOptions;
  readonly #members = new Map<string, Standing>();
  readonly #points = new Map<string, OwnedPoint>();
  /** Keys of points while they are listed again. */
  #listed: Set<string> | undefined;
  #number = 0;
  #draining = false;
  #beats = 0;
  #unseen = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopWatch: (() => void) | undefined;
  #isReady = false;
  #whenReady: (() => void)[] = [];
  #started = false;
  #closed = false;
  /** When the store took a beat last. */
  #renewedAt: number | undefined;
  #warnedOfName = false;

  constructor(bus: ClusterBus, options: DirectoryOptions) {
    this.#bus = bus;
    this.#options = options;
  }

  /** True once all keys are known. */
  get ready(): boolean {
    return this.#isReady;
  }

  /** True once it beats and watches. */
  get started(): boolean {
    return this.#started;
  }

  /** When the lease of this node was renewed last, by `performance.now`; undefined before the first time. */
  get renewedAt(): number | undefined {
    return this.#renewedAt;
  }

  /** The number of this node. */
  get number(): number {
    return this.#number;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** The nodes, this one too. */
  get members(): Member[] {
    return [...this.#members.values()].map(memberOf);
  }

  /** The points that have an owner. */
  get points(): Iterable<OwnedPoint> {
    return this.#points.values();
  }

  /** The owner of a point, alive or not. */
  ownerOf(path: string): OwnedPoint | undefined {
    return this.#points.get(path);
  }

  /** Asks the store for the owner of a point. @throws BusError */
  async read(path: string): Promise<OwnedPoint | undefined> {
    const entry = await this.#bus.get(`point.${tokenOf(path)}`);
    const facts = entry?.value && parsed<PointFacts>(entry.value, isPoint);
    return entry && facts && { ...facts, path, revision: entry.revision };
  }

  /** True unless the lease of that run of a node has run out. */
  isAlive({ node, run }: NodeRun): boolean {
    const standing = this.#members.get(node);
    return standing?.facts.run === run && standing.alive;
  }

  /** Returns the living node with a number. */
  numbered(number: number): Member | undefined {
    return this.members.find((member) => member.alive && member.number === number);
  }

  /** Begins to beat and to watch, with the number that this node has in the ids of its sessions. */
  start(number: number): void {
    this.#number = number;
    this.#started = true;
    this.#watch();
    void this.#beat();
  }

  /** Resolves once all keys are known, or after a time in ms. */
  whenReady(timeout: number): Promise<void> {
    if (this.#isReady) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeout).unref();
      this.#whenReady.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Tells the others that this node takes new sessions, or takes none. */
  async drain(draining: boolean): Promise<void> {
    this.#draining = draining;
    await this.#write();
  }

  /** The keys may have changed unseen: they are listed again. */
  refresh(): void {
    if (this.#closed || !this.#started) return;
    this.#watch();
    void this.#beat();
  }

  /** Says goodbye. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#stopWatch?.();
    const standing = this.#members.get(this.#options.self.node);
    if (!this.#bus.connected || standing?.facts.run !== this.#options.self.run) return;
    await this.#bus.remove(this.#key, standing.revision).catch(() => undefined);
  }

  get #key(): string {
    return `node.${tokenOf(this.#options.self.node)}`;
  }

  get #interval(): number {
    return beatInterval(this.#members.size, this.#options.interval);
  }

  async #beat(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    await this.#write().then(
      () => this.#unseen++,
      // The connection reports its own loss; without a leader the store answers again later.
      () => undefined,
    );
    if (this.#unseen > DEAF) this.#watch();
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#beat(), this.#interval).unref();
  }

  async #write(): Promise<void> {
    const { node, run } = this.#options.self;
    const facts: NodeFacts = {
      node,
      run,
      number: this.#number,
      draining: this.#draining,
      interval: this.#interval,
    };
    // The lease counts from before the store has it.
    const at = performance.now();
    await this.#bus.put(this.#key, Buffer.from(JSON.stringify(facts)));
    this.#renewedAt = at;
  }

  #watch(): void {
    this.#unseen = 0;
    this.#stopWatch?.();
    this.#stopWatch = this.#bus.watch({
      restart: () => {
        this.#listed = new Set();
      },
      change: (change) => {
        this.#listed?.add(change.key);
        this.#take(change);
      },
      ready: () => this.#ready(),
    });
  }

  #ready(): void {
    const listed = this.#listed;
    this.#listed = undefined;
    if (listed) this.#forgetUnlisted(listed);
    this.#isReady = true;
    for (const done of this.#whenReady.splice(0)) done();
  }

  /** Removes what was not listed again. */
  #forgetUnlisted(listed: ReadonlySet<string>): void {
    for (const path of [...this.#points.keys()]) {
      if (!listed.has(`point.${tokenOf(path)}`)) this.#setPoint(path, undefined);
    }
    for (const [node, standing] of [...this.#members]) {
      if (!listed.has(`node.${tokenOf(node)}`)) this.#remove(node, standing);
    }
  }

  #take({ key, value, revision }: BusChange): void {
    const dot = key.indexOf('.');
    const name = textOf(key.slice(dot + 1));
    if (name === undefined) return;
    if (key.startsWith('node.')) this.#takeNode(name, value, revision);
    else if (key.startsWith('point.')) {
      const facts = value && parsed<PointFacts>(value, isPoint);
      this.#setPoint(name, facts && { ...facts, path: name, revision });
    }
  }

  #setPoint(path: string, owner: OwnedPoint | undefined): void {
    const before = this.#points.get(path);
    if (before?.revision === owner?.revision) return;
    if (owner) this.#points.set(path, owner);
    else this.#points.delete(path);
    this.#options.onPoint(path, owner);
  }

  #takeNode(node: string, value: Buffer | undefined, revision: number): void {
    const standing = this.#members.get(node);
    const facts = value && parsed<NodeFacts>(value, isNode);
    if (!facts || facts.node !== node) {
      if (standing) this.#remove(node, standing);
      return;
    }
    const { self } = this.#options;
    if (node === self.node) {
      if (facts.run === self.run) this.#beaten();
      else if (this.#isReady) this.#warnOfName();
    }
    const isNews = !standing?.alive || standing.facts.run !== facts.run || standing.facts.draining !== facts.draining;
    const next: Standing = { facts, revision, alive: true, beat: this.#beats };
    this.#members.set(node, next);
    if (isNews) this.#options.onNode(memberOf(next));
  }

  #remove(node: string, standing: Standing): void {
    this.#members.delete(node);
    this.#options.onNode({ ...memberOf(standing), alive: false });
  }

  /** Our own beat came back: looks who has not beaten for long. */
  #beaten(): void {
    this.#beats++;
    this.#unseen = 0;
    const { self } = this.#options;
    for (const [node, standing] of this.#members) {
      if (node === self.node) continue;
      // Nodes that know of more nodes may beat more slowly.
      const slowness = Math.max(1, standing.facts.interval / this.#interval);
      const silent = (this.#beats - standing.beat) / slowness;
      if (standing.alive && silent > LEASE) {
        standing.alive = false;
        this.#options.onNode(memberOf(standing));
      } else if (!standing.alive && silent > BURIAL && this.#isEldest) void this.#bury(node, standing);
    }
  }

  /** True if this node has the lowest number of all that are alive. */
  get #isEldest(): boolean {
    return this.members.every(({ alive, number }) => !alive || number >= this.#number);
  }

  async #bury(node: string, { revision, facts }: Standing): Promise<void> {
    try {
      for (const { path, revision: last, run } of this.#points.values()) {
        if (run === facts.run) await this.#bus.remove(`point.${tokenOf(path)}`, last);
      }
      await this.#bus.remove(`node.${tokenOf(node)}`, revision);
    } catch {
      // Somebody else did, or it lives: the next beat shows.
    }
  }

  #warnOfName(): void {
    if (this.#warnedOfName) return;
    this.#warnedOfName = true;
    this.#options.onWarning(
      `Another node of the cluster is also named ${this.#options.self.node}: name one of them otherwise.`,
    );
  }
}

/**
 * Registers the name and the number of a node.
 *
 * @param preferred the number that it takes if that is free
 * @param isThere returns true if that run of a node answers
 * @returns the number
 * @throws WmError WM_CONFIG if another node with this name is running, or there are too many; BusError `unavailable`
 */
export async function enrol(
  bus: ClusterBus,
  self: NodeRun,
  preferred: number,
  isThere: (other: NodeRun) => Promise<boolean>,
): Promise<number> {
  const key = `node.${tokenOf(self.node)}`;
  const before = await bus.get(key);
  const other = before?.value && parsed<NodeFacts>(before.value, isNode);
  if (other && other.run !== self.run && (await isThere(other))) {
    throw new WmError('WM_CONFIG', `A node named ${self.node} is already in the cluster: set another cluster.node.`);
  }
  const value = Buffer.from(JSON.stringify(self));
  for (let tries = 0; tries < MAX_NODES; tries++) {
    const number = (preferred + tries) % MAX_NODES;
    if (await takeNumber(bus, number, self, value, isThere)) return number;
  }
  throw new WmError('WM_CONFIG', `A cluster has at most ${MAX_NODES} nodes.`);
}

async function takeNumber(
  bus: ClusterBus,
  number: number,
  self: NodeRun,
  value: Buffer,
  isThere: (other: NodeRun) => Promise<boolean>,
): Promise<boolean> {
  const key = `number.${number}`;
  try {
    const taken = await bus.get(key);
    if (taken?.value === undefined) {
      await bus.create(key, value);
      return true;
    }
    const holder = parsed<NodeRun>(taken.value, isRun);
    // Its own number from before a restart; or that of a node that is gone.
    if (holder && holder.node !== self.node && (await isThere(holder))) return false;
    await bus.update(key, value, taken.revision);
    return true;
  } catch (error) {
    if (error instanceof BusError && error.kind === 'conflict') return false;
    throw error;
  }
}

function memberOf({ facts, alive }: Standing): Member {
  return { ...facts, alive };
}

/** Parses a value; undefined if it is not what it should be. */
function parsed<T>(value: Buffer, isIt: (value: Partial<Record<string, unknown>>) => boolean): T | undefined {
  try {
    const read = JSON.parse(value.toString('utf8')) as Partial<Record<string, unknown>> | null;
    return typeof read === 'object' && read !== null && isIt(read) ? (read as T) : undefined;
  } catch (error) {
    return ignored(error);
  }
}

/** What others write wrongly is as if it were not there. */
function ignored(error: unknown): undefined {
  if (!(error instanceof SyntaxError)) throw new WmError('WM_FAILED', messageOf(error), { cause: error });
  return undefined;
}

function isRun({ node, run }: Partial<Record<string, unknown>>): boolean {
  return (
    typeof node === 'string' && tokenOf(node) !== undefined && typeof run === 'string' && /^[\da-z]{1,32}$/.test(run)
  );
}

function isPoint(value: Partial<Record<string, unknown>>): boolean {
  return isRun(value) && Number.isSafeInteger(value['epoch']);
}

function isNode(value: Partial<Record<string, unknown>>): boolean {
  const { number, interval } = value;
  return (
    isRun(value) &&
    Number.isInteger(number) &&
    (number as number) >= 0 &&
    (number as number) < MAX_NODES &&
    typeof interval === 'number' &&
    interval >= 1 &&
    interval <= 60_000
  );
}
