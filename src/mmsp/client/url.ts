import { WmError } from '../../errors.js';
import { takeCredentials } from '../../http/credentials.js';

/** The location of content on an MMSP server, or of an MMSP proxy. */
export interface MmsUrl {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Host and port as in a URL, without the default port. */
  readonly authority: string;
  /** The path and the query, without percent-encoding and without the first slash: a fileName (MS-MMSP 2.2.4.21). */
  readonly fileName: string;
  /** How Data packets are to be sent; undefined for `mms://`, which leaves it open (2.2.4.9). */
  readonly transport: 'tcp' | 'udp' | undefined;
  /** The whole URL, without user, password and fragment. */
  readonly href: string;
}

/** The port for TCP and UDP of a URL that names none (1.9). */
export const MMS_PORT = 1755;

const SCHEME = /^\s*mms([tu]?):\/\//i;

/** True for an `mms://`, `mmst://` or `mmsu://` URL. */
export function isMmsUrl(text: string): boolean {
  return SCHEME.test(text);
}

/**
 * Parses a URL; user, password and fragment are ignored. Locations of redirects have no percent-encoding (2.2.4.9), but
 * may have it.
 *
 * @param url `mms://`, `mmst://` or `mmsu://` and `host[:port]/path`
 * @throws WmError WM_USAGE if it is not such a URL
 */
export function parseMmsUrl(url: string): MmsUrl {
  const { url: open } = takeCredentials(url);
  const [scheme, letter] = SCHEME.exec(open) ?? [];
  // A scheme whose default port no MMS URL means, so that each port that is named is kept.
  const text = scheme === undefined ? '' : `http://${open.slice(scheme.length).trim()}`;
  if (/^http:\/\/(?:[/?#]|$)/.test(text) || !URL.canParse(text))
    throw new WmError('WM_USAGE', `"${open}" is not a URL such as mms://server/name.`);
  const { hostname, pathname, search } = new URL(text);
  const named = /^http:\/\/[^/?#]*?:(\d{1,5})(?:[/?#]|$)/.exec(text)?.[1];
  const port = named === undefined ? MMS_PORT : Number(named);
  if (hostname === '' || port === 0) throw new WmError('WM_USAGE', `"${open}" is not a URL such as mms://server/name.`);
  const authority = port === MMS_PORT ? hostname : `${hostname}:${port}`;
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port,
    authority,
    fileName: decoded(`${pathname}${search}`.replace(/^\/+/, '')),
    transport: letter === undefined || letter === '' ? undefined : letter.toLowerCase() === 't' ? 'tcp' : 'udp',
    href: `mms${letter?.toLowerCase() ?? ''}://${authority}${pathname}${search}`,
  };
}

function decoded(path: string): string {
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded);
    } catch {
      // It encodes no text.
      return encoded;
    }
  });
}
