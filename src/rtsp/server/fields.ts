import type { Field } from '../../framing/text-head.js';
import type { ContentInfo, OriginRules } from '../../playback/content.js';
import type { RefusalKind } from '../../refusal.js';
import { formatSupported, RTSP_FEATURES } from '../../wms/features.js';

/** The Server header. Players only use the extensions of Windows Media if it names this product. */
export const RTSP_SERVER_NAME = 'WMServer/9.5.6001.18281';

/** The Supported header of every response (MS-RTSP 2.2.6.10). */
export const SUPPORTED: Field = ['Supported', formatSupported(RTSP_FEATURES)];

/** What may be asked for. */
export const PUBLIC = 'OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER';

// How long caches may keep a file before they ask again, in seconds; what Windows Media Services gives.
const MAX_AGE = 86_399;

/** Returns what the origin of a proxy's content says. In HTTP it begins with no-cache, which RTSP takes at its word. */
function fieldsOfOrigin({ cacheControl, lastModified, etag }: OriginRules): Field[] {
  const directives = cacheControl
    .replace(/(^|,)\s*no-cache\s*(?=,|$)/gi, '')
    .replace(/^\s*,\s*/, '')
    .trim();
  return [
    ...(lastModified === undefined ? [] : [['Last-Modified', lastModified] as const]),
    ['Cache-Control', directives === '' ? 'no-cache' : directives],
    ...(etag === undefined ? [] : [['ETag', etag] as const]),
  ];
}

/** Last-Modified and Cache-Control (MS-RTSP 2.2.6.2), as a real server writes them of a broadcast. */
export function cacheFields({ live, playlist, file, origin }: ContentInfo, began: Date): Field[] {
  if (origin) return fieldsOfOrigin(origin);
  const types = [...(live ? ['broadcast'] : []), ...(playlist ? ['playlist'] : [])].join(',');
  const directives = file
    ? [`max-age=${MAX_AGE}`, `x-wms-content-size=${file.size}`, 'must-revalidate', 'proxy-public', 'proxy-revalidate']
    : ['max-age=0', `x-wms-stream-type="${types}"`, 'must-revalidate', 'private', 'x-wms-proxy-split'];
  return [
    ['Last-Modified', (file?.modified ?? began).toUTCString()],
    ['Cache-Control', directives.join(', ')],
    ...(file ? [['ETag', `"${file.version}"`] as const] : []),
  ];
}

/** The status of each refusal (RFC 2326 7.1.1). */
export const REFUSAL_STATUS: Readonly<Record<RefusalKind, number>> = {
  'bad-request': 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  offline: 503,
  taken: 503,
  gone: 410,
  unsupported: 501,
  'too-large': 413,
  'too-long': 414,
  busy: 503,
  throttled: 503,
  failed: 500,
};
