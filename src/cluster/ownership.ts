import { Refusal } from '../refusal.js';
import { BusError, type ClusterBus } from './bus.js';
import type { Calls } from './calls.js';
import type { Directory, OwnedPoint, PointFacts } from './directory.js';
import { type NodeRun, tokenOf } from './subjects.js';

/** The longest that an encoder waits for a point, in ms. */
const CLAIM_TIMEOUT = 8_000;
/** The pause between two tries, in ms. */
const PAUSE = 250;
/** How long an owner that has no connection keeps its point when another node wants it, in ms. */
const GRACE = 1_200;
/** How long the owner may think, in ms. */
const ANSWER_TIMEOUT = 1_000;
/** The largest description of a point, in bytes. */
const MAX_FACTS = 64 * 1024;
/** Points that wait for the store are tried again this often, in ms. */
const RETRY = 500;

/** Who wants to feed a point. */
export interface Claimant {
  readonly remoteAddress: string;
  readonly user?: string | undefined;
  readonly session?: string | undefined;
  readonly formerSessions?: readonly string[];
}

/** What this node has of the cluster's points. */
export interface OwnershipOptions {
  readonly bus: ClusterBus;
  readonly calls: Calls;
  readonly directory: Directory;
  readonly self: NodeRun;
  /** Called when another node feeds a point that this one fed. */
  readonly onLost: (path: string) => void;
  /** Returns true if a claimant of another node may replace what feeds a point here. */
  readonly yields: (path: string, claimant: Claimant) => boolean;
}

interface Held {
  readonly facts: Pick<PointFacts, 'offered' | 'settings'>;
  /** The revision of the point's key; undefined while the store could not be asked. */
  epoch: number | undefined;
}

/**
 * The points that this node owns. A point's key is written by compare-and-set, so at most one node has it. Who loses the
 * race stops sending. If the store cannot be asked, a claim is granted for now and decided when it can.
 */
