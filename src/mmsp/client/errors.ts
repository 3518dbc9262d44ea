import { WmError } from '../../errors.js';
import { hexResult } from '../../hresult.js';

/** Failures that servers answer with ([MS-ERREF] 2.1, 2.2). */
const MISSING = new Set([
  0x80070002, // ERROR_FILE_NOT_FOUND
  0x80070003, // ERROR_PATH_NOT_FOUND
  0xc00d001a, // NS_E_FILE_NOT_FOUND
  0xc00d0033, // NS_E_NO_STREAM
]);
const FORBIDDEN = new Set([
  0x80070005, // E_ACCESSDENIED
  0x8007052e, // ERROR_LOGON_FAILURE
]);
const BUSY = new Set([
  0xc00d000e, // NS_E_NETWORK_BUSY
  0xc00d000f, // NS_E_TOO_MANY_SESS
  0xc00d0025, // NS_E_BUSY
  0xc00d0031, // NS_E_OPEN_FILE_LIMIT
]);

/** Converts the failure with which a server answers: WM_NO_INPUT, WM_AUTH_REFUSED, WM_UNREACHABLE or WM_PROTOCOL. */
export function refusalError(hr: number, href: string): WmError {
  const code = hexResult(hr);
  const number = hr >>> 0;
  if (MISSING.has(number))
    return new WmError('WM_NO_INPUT', `There is nothing at ${href}: the server answered ${code}.`);
  if (FORBIDDEN.has(number)) return new WmError('WM_AUTH_REFUSED', `The server refused ${href}: ${code}.`);
  if (BUSY.has(number)) {
    return new WmError('WM_UNREACHABLE', `The server has no room for another client at ${href}: ${code}.`);
  }
  return new WmError('WM_PROTOCOL', `The server refused to send ${href}: ${code}.`);
}
