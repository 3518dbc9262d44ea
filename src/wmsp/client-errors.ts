import { printable, WmError } from '../errors.js';
import type { ResponseHead } from '../http/message.js';

/** $C: the server goes backwards through a playlist (MS-WMSP 2.2.3.2). */
export const NS_S_CHANGENOTICE_BACKWARD = 0x400d14be;

/**
 * What a status outside 200 to 299 means for the one who wants the content: WM_NO_INPUT when there is none, WM_AUTH_REFUSED,
 * WM_UNREACHABLE when it may come back (5xx), else WM_PROTOCOL.
 *
 * @param what the URL or the request, for the sentence
 */
export function statusError(head: ResponseHead, what: string): WmError {
  const status = `${head.status} ${printable(head.reason)}`.trim();
  switch (true) {
    case head.status === 404 || head.status === 410:
      return new WmError('WM_NO_INPUT', `There is nothing at ${what}: the server answered ${status}.`);
    case head.status === 403:
      return new WmError('WM_AUTH_REFUSED', `The server does not allow ${what}: ${status}.`, {
        hint: 'This user or address may not; the administrator of the server can allow it.',
      });
    case head.status === 401 || head.status === 407:
      return new WmError('WM_AUTH_REFUSED', `The server refused ${what}: ${status}.`);
    case head.status >= 500:
      return new WmError('WM_UNREACHABLE', `The server has nothing for ${what} at the moment: ${status}.`, {
        hint: 'The point may be offline, or the server full; --retry forever waits for it.',
      });
    default:
      return new WmError('WM_PROTOCOL', `The server refused ${what}: ${status}.`);
  }
}

/** The server is none of this protocol's (MS-WMSP 3.1.5.3). */
export function incompatibleError(head: ResponseHead, what: string): WmError {
  const server = head.headers.get('Server');
  const name = server === undefined ? 'does not say what it is' : `calls itself "${printable(server)}"`;
  const type = head.headers.get('Content-Type');
  const sent = type === undefined ? '' : ` and sent ${printable(type)}`;
  return new WmError('WM_PROTOCOL', `At ${what} is no Windows Media server: it ${name}${sent}.`);
}
