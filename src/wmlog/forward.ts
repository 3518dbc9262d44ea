import { countValue, EMPTY, type LogValues, textValue } from './fields.js';
import type { WmLog } from './log.js';

/** The data that a proxy adds to a log that it forwards. */
export interface Forwarder {
  /** Its product token, such as `WMCacheProxy/9.00.00.1234`. */
  readonly product: string;
  /** The address of the client, as the proxy sees it. */
  readonly clientAddress: string;
  /** The address that it uses towards the server. */
  readonly ownAddress: string;
  /** Its Internet host name, if it has one. */
  readonly hostName?: string | undefined;
  /** Its load across all processors, 0 to 100. */
  readonly cpuPercent: number;
  /** The number of its clients, for all servers. */
  readonly clients: number;
}

/**
 * Returns the log as a proxy forwards it ([MS-WMLOG] 2.1.8, 2.1.34, 2.1.41 to 2.1.47): it fills in what the client
 * cannot know, overwrites what the client may not state, and puts its own User-Agent in place of the client's. Of
 * these, a Connect-Time Log has only the address.
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
