import { printable } from '../errors.js';
import type { Field, HeaderFields } from '../framing/text-head.js';

/** The request of another client, as a proxy passes it on (MS-WMSP 3.1.5.1; MS-RTSP 3.1.5.1). @public */
export interface Relayed {
  /** The product of the client that asked first: the proxy-client-agent of the request, else its User-Agent. */
  readonly agent: string;
  /** The method of that client's request, of HTTP or RTSP. */
  readonly verb: string;
  /** The hops so far, in order, as Via has them; on the way to a server, this proxy is the last one. */
  readonly via: readonly string[];
  /** The number of hops that may still follow; undefined if the request does not limit them. */
  readonly maxForwards?: number | undefined;
}

/** The maximum number of hops that a request is passed on, unless it says less. */
export const MAX_FORWARDS = 9;
/** The longest product of a client that is passed on, in characters. */
const MAX_AGENT = 500;

/** Returns a client's request as a proxy passes it on (MS-WMSP 3.1.5.1). @param agent the product of the client */
export function relayedOf(headers: HeaderFields, verb: string, agent: string): Relayed {
  const left = headers.get('Max-Forwards')?.trim() ?? '';
  return {
    agent,
    verb: headers.get('X-Proxy-Client-Verb') ?? verb,
    via: headers.all('Via'),
    maxForwards: /^\d{1,9}$/.test(left) ? Number(left) : undefined,
  };
}

/** Returns the request with another hop. @param hop as in Via, such as `HTTP/1.1 name (WMCacheProxy/9.5.6001.1)` */
export function throughHop({ via, maxForwards = MAX_FORWARDS + 1, ...rest }: Relayed, hop: string): Relayed {
  return { ...rest, via: [...via, hop], maxForwards: Math.max(maxForwards - 1, 0) };
}

/** Returns the fields of a relayed request, other than Pragma. */
export function relayedFields({ via, verb, maxForwards }: Relayed): Field[] {
  return [
    ['Via', via.join(', ')],
    ...(maxForwards === undefined ? [] : [['Max-Forwards', String(maxForwards)] as const]),
    ['X-Proxy-Client-Verb', verb],
  ];
}

/** Returns the Pragma token with the product of the client (MS-WMSP 2.2.1.4.21). */
export function proxyClientAgent({ agent }: Relayed): string {
  return `proxy-client-agent="${printable(agent, MAX_AGENT).replaceAll('"', "'")}"`;
}
