import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { publicAddresses } from '../../src/http/address-guard.js';
import { addressList } from '../../src/http/address-list.js';
import type { SourceOptions } from '../../src/sources/source.js';
import { openSourceUrl } from '../../src/sources/table.js';
import { head, QUICK } from '../wmsp/client-support.js';

/** A server on all addresses of this host. Except at the loopback address it is taken for another host. */
let server: Server;
let port: number;
let answer: (line: string) => string;
let lines: string[];
const sockets = new Set<Socket>();
const own = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

beforeEach(async () => {
  lines = [];
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', (bytes) => {
      const [line = ''] = bytes.toString('latin1').split('\r\n');
      lines.push(line);
      socket.end(answer(line));
    });
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  const address = server.address();
  port = typeof address === 'object' && address ? address.port : 0;
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  server.close();
  await once(server, 'close');
});

const asx = (...refs: string[]) =>
  `${head('HTTP/1.0 200 OK')}<asx>${refs.map((ref) => `<entry><ref href="${ref}"/></entry>`).join('')}</asx>`;

/** Receives what a URL leads to, and returns the notes and the error. */
async function follow(url: string, options: SourceOptions = {}): Promise<string> {
  const notes: string[] = [];
  const guard = publicAddresses();
  try {
    for await (const _ of openSourceUrl(url, { ...QUICK, guard, onNote: (text) => notes.push(text), ...options }));
  } catch (error) {
    notes.push(String(error));
  }
  return notes.join('\n');
}

describe('publicAddresses', () => {
  it.each([
    ...[
      '127.0.0.1',
      '127.8.8.8',
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '169.254.169.254',
      '0.0.0.0',
    ],
    ...[
      '100.64.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '::1',
      '::',
      'fe80::1%eth0',
      'fd00::1',
      'ff02::1',
      '::ffff:10.0.0.1',
    ],
    ...['::ffff:7f00:1', '64:ff9b::7f00:1', '2002:7f00:1::', 'nonsense', ''],
  ])('does not allow %s', (address) => {
    expect(publicAddresses().allows(address)).toBe(false);
  });

  it.each(['192.0.2.1', '8.8.8.8', '172.32.0.1', '2001:db8::1', '::ffff:8.8.8.8'])('allows %s', (address) => {
    expect(publicAddresses().allows(address)).toBe(true);
  });

  it('allows the addresses of a list', () => {
    const guard = publicAddresses(addressList(['loopback', '10.0.0.0/8']));
    expect(['127.0.0.1', '::1', '10.9.9.9', '192.168.0.1'].map((each) => guard.allows(each))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

// A test has no other host, so a non-loopback address of this one plays its part.
(own === undefined ? describe.skip : describe)('an announcement of another host (needs a network interface)', () => {
  it.each([
    ['an address', () => `http://127.0.0.1:${port}/secret`],
    ['mms://', () => `mms://127.0.0.1:${port}/secret`],
    ['an odd form of it', () => `http://0x7f000001:${port}/secret`],
    ['IPv6', () => `http://[::ffff:127.0.0.1]:${port}/secret`],
    ['a name that resolves there', () => `http://localhost:${port}/secret`],
    ['MSBD', () => `msbd://127.0.0.1:${port}/secret`],
    ['MSBD by a name', () => `msbd://localhost:${port}/secret`],
  ])('does not lead a server to %s', async (_, ref) => {
    answer = () => asx(ref());
    expect(await follow(`http://${own}:${port}/list.asx`)).toContain('is a private address');
    expect(lines).toHaveLength(1);
  });

  it('does not do so through redirects, other announcements or .nsc files', async () => {
    answer = (line) => {
      if (line.includes('/list')) return asx('inner.m3u', 'moved');
      if (line.includes('/moved')) return head('HTTP/1.0 302 Found', `Location: http://127.0.0.1:${port}/secret`);
      return `${head('HTTP/1.0 200 OK')}#EXTM3U\nhttp://127.0.0.1:${port}/secret\n`;
    };
    const guard = publicAddresses(addressList([own!]));
    const said = await follow(`http://${own}:${port}/list.asx`, { guard });
    expect(said.match(/127\.0\.0\.1 is a private address/g)!.length).toBeGreaterThanOrEqual(2);
    expect(await follow(`http://${own}:${port}/moved`)).toContain('127.0.0.1 is a private address');
    expect(lines.some((line) => line.includes('/secret'))).toBe(false);
  });

  it('does so where the configuration allows it, and for a person who requests it', async () => {
    answer = (line) => (line.includes('/list') ? asx(`http://127.0.0.1:${port}/there`) : head('HTTP/1.0 404 No'));
    await follow(`http://${own}:${port}/list.asx`, { guard: publicAddresses(addressList(['loopback'])) });
    await follow(`http://${own}:${port}/list.asx`, { guard: undefined });
    expect(lines.filter((line) => line.includes('/there'))).toHaveLength(2);
  });
});

describe('an announcement of this host', () => {
  it('may lead to this host', async () => {
    answer = (line) => (line.includes('/list') ? asx('there') : head('HTTP/1.0 404 No'));
    await follow(`http://127.0.0.1:${port}/list.asx`);
    expect(lines.some((line) => line.includes('/there'))).toBe(true);
  });
});
