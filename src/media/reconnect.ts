import { type ErrorCode, WmError } from '../errors.js';
import { type Clock, systemClock } from './pacing.js';

/** When to reconnect after a connection broke. @public */
export interface ReconnectPolicy {
  /** Failed attempts in a row that are allowed; Infinity never gives up, 0 never reconnects. */
  readonly retries: number;
  /** True to retry even if the very first attempt fails. Default false: that fails at once. */
  readonly first?: boolean | undefined;
  /** The first wait in ms, doubled each time; half of each wait is random. Default 500. */
  readonly initialDelay?: number | undefined;
  /** The longest wait in ms; default 30000. */
  readonly maxDelay?: number | undefined;
}

/** A report that a connection has broken and will be made again. @public */
export interface ReconnectReport {
  readonly error: WmError;
  /** 1 for the first in a row. */
  readonly attempt: number;
  /** The wait before the attempt, in ms. */
  readonly delay: number;
}

const INITIAL_DELAY = 500;
const MAX_DELAY = 30_000;

/** Returns the wait before an attempt in ms: doubled each time, the second half of it random. @param attempt from 1 */
export function backOff({ initialDelay, maxDelay }: ReconnectPolicy, attempt: number, random: () => number): number {
  const full = Math.min((initialDelay ?? INITIAL_DELAY) * 2 ** Math.min(attempt - 1, 30), maxDelay ?? MAX_DELAY);
  return Math.round((full * (1 + random())) / 2);
}

/** Like {@link backOff}, but no shorter than the other side asks for (Retry-After). */
export function waitBefore(policy: ReconnectPolicy, attempt: number, error: unknown, random: () => number): number {
  const asked = error instanceof WmError ? (error.retryIn ?? 0) : 0;
  return Math.max(backOff(policy, attempt, random), asked);
}

/**
 * When to retry after an error, by its code: `always`; `once` the stream has worked, because the request was right
 * before; or `never`. A server that restarts, or a proxy in front of it, answers in many ways for a while: with a web
 * page, 403 or 404, or something that is not HTTP.
 */
const RETRIES: Readonly<Record<ErrorCode, 'always' | 'once' | 'never'>> = {
  WM_UNREACHABLE: 'always',
  WM_SERVER_GONE: 'always',
  WM_NO_INPUT: 'once',
  WM_AUTH_REFUSED: 'once',
  WM_PUSH_REFUSED: 'once',
  WM_PROTOCOL: 'once',
  WM_HTTP_MALFORMED: 'once',
  WM_ASF_MALFORMED: 'once',
  WM_BAD_INPUT: 'once',
  WM_TLS: 'once',
  WM_FAILED: 'never',
  WM_USAGE: 'never',
  WM_CONFIG: 'never',
  WM_DISK: 'never',
  WM_PORT_IN_USE: 'never',
  WM_FFMPEG_FAILED: 'never',
  WM_PACKAGER_FAILED: 'never',
  WM_FFMPEG_MISSING: 'never',
  WM_UNEXPECTED: 'never',
};

/**
 * True if another attempt may succeed: one table for pulls, pushes, MSBD, multicasts and the sources of points.
 *
 * @param worked true if the stream has been received, or accepted, before
 */
export function mayRetry(error: unknown, worked: boolean): error is WmError {
  if (!(error instanceof WmError)) return false;
  const when = RETRIES[error.code];
  return error.passing || when === 'always' || (when === 'once' && worked);
}

/** How to retry a source. */
export interface RetryOptions {
  /** Default: never. */
  readonly reconnect?: ReconnectPolicy | undefined;
  readonly onReconnect?: ((report: ReconnectReport) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** 0 to 1; default Math.random. */
  readonly random?: (() => number) | undefined;
  /** False to end at the first protocol violation, even if the source has worked. Default true. */
  readonly tolerant?: boolean | undefined;
}

/** The attempts of one source: counts them, waits between them, and gives up when there are no more. */
export class Retries {
  readonly #options: RetryOptions;
  readonly #signal: AbortSignal;
  #attempt = 0;
  #reconnects = 0;

  /** @param signal ends a wait early */
  constructor(options: RetryOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** How often the source was received again after it had worked. */
  get reconnects(): number {
    return this.#reconnects;
  }

  /** Something was received: the next failure is the first in a row. */
  progressed(): void {
    this.#attempt = 0;
  }

  /**
   * Waits before the next attempt.
   *
   * @param worked true if the source has had a header
   * @throws the error if no further attempt is allowed, or none can succeed
   */
  async after(error: unknown, worked: boolean): Promise<void> {
    const { reconnect, clock = systemClock, random = Math.random, onReconnect, tolerant = true } = this.#options;
    if (!reconnect || !mayRetry(error, worked) || (!worked && !reconnect.first)) throw error;
    const isBreach = error.code === 'WM_PROTOCOL' || error.code === 'WM_HTTP_MALFORMED';
    if ((isBreach && !tolerant) || ++this.#attempt > reconnect.retries) throw error;
    if (worked) this.#reconnects++;
    const delay = waitBefore(reconnect, this.#attempt, error, random);
    onReconnect?.({ error, attempt: this.#attempt, delay });
    await clock.sleep(delay, this.#signal);
  }
}
