import { WmError } from '../../errors.js';
import { takeCredentials } from '../../http/credentials.js';
import { type HttpUrl, readHttpUrl } from '../../http/http-url.js';

export { endpointOf } from '../../http/http-url.js';

/** The location of content, or of a proxy that leads to it. @public */
export type WmspUrl = HttpUrl;

// All of them mean HTTP here: links use mms:// for any protocol (MS-MSSOD); mmsh:// and httpt:// name this one.
const SCHEME = /^(?:mms|mmsh|httpt?):\/\//i;
const SECURE = /^https:\/\//i;

/**
 * Parses a URL; user, password and fragment are ignored.
 *
 * @param url `http://`, `https://`, `mmsh://`, `mms://` or `httpt://` and `host[:port]/path`
 * @param base the URL that a relative one is relative to
 * @throws WmError WM_USAGE if it is not such a URL
 */
export function parseWmspUrl(url: string, base?: WmspUrl): WmspUrl {
  const { url: open } = takeCredentials(url);
  const text = open.trim().replace(SCHEME, 'http://');
  const parsed = readHttpUrl(text, base?.href);
  if (parsed) return parsed;
  // Neither error has a cause, which would repeat a password.
  if (!URL.canParse(text, base?.href)) {
    throw new WmError('WM_USAGE', `"${open}" is not a URL such as mmsh://server/name.`);
  }
  throw new WmError('WM_USAGE', `"${open}" cannot be received: that needs http://, https://, mmsh:// or mms://.`);
}

/** True if text from a user is a URL that {@link parseWmspUrl} reads, and not a file name. */
export function isWmspUrl(text: string): boolean {
  return SCHEME.test(text.trim()) || SECURE.test(text.trim());
}
