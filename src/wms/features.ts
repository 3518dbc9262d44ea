/** The features in a Supported header, without their common prefix ([MS-WMSP] 2.2.1.7, [MS-RTSP] 2.2.6.10). @public */
export type Feature =
  | 'eosmsg'
  | 'fastcache'
  | 'locid'
  | 'packetpairssrc'
  | 'predstrm'
  | 'srvppair'
  | 'sswitch'
  | 'startupprofile';

/** The prefix of every feature. */
const PREFIX = 'com.microsoft.wm.';

/** All features of servers and clients over HTTP, in the order of Windows Media Services. */
export const FEATURES: readonly Feature[] = ['srvppair', 'sswitch', 'predstrm', 'fastcache', 'startupprofile'];
/** All features of servers over RTSP, in the order of a real one's. */
export const RTSP_FEATURES: readonly Feature[] = ['srvppair', 'sswitch', 'eosmsg', 'fastcache', 'packetpairssrc'];
const KNOWN: ReadonlySet<string> = new Set([...FEATURES, ...RTSP_FEATURES, 'locid']);

/** Returns the known features of all Supported headers of a message; undefined if it has no such header. */
export function parseSupported(fields: readonly string[]): ReadonlySet<Feature> | undefined {
  if (fields.length === 0) return undefined;
  const tokens = fields.flatMap((field) => field.split(',')).map((token) => token.trim().toLowerCase());
  const names = tokens.filter((token) => token.startsWith(PREFIX)).map((token) => token.slice(PREFIX.length));
  return new Set(names.filter((name): name is Feature => KNOWN.has(name)));
}

/** Formats the value of a Supported header. */
export function formatSupported(features: readonly Feature[]): string {
  return features.map((feature) => PREFIX + feature).join(', ');
}
