import { isMulticastAddress } from '../../announce/nsc.js';
import { WmError } from '../../errors.js';
import type { MulticastOptions } from '../server/sender.js';
import { MAX_SPAN } from './parity.js';

/** The destination part of {@link MulticastOptions}. */
export type MsbTarget = Pick<MulticastOptions, 'address' | 'port' | 'ttl' | 'interface' | 'span'>;

/** True if the text looks like the URL of a multicast group. */
export function isMsbUrl(text: string): boolean {
  return /^\s*msb:\/\//i.test(text);
}

/**
 * Reads the URL of a multicast group to send to: `msb://239.1.2.3:5000[?ttl=1&interface=eth0&fec=10]`,
 * `msb://[ff15::7]:5000`. `iface` is an alias of `interface`; `fec` is the number of data packets for each parity
 * packet.
 *
 * @throws WmError WM_USAGE with the reason
 */
export function parseMsbUrl(text: string): MsbTarget {
  const refuse = (what: string): never => {
    throw new WmError('WM_USAGE', `${text.trim()} names no multicast group: ${what}.`);
  };
  // URL keeps the host of an unknown scheme unchanged.
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : refuse('it is not a URL');
  const address = url.hostname.replace(/^\[|\]$/g, '');
  if (!isMulticastAddress(address)) refuse('groups are 224.0.0.0 to 239.255.255.255 and ff00::/8');
  if (url.port === '' || url.port === '0') refuse('it needs a port, as in msb://239.1.2.3:5000');
  const query = new Map([...url.searchParams].map(([name, value]) => [name === 'iface' ? 'interface' : name, value]));
  const unknown = [...query.keys()].find((name) => !['ttl', 'interface', 'fec'].includes(name));
  if (unknown !== undefined) refuse(`"${unknown}" is not known, only ttl, interface and fec are`);
  const number = (name: string, least: number, most: number): number | undefined => {
    const value = query.get(name);
    if (value === undefined) return undefined;
    if (!/^\d{1,3}$/.test(value) || Number(value) < least || Number(value) > most) {
      refuse(`${name} is a whole number from ${least} to ${most}`);
    }
    return Number(value);
  };
  return {
    address,
    port: Number(url.port),
    ttl: number('ttl', 0, 255),
    interface: query.get('interface'),
    span: number('fec', 0, MAX_SPAN),
  };
}
