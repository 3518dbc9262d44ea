import { parseSetCookie } from './cookies.js';
import type { HttpUrl } from './http-url.js';

/** The parts of a URL that decide which cookies belong to it; its scheme does not matter. @public */
export type CookieUrl = Pick<HttpUrl, 'host' | 'path'>;

interface StoredCookie {
  readonly name: string;
  /** As received, including quotes. */
  readonly value: string;
  readonly domain: string;
  /** True if the cookie goes only to this host, since it named no domain. */
  readonly hostOnly: boolean;
  readonly path: string;
}

/** The maximum number of cookies; the oldest are dropped first. */
const MAX_COOKIES = 64;
const MAX_LENGTH = 4096;

/**
 * The Cookie-List of MS-WMSP 3.1.1: cookies from responses (RFC 2109 4.2.2), returned with the requests they are for
 * (4.3.4). The scheme of a URL does not matter, so one jar serves http:// and rtsp:// alike (MS-WMSP 2.2.1.3). Cookies
 * are not persisted.
 *
 * @public
 */
export class CookieJar {
  #cookies: StoredCookie[] = [];

  /**
   * Stores the Set-Cookie fields of a response to a request for `url`; ignores malformed ones and those for other
   * hosts.
   */
  store(url: CookieUrl, fields: readonly string[]): void {
    for (const field of fields.slice(0, MAX_COOKIES)) {
      if (field.length > MAX_LENGTH) continue;
      const cookie = readCookie(field, url);
      if (!cookie) continue;
      const same = ({ name, domain, path }: StoredCookie) =>
        name === cookie.name && domain === cookie.domain && path === cookie.path;
      this.#cookies = this.#cookies.filter((each) => !same(each));
      if (!cookie.expired) this.#cookies.push(cookie);
    }
    this.#cookies = this.#cookies.slice(-MAX_COOKIES);
  }

  /**
   * Returns the Cookie header of a request for `url`, the most specific path first; undefined if there are no cookies
   * for it.
   */
  header(url: CookieUrl): string | undefined {
    const fitting = this.#cookies.filter((cookie) => isFor(cookie, url));
    if (fitting.length === 0) return undefined;
    fitting.sort((a, b) => b.path.length - a.path.length);
    return fitting.map(({ name, value }) => `${name}=${value}`).join('; ');
  }
}

function readCookie(field: string, url: CookieUrl): (StoredCookie & { expired: boolean }) | undefined {
  const cookie = parseSetCookie(field);
  if (!cookie) return undefined;
  const { name, value, attributes } = cookie;
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) || !/^[\x20-\x7e]*$/.test(value)) return undefined;
  const host = url.host.toLowerCase();
  const domain = (attributes.get('domain') ?? '').replace(/^\./, '').toLowerCase();
  // A server may set cookies for itself and for its domain, but not for others (RFC 2109 4.3.2).
  if (domain !== '' && domain !== host && !(host.endsWith(`.${domain}`) && domain.includes('.'))) return undefined;
  const path = attributes.get('path');
  const age = attributes.get('max-age');
  return {
    name,
    value,
    domain: domain === '' ? host : domain,
    hostOnly: domain === '',
    path: path?.startsWith('/') ? path : defaultPath(url),
    expired: age !== undefined && Number(age) <= 0,
  };
}

function defaultPath({ path }: CookieUrl): string {
  const [pathname = ''] = path.split('?');
  return pathname.slice(0, Math.max(pathname.lastIndexOf('/'), 1));
}

function isFor({ domain, hostOnly, path }: StoredCookie, url: CookieUrl): boolean {
  const host = url.host.toLowerCase();
  if (host !== domain && (hostOnly || !host.endsWith(`.${domain}`))) return false;
  const [pathname = ''] = url.path.split('?');
  return pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
}