export class Ownership {
  readonly #options: OwnershipOptions;
  readonly #held = new Map<string, Held>();
  #timer: NodeJS.Timeout | undefined;
  #retrying = false;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    options.calls.answer('claim', (asked: { path?: unknown; claimant?: Partial<Claimant> }) => this.#yield(asked));
  }

  /** The epoch of a point that this node owns; undefined if it does not, or the store does not know yet. */
  epochOf(path: string): number | undefined {
    return this.#held.get(path)?.epoch;
  }

  /** True if this node feeds the point, as far as it knows. */
  holds(path: string): boolean {
    return this.#held.has(path);
  }

  /** The paths of the points that this node owns. */
  get paths(): string[] {
    return [...this.#held.keys()];
  }

  /**
   * Makes this node the owner of a point.
   *
   * @throws Refusal `taken` if another node has it and does not yield
   */
  async claim(path: string, claimant: Claimant, facts: Held['facts'] = {}): Promise<void> {
    const token = tokenOf(path);
    if (token === undefined) throw new Refusal('too-long', `${path.slice(0, 80)}… is too long for a cluster.`);
    if (this.#held.get(path)?.epoch !== undefined) return;
    const value = this.#valueOf(facts);
    const started = performance.now();
    const waited = () => performance.now() - started;
    for (;;) {
      const owner = this.#options.directory.ownerOf(path);
      const theirs = owner && owner.run !== this.#options.self.run ? owner : undefined;
      const answer = theirs ? await this.#ask(theirs, path, claimant) : 'free';
      if (answer === 'no') throw taken(path, theirs!.node);
      const isFree = answer !== 'silent' && (answer !== 'gone' || waited() >= GRACE);
      if (isFree) {
        const epoch = await this.#write(`point.${token}`, value, owner);
        if (epoch === 'unavailable') {
          this.#hold(path, facts, undefined);
          return;
        }
        if (epoch !== 'conflict') {
          this.#hold(path, facts, epoch);
          return;
        }
      }
      if (waited() >= CLAIM_TIMEOUT) throw taken(path, theirs?.node ?? 'another node');
      await pause();
    }
  }

  /** Gives a point back. */
  release(path: string): void {
    const held = this.#held.get(path);
    this.#held.delete(path);
    if (held?.epoch === undefined || !this.#options.bus.connected) return;
    this.#options.bus.remove(`point.${tokenOf(path)}`, held.epoch).catch(() => undefined);
  }

  /** Gives all points back. Resolves when the store knows, or cannot be asked. */
  async releaseAll(): Promise<void> {
    clearTimeout(this.#timer);
    const all = [...this.#held];
    this.#held.clear();
    if (!this.#options.bus.connected) return;
    const removals = all.flatMap(([path, { epoch }]) =>
      epoch === undefined ? [] : [this.#options.bus.remove(`point.${tokenOf(path)}`, epoch).catch(() => undefined)],
    );
    await Promise.all(removals);
  }

  /** The store says who owns a point. */
  changed(path: string, owner: OwnedPoint | undefined): void {
    const held = this.#held.get(path);
    if (!held) return;
    if (!owner) {
      // The store has lost it, or it was taken for dead.
      held.epoch = undefined;
      this.#retryLater();
    } else if (owner.run === this.#options.self.run) held.epoch = owner.epoch;
    else if (held.epoch !== undefined && owner.epoch > held.epoch) this.#lose(path);
  }

  /** The connection is back: what was granted meanwhile is decided. */
  reconnected(): void {
    this.#retryLater();
  }

  #lose(path: string): void {
    if (this.#held.delete(path)) this.#options.onLost(path);
  }

  #hold(path: string, facts: Held['facts'], epoch: number | undefined): void {
    this.#held.set(path, { facts, epoch });
    if (epoch === undefined) this.#retryLater();
  }

  #valueOf(facts: Held['facts']): Buffer {
    const { node, run } = this.#options.self;
    const value = Buffer.from(JSON.stringify({ node, run, ...facts } satisfies PointFacts));
    if (value.length > MAX_FACTS)
      throw new Refusal('too-large', 'The settings of the point are too large for a cluster.');
    return value;
  }

  async #write(
    key: string,
    value: Buffer,
    owner: OwnedPoint | undefined,
  ): Promise<number | 'conflict' | 'unavailable'> {
    const { bus } = this.#options;
    try {
      return owner ? await bus.update(key, value, owner.epoch) : await bus.create(key, value);
    } catch (error) {
      if (error instanceof BusError) return error.kind === 'conflict' ? 'conflict' : 'unavailable';
      throw error;
    }
  }

  /** Asks the owner of a point to yield it. */
  async #ask(owner: OwnedPoint, path: string, claimant: Claimant): Promise<'free' | 'no' | 'gone' | 'silent'> {
    const { directory, calls } = this.#options;
    if (!directory.isAlive(owner)) return 'free';
    try {
      const asked = { path, claimant };
      const { text } = await calls.ask<boolean>(owner, 'claim', asked, { timeout: ANSWER_TIMEOUT });
      return text === true ? 'free' : 'no';
    } catch (error) {
      if (!(error instanceof BusError)) return 'no';
      if (error.kind === 'no-responders') return 'gone';
      // Without a connection nobody can be asked; the claim is decided later.
      return error.kind === 'unavailable' ? 'free' : 'silent';
    }
  }

  /** Another node wants a point of this one. @returns true if it may have it */
  #yield({ path, claimant }: { path?: unknown; claimant?: Partial<Claimant> }): boolean {
    if (typeof path !== 'string' || typeof claimant?.remoteAddress !== 'string') {
      throw new Refusal('bad-request', 'A claim names no point.');
    }
    const held = this.#held.get(path);
    if (!held) return true;
    // A push takes precedence over what is pulled.
    if (held.facts.offered) return true;
    const { remoteAddress, user, session, formerSessions } = claimant;
    const former = Array.isArray(formerSessions) ? formerSessions.slice(0, 100).map(String) : [];
    const known = { remoteAddress, user: text(user), session: text(session), formerSessions: former };
    return this.#options.yields(path, known);
  }

  #retryLater(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#retry();
    }, RETRY).unref();
  }

  /** Registers points that could not be registered before. */
  async #retry(): Promise<void> {
    if (this.#retrying) return;
    this.#retrying = true;
    try {
      const { bus, directory, self } = this.#options;
      for (const [path, held] of [...this.#held]) {
        if (held.epoch !== undefined || !bus.connected) continue;
        const owner = directory.ownerOf(path);
        if (owner && owner.run !== self.run && directory.isAlive(owner)) {
          this.#lose(path);
          continue;
        }
        const epoch = await this.#write(`point.${tokenOf(path)}`, this.#valueOf(held.facts), owner);
        if (typeof epoch !== 'number') continue;
        if (this.#held.get(path) === held) held.epoch = epoch;
        else bus.remove(`point.${tokenOf(path)}`, epoch).catch(() => undefined);
      }
    } finally {
      this.#retrying = false;
    }
    if ([...this.#held.values()].some(({ epoch }) => epoch === undefined)) this.#retryLater();
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, 1_000) : undefined;
}

function taken(path: string, node: string): Refusal {
  return new Refusal('taken', `${path} has a publisher already, on ${node}.`);
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, PAUSE);
  });
}
