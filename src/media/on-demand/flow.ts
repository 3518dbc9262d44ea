import type { WmError } from '../../errors.js';
import type { OnDemandBatch, OnDemandItem } from './options.js';
import type { Ticker } from './ticker.js';

export { Ticker } from './ticker.js';

/** Where a flow sends. */
export interface OnDemandOutput {
  write(items: readonly OnDemandItem[]): void;
  /** Bytes written and not yet taken by the operating system. */
  readonly backlog: number;
}

export interface OnDemandFlowOptions {
  readonly reader: { next(): Promise<OnDemandBatch>; readonly preroll: number };
  readonly output: OnDemandOutput;
  readonly rate: number;
  /** AccelBW in bits per second and AccelDuration in ms of media. */
  readonly acceleration?: { readonly bitsPerSecond: number; readonly milliseconds: number };
  /** Milliseconds of media that are sent at once at the start; default preroll + 2 s. Not with `acceleration`. */
  readonly burst?: number;
  /** Multiplies the pace (Speed); default 1. */
  readonly speed?: number;
  readonly ticker: Pick<Ticker, 'add' | 'delete'>;
  /** Bytes of backlog above which nothing is read or sent. */
  readonly maxBacklog?: number;
  onEnd(how: { readonly rewound: boolean }): void;
  onError(error: WmError): void;
  /** Milliseconds that only go forward. */
  readonly now?: () => number;
}

/** Sends the packets of a reader when they are due. */
export class OnDemandFlow {
  constructor(_options: OnDemandFlowOptions) {}

  start(): void {}

  /** Goes on at once when the output has drained; otherwise the next tick notices. */
  drained(): void {}

  stop(): void {}
}
