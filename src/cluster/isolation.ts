import type { ClusterBus } from './bus.js';

/** A node that could not renew its lease for so long looks why, in ms. */
const SUSPICION = 2_000;
/** How often it looks, in ms. */
const INTERVAL = 500;

/** What it takes to notice that a node is cut off. */
export interface IsolationOptions {
  readonly bus: Pick<ClusterBus, 'othersMayDecide'>;
  /** When the lease of this node was renewed last, by `performance.now`; undefined before the first time. */
  readonly renewedAt: () => number | undefined;
  readonly onChange: (isolated: boolean) => void;
  /** For tests, in ms: {@link SUSPICION} and {@link INTERVAL}. */
  readonly timers?: { readonly suspicion: number; readonly interval: number } | undefined;
}

/**
 * Notices that this node is cut off from servers that may decide without it. Its lease runs out for the others, so it
 * must not own points any longer. If the servers are gone for all, or have no leader, no other node can take the points.
 */
export class Isolation {
  readonly #options: IsolationOptions;
  readonly #timer: NodeJS.Timeout;
  #isolated = false;
  #looking = false;
  #closed = false;

  constructor(options: IsolationOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#look(), options.timers?.interval ?? INTERVAL).unref();
  }

  /** True while others may have taken what this node owns. */
  get isolated(): boolean {
    return this.#isolated;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const isolated = this.#isLate && (await this.#options.bus.othersMayDecide());
    this.#looking = false;
    // It may have been renewed while the servers were tried.
    const is = isolated && this.#isLate;
    if (this.#closed || is === this.#isolated) return;
    this.#isolated = is;
    this.#options.onChange(is);
  }

  get #isLate(): boolean {
    const renewed = this.#options.renewedAt();
    return renewed !== undefined && performance.now() - renewed > (this.#options.timers?.suspicion ?? SUSPICION);
  }
}
