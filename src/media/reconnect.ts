import { WmError } from '../errors.js';

/** When a connection that broke is made again. */
export interface ReconnectPolicy {
  /** Attempts in a row that may bring nothing; Infinity never gives up. 0 is never. */
  readonly retries: number;
  /** Also when the very first attempt fails. Default false: that is told at once. */
  readonly first?: boolean | undefined;
  /** The first wait in ms, doubled each time; half of each wait is left to chance. Default 500. */
  readonly initialDelay?: number | undefined;
  /** Default 30000 ms. */
  readonly maxDelay?: number | undefined;
}

/** What is told when a connection has broken and will be made again. */
export interface ReconnectReport {
  readonly error: WmError;
  /** 1 for the first of a row. */
  readonly attempt: number;
  /** How long it waits before, in ms. */
  readonly delay: number;
}

const INITIAL_DELAY = 500;
const MAX_DELAY = 30_000;

/** The wait before an attempt, in ms: doubled each time, the second half of it by chance. @param attempt from 1 */
export function backOff({ initialDelay, maxDelay }: ReconnectPolicy, attempt: number, random: () => number): number {
  const full = Math.min((initialDelay ?? INITIAL_DELAY) * 2 ** Math.min(attempt - 1, 30), maxDelay ?? MAX_DELAY);
  return Math.round((full * (1 + random())) / 2);
}

/** Whether another attempt may bring what this one did not. */
export function isTransient(error: unknown): error is WmError {
  return error instanceof WmError && (error.code === 'WM_SERVER_GONE' || error.code === 'WM_UNREACHABLE');
}
