import fc from 'fast-check';
import { isLoopback, plainAddress } from '../../src/http/addresses.js';
import { Refusal } from '../../src/refusal.js';
import { pathOf, queryOf } from '../../src/server/content/paths.js';

describe('the path of a request', () => {
  it.each([
    ['/live', '/live'],
    ['/live?MSWMExt=.asf', '/live'],
    ['http://host:8080/a/b', '/a/b'],
    ['mms://host', '/'],
    ['/a%20b', '/a b'],
    ['/caf\u00c3\u00a9', '/café'],
    ['/caf%C3%A9', '/café'],
    ['/caf%E9', '/café'],
    ['/caf\u00e9', '/café'],
    ['/%252e%252e/a', '/%2e%2e/a'],
    ['/%c0%ae%c0%ae/a', '/À®À®/a'],
    [`/live?token=${'a'.repeat(8_000)}`, '/live'],
    [`/${'%E4%B8%AD'.repeat(400)}`, `/${'中'.repeat(400)}`],
  ])('of %s is %s', (target, path) => {
    expect(pathOf(target)).toBe(path);
  });

  it.each([
    '*',
    'live',
    '/..',
    '/a/../b',
    '/a/%2e%2e/b',
    '/a%00',
    '/a%0d%0ab',
    '/%',
    '/a\\b',
    '/./a',
    '/%E2%80%AEevil',
    '/%E2%80%A8',
    '/%zz',
    '/%80uro',
    '/a%5cb',
    '/a/%2E%2E%2Fb',
    '/%2e',
    `/${'a'.repeat(1_024)}`,
  ])('is rejected for %s', (target) => {
    expect(() => pathOf(target)).toThrow(Refusal);
  });

  it('never throws anything else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          expect(pathOf(text).startsWith('/')).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal);
        }
      }),
    );
  });

  it('ignores the query', () => {
    expect(queryOf('/a?b=c&d').get('b')).toBe('c');
    expect(queryOf('/a').has('b')).toBe(false);
  });
});

describe('addresses', () => {
  it.each(['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1'])('%s belongs to this host', (address) => {
    expect(isLoopback(address)).toBe(true);
  });

  it.each(['', '192.0.2.1', '::ffff:192.0.2.1', '2001:db8::1', '127.0.0.1.example.org'])('%s does not', (address) => {
    expect(isLoopback(address)).toBe(false);
  });

  it('are shown without the IPv6 prefix of a dual-stack socket', () => {
    expect(plainAddress('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(plainAddress('::1')).toBe('::1');
  });
});
