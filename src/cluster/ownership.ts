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

/** Claims only points that no other node feeds. */
const NOBODY: Claimant = { remoteAddress: '' };

interface Held {
  readonly facts: Pick<PointFacts, 'offered' | 'settings'>;
  /** Another one for each claim of this run of the node. */
  readonly epoch: number;
  /** The revision of the point's key; undefined while the store could not be asked. */
  revision: number | undefined;
  /** When it was last without one, by `performance.now`. */
  since: number;
}

/**
 * The points that this node owns. A point's key is written by compare-and-set, so at most one node has it. Who loses the
 * race stops sending. If the store cannot be asked, a claim is granted for now and decided when it can.
 */
export class Ownership {
  readonly #options: OwnershipOptions;
  readonly #held = new Map<string, Held>();
  #epochs = 0;
  #timer: NodeJS.Timeout | undefined;
  #retrying = false;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    options.calls.answer('claim', (asked: { path?: unknown; claimant?: Partial<Claimant> }) => this.#yield(asked));
  }

  /** The epoch of a point that this node owns; undefined if it does not. */
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
    if (tokenOf(path) === undefined) throw new Refusal('too-long', `${path.slice(0, 80)}… is too long for a cluster.`);
    if (this.#held.get(path)?.revision !== undefined) return;
    const epoch = this.#held.get(path)?.epoch ?? ++this.#epochs;
    this.#hold(path, { facts, epoch, revision: await this.#acquire(path, claimant, { ...facts, epoch }) });
  }

  /**
   * Writes a point's key as soon as no other node has it.
   *
   * @returns the revision; undefined if the store cannot be asked
   * @throws Refusal as {@link claim}
   */
  async #acquire(
    path: string,
    claimant: Claimant,
    facts: Held['facts'] & { readonly epoch: number },
  ): Promise<number | undefined> {
    const { directory, self } = this.#options;
    const value = this.#valueOf(facts);
    const started = performance.now();
    let owner = directory.ownerOf(path);
    for (;;) {
      const answer = await this.#ask(owner, path, claimant);
      const waited = performance.now() - started;
      if (answer === 'no') throw new Refusal('taken', `${path} has a publisher already, on ${owner?.node}.`);
      if (answer === 'free' || (answer === 'gone' && waited >= GRACE)) {
        const revision = await this.#write(`point.${tokenOf(path)}`, value, owner);
        if (revision !== 'conflict') return revision === 'unavailable' ? undefined : revision;
        // What this node has seen may be old.
        owner = await directory.read(path).catch(() => undefined);
        // Written after all, although the store did not say so in time.
        if (owner?.run === self.run && owner.epoch === facts.epoch) return owner.revision;
      } else owner = directory.ownerOf(path) ?? owner;
      if (waited >= CLAIM_TIMEOUT) {
        throw new Refusal('busy', `${path} cannot be had: ${owner?.node ?? 'its owner'} does not answer.`);
      }
      await pause();
    }
  }

  /** Gives a point back. */
  release(path: string): void {
    const held = this.#held.get(path);
    this.#held.delete(path);
    if (held?.revision === undefined || !this.#options.bus.connected) return;
    this.#options.bus.remove(`point.${tokenOf(path)}`, held.revision).catch(() => undefined);
  }

  /** Gives all points back. Resolves when the store knows, or cannot be asked. */
  async releaseAll(): Promise<void> {
    clearTimeout(this.#timer);
    const all = [...this.#held];
    this.#held.clear();
    if (!this.#options.bus.connected) return;
    const removals = all.flatMap(([path, { revision }]) =>
      revision === undefined
        ? []
        : [this.#options.bus.remove(`point.${tokenOf(path)}`, revision).catch(() => undefined)],
    );
    await Promise.all(removals);
  }

  /** The store says who owns a point. */
  changed(path: string, owner: OwnedPoint | undefined): void {
    const held = this.#held.get(path);
    if (!held) return;
    if (!owner) {
      // The store has lost it, or it was taken for dead.
      held.revision = undefined;
      held.since = performance.now();
      this.#retryLater();
    } else if (owner.run === this.#options.self.run) {
      if (owner.epoch === held.epoch) held.revision = owner.revision;
    } else if (held.revision !== undefined && owner.revision > held.revision) this.#lose(path);
  }

  /** The connection is back: what was granted meanwhile is decided. */
  reconnected(): void {
    this.#retryLater();
  }

  #lose(path: string): void {
    if (this.#held.delete(path)) this.#options.onLost(path);
  }

  #hold(path: string, held: Omit<Held, 'since'>): void {
    this.#held.set(path, { ...held, since: performance.now() });
    if (held.revision === undefined) this.#retryLater();
  }

  #valueOf(facts: Held['facts'] & { readonly epoch: number }): Buffer {
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
      return owner ? await bus.update(key, value, owner.revision) : await bus.create(key, value);
    } catch (error) {
      if (error instanceof BusError) return error.kind === 'conflict' ? 'conflict' : 'unavailable';
      throw error;
    }
  }

  /** Asks the owner of a point to yield it. */
  async #ask(
    owner: OwnedPoint | undefined,
    path: string,
    claimant: Claimant,
  ): Promise<'free' | 'no' | 'gone' | 'silent'> {
    const { directory, calls, self } = this.#options;
    if (!owner || owner.run === self.run || !directory.isAlive(owner)) return 'free';
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
        if (held.revision !== undefined || !bus.connected) continue;
        const owner = (await directory.read(path).catch(() => undefined)) ?? directory.ownerOf(path);
        if (owner?.run === self.run && owner.epoch === held.epoch) {
          held.revision = owner.revision;
          continue;
        }
        const answer = await this.#ask(owner, path, NOBODY);
        if (answer === 'no') this.#lose(path);
        const isFree = answer === 'free' || (answer === 'gone' && performance.now() - held.since >= GRACE);
        if (!isFree) continue;
        const value = this.#valueOf({ ...held.facts, epoch: held.epoch });
        const revision = await this.#write(`point.${tokenOf(path)}`, value, owner);
        if (typeof revision !== 'number') continue;
        if (this.#held.get(path) === held) held.revision = revision;
        else bus.remove(`point.${tokenOf(path)}`, revision).catch(() => undefined);
      }
    } finally {
      this.#retrying = false;
    }
    if ([...this.#held.values()].some(({ revision }) => revision === undefined)) this.#retryLater();
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, 1_000) : undefined;
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, PAUSE);
  });
}
