import { messageOf } from '../../errors.js';
import type { AsfSource } from '../../media/events.js';
import type { PullChain } from '../../receiving/pull-chain.js';
import { PulledBroadcast, type PulledBroadcastOptions, type PulledSource } from '../../receiving/pulled-broadcast.js';
import { Refusal } from '../../refusal.js';
import type { Publisher } from '../../wmhttp/server/push-gate.js';
import type { PointFeeder, PublishingPoint } from './points.js';

/** A point that is fed from other servers. */
export interface PointPullOptions {
  readonly point: PublishingPoint;
  /** In order of preference; their names show no passwords. */
  readonly sources: readonly PulledSource[];
  /** The content to send while no source has any. */
  readonly filler?: { readonly name: string; open(): AsfSource } | undefined;
  /** The pull that fed the point before; the point may be taken from it once it is {@link PointPull.retire retired}. */
  readonly replaces?: PointPull | undefined;
  /** True to pull only while somebody plays the point. */
  readonly onDemand?: boolean | undefined;
  readonly onWarning: (message: string) => void;
  /** Called when a source fails. */
  readonly onLost?: ((source: string, reason: string) => void) | undefined;
  /** For tests. */
  readonly timers?: Pick<PulledBroadcastOptions, 'backOff' | 'linger' | 'patience' | 'returnAfter' | 'stall' | 'tick'>;
}

/** Feeds a point from other servers, encoders and files. A push to the point takes precedence while it lasts. */
export class PointPull implements PointFeeder {
  readonly #options: PointPullOptions;
  readonly #pulled: PulledBroadcast;
  readonly #publisher: Publisher & { lost: boolean };
  /** Called when a successor feeds the point. */
  #onReplaced: (() => void) | undefined;

  constructor(options: PointPullOptions) {
    const { point, sources, filler, onDemand = false, replaces, onWarning, onLost, timers } = options;
    this.#options = options;
    const pulled = new PulledBroadcast({
      ...timers,
      sources: filler ? [...sources, filler] : sources,
      policy: onDemand ? 'first-player' : 'always',
      begin: () => point.publish(this.#publisher),
      end: () => void point.unpublish(this.#publisher),
      wanted: () => point.broadcast.wanted,
      free: () =>
        point.publisher === undefined || point.publisher === this.#publisher || replaces?.feeds(point) === true,
      onFailure: (source, reason) => {
        onWarning(`${point.path} cannot be pulled from ${source}: ${reason}`);
        onLost?.(source, reason);
      },
      onNote: (text) => onWarning(`${point.path}: ${text}`),
    });
    this.#pulled = pulled;
    this.#publisher = {
      get remoteAddress() {
        return pulled.source ?? '';
      },
      lost: false,
      disconnect: () => {
        pulled.displaced();
        this.#onReplaced?.();
      },
    };
    if (!onDemand) pulled.start();
  }

  async demand(chain: PullChain): Promise<void> {
    this.#pulled.refuseRing(chain);
    const { point, onDemand } = this.#options;
    if (!onDemand || point.broadcast.live) return;
    try {
      await this.#pulled.demand(chain);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      throw new Refusal('offline', `${point.path} is offline: ${messageOf(error)}`, { cause: error });
    }
  }

  /** True if this pull is what feeds a point. */
  feeds(point: PublishingPoint): boolean {
    return point.publisher === this.#publisher;
  }

  /** Lets a successor take over the point. @param onReplaced called when it has */
  retire(onReplaced: () => void): void {
    this.#onReplaced = onReplaced;
    this.#publisher.lost = true;
  }

  /** Begins for players that are there already. */
  resume(): void {
    const { point, onDemand } = this.#options;
    // A failure has been reported by then.
    if (onDemand && point.broadcast.wanted) void this.#pulled.demand().catch(() => {});
  }

  close(): Promise<void> {
    return this.#pulled.close();
  }
}
