import { Refusal, type RefusalKind } from '../refusal.js';
import { HttpError } from './message.js';

/** The status of each refusal, for all protocols over HTTP (RFC 9110 15). A proxy answers 407 in place of 401. */
export const REFUSAL_STATUS: Readonly<Record<RefusalKind, number>> = {
  'bad-request': 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  offline: 503,
  taken: 409,
  gone: 410,
  unsupported: 501,
  'too-large': 413,
  'too-long': 414,
  busy: 503,
  throttled: 429,
  failed: 500,
};

/**
 * Returns the status for an error that refuses a request; undefined for any other error, which is this side's fault.
 */
export function refusalStatus(error: unknown): number | undefined {
  if (error instanceof HttpError) return error.status;
  return error instanceof Refusal ? REFUSAL_STATUS[error.kind] : undefined;
}
