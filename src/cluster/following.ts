import { messageOf, type WmError } from '../errors.js';
import type { Broadcast } from '../media/broadcast.js';
import { Repeats } from '../media/repeats.js';
import { Refusal } from '../refusal.js';
import type { Place } from './batch.js';
import type { ClusterBus } from './bus.js';
import type { Calls } from './calls.js';
import type { OwnedPoint } from './directory.js';
import { Replica } from './replica.js';
import type { NodeRun, Subjects } from './subjects.js';

/** How long a point without players is followed, in ms. */
const LINGER = 10_000;
/** How long players wait for packets, or for another encoder, before their broadcast ends; in ms. */
const PATIENCE = 30_000;
/** How long a new player waits for the header, in ms. */
const START_TIMEOUT = 15_000;

/** What following needs. */
export interface FollowingOptions {
  readonly bus: ClusterBus;
  readonly calls: Calls;
  readonly subjects: Subjects;
  readonly self: NodeRun;
  readonly path: string;
  readonly broadcast: Broadcast;
  /** Returns the node that owns the point and lives; undefined without one, or if it is this one. */
  readonly owner: () => OwnedPoint | undefined;
  readonly onLost: (packets: number) => void;
}

/** Feeds a broadcast of this node from the node that owns its point, as long as there are players. */
export class Following {
  readonly #options: FollowingOptions;
  #replica: Replica | undefined;
  #waiting: (() => void)[] = [];
  #failure: WmError | undefined;
  /** When there last were players, and when there last was somebody to follow; by `performance.now`. */
  #wantedAt = 0;
  #ownedAt = 0;

  constructor(options: FollowingOptions) {
    this.#options = options;
  }

  /** True while it feeds the broadcast, or would if there were an owner. */
  get active(): boolean {
    return this.#wantedAt > 0;
  }

  /** The owner that is followed. */
  get owner(): OwnedPoint | undefined {
    return this.#replica?.owner;
  }

  /**
   * Follows the point for a player, and waits until it is live.
   *
   * @param pulls the pulls of servers that wait for it
   * @throws Refusal `offline` if nothing comes
   */
  async demand(pulls: string): Promise<void> {
    const { broadcast, path } = this.#options;
    this.#wantedAt = performance.now();
    if (broadcast.live && this.#replica?.begun) return;
    if (!this.#options.owner()) {
      if (broadcast.live) return;
      this.#wantedAt = 0;
      throw new Refusal('offline', `${path} is offline: no node has an encoder for it.`);
    }
    this.#failure = undefined;
    this.#follow(pulls);
    const started = performance.now();
    while (!broadcast.live || !this.#replica?.begun) {
      const left = START_TIMEOUT - (performance.now() - started);
      if (this.#failure) throw this.#failure;
      if (left <= 0 || !this.active) {
        const { failure } = this.#replica ?? {};
        const why = failure === undefined ? '' : ` (${messageOf(failure)})`;
        throw new Refusal('offline', `${path} is offline: its node sends nothing${why}.`);
      }
      await this.#change(Math.min(left, 1_000));
    }
  }

  /** This node fed the point until now, and has players for it: follows the new owner. */
  takeOver(): void {
    this.#wantedAt = performance.now();
    this.#ownedAt = performance.now();
    this.ownerChanged();
  }

  /** The point has another owner, or none: players wait for the next one. */
  ownerChanged(): void {
    if (this.active) this.#follow('');
  }

  /** The owner says where it is. */
  told(place: Place | null): void {
    this.#replica?.told(place);
  }

  reconnected(): void {
    this.ownerChanged();
    this.#replica?.reconnected();
  }

  /** Looks whether it is still wanted; called about once a second. */
  sweep(now: number = performance.now()): void {
    if (!this.active) return;
    const { broadcast } = this.#options;
    if (broadcast.wanted || this.#waiting.length > 0) this.#wantedAt = now;
    if (this.#options.owner() && this.#options.bus.connected) this.#ownedAt = now;
    const heard = Math.max(this.#replica?.heardAt ?? 0, this.#ownedAt);
    if (now - this.#wantedAt > LINGER || (broadcast.live && now - heard > PATIENCE)) this.end();
  }

  /** Ends the broadcast, unless something else feeds it. */
  end(): void {
    if (!this.active) return;
    this.release();
    void this.#options.broadcast.close();
  }

  /** Feeds the broadcast no longer, which goes on: something of this node feeds it. */
  release(): void {
    this.#wantedAt = 0;
    this.#replica?.close();
    this.#replica = undefined;
    this.#changed();
  }

  #follow(pulls: string): void {
    const owner = this.#options.owner();
    const current = this.#replica?.owner;
    if (!owner || (current?.run === owner.run && current.epoch === owner.epoch)) return;
    this.#replica?.close();
    this.#ownedAt = performance.now();
    const { bus, calls, subjects, self, broadcast, onLost } = this.#options;
    this.#replica = new Replica({
      bus,
      calls,
      subjects,
      self,
      owner,
      pulls,
      continues: broadcast.live,
      repeats: broadcast.live ? new Repeats(broadcast.since(0).map(({ wire }) => wire)) : undefined,
      onLost,
      event: (event) => {
        broadcast.write(event);
        if (event.type === 'header') this.#changed();
        if (event.type === 'end' && !event.moreEntries) this.release();
      },
      refused: (error) => {
        this.#failure = error instanceof Refusal ? error : new Refusal('offline', messageOf(error));
        // Those who play wait for another owner.
        if (!broadcast.live) this.release();
      },
    });
  }

  #changed(): void {
    for (const done of this.#waiting.splice(0)) done();
  }

  #change(timeout: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeout);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
