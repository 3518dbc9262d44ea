import { WmError } from '../../errors.js';
import { takeCredentials } from '../../http/credentials.js';
import { type HttpUrl, readHttpUrl } from '../../http/http-url.js';

/**
 * Parses a push URL, or the URL of a proxy; ignores user and password in it.
 *
 * @param text `http://host[:port]/point`, or `https://`
 * @param base the URL that a relative one is relative to
 * @throws WmError WM_USAGE if it is not such a URL
 */
export function parsePushUrl(text: string, base?: string): HttpUrl {
  const { url } = takeCredentials(text);
  const target = readHttpUrl(url, base);
  if (target) return target;
  const problem = URL.canParse(url, base)
    ? 'a push URL: that starts with http:// or https://'
    : 'a URL such as http://server/point';
  throw new WmError('WM_USAGE', `"${url}" is not ${problem}.`);
}
