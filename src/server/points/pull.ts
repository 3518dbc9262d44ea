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
  /** True to pull only while somebody plays the point. */
  readonly onDemand?: boolean | undefined;
  readonly onWarning: (message: string) => void;
  /** For tests. */
  readonly timers?: Pick<PulledBroadcastOptions, 'backOff' | 'linger' | 'patience' | 'returnAfter' | 'stall' | 'tick'>;
}

/** Feeds a point from other servers, encoders and files. A push to the point takes precedence while it lasts. */
export class PointPull implements PointFeeder {
  readonly #options: PointPullOptions;
  readonly #pulled: PulledBroadcast;
  readonly #publisher: Publisher;

  constructor(options: PointPullOptions) {
    const { point, sources, filler, onDemand = false, onWarning, timers } = options;
    this.#options = options;
    const pulled = new PulledBroadcast({
      ...timers,
      sources: filler ? [...sources, filler] : sources,
      policy: onDemand ? 'first-player' : 'always',
      begin: () => point.publish(this.#publisher),
      end: () => void point.unpublish(this.#publisher),
      wanted: () => point.broadcast.wanted,
      free: () => point.publisher === undefined || point.publisher === this.#publisher,
      onFailure: (source, reason) => onWarning(`${point.path} cannot be pulled from ${source}: ${reason}`),
      onNote: (text) => onWarning(`${point.path}: ${text}`),
    });
    this.#pulled = pulled;
    this.#publisher = {
      get remoteAddress() {
        return pulled.source ?? '';
      },
      lost: false,
      disconnect: () => pulled.displaced(),
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

  close(): Promise<void> {
    return this.#pulled.close();
  }
}
