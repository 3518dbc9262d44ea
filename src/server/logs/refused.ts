import { WmError } from '../../errors.js';
import { plainAddress } from '../../http/addresses.js';
import { refusalStatus } from '../../http/refusals.js';
import type { Attempt } from '../../playback/entrance.js';
import { Refusal } from '../../refusal.js';
import { RateLimits } from './rate.js';

/** Takes the lines of clients that were refused. */
export interface RefusedSessionsOptions {
  /** @param status as the client was told: 401, 404, 503 … */
  readonly write: (attempt: Attempt, status: number) => void;
  /** Called if lines are left out. */
  readonly onDropped: (remoteAddress: string) => void;
  /** How long a client may take to log in after it was asked to, in ms; default: 5 s. */
  readonly grace?: number | undefined;
  /** A monotonic clock in ms. */
  readonly now: () => number;
}

const GRACE = 5_000;
/** The lines that one address may cause: guesses at names must not fill the disk. */
const OF_ADDRESS = { burst: 60, perSecond: 1 };
/** Clients that were asked to log in; beyond it, the oldest ones get their lines at once. */
const MAX_ASKED = 10_000;

interface Asked {
  readonly attempt: Attempt;
  readonly status: number;
  readonly dueAt: number;
}

/**
 * Clients that were refused content, or asked for it in vain, for the log: each gets one line with its status. A client
 * that is only asked to log in was not refused; it gets a line if it does not do so soon.
 */
export class RefusedSessions {
  readonly #options: RefusedSessionsOptions;
  readonly #limits = new RateLimits(OF_ADDRESS);
  /** By address, path and protocol: a client may log in over another connection. In the order of their time. */
  readonly #asked = new Map<string, Asked>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RefusedSessionsOptions) {
    this.#options = options;
  }

  /** An attempt has ended, well or not. */
  ended(attempt: Attempt): void {
    const key = keyOf(attempt.remoteAddress, attempt.path, attempt.visitor.protocol);
    this.#asked.delete(key);
    if (attempt.error === undefined) return;
    const status = statusOf(attempt.error);
    if (!(attempt.error instanceof Refusal) || attempt.error.challenges.length === 0) {
      this.#write(attempt, status);
      return;
    }
    const { grace = GRACE, now } = this.#options;
    this.#asked.set(key, { attempt, status, dueAt: now() + grace });
    const [oldest] = this.#asked.values();
    if (this.#asked.size > MAX_ASKED && oldest) this.#expire(oldest);
    this.#wake();
  }

  /** Somebody plays, who may have been asked to log in before. */
  began(remoteAddress: string, path: string, protocol: string): void {
    this.#asked.delete(keyOf(remoteAddress, path, protocol));
  }

  /** Writes the lines that are due. Called by a timer while there are any. */
  sweep(): void {
    const now = this.#options.now();
    for (const asked of this.#asked.values()) {
      if (asked.dueAt > now) break;
      this.#expire(asked);
    }
  }

  /** Writes the lines of all. */
  close(): void {
    clearTimeout(this.#timer);
    for (const asked of [...this.#asked.values()]) this.#expire(asked);
  }

  #expire(asked: Asked): void {
    const { remoteAddress, path, visitor } = asked.attempt;
    this.#asked.delete(keyOf(remoteAddress, path, visitor.protocol));
    this.#write(asked.attempt, asked.status);
  }

  #write(attempt: Attempt, status: number): void {
    if (this.#limits.take(plainAddress(attempt.remoteAddress), this.#options.now()))
      this.#options.write(attempt, status);
    else this.#options.onDropped(attempt.remoteAddress);
  }

  #wake(): void {
    this.#timer ??= setTimeout(
      () => {
        this.#timer = undefined;
        this.sweep();
        if (this.#asked.size > 0) this.#wake();
      },
      (this.#options.grace ?? GRACE) / 4,
    );
    this.#timer.unref();
  }
}

function keyOf(remoteAddress: string, path: string, protocol: string): string {
  return `${protocol} ${plainAddress(remoteAddress)} ${path}`;
}

/** Returns the status for the log: what HTTP and RTSP answer, and what they would answer in place of MMSP. */
function statusOf(error: unknown): number {
  const isMissing = error instanceof WmError && error.code === 'WM_NO_INPUT';
  return refusalStatus(error) ?? (isMissing ? 404 : 500);
}
