import { networkInterfaces } from 'node:os';
import type { ServerPorts } from '../listeners/listener.js';

/**
 * Returns the URL of a server's root for people on this host or nearby; with TLS if it has that.
 *
 * @param host that it listens on; for a server on all addresses, the URL has one that others can reach
 */
export function baseUrlOf(host: string | undefined, { http, https }: ServerPorts): string {
  return https === undefined ? `http://${authority(host, http ?? 0)}` : `https://${authority(host, https)}`;
}

function authority(host: string | undefined, port: number): string {
  const everywhere = host === undefined || host === '0.0.0.0' || host === '::';
  const name = everywhere ? (firstAddress() ?? '127.0.0.1') : host;
  return `${name.includes(':') ? `[${name}]` : name}:${port}`;
}

function firstAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}
