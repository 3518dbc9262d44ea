import { type HttpUrl, readHttpUrl } from '../http/http-url.js';
import { Refusal } from '../refusal.js';

/** The URLs that a proxy may fetch. */
export interface TargetsOptions {
  /** True to pass on requests that name the whole URL, as clients send them to their proxy. */
  readonly forward: boolean;
  /** True to pass on requests whose Host names another server, as they arrive at a proxy that sits on the way. */
  readonly transparent: boolean;
  /** The hosts that requests may name; default: all. A name that begins with a dot means the hosts below it. */
  readonly hosts?: readonly string[] | undefined;
  /** True if a host and a port are those of this server; without a port, if the host is. */
  readonly isOwn: (host: string, port: number | undefined, protocol: 'http' | 'mms' | 'rtsp') => boolean;
}

const MAX_URL = 2_048;
const SCHEME = /^(?:http|https|mms|mmsh|httpt):\/\//i;

/** Finds out which other server a request is meant for. */
export class Targets {
  readonly #options: TargetsOptions;

  constructor(options: TargetsOptions) {
    this.#options = options;
  }

  /**
   * Returns the URL of a request for another server; undefined for one that is meant for this server.
   *
   * @param target the request-target
   * @param host the Host field
   * @throws Refusal `forbidden` if that host may not be named, `too-long`
   */
  of(target: string, host: string | undefined): string | undefined {
    const { forward, transparent } = this.#options;
    if (forward && SCHEME.test(target))
      return this.#allowed(readHttpUrl(target.replace(/^(?:mmsh?|httpt):/i, 'http:')));
    if (!transparent || !host || !target.startsWith('/')) return undefined;
    return this.#allowed(readHttpUrl(`http://${host}${target}`));
  }

  /**
   * Returns the URL of content on another server that a player of MMS or RTSP means; undefined for this server. Both
   * name their server whether they use a proxy or not.
   *
   * @param path decoded
   * @param authority the host and the port that the player names
   * @throws Refusal `forbidden`, `too-long`
   */
  ofPlayer(protocol: 'mms' | 'rtsp', path: string, authority: string | undefined): string | undefined {
    const { forward, transparent, isOwn } = this.#options;
    if (!(forward || transparent) || !authority || !/^[\w.:[\]-]{1,260}$/.test(authority)) return undefined;
    const url = readHttpUrl(`http://${authority}${path.split('/').map(encodeURIComponent).join('/')}`);
    if (!url) return undefined;
    // The parser drops the port of HTTP.
    const port = /:(\d{1,5})$/.exec(authority)?.[1];
    if (isOwn(url.host, port === undefined ? undefined : Number(port), protocol)) return undefined;
    this.#check(url);
    return `${protocol}://${authority}${path}`;
  }

  #allowed(url: HttpUrl | undefined): string | undefined {
    if (!url || this.#options.isOwn(url.host, url.port, 'http')) return undefined;
    this.#check(url);
    return url.href;
  }

  #check(url: HttpUrl): void {
    const { hosts } = this.#options;
    const host = url.host.toLowerCase();
    const fits = (allowed: string) => host === allowed || (allowed.startsWith('.') && host.endsWith(allowed));
    if (hosts && !hosts.some((allowed) => fits(allowed.toLowerCase()))) {
      throw new Refusal('forbidden', `This proxy does not pass requests on to ${url.authority}.`);
    }
    if (url.href.length > MAX_URL) throw new Refusal('too-long', 'The URL is too long.');
  }
}

/** True if the path of a request is that of {@link Targets.of}: the URL of another server. */
export function isTarget(path: string): boolean {
  return /^(?:https?|mms|rtsp):\/\//.test(path);
}
