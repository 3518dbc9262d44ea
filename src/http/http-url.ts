import type { Endpoint, TlsTrust } from './connection.js';

/** The parts of an http:// or https:// URL, without user, password and fragment. @public */
export interface HttpUrl {
  /** True for https: the connection uses TLS. */
  readonly secure: boolean;
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** For the Host header: without the port if it is 80, or 443 with TLS. */
  readonly authority: string;
  /** Path and query, as in a request line. */
  readonly path: string;
  /** Scheme and authority. */
  readonly origin: string;
  /** The whole URL, as in a request line to a proxy and in logs. */
  readonly href: string;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

/**
 * Parses a URL.
 * @param base of a relative URL
 * @returns undefined if it is not a URL, has no host, or has another scheme
 */
export function readHttpUrl(text: string, base?: string): HttpUrl | undefined {
  if (!URL.canParse(text, base)) return undefined;
  const { protocol, hostname, host: authority, port, pathname, search } = new URL(text, base);
  const defaultPort = DEFAULT_PORTS[protocol];
  if (defaultPort === undefined || hostname === '') return undefined;
  const path = `${pathname}${search}`;
  const origin = `${protocol}//${authority}`;
  return {
    secure: protocol === 'https:',
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? defaultPort : Number(port),
    authority,
    path,
    origin,
    href: `${origin}${path}`,
  };
}

/** Returns the endpoint of a URL. @param trust for TLS */
export function endpointOf({ secure, host, port }: HttpUrl, trust: TlsTrust = {}): Endpoint {
  return { host, port, ...(secure ? { tls: trust } : {}) };
}
