import { BlockList, isIP, isIPv6 } from 'node:net';
import type { AddressList } from './address-list.js';
import { isLoopback, plainAddress } from './addresses.js';

/**
 * Decides which addresses may be connected to. It is asked about the address itself, after its name was resolved.
 *
 * @public
 */
export interface AddressGuard {
  /** @param address IPv4 or IPv6 */
  allows(address: string): boolean;
}

/** Networks without public hosts: this host's own, private, link-local, shared, reserved and multicast (RFC 6890). */
const PRIVATE: readonly string[] = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/4', '240.0.0.0/4'],
  // IPv4 addresses within IPv6 (NAT64, 6to4) lead to any of the above.
  ...['::/127', '64:ff9b::/96', '2002::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
];

const privateNetworks = new BlockList();
for (const network of PRIVATE) {
  const [address = '', prefix = ''] = network.split('/');
  privateNetworks.addSubnet(address, Number(prefix), isIPv6(address) ? 'ipv6' : 'ipv4');
}

/**
 * Returns a guard that allows only public addresses, so that strangers cannot name hosts inside this host's network.
 * @param allowed private addresses that are allowed nevertheless; default none
 */
export function publicAddresses(allowed?: AddressList): AddressGuard {
  return {
    allows(address) {
      const plain = plainAddress(withoutZone(address));
      const family = isIP(plain);
      if (family === 0) return false;
      if (!privateNetworks.check(plain, family === 6 ? 'ipv6' : 'ipv4')) return true;
      return allowed?.includes(plain, isLoopback(plain)) ?? false;
    },
  };
}

function withoutZone(address: string): string {
  return address.split('%', 1)[0]!;
}
