import { hostname } from 'node:os';
import type { Exchange } from '../../http/exchange.js';
import { Refusal } from '../../refusal.js';

/**
 * Keeps web pages from exploiting the server's trust in the host of a person who views them: a browser sends requests
 * for any page, even to a server in its own network.
 *
 * @param access how the request was admitted
 * @param names the server's names, in lower case, besides its addresses and `localhost`
 * @throws Refusal `forbidden` for a request from another site's page, and for a server name that may belong to such a
 *   site
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
  // A site can map its own name to this server's address (DNS rebinding); then its pages count as ours.
  if (!trusted || isAddress(host) || names.has(nameOf(host))) return;
  throw new Refusal(
    'forbidden',
    `Without credentials the server has to be named by its address, as localhost, or by one of its \`names\`, not as ${nameOf(host)}.`,
  );
}

/** Returns the server's names that no other site can have: this host's, and those of the configuration. */
export function namesOf(configured: readonly string[]): ReadonlySet<string> {
  return new Set(['localhost', hostname(), ...configured].map((name) => name.toLowerCase()));
}

function isAddress(host: string): boolean {
  return /^(?:[\d.]+|\[[\d:a-f.]+\])(?::\d+)?$/i.test(host);
}

/** Returns the name in a Host field, without the port and the dot of the root. */
function nameOf(host: string): string {
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}
