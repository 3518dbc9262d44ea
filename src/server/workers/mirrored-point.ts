import type { FeedClient } from '../../cluster/feed-client.js';
import { formatPullChain, type PullChain } from '../../receiving/pull-chain.js';
import type { PointFeeder, PublishingPoint } from '../points/points.js';

/** How long a point without players is followed, in ms, and how often that is checked. */
const LINGER = 10_000;
const CHECK_INTERVAL = 2_000;

/** Feeds a worker's point from the main process, as long as the worker has players for it. */
export class MirroredPoint implements PointFeeder {
  readonly #point: PublishingPoint;
  readonly #feed: FeedClient;
  #starting: Promise<void> | undefined;
  #stop: (() => void) | undefined;
  #check: NodeJS.Timeout | undefined;

  constructor(point: PublishingPoint, feed: FeedClient) {
    this.#point = point;
    this.#feed = feed;
  }

  async demand(chain: PullChain): Promise<void> {
    if (this.#point.broadcast.live) return;
    this.#starting ??= this.#follow(chain).finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  /** Ends the broadcast for the players of this process. */
  close(): void {
    this.#stop?.();
    this.#stop = undefined;
    clearInterval(this.#check);
    void this.#point.broadcast.close();
  }

  #follow(chain: PullChain): Promise<void> {
    const { broadcast, path } = this.#point;
    return new Promise((resolve, reject) => {
      this.#stop = this.#feed.follow(
        { path, pulls: formatPullChain(chain) },
        {
          event: (event) => {
            broadcast.write(event);
            if (event.type === 'header') resolve();
            if (event.type === 'end' && !event.moreEntries) this.close();
          },
          failed: (error) => {
            this.close();
            reject(error);
          },
        },
      );
      this.#giveUpLater();
    });
  }

  #giveUpLater(): void {
    clearInterval(this.#check);
    let idle = 0;
    this.#check = setInterval(() => {
      idle = this.#point.broadcast.wanted || this.#starting ? 0 : idle + CHECK_INTERVAL;
      if (idle >= LINGER) this.close();
    }, CHECK_INTERVAL).unref();
  }
}
