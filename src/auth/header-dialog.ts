import { isLoopback } from '../http/addresses.js';
import type { Field, RequestHead } from '../http/message.js';
import { REFUSAL_STATUS, refusalStatus } from '../http/refusals.js';
import { type Challenge, Refusal } from '../refusal.js';
import type { Caller, Finish, Scheme } from './dialog.js';
import { SCHEME_NAMES } from './schemes.js';

/** A request with header fields, and its connection; `Exchange` is one. */
export interface HeaderRequest {
  readonly request: RequestHead;
  readonly connection: object;
  readonly remoteAddress: string;
  /** True if the connection comes from this host. */
  readonly local: boolean;
  /** True if the connection uses TLS. */
  readonly secure: boolean;
}

/** How credentials travel in the header fields of a request. */
export interface HeaderDialogOptions {
  /**
   * True for a player's request: MS-WMSP 3.2.5.1 has an additional header for the schemes of proxies, which pushes lack
   * (MS-WMHTTP 2.2.1.10).
   */
  readonly player?: boolean;
  /** As in {@link Caller}; default all. */
  readonly schemes?: readonly Scheme[];
}

/** Returns the sender of a request, with the credentials in its header fields (RFC 9110 11). */
export function callerOf(from: HeaderRequest, { player = false, schemes }: HeaderDialogOptions = {}): Caller {
  const { connection, remoteAddress, secure, request } = from;
  const { method, target, headers } = request;
  const proxied = isProxied(request);
  const forProxy = proxied && player ? headers.all('X-Accept-Proxy-Authentication') : [];
  const given = (field: string) => {
    const value = headers.get(field);
    return value === undefined ? undefined : { ...splitScheme(value), request: { method, target } };
  };
  return {
    remoteAddress,
    local: isLocal(from),
    secure,
    credentials: {
      connection,
      accepts: forProxy.length > 0 ? forProxy : headers.all('X-Accept-Authentication'),
      schemes,
      proxied,
      via: headers
        .all('Via')
        .flatMap((value) => value.split(','))
        .some((hop) => !KEEPS_APART.test(hop)),
      given: given(proxied ? 'Proxy-Authorization' : 'Authorization'),
      forOrigin: proxied ? given('Authorization') : undefined,
    },
  };
}

function splitScheme(value: string): { scheme: string; token: string } {
  const text = value.replace(/^[ \t]+/, '');
  const [scheme = ''] = text.split(/[ \t]/, 1);
  return { scheme, token: text.slice(scheme.length).replace(/^[ \t]+/, '') };
}

/**
 * A client of HTTP that sends a whole URL in the request line takes this server for a proxy (RFC 9112 3.2.2). Clients of
 * RTSP always send one.
 */
function isProxied({ target }: RequestHead): boolean {
  return /^(?!rtsp[tu]?:)[a-z][a-z0-9+.-]*:\/\//i.test(target);
}

/** A hop of Via that keeps its clients apart: proxies with a cache for Windows Media (MS-WMSP 4.12.1.3). */
const KEEPS_APART = /\(WMCacheProxy\/[\d.]+\)\s*$/;

/** Fields that only proxies write and that do not clearly show where the client is. */
const PROXY_FIELD = /^(?:via|forwarded|cdn-loop|cf-ray|x-arr-log-id)$/i;
/**
 * Fields in which proxies name their client, such as X-Forwarded-For, X-Real-IP, CF-Connecting-IP, X-Client-IP and
 * True-Client-IP.
 */
const CLIENT_FIELD = /forwarded|(?:^|[-_]|client|real|remote|user)ip(?:v[46])?$|addr(?:ess)?$/i;

/**
 * True if the client runs on this host. Requests through a proxy on this host do not count, unless the proxy says that
 * its client is on this host too.
 */
function isLocal({ local, request: { headers } }: HeaderRequest): boolean {
  return local && headers.entries.every(([name, value]) => !isOfProxy(name, value));
}

function isOfProxy(name: string, value: string): boolean {
  if (PROXY_FIELD.test(name)) return true;
  return CLIENT_FIELD.test(name) && !value.split(',').every((address) => isLoopback(address.trim()));
}

/** The answer to a refused request over HTTP. */
export interface HeaderRefusal {
  readonly status: number;
  readonly fields: readonly Field[];
  /** True if the connection has to be kept, because the next attempt belongs to it. */
  readonly challenge: boolean;
}

/**
 * Returns the answer to an error that refuses a request; undefined for any other error.
 * @param request the refused request: a proxy uses fields of its own for challenges
 */
export function headerRefusal(error: unknown, request: RequestHead): HeaderRefusal | undefined {
  const status = refusalStatus(error);
  if (status === undefined) return undefined;
  if (!(error instanceof Refusal)) return { status, fields: [], challenge: false };
  // What the server demands to which a proxy passes requests on is not meant for the proxy.
  const proxied = isProxied(request) && !error.ofOrigin;
  const name = proxied ? 'Proxy-Authenticate' : 'WWW-Authenticate';
  const fields: Field[] = error.challenges.map((challenge) => [name, fieldValue(challenge)]);
  if (error.retryAfter !== undefined) fields.push(['Retry-After', String(error.retryAfter)]);
  const challenge = status === REFUSAL_STATUS.unauthorized && error.challenges.length > 0;
  return { status: challenge && proxied ? 407 : status, fields, challenge };
}

/** Returns the fields with the last step of a client's login (RFC 7615, RFC 4559 5). */
export function finishFields(finish: Finish | undefined, request: RequestHead): Field[] {
  if (!finish) return [];
  const proxied = isProxied(request);
  if (finish.scheme === SCHEME_NAMES.digest) {
    return [[proxied ? 'Proxy-Authentication-Info' : 'Authentication-Info', finish.token]];
  }
  return [[proxied ? 'Proxy-Authenticate' : 'WWW-Authenticate', fieldValue(finish)]];
}

function fieldValue({ scheme, token }: Challenge): string {
  return token === undefined ? scheme : `${scheme} ${token}`;
}
