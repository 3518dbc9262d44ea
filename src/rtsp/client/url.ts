import { WmError } from '../../errors.js';
import { takeCredentials } from '../../http/credentials.js';

/** How media travels: over the connection, as datagrams, or as datagrams and else over the connection. */
export type RtspDelivery = 'tcp' | 'udp' | 'any';

/** The parts of an RTSP URL, without user, password and fragment. */
export interface RtspUrl {
  readonly delivery: RtspDelivery;
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Host and port; without the port if it is 554. */
  readonly authority: string;
  /** Path and query, as in a request line. */
  readonly path: string;
  /** `rtsp://` and authority. */
  readonly origin: string;
  /** The whole URL, `rtsp://`, as in a request line and in logs. */
  readonly href: string;
}

/** The default port (MS-RTSP 1.9). */
export const RTSP_PORT = 554;

const SCHEME = /^\s*(?:mms|rtsp([tu]?)):\/\//i;
const DELIVERY: Readonly<Record<string, RtspDelivery>> = { '': 'any', t: 'tcp', u: 'udp' };

/** True if the text is an `rtsp://`, `rtspt://` or `rtspu://` URL. */
export function isRtspUrl(text: string): boolean {
  return /^\s*rtsp[tu]?:\/\//i.test(text);
}

/**
 * Parses a URL; user, password and fragment are ignored.
 *
 * @param url `rtsp://host[:port]/path`, `rtspt://` for TCP, `rtspu://` for UDP, or `mms://`, which leaves the protocol open
 * @throws WmError WM_USAGE if it is not such a URL
 */
export function parseRtspUrl(url: string): RtspUrl {
  const { url: open } = takeCredentials(url);
  const scheme = SCHEME.exec(open);
  const kind = scheme?.[1]?.toLowerCase() ?? '';
  // As HTTP, since host names of other schemes are not normalized. That would lose a port of 80.
  const text = open.trim().replace(SCHEME, 'http://');
  const port = /^http:\/\/[^/?#]*:(\d{1,5})(?=[/?#]|$)/.exec(text)?.[1];
  if (!scheme || !URL.canParse(text)) {
    throw new WmError('WM_USAGE', `"${open}" is not a URL such as rtsp://server/name.`);
  }
  const { hostname, pathname, search } = new URL(text);
  const number = port === undefined ? RTSP_PORT : Number(port);
  const authority = number === RTSP_PORT ? hostname : `${hostname}:${number}`;
  const path = `${pathname}${search}`;
  const origin = `rtsp://${authority}`;
  return {
    delivery: DELIVERY[kind]!,
    host: hostname.replace(/^\[|\]$/g, ''),
    port: number,
    authority,
    path,
    origin,
    href: `${origin}${path}`,
  };
}
