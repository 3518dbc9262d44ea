/** The features that a Supported header names ([MS-WMSP] 2.2.1.7, [MS-RTSP] 2.2.6.10), without their common prefix. */
export type Feature = 'fastcache' | 'predstrm' | 'srvppair' | 'sswitch' | 'startupprofile';

/** What every feature begins with. */
const PREFIX = 'com.microsoft.wm.';

/** All features of servers and clients over HTTP, as Windows Media Services lists them. */
export const FEATURES: readonly Feature[] = ['srvppair', 'sswitch', 'predstrm', 'fastcache', 'startupprofile'];
const KNOWN: ReadonlySet<string> = new Set(FEATURES);

/** The known features of all Supported headers of a message; undefined when there is no such header. */
export function parseSupported(fields: readonly string[]): ReadonlySet<Feature> | undefined {
  if (fields.length === 0) return undefined;
  const tokens = fields.flatMap((field) => field.split(',')).map((token) => token.trim().toLowerCase());
  const names = tokens.filter((token) => token.startsWith(PREFIX)).map((token) => token.slice(PREFIX.length));
  return new Set(names.filter((name): name is Feature => KNOWN.has(name)));
}

/** The value of a Supported header. */
export function formatSupported(features: readonly Feature[]): string {
  return features.map((feature) => PREFIX + feature).join(', ');
}
