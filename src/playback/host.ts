import { Ticker } from '../media/on-demand/flow.js';
import type { AdaptingSession } from './adaptation.js';
import { DEFAULT_LIMITS, type PaceLimits } from './pace.js';
import type { PlaybackHost } from './port.js';
import { ReadySessions } from './ready.js';
import { ResendBudget } from './sent-ring.js';

export interface PlaybackOptions {
  /** A clock in ms that only goes forward; default `performance.now`. */
  readonly now?: (() => number) | undefined;
  /** Looks at that clock for what waits. */
  readonly ticker?: Ticker | undefined;
  /** Milliseconds by which packets of files may leave before they are due; default 1000. */
  readonly ahead?: number | undefined;
  readonly limits?: PaceLimits | undefined;
  /** Something failed that no player caused, such as a file that cannot be read on. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** What the sessions of a server share. */
export class Playback implements PlaybackHost {
  readonly ticker: Ticker;
  readonly now: () => number;
  readonly ahead: number | undefined;
  readonly limits: PaceLimits;
  readonly ready: ReadySessions;
  readonly resends = new ResendBudget();
  /** Those that are sent a broadcast, and may get more or less of it. */
  readonly live = new Set<AdaptingSession>();
  readonly #onError: ((error: unknown) => void) | undefined;

  constructor({ now, ticker, ahead, limits, onError }: PlaybackOptions = {}) {
    this.now = now ?? (() => performance.now());
    this.ticker = ticker ?? new Ticker();
    this.ahead = ahead;
    this.limits = limits ?? DEFAULT_LIMITS;
    this.ready = new ReadySessions(this.now);
    this.#onError = onError;
  }

  failed(error: unknown): void {
    this.#onError?.(error);
  }

  /** Takes back what was kept long enough, and looks how the players bear what they get. To be called about once a second. */
  sweep(): void {
    this.ready.sweep();
    this.resends.sweep();
    for (const session of this.live) session.adapt();
  }
}
