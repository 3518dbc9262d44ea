import { countValue, EMPTY, type LogValues, textValue } from './fields.js';
import type { WmLog } from './log.js';

/** What a proxy knows when it passes a log on. */
export interface Forwarder {
  /** Its product token, such as `WMCacheProxy/9.00.00.1234`. */
  readonly product: string;
  /** The address of the client, as the proxy sees it. */
  readonly clientAddress: string;
  /** The address that it uses towards the server. */
  readonly ownAddress: string;
  /** Its Internet host name, if it has one. */
  readonly hostName?: string | undefined;
  /** Its load over all processors, 0 to 100. */
  readonly cpuPercent: number;
  /** Its clients, of all servers. */
  readonly clients: number;
}

/**
 * A log as a proxy passes it on ([MS-WMLOG] 2.1.8, 2.1.34, 2.1.41 to 2.1.47): what the client cannot know is filled in, what it may
 * not say is overwritten, and its User-Agent gives way to that of the proxy. A Connect-Time Log has only the address of these.
 */
export function forwardedLog(log: WmLog, by: Forwarder): WmLog {
  const address: LogValues = { 'c-ip': textValue(by.clientAddress) };
  if (log.kind === 'connect-time') return { ...log, values: { ...log.values, ...address } };
  return {
    ...log,
    values: {
      ...log.values,
      ...address,
      'cs-User-Agent': textValue(`_via_HTTP/1.0_${by.product}`),
      's-cpu-util': countValue(Math.min(by.cpuPercent, 100)),
      's-dns': textValue(by.hostName ?? EMPTY),
      's-totalclients': countValue(by.clients),
      's-proxied': '1',
      ...(log.kind === 'rendering' ? { 's-ip': textValue(by.ownAddress) } : {}),
    },
  };
}
