import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { WmError } from '../../src/errors.js';
import { addressList } from '../../src/http/address-list.js';
import { ProxyGate, peerOf } from '../../src/http/peer.js';
import { MAX_PROXY_HEADER, readProxyHeader } from '../../src/http/proxy-protocol.js';
import { HttpServer } from '../../src/http/server.js';
import { proxyHeader } from '../support/proxy.js';
import { RawPeer } from '../support/wire.js';

const line = (text: string) => Buffer.from(text, 'latin1');
const from = (source: string, destination: string) => ({ source, destination });

describe('a proxy on another host', () => {
  it('never has local clients, whatever it says', async () => {
    const place = { remoteAddress: '192.0.2.1', remotePort: 5, localAddress: '192.0.2.9', localPort: 80 };
    const socket = Object.assign(new PassThrough(), place) as unknown as Socket;
    const passed = new Promise<Socket>((resolve) => {
      new ProxyGate({ addresses: addressList(['192.0.2.1']) }, resolve).take(socket);
    });
    socket.write(Buffer.concat([proxyHeader('127.0.0.1', '127.0.0.1'), line('GET')]));
    expect(peerOf(await passed)).toEqual({ remoteAddress: '127.0.0.1', local: false });
    expect(String(await new Promise((resolve) => socket.once('data', resolve).resume()))).toBe('GET');
    socket.destroy();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(peerOf(socket)).toEqual({ remoteAddress: '192.0.2.1', local: false });
  });
});

describe('a silent proxy', () => {
  it('is cut off after a while, and waiting ones when the server closes', async () => {
    const warnings: string[] = [];
    const options = { addresses: addressList(['loopback']), onWarning: (message: string) => warnings.push(message) };
    const impatient = new HttpServer({ onRequest: () => {}, proxies: { ...options, timeout: 10 } });
    const first = await RawPeer.connect(await impatient.listen(0, '127.0.0.1'));
    await first.untilClosed();
    expect(warnings).toEqual(['127.0.0.1 is in proxyProtocol and sends no header, so its connection was closed.']);
    await impatient.close(0);
    const patient = new HttpServer({ onRequest: () => {}, proxies: options });
    const second = await RawPeer.connect(await patient.listen(0, '127.0.0.1'));
    second.send('PROXY ');
    await patient.close(0);
    await second.untilClosed();
  });
});

describe('the PROXY protocol', () => {
  it.each([
    ['PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n', from('192.0.2.1', '198.51.100.1')],
    ['PROXY TCP6 2001:DB8:0:0::1 ::1 1 65535\r\n', from('2001:db8::1', '::1')],
    ['PROXY TCP6 ::ffff:192.0.2.1 ::ffff:7f00:1 0 1\r\n', from('192.0.2.1', '127.0.0.1')],
    ['PROXY UNKNOWN\r\n', undefined],
    ['PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n', undefined],
  ])('reads version 1: %j', (text, connection) => {
    expect(readProxyHeader(line(`${text}GET /`))).toEqual({ size: text.length, connection });
    for (let size = 0; size < text.length; size++) expect(readProxyHeader(line(text.slice(0, size)))).toBeUndefined();
  });

  it.each([
    'GET / HTTP/1.1\r\n\r\n',
    'PROXY\tTCP4 192.0.2.1 198.51.100.1 1 2\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n',
    'PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n',
    'PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n',
    'PROXY TCP4 2001:db8::1 ::1 1 2\r\n',
    'PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n',
    'proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n',
    `PROXY TCP4 ${'1'.repeat(107)}`,
    `PROXY UNKNOWN ${'x'.repeat(100)}\r\n`,
  ])('refuses %j', (text) => {
    expect(() => readProxyHeader(line(text))).toThrow(WmError);
  });

  it.each([
    ['of IPv4', proxyHeader('192.0.2.1', '198.51.100.1'), from('192.0.2.1', '198.51.100.1')],
    ['of IPv6', proxyHeader('2001:db8::1', '::1'), from('2001:db8::1', '::1')],
    ['of IPv4 in IPv6', proxyHeader('::ffff:127.0.0.1', '::1'), from('127.0.0.1', '::1')],
    ['with more after it', proxyHeader('192.0.2.1', '198.51.100.1', { more: 100 }), from('192.0.2.1', '198.51.100.1')],
    ['of a connection of its own', proxyHeader('192.0.2.1', '198.51.100.1', { command: 0 }), undefined],
    ['of a kind that is not TCP', proxyHeader('192.0.2.1', '198.51.100.1', { family: 0x12 }), undefined],
    ['of a Unix socket', proxyHeader('192.0.2.1', '198.51.100.1', { family: 0x31, more: 216 }), undefined],
    ['of an unknown kind', proxyHeader('192.0.2.1', '198.51.100.1', { family: 0 }), undefined],
  ])('reads version 2 %s', (_, bytes, connection) => {
    expect(readProxyHeader(Buffer.concat([bytes, line('MORE')]))).toEqual({ size: bytes.length, connection });
    for (let size = 0; size < bytes.length; size++) expect(readProxyHeader(bytes.subarray(0, size))).toBeUndefined();
  });

  it.each([
    ['another version', { version: 1 }],
    ['another command', { command: 2 }],
    ['addresses that do not fit', { length: 11 }],
    ['a header that is too long', { length: 4_097 }],
  ])('refuses version 2 with %s', (_, options) => {
    const bytes = Buffer.concat([proxyHeader('192.0.2.1', '198.51.100.1', options), Buffer.alloc(5_000)]);
    expect(() => readProxyHeader(bytes)).toThrow(WmError);
  });

  it('never waits for more than the longest header, and only throws WmError', () => {
    const starts = [
      line('PROXY '),
      line('PROXY TCP4 '),
      line('PROXY TCP6 '),
      proxyHeader('::1', '::1').subarray(0, 13),
    ];
    fc.assert(
      fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 300 }), (start, rest) => {
        const bytes = Buffer.concat([start, rest, Buffer.alloc(MAX_PROXY_HEADER)]);
        try {
          const header = readProxyHeader(bytes);
          expect(header?.size).toBeLessThanOrEqual(MAX_PROXY_HEADER);
        } catch (error) {
          expect(error).toBeInstanceOf(WmError);
        }
      }),
    );
  });
});
