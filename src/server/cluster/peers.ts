import type { Member } from '../../cluster/directory.js';
import type { ClusterNode } from '../../cluster/node.js';
import type { LocalLimits, Taken, TakenElsewhere } from '../../playback/limits.js';
import type { OtherSessions, SessionInfo, SessionRegistry } from '../../playback/registry.js';
import { Refusal } from '../../refusal.js';

/** How often each node tells the others how many players it has, in ms. */
const FIGURES_INTERVAL = 1_000;
/** Figures of a node that has said nothing for so long count no more, in ms. */
const FIGURES_AGE = 5_000;
/** Sessions in one answer: about half a megabyte. */
const PAGE = 1_000;
/** The most sessions of another node. */
const MAX_SESSIONS = 100_000;
const NOTHING: Readonly<Taken> = { players: 0, bandwidth: 0 };

/** What a node tells all others once a second. */
interface Figures {
  readonly run: string;
  readonly all: Readonly<Taken>;
  /** Players and bits per second by path. */
  readonly byPath: Readonly<Record<string, readonly [players: number, bandwidth: number]>>;
}

/** The players and sessions of the other nodes of a cluster. */
export class Peers implements OtherSessions, TakenElsewhere {
  /** Those of other nodes are in their own figures. */
  readonly players = 0;
  readonly bytesOut = 0;
  readonly #node: ClusterNode;
  readonly #registry: SessionRegistry;
  readonly #figures = new Map<string, { readonly figures: Figures; readonly at: number }>();
  readonly #timer: NodeJS.Timeout;

  constructor(node: ClusterNode, registry: SessionRegistry, limits: LocalLimits) {
    this.#node = node;
    this.#registry = registry;
    this.#timer = setInterval(() => this.#tell(limits), FIGURES_INTERVAL).unref();
    node.onAll('figures', (text) => this.#take(text));
    node.calls.answer('sessions', (asked: { after?: unknown }) => this.#list(asked));
    node.calls.answer('end', ({ id }: { id?: unknown }) => registry.end(String(id)));
    limits.elsewhere = this;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  get all(): Readonly<Taken> {
    return this.#sum(({ all }) => all);
  }

  of(path: string): Readonly<Taken> {
    return this.#sum(({ byPath }) => {
      const [players = 0, bandwidth = 0] = Object.hasOwn(byPath, path) ? byPath[path]! : [];
      return { players, bandwidth };
    });
  }

  /** The players of one other node; undefined if it has not said. */
  playersOf({ run }: Member): number | undefined {
    return this.#figures.get(run)?.figures.all.players;
  }

  async sessions(here = false): Promise<readonly SessionInfo[]> {
    if (here) return [];
    const lists = await Promise.all(this.#node.others.map((member) => this.#sessionsOf(member)));
    return lists.flat();
  }

  async end(id: string): Promise<boolean> {
    const number = Number(id.split('.')[0]);
    const member = this.#node.directory.numbered(number);
    if (!member || member.run === this.#node.self.run) return false;
    const { text } = await this.#node.calls.ask<boolean>(member, 'end', { id });
    return text === true;
  }

  async #sessionsOf(member: Member): Promise<SessionInfo[]> {
    const all: SessionInfo[] = [];
    try {
      while (all.length < MAX_SESSIONS) {
        const after = all.at(-1)?.id;
        const { text } = await this.#node.calls.ask<SessionInfo[]>(member, 'sessions', { after });
        all.push(...text);
        if (text.length < PAGE) break;
      }
    } catch (error) {
      // A node that does not answer has no sessions that could be shown.
      if (error instanceof Refusal) throw error;
    }
    return all;
  }

  async #list({ after }: { after?: unknown }): Promise<readonly SessionInfo[]> {
    const from = typeof after === 'string' ? { after } : {};
    return (await this.#registry.list({ ...from, limit: PAGE, here: true })).sessions;
  }

  #tell(limits: LocalLimits): void {
    const byPath = Object.fromEntries(
      [...limits.byPath].map(([path, { players, bandwidth }]) => [path, [players, bandwidth] as const]),
    );
    const figures: Figures = { run: this.#node.self.run, all: limits.all, byPath };
    this.#node.tellAll('figures', figures);
    const late = performance.now() - FIGURES_AGE;
    for (const [run, { at }] of this.#figures) if (at < late) this.#figures.delete(run);
  }

  #take(text: unknown): void {
    const figures = text as Partial<Figures> | null;
    const known = this.#node.others.some(({ run }) => run === figures?.run);
    if (!known || !figures || !isTaken(figures.all) || typeof figures.byPath !== 'object' || !figures.byPath) return;
    this.#figures.set(figures.run!, { figures: figures as Figures, at: performance.now() });
  }

  #sum(taken: (figures: Figures) => Readonly<Taken>): Readonly<Taken> {
    if (this.#figures.size === 0) return NOTHING;
    const sum = { players: 0, bandwidth: 0 };
    for (const { figures } of this.#figures.values()) {
      const { players, bandwidth } = taken(figures);
      sum.players += players;
      sum.bandwidth += bandwidth;
    }
    return sum;
  }
}

/** The sessions of several groups of processes as one. */
export class AllOthers implements OtherSessions {
  readonly #groups: readonly OtherSessions[];

  constructor(groups: readonly OtherSessions[]) {
    this.#groups = groups;
  }

  get players(): number {
    return this.#groups.reduce((sum, { players }) => sum + players, 0);
  }

  get bytesOut(): number {
    return this.#groups.reduce((sum, { bytesOut }) => sum + bytesOut, 0);
  }

  async sessions(here?: boolean): Promise<readonly SessionInfo[]> {
    return (await Promise.all(this.#groups.map((group) => group.sessions(here)))).flat();
  }

  async end(id: string): Promise<boolean> {
    for (const group of this.#groups) if (await group.end(id)) return true;
    return false;
  }
}

function isTaken(taken: Partial<Taken> | undefined): boolean {
  return Number.isFinite(taken?.players) && Number.isFinite(taken?.bandwidth);
}
