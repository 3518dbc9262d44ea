import type { OnDemandBatch, StreamChoice } from './options.js';

/** Reads a file for one player. */
export class OnDemandReader {
  /** The next packet to be read. */
  readonly position: number = 0;
  /** Milliseconds. */
  readonly preroll: number = 0;

  next(): Promise<OnDemandBatch> {
    return Promise.resolve({ items: [], end: true });
  }

  choose(_choice: StreamChoice): void {}
}
