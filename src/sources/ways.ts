import type { HttpAuthenticator } from '../auth/client.js';
import { WmError } from '../errors.js';
import { mmspWays } from '../mmsp/client/ways.js';
import type { SourceFacts, Way } from '../receiving/link.js';
import { rtspWays } from '../rtsp/client/client.js';
import { wmspWays } from '../wmsp/client/client.js';
import type { SourceDescription, SourceOptions } from './source.js';

/** The facts about a source that a link of any protocol finds out. */
export interface PulledFacts extends SourceFacts {
  readonly description: SourceDescription;
}

interface UnicastProtocol {
  /** The schemes of its URLs; `mms` leaves the protocol open. */
  readonly schemes: readonly string[];
  /** True if it can go through an HTTP proxy. */
  readonly hasProxies: boolean;
  /** @throws WmError WM_USAGE for an unusable URL or option */
  ways(url: string, options: SourceOptions): ReadonlyArray<Way<PulledFacts>>;
}

/**
 * The protocols that players try for `mms://`, in their order: datagrams before TCP, HTTP last. A port in the URL is
 * that of each of them.
 */
const PROTOCOLS: readonly UnicastProtocol[] = [
  {
    schemes: ['mms', 'rtsp', 'rtspu', 'rtspt'],
    hasProxies: false,
    ways: (url, options) => rtspWays({ ...options, url }),
  },
  {
    schemes: ['mms', 'mmsu', 'mmst'],
    hasProxies: false,
    ways: (url, options) => mmspWays({ ...options, url, greetWithin: isOpen(url) ? GREET_WITHIN : undefined }),
  },
  {
    schemes: ['mms', 'mmsh', 'http', 'https', 'httpt'],
    hasProxies: true,
    ways: (url, options) => wmspWays({ ...options, url }).map((way) => ({ ...way, evenIfMissing: true })),
  },
];

/** How long a server may wait with its first answer before other protocols are tried, in ms. */
const GREET_WITHIN = 2_000;

/** True for a URL that {@link waysTo} accepts. */
export function hasWays(url: string): boolean {
  const scheme = schemeOf(url);
  return PROTOCOLS.some(({ schemes }) => schemes.includes(scheme));
}

/**
 * Returns the ways to a stream: by the protocol of its URL, or for `mms://` by all, in the order in which players try
 * them.
 *
 * @throws WmError WM_USAGE for an unusable URL or option
 */
export function waysTo(url: string, options: SourceOptions): ReadonlyArray<Way<PulledFacts>> {
  const named = PROTOCOLS.filter(({ schemes }) => schemes.includes(schemeOf(url)));
  const usable = options.proxy === undefined ? named : named.filter(({ hasProxies }) => hasProxies);
  if (usable.length === 0) {
    throw new WmError('WM_USAGE', `${url} cannot be received through an HTTP proxy; mmsh:// can.`);
  }
  const { authorize } = options;
  return usable.flatMap((protocol) => protocol.ways(url, { ...options, authorize: authorize && forAll(authorize) }));
}

/**
 * Returns the credentials for one server, whatever the protocol: their source would give them to the first scheme and
 * port only. Each protocol gives them to no other host.
 */
function forAll(authorize: HttpAuthenticator): HttpAuthenticator {
  return {
    schemes: authorize.schemes,
    answer: (challenge) => authorize.answer({ ...challenge, origin: undefined }),
    ...(authorize.fields
      ? { fields: (request, statuses) => authorize.fields!({ ...request, origin: undefined }, statuses) }
      : {}),
    knows: (status) => authorize.knows?.(status) ?? true,
  };
}

/** True if the URL leaves the protocol open. */
function isOpen(url: string): boolean {
  return schemeOf(url) === 'mms';
}

function schemeOf(url: string): string {
  return /^\s*([a-z][a-z0-9+.-]{0,20}):\/\//i.exec(url)?.[1]?.toLowerCase() ?? '';
}
