import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import type { AsfSource } from '../media/events.js';
import { pump } from '../media/pump.js';
import type { PublishingPoint } from './points.js';

export interface PointPullOptions {
  readonly point: PublishingPoint;
  /** May have a user and a password in it, which nobody is told. */
  readonly url: string;
  readonly connect: (url: string) => AsfSource;
  readonly onWarning: (message: string) => void;
  /** Milliseconds between two attempts. */
  readonly pause?: number;
}

const PAUSE = 5_000;

/** Feeds a point from another server or an encoder, again and again, until it is closed. */
export class PointPull {
  readonly #options: PointPullOptions;
  readonly #closing = new AbortController();
  readonly #ended: Promise<void>;
  #source: AsfSource | undefined;

  constructor(options: PointPullOptions) {
    this.#options = options;
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#source?.close();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { pause = PAUSE } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#pullOnce();
      await delay(pause, undefined, { signal }).catch(() => {});
    }
  }

  async #pullOnce(): Promise<void> {
    const { point, url: location, connect, onWarning } = this.#options;
    const { url } = takeCredentials(location);
    const publisher = { remoteAddress: url, lost: false, disconnect: () => void this.#source?.close() };
    try {
      this.#source = connect(location);
      await pump(this.#source, [point.publish(publisher)]);
    } catch (error) {
      onWarning(`${point.path} cannot be pulled from ${url}: ${messageOf(error)}`);
    } finally {
      point.unpublish(publisher);
      const source = this.#source;
      this.#source = undefined;
      await source?.close();
    }
  }
}
