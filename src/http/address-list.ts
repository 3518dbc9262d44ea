import { BlockList, isIP, isIPv6 } from 'node:net';
import { WmError } from '../errors.js';
import { plainAddress } from './addresses.js';

/** A list of IPv4 and IPv6 addresses and networks. @public */
export interface AddressList {
  /**
   * @param address as in a socket
   * @param local true if the client runs on this host, for lists with `loopback`
   */
  includes(address: string, local: boolean): boolean;
}

/**
 * Parses a list of addresses (`192.0.2.7`, `2001:db8::7`), networks (`192.0.2.0/24`) and the word `loopback`, which
 * means clients on this host.
 * @throws WmError WM_USAGE for any other entry
 */
export function addressList(entries: readonly string[]): AddressList {
  const list = new BlockList();
  for (const entry of entries) if (entry !== 'loopback') add(list, entry);
  const withLocal = entries.includes('loopback');
  return {
    includes(address, local) {
      if (withLocal && local) return true;
      const plain = plainAddress(address);
      return isIP(plain) !== 0 && list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
    },
  };
}

function add(list: BlockList, entry: string): void {
  const [address = '', prefix, ...more] = entry.split('/');
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  try {
    if (more.length > 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) throw new Error('no prefix length');
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  } catch (error) {
    const sentence = `"${entry}" is neither an address nor a network such as 192.0.2.0/24.`;
    throw new WmError('WM_USAGE', sentence, { cause: error });
  }
}
