import { WmError } from '../errors.js';

/** Where content is, or a proxy that leads to it. */
export interface WmspUrl {
  readonly host: string;
  readonly port: number;
  /** For the Host header: the port is left away when it is 80. */
  readonly authority: string;
  /** Path and query as they stand in a request line. */
  readonly path: string;
  /** The URL with `http://`, as it stands in a request line to a proxy and in logs. */
  readonly href: string;
}

const DEFAULT_PORT = 80;
// All of them mean HTTP here: mms:// is what links say, whatever the protocol (MS-MSSOD), mmsh:// and httpt:// name this one.
const SCHEME = /^(?:mms|mmsh|httpt?):\/\//i;

/**
 * Takes a URL apart; user, password and fragment are left away.
 *
 * @param url `http://`, `mmsh://`, `mms://` or `httpt://` and `host[:port]/path`
 * @param base what a relative URL is relative to
 * @throws WmError WM_USAGE when it is no such URL
 */
export function parseWmspUrl(url: string, base?: WmspUrl): WmspUrl {
  const text = url.trim().replace(SCHEME, 'http://');
  let parsed: URL;
  try {
    parsed = new URL(text, base?.href);
  } catch (error) {
    throw new WmError('WM_USAGE', `"${url}" is not a URL such as mmsh://server/name.`, { cause: error });
  }
  if (parsed.protocol !== 'http:' || parsed.hostname === '') {
    throw new WmError('WM_USAGE', `"${url}" cannot be received: that needs http://, mmsh:// or mms://.`);
  }
  const path = `${parsed.pathname}${parsed.search}`;
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? DEFAULT_PORT : Number(parsed.port),
    authority: parsed.host,
    path,
    href: `http://${parsed.host}${path}`,
  };
}

/** Whether text that a person gave names something that {@link parseWmspUrl} reads, and not a file. */
export function isWmspUrl(text: string): boolean {
  return SCHEME.test(text.trim());
}
