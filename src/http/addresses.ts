/** True for a loopback address, also in the IPv6 form of an IPv4 address. */
export function isLoopback(address: string): boolean {
  const plain = plainAddress(address);
  return plain === '::1' || /^127(?:\.\d{1,3}){3}$/.test(plain);
}

/** Returns an address as people write it: an IPv4 address without the IPv6 prefix that a dual-stack socket adds. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}
