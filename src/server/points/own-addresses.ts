import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLoopback, plainAddress } from '../../http/addresses.js';

/** The ports of this server, by protocol. */
export interface OwnPorts {
  readonly http?: number | undefined;
  readonly https?: number | undefined;
  readonly msbd?: number | undefined;
  readonly mms?: number | undefined;
  readonly rtsp?: number | undefined;
}

interface Scheme {
  /** Of URLs that name no port. */
  readonly port: number;
  /** The port of ours that it has to be. */
  readonly ours: keyof OwnPorts;
}

const HTTP: Scheme = { port: 80, ours: 'http' };
const MMS: Scheme = { port: 1755, ours: 'mms' };
const RTSP: Scheme = { port: 554, ours: 'rtsp' };
/** What the schemes of URLs lead to; `mms` leaves the protocol open. */
const SCHEMES: Readonly<Record<string, readonly Scheme[]>> = {
  'http:': [HTTP],
  'mmsh:': [HTTP],
  'mms:': [RTSP, MMS, HTTP],
  'mmst:': [MMS],
  'mmsu:': [MMS],
  'rtsp:': [RTSP],
  'rtspt:': [RTSP],
  'rtspu:': [RTSP],
  'https:': [{ port: 443, ours: 'https' }],
  'msbd:': [{ port: 7007, ours: 'msbd' }],
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
  const isOurs = (scheme: Scheme) => ports[scheme.ours] === Number(port || scheme.port);
  if (!SCHEMES[protocol]?.some(isOurs)) return undefined;
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

/** True if an address is one of this host. */
export function isOwnAddress(address: string): boolean {
  const plain = plainAddress(address);
  if (isLoopback(plain)) return true;
  return Object.values(networkInterfaces()).some((all) => all?.some((each) => each.address === plain));
}
