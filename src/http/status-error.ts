import { printable, WmError } from '../errors.js';
import type { HeaderFields, ResponseHead } from './message.js';

/** The longest wait that a server may ask for, in ms; longer ones are cut. */
const LONGEST_WAIT = 3_600_000;
/**
 * Statuses after which a server may give another answer later, besides 500 and above (RFC 9110 15.5.9, RFC 8470, RFC
 * 6585 4).
 */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

/** True if a status says that the same request may succeed later. */
export function isPassing(status: number): boolean {
  return PASSING.has(status) || status >= 500;
}

/**
 * Returns how long to wait before the next request, in ms, at most an hour (Retry-After, RFC 9110 10.2.3): seconds, or
 * a date.
 * @param now ms since 1970
 * @returns undefined if the server does not say
 */
export function retryAfterOf(headers: HeaderFields, now = Date.now()): number | undefined {
  const text = headers.get('Retry-After')?.trim().slice(0, 64) ?? '';
  const isDate = /^[A-Z][a-z]{2}/.test(text);
  const milliseconds = isDate ? Date.parse(text) - now : /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Number.NaN;
  return Number.isNaN(milliseconds) ? undefined : Math.min(Math.max(milliseconds, 0), LONGEST_WAIT);
}

/**
 * Converts a status outside 200 to 299 to an error: WM_NO_INPUT if the content does not exist, WM_AUTH_REFUSED,
 * WM_UNREACHABLE if it may come back ({@link isPassing}), else WM_PROTOCOL.
 * @param what the URL or the request, for the message
 */
export function statusError(head: ResponseHead, what: string): WmError {
  const status = `${head.status} ${printable(head.reason)}`.trim();
  const retryIn = retryAfterOf(head.headers);
  switch (true) {
    case head.status === 404 || head.status === 410:
      return new WmError('WM_NO_INPUT', `There is nothing at ${what}: the server answered ${status}.`, { retryIn });
    case head.status === 403:
      return new WmError('WM_AUTH_REFUSED', `The server does not allow ${what}: ${status}.`, {
        retryIn,
        hint: 'This user or address may not; the administrator of the server can allow it.',
      });
    case head.status === 401 || head.status === 407:
      return new WmError('WM_AUTH_REFUSED', `The server refused ${what}: ${status}.`, { retryIn });
    case isPassing(head.status):
      return new WmError('WM_UNREACHABLE', `The server has nothing for ${what} at the moment: ${status}.`, {
        retryIn,
        hint: 'The point may be offline, or the server full; --retry forever waits for it.',
      });
    default:
      return new WmError('WM_PROTOCOL', `The server refused ${what}: ${status}.`, { retryIn });
  }
}
