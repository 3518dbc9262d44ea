import { Ticker } from '../media/on-demand/flow.js';
import { lookAtSendQueues } from '../media/send-queues.js';
import type { AdaptingSession } from './adaptation.js';
import { DEFAULT_LIMITS, type PaceLimits } from './pace.js';
import type { PlaybackHost } from './port.js';
import { ReadySessions } from './ready.js';
import { ResendBudget } from './sent-ring.js';

/** In ms: the servers of several protocols share one {@link Playback}. */
const SWEEP_INTERVAL = 500;
/** In ms, until sessions are looked at again that keep up worse than before. */
const SOON = 400;

/** The clock, the limits and the callbacks that all sessions share. */
export interface PlaybackOptions {
  /** A monotonic clock in ms; default: `performance.now`. */
  readonly now?: (() => number) | undefined;
  /** Checks that clock for everything that waits. */
  readonly ticker?: Ticker | undefined;
  /** How far ahead of time packets of files may be sent, in ms; default: see OnDemandFlowOptions. */
  readonly ahead?: number | undefined;
  readonly limits?: PaceLimits | undefined;
  /** Called with errors that no player caused, such as a file that can no longer be read. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** The state that the sessions of a server share. */
export class Playback implements PlaybackHost {
  readonly ticker: Ticker;
  readonly now: () => number;
  readonly ahead: number | undefined;
  readonly limits: PaceLimits;
  readonly ready: ReadySessions;
  readonly resends = new ResendBudget();
  /** The sessions that are sent something, and may get more or less of it. */
  readonly playing = new Set<AdaptingSession>();
  /** The writes of packets of files, and those of them that were more than 500 ms late. */
  readonly counters = { sends: 0, lateSends: 0 };
  readonly #onError: ((error: unknown) => void) | undefined;
  #soon: NodeJS.Timeout | undefined;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor({ now, ticker, ahead, limits, onError }: PlaybackOptions = {}) {
    this.now = now ?? (() => performance.now());
    this.ticker = ticker ?? new Ticker(undefined, this.now);
    this.ahead = ahead;
    this.limits = limits ?? DEFAULT_LIMITS;
    this.ready = new ReadySessions(this.now);
    this.#onError = onError;
  }

  sent(late: boolean): void {
    this.counters.sends++;
    if (late) this.counters.lateSends++;
  }

  failed(error: unknown): void {
    this.#onError?.(error);
  }

  /**
   * Reclaims what was kept long enough, and adapts to how the players keep up. Each server calls it once a second; of
   * several calls within half a second only the first counts.
   */
  sweep(): void {
    const now = this.now();
    if (now - this.#sweptAt < SWEEP_INTERVAL) return;
    this.#sweptAt = now;
    this.ready.sweep();
    this.resends.sweep();
    if (!this.#takesLive) this.#adapt(this.playing);
    else void lookAtSendQueues().then((isFresh) => this.#adapt(this.playing, isFresh));
  }

  get #takesLive(): boolean {
    for (const { takesLive } of this.playing) if (takesLive) return true;
    return false;
  }

  /**
   * Adapts to how sessions keep up, and soon again for those that keep up worse than before.
   *
   * @param isFresh false if it is not known what waits in connections now
   */
  #adapt(sessions: Iterable<AdaptingSession>, isFresh = true): void {
    const wary: AdaptingSession[] = [];
    for (const session of sessions) if ((isFresh || !session.takesLive) && session.adapt()) wary.push(session);
    if (wary.length === 0) return;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      const still = wary.filter((session) => this.playing.has(session));
      void lookAtSendQueues().then((isKnown) => this.#adapt(still, isKnown));
    }, SOON).unref();
  }
}
