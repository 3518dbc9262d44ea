import { hostname } from 'node:os';
import type { Exchange } from '../http/exchange.js';
import { Refusal } from '../refusal.js';

/**
 * Keeps web pages from using the trust that the server has in the host of somebody who looks at them: a browser sends what a page
 * wants, also to a server in its own network.
 *
 * @param access how the request was let in
 * @param names names of the server, in lower case, besides its addresses and `localhost`
 * @throws Refusal `forbidden` for what the pages of another site sent, and for a name of the server that may be one of theirs
 */
export function refuseWebPages(
  { request, host }: Pick<Exchange, 'request' | 'host'>,
  { trusted }: { readonly trusted: boolean },
  names: ReadonlySet<string>,
): void {
  const origin = request.headers.get('Origin');
  if (origin !== undefined && origin.replace(/^https?:\/\//, '').toLowerCase() !== host.toLowerCase()) {
    throw new Refusal('forbidden', 'Pages of other sites may not do this.');
  }
  // A site can give its own name the address of this server (DNS rebinding); then its pages pass for ones of this server.
  if (!trusted || isAddress(host) || names.has(nameOf(host))) return;
  throw new Refusal(
    'forbidden',
    `Without credentials the server has to be named by its address, as localhost, or by one of its \`names\`, not as ${nameOf(host)}.`,
  );
}

/** The names of a server that no page of another site can have: this host's, and those of its configuration. */
export function namesOf(configured: readonly string[]): ReadonlySet<string> {
  return new Set(['localhost', hostname(), ...configured].map((name) => name.toLowerCase()));
}

function isAddress(host: string): boolean {
  return /^(?:[\d.]+|\[[\d:a-f.]+\])(?::\d+)?$/i.test(host);
}

/** The name in a Host field, without a port and without the dot of the root. */
function nameOf(host: string): string {
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}
