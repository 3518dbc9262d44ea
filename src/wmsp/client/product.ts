import { WmError } from '../../errors.js';
import { PLAYER_PRODUCT } from '../../http/product.js';
import { parseClientProduct } from '../messages/requests.js';

/** The product in a Server header (MS-WMSP 2.2.1.5). @public */
export interface ServerProduct {
  readonly token: 'Cougar' | 'Rex';
  readonly major: number;
  readonly minor: number;
  /** The whole header. */
  readonly text: string;
}

/**
 * Reads a Server header. Tolerates leading zeros: Cougar/9.00.00.3178 is 9.0.
 *
 * @param tolerant true to accept a blank instead of the slash, as some servers write it
 * @returns undefined if it is not one of this protocol's servers
 */
export function parseServerProduct(text: string | undefined, tolerant: boolean): ServerProduct | undefined {
  const pattern = tolerant
    ? /^\s*(Cougar|Rex)[/ ](\d{1,2})\.(\d{1,2})(?!\d)/i
    : /^(Cougar|Rex)\/(\d{1,2})\.(\d{1,2})(?!\d)/;
  const match = pattern.exec(text ?? '');
  if (!match) return undefined;
  return {
    token: match[1]!.toLowerCase() === 'rex' ? 'Rex' : 'Cougar',
    major: Number(match[2]),
    minor: Number(match[3]),
    text: text!,
  };
}

/** The product that the client claims to be (MS-WMSP 2.2.1.8). @public */
export interface ClientIdentity {
  readonly token: 'NSPlayer' | 'NSServer' | 'WMCacheProxy';
  readonly major: number;
  readonly minor: number;
  /** The whole User-Agent header. */
  readonly text: string;
}

const DEFAULT_USER_AGENT = {
  NSPlayer: PLAYER_PRODUCT,
  NSServer: 'NSServer/9.5.6001.1',
  WMCacheProxy: 'WMCacheProxy/9.5.6001.1',
} as const;

/**
 * Returns the identity of a kind of client: a player, a server that relays, or a proxy with a cache.
 *
 * @param kind determines the version as well
 */
export function defaultIdentity(kind: ClientIdentity['token']): ClientIdentity {
  return clientIdentity(DEFAULT_USER_AGENT[kind]);
}

/**
 * @param userAgent for example `NSPlayer/9.0.0.2833`, optionally followed by other products
 * @throws WmError WM_USAGE if it is not NSPlayer, NSServer or WMCacheProxy with a version
 */
export function clientIdentity(userAgent: string): ClientIdentity {
  const product = parseClientProduct(userAgent);
  const isComplete =
    /^(?:NSPlayer|NSServer|WMCacheProxy)\/\d{1,2}\.\d{1,2}(?:\.\d{1,5}\.\d{1,5})?(?:[ ;][\x20-\x7e]*)?$/.test(
      userAgent,
    );
  if (!product || !isComplete) {
    throw new WmError('WM_USAGE', `"${userAgent}" is not a User-Agent of this protocol, such as NSPlayer/9.0.0.2833.`);
  }
  return { token: product.token, major: product.major, minor: product.minor, text: userAgent };
}
