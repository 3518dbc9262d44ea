import { randomUUID } from 'node:crypto';
import { WmError } from '../../errors.js';

/** The client that requests are sent as (MS-RTSP 2.2.6.12). */
export interface RtspIdentity {
  readonly token: 'WMPlayer' | 'WMServer' | 'WMCacheProxy';
  /** The whole User-Agent, with the GUID of the session. */
  readonly text: string;
}

const DEFAULTS = {
  NSPlayer: 'WMPlayer/12.0.7680.0',
  NSServer: 'WMServer/9.5.6001.18281',
  WMCacheProxy: 'WMCacheProxy/9.5.6001.18281',
} as const;
/** The same clients under their names in HTTP. */
const RENAMED: Readonly<Record<string, string>> = { NSPlayer: 'WMPlayer', NSServer: 'WMServer' };

/**
 * Returns the identity of a client. Players and caches name a GUID (MS-RTSP 3.1.5.1).
 *
 * @param userAgent a product with its version; one of HTTP, such as NSPlayer/9.0.0.2833, is named as in RTSP
 * @throws WmError WM_USAGE if it is not a product of this protocol
 */
export function rtspIdentity(kind: keyof typeof DEFAULTS, userAgent?: string): RtspIdentity {
  const text = (userAgent ?? DEFAULTS[kind]).replace(/^NS(?:Player|Server)(?=\/)/, (name) => RENAMED[name]!);
  const product = /^(WMPlayer|WMServer|WMCacheProxy)\/\d{1,2}\.\d{1,2}(?:\.\d{1,5}\.\d{1,5})?(?= |$)/.exec(text);
  if (!product || !/^[\x20-\x7e]{1,200}$/.test(text)) {
    throw new WmError('WM_USAGE', `"${userAgent}" is not a User-Agent of RTSP, such as WMPlayer/9.0.0.2833.`);
  }
  const token = product[1] as RtspIdentity['token'];
  if (token === 'WMServer' || / guid\//i.test(text)) return { token, text };
  const [first] = product;
  return { token, text: `${first} guid/${randomUUID().toUpperCase()}${text.slice(first.length)}` };
}
