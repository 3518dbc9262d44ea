import { printable } from '../../errors.js';
import type { ResponseHead } from '../../http/message.js';
import { statusError } from '../../http/status-error.js';
import type { WmspRequestType } from '../messages/requests.js';
import type { ClientAction } from './session-actions.js';

/** True for 2xx. */
export function isSuccess({ status }: ResponseHead): boolean {
  return status >= 200 && status < 300;
}

/** True if a Via header names an HTTP/1.0 proxy, through which pipelining is impossible (RFC 2616 14.45). */
export function isViaHttp10({ headers }: ResponseHead): boolean {
  return headers.tokens('Via').some((hop) => /^(?:http\/)?1\.0\s/.test(hop));
}

/** Returns a note of a refusal that changes nothing. */
export function refusalNote(type: WmspRequestType, head: ResponseHead): ClientAction[] {
  if (isSuccess(head)) return [];
  return [{ type: 'note', text: `The server refused a ${type} request: ${head.status} ${printable(head.reason)}.` }];
}

/**
 * Handles a status that leads away from this response: a redirect or a challenge.
 *
 * @param url of the request, for messages
 * @throws WmError for a refusal
 */
export function elsewhere(head: ResponseHead, request: WmspRequestType, url: string): ClientAction | undefined {
  const location = head.headers.get('Location');
  if (head.status >= 300 && head.status <= 305 && location !== undefined) {
    return { type: 'redirect', location, proxy: head.status === 305 };
  }
  if (head.status === 401 || head.status === 407) return { type: 'challenge', request };
  if (!isSuccess(head)) throw statusError(head, url);
  return undefined;
}
