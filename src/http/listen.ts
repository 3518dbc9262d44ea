import type { Server } from 'node:net';
import { messageOf, WmError } from '../errors.js';

/** Connections that the system keeps until they are accepted. */
export const BACKLOG = 4096;

/**
 * Makes a TCP server listen.
 * @param place.port 0 for a free port
 * @param place.host default: all addresses of the host, IPv4 and IPv6
 * @returns the port
 * @throws WmError WM_PORT_IN_USE, or WM_FAILED if the address cannot be used
 */
export function listenTcp(server: Server, place: { readonly port: number; readonly host?: string }): Promise<number> {
  const { port, host } = place;
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      const code = error.code === 'EADDRINUSE' ? 'WM_PORT_IN_USE' : 'WM_FAILED';
      const where = host ? `${host.includes(':') ? `[${host}]` : host}:${port}` : `port ${port}`;
      reject(new WmError(code, `Cannot listen on ${where}: ${listenProblem(error)}.`, { cause: error }));
    };
    server.once('error', failed);
    server.listen({ ...place, backlog: BACKLOG }, () => {
      server.removeListener('error', failed);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function listenProblem(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'another program listens there';
    case 'EADDRNOTAVAIL':
      return 'this host does not have that address';
    case 'EACCES':
      return 'this user may not, as ports below 1024 are often kept for others';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its name is unknown';
    default:
      return messageOf(error);
  }
}
