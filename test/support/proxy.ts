import { isIPv4 } from 'node:net';

export interface ProxyHeaderOptions {
  readonly version?: number;
  /** 1 for a client, 0 for a connection of the proxy's own. */
  readonly command?: number;
  readonly family?: number;
  /** The value of the length field, if it is wrong. */
  readonly length?: number;
  /** The bytes after the addresses. */
  readonly more?: number;
}

/** A header of the PROXY protocol, version 2, written field by field. */
export function proxyHeader(source: string, destination: string, options: ProxyHeaderOptions = {}): Buffer {
  const addresses = Buffer.concat([bytesOf(source), bytesOf(destination), Buffer.from([0xdc, 0x04, 0x01, 0xbb])]);
  const rest = Buffer.concat([addresses, Buffer.alloc(options.more ?? 0)]);
  const head = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex');
  head[12] = ((options.version ?? 2) << 4) | (options.command ?? 1);
  head[13] = options.family ?? (isIPv4(source) ? 0x11 : 0x21);
  head.writeUInt16BE(options.length ?? rest.length, 14);
  return Buffer.concat([head, rest]);
}

function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [, mapped] = /^::ffff:([\d.]+)$/.exec(address) ?? [];
  if (mapped !== undefined) return Buffer.concat([Buffer.alloc(10), Buffer.from('ffff', 'hex'), bytesOf(mapped)]);
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
