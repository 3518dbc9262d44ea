import { WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';

/** Where a push goes, or a proxy on the way. */
export interface PushTarget {
  /** https: TLS. */
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** For the Host header: the port is left away when it is 80, or 443 with TLS. */
  readonly authority: string;
  /** Path and query as they stand in a request line. */
  readonly path: string;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

/**
 * Takes a push URL apart; user and password in it are left away.
 *
 * @param text `http://host[:port]/point`, or `https://`
 * @param base the URL that a relative one is relative to
 * @throws WmError WM_USAGE when it is no such URL
 */
export function parsePushUrl(text: string, base?: string): PushTarget {
  const { url } = takeCredentials(text);
  let parsed: URL;
  try {
    parsed = new URL(url, base);
  } catch {
    // Its cause would repeat what was taken away.
    throw new WmError('WM_USAGE', `"${url}" is not a URL such as http://server/point.`);
  }
  const defaultPort = DEFAULT_PORTS[parsed.protocol];
  if (defaultPort === undefined || parsed.hostname === '') {
    throw new WmError('WM_USAGE', `"${url}" is not a push URL: that starts with http:// or https://.`);
  }
  return {
    secure: parsed.protocol === 'https:',
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? defaultPort : Number(parsed.port),
    authority: parsed.host,
    path: `${parsed.pathname}${parsed.search}`,
  };
}

/** The URL again, without what does not reach the server. */
export function formatPushUrl({ secure, authority, path }: PushTarget): string {
  return `${secure ? 'https' : 'http'}://${authority}${path}`;
}
