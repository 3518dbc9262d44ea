import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLoopback, plainAddress } from '../../http/addresses.js';

/** The ports of this server, by protocol. */
export interface OwnPorts {
  readonly http?: number | undefined;
  readonly https?: number | undefined;
  readonly msbd?: number | undefined;
}

/** Default ports of URLs, and the port of ours that they have to match. */
const SCHEMES: Readonly<Record<string, { readonly port: number; readonly ours: keyof OwnPorts }>> = {
  'http:': { port: 80, ours: 'http' },
  'mmsh:': { port: 80, ours: 'http' },
  'mms:': { port: 80, ours: 'http' },
  'https:': { port: 443, ours: 'https' },
  'msbd:': { port: 7007, ours: 'msbd' },
};

/** How long to wait for a name to be resolved, in ms. */
const TIMEOUT = 3_000;

/**
 * Returns the path that a URL names on this very server; undefined if it is another server's or that cannot be
 * determined. A name that leads here through a proxy or a router is not recognised.
 *
 * @param url without credentials
 */
export async function ownPathOf(url: string, ports: OwnPorts): Promise<string | undefined> {
  if (!URL.canParse(url.trim())) return undefined;
  const { protocol, hostname, port, pathname } = new URL(url.trim());
  const scheme = SCHEMES[protocol];
  const own = scheme && ports[scheme.ours];
  if (!scheme || own === undefined || own !== Number(port || scheme.port)) return undefined;
  const host = plainAddress(hostname.replace(/^\[|\]$/g, ''));
  const addresses = isIP(host) === 0 ? await addressesOf(host) : [host];
  if (!addresses.some((address) => isOwnAddress(address))) return undefined;
  try {
    return decodeURIComponent(pathname);
  } catch {
    return undefined;
  }
}

async function addressesOf(name: string): Promise<readonly string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never[]>((resolve) => {
    timer = setTimeout(() => resolve([]), TIMEOUT);
  });
  try {
    const found = lookup(name, { all: true }).then((all) => all.map(({ address }) => address));
    return await Promise.race([found, late]);
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}

function isOwnAddress(address: string): boolean {
  const plain = plainAddress(address);
  if (isLoopback(plain)) return true;
  return Object.values(networkInterfaces()).some((all) => all?.some((each) => each.address === plain));
}
