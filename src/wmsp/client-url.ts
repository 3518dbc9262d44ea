import { WmError } from '../errors.js';
import type { Endpoint, TlsTrust } from '../http/connection.js';
import { takeCredentials } from '../http/credentials.js';

/** Where content is, or a proxy that leads to it. */
export interface WmspUrl {
  /** https: the connection speaks TLS. */
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** For the Host header: the port is left away when it is 80, or 443 with TLS. */
  readonly authority: string;
  /** Path and query as they stand in a request line. */
  readonly path: string;
  /** Scheme and authority. */
  readonly origin: string;
  /** The URL with `http://` or `https://`, as it stands in a request line to a proxy and in logs. */
  readonly href: string;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };
// All of them mean HTTP here: mms:// is what links say, whatever the protocol (MS-MSSOD), mmsh:// and httpt:// name this one.
const SCHEME = /^(?:mms|mmsh|httpt?):\/\//i;
const SECURE = /^https:\/\//i;

/**
 * Takes a URL apart; user, password and fragment are left away.
 *
 * @param url `http://`, `https://`, `mmsh://`, `mms://` or `httpt://` and `host[:port]/path`
 * @param base what a relative URL is relative to
 * @throws WmError WM_USAGE when it is no such URL
 */
export function parseWmspUrl(url: string, base?: WmspUrl): WmspUrl {
  const { url: open } = takeCredentials(url);
  const text = open.trim().replace(SCHEME, 'http://');
  let parsed: URL;
  try {
    parsed = new URL(text, base?.href);
  } catch {
    // Its cause would repeat a password.
    throw new WmError('WM_USAGE', `"${open}" is not a URL such as mmsh://server/name.`);
  }
  const { protocol } = parsed;
  const defaultPort = DEFAULT_PORTS[protocol];
  if (defaultPort === undefined || parsed.hostname === '') {
    throw new WmError('WM_USAGE', `"${open}" cannot be received: that needs http://, https://, mmsh:// or mms://.`);
  }
  const path = `${parsed.pathname}${parsed.search}`;
  const origin = `${protocol}//${parsed.host}`;
  return {
    secure: protocol === 'https:',
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? defaultPort : Number(parsed.port),
    authority: parsed.host,
    path,
    origin,
    href: `${origin}${path}`,
  };
}

/** Whether text that a person gave names something that {@link parseWmspUrl} reads, and not a file. */
export function isWmspUrl(text: string): boolean {
  return SCHEME.test(text.trim()) || SECURE.test(text.trim());
}

/** Where to connect to for a URL. @param trust for TLS */
export function endpointOf({ secure, host, port }: WmspUrl, trust: TlsTrust = {}): Endpoint {
  return { host, port, ...(secure ? { tls: trust } : {}) };
}
