import { printable, WmError } from '../../errors.js';
import type { ResponseHead } from '../../http/message.js';

/** $C: the server goes backwards through a playlist (MS-WMSP 2.2.3.2). */
export const NS_S_CHANGENOTICE_BACKWARD = 0x400d14be;

/** Returns the error for a server that does not speak this protocol (MS-WMSP 3.1.5.3). */
export function incompatibleError(head: ResponseHead, what: string): WmError {
  const server = head.headers.get('Server');
  const name = server === undefined ? 'does not say what it is' : `calls itself "${printable(server)}"`;
  const type = head.headers.get('Content-Type');
  const sent = type === undefined ? '' : ` and sent ${printable(type)}`;
  return new WmError('WM_PROTOCOL', `${what} is not a Windows Media server: it ${name}${sent}.`);
}
