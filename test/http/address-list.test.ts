import { addressList } from '../../src/http/address-list.js';

describe('a list of addresses', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '::ffff:192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['192.0.2.0/24', '192.0.2.200', true],
    ['192.0.2.0/24', '192.0.3.1', false],
    ['2001:db8::/32', '2001:db8:1::1', true],
    ['2001:db8::/32', '192.0.2.1', false],
    ['::1', '::1', true],
    ['0.0.0.0/0', '198.51.100.1', true],
    ['192.0.2.0/24', '', false],
  ])('%s has %s: %p', (entry, address, expected) => {
    expect(addressList([entry]).includes(address, false)).toBe(expected);
  });

  it('may name this host', () => {
    expect(addressList(['loopback']).includes('192.0.2.7', true)).toBe(true);
    expect(addressList(['loopback']).includes('127.0.0.1', false)).toBe(false);
    expect(addressList([]).includes('127.0.0.1', true)).toBe(false);
  });

  it.each([
    '',
    'localhost',
    '192.0.2',
    '192.0.2.0/',
    '192.0.2.0/33',
    '192.0.2.0/24/1',
    '2001:db8::/129',
    '192.0.2.0/-1',
  ])('refuses %p', (entry) => {
    expect(() => addressList([entry])).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
  });
});
