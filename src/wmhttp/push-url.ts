import { WmError } from '../errors.js';

/** Where a push goes. */
export interface PushTarget {
  readonly host: string;
  readonly port: number;
  /** For the Host header: the port is left away when it is 80. */
  readonly authority: string;
  /** Path and query as they stand in a request line. */
  readonly path: string;
}

const DEFAULT_PORT = 80;

/**
 * Takes a push URL apart; user and password in it are left away.
 *
 * @param url `http://host[:port]/point`
 * @param base the URL that a relative one is relative to
 * @throws WmError WM_USAGE when it is no such URL
 */
export function parsePushUrl(url: string, base?: string): PushTarget {
  let parsed: URL;
  try {
    parsed = new URL(url, base);
  } catch (error) {
    throw new WmError('WM_USAGE', `"${url}" is not a URL such as http://server/point.`, { cause: error });
  }
  if (parsed.protocol !== 'http:' || parsed.hostname === '') {
    throw new WmError('WM_USAGE', `"${url}" is not a push URL: that starts with http://.`);
  }
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? DEFAULT_PORT : Number(parsed.port),
    authority: parsed.host,
    path: `${parsed.pathname}${parsed.search}`,
  };
}

/** The URL again, without what does not reach the server. */
export function formatPushUrl({ authority, path }: PushTarget): string {
  return `http://${authority}${path}`;
}
