import { isIPv4, isIPv6 } from 'node:net';
import { WmError } from '../errors.js';

/** The first bytes of version 2, and the longest header of version 1 with its line end. */
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const MAX_LINE = 107;
const HEAD_SIZE = 16;
/** In version 2: the addresses, and what proxies append to them (TLV). No proxy appends more. */
const MAX_REST = 4_096;

const COMMAND = { local: 0, proxy: 1 } as const;
/** Address family and transport, and the bytes of one address. TCP is 1 in the lower half. */
const FAMILIES = new Map([
  [0x11, 4],
  [0x21, 16],
]);

/** A client's connection, as its proxy describes it. */
export interface ProxiedConnection {
  /** The client's address. */
  readonly source: string;
  /** The address that the client connected to. */
  readonly destination: string;
}

/** A complete header. */
export interface ProxyHeader {
  /** Bytes of the header; the client's bytes follow. */
  readonly size: number;
  /** Undefined for the proxy's own connections, and for those whose origin it does not know. */
  readonly connection: ProxiedConnection | undefined;
}

/** The most bytes of a header. */
export const MAX_PROXY_HEADER = HEAD_SIZE + MAX_REST;

/**
 * Reads the header that a proxy sends before the client's bytes: version 1 (a line) or 2 (binary) of the PROXY
 * protocol.
 * @param bytes received so far
 * @returns undefined if more bytes are needed
 * @throws WmError WM_PROTOCOL if it is not such a header
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  const compared = Math.min(bytes.length, SIGNATURE.length);
  if (compared > 0 && bytes.compare(SIGNATURE, 0, compared, 0, compared) === 0) return readBinary(bytes);
  return readLine(bytes);
}

/** `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`, CR, LF */
function readLine(bytes: Buffer): ProxyHeader | undefined {
  const start = bytes.toString('latin1', 0, 6);
  if (!'PROXY '.startsWith(start)) throw malformed();
  const end = bytes.subarray(0, MAX_LINE).indexOf('\r\n');
  if (end === -1) {
    if (bytes.length >= MAX_LINE) throw malformed();
    return undefined;
  }
  const size = end + 2;
  const [, family, source = '', destination = '', ...ports] = bytes.toString('latin1', 0, end).split(' ');
  // The rest is to be ignored.
  if (family === 'UNKNOWN') return { size, connection: undefined };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : () => false;
  const isPort = (text: string) => /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
  if (!isAddress(source) || !isAddress(destination) || ports.length !== 2 || !ports.every(isPort)) throw malformed();
  return { size, connection: { source: canonical(source), destination: canonical(destination) } };
}

/*
 *  12 bytes   signature
 *   1 byte    version (2) and command
 *   1 byte    address family and transport
 *   2 bytes   length of what follows, big-endian
 *             source address, destination address, their ports, TLVs
 */
function readBinary(bytes: Buffer): ProxyHeader | undefined {
  if (bytes.length < HEAD_SIZE) return undefined;
  const [version, command] = [bytes[12]! >> 4, bytes[12]! & 15];
  const rest = bytes.readUInt16BE(14);
  if (version !== 2 || (command !== COMMAND.local && command !== COMMAND.proxy) || rest > MAX_REST) throw malformed();
  const size = HEAD_SIZE + rest;
  if (bytes.length < size) return undefined;
  const width = FAMILIES.get(bytes[13]!);
  if (command === COMMAND.local || width === undefined) return { size, connection: undefined };
  if (rest < 2 * width + 4) throw malformed();
  const source = addressOf(bytes.subarray(HEAD_SIZE, HEAD_SIZE + width));
  const destination = addressOf(bytes.subarray(HEAD_SIZE + width, HEAD_SIZE + 2 * width));
  return { size, connection: { source, destination } };
}

function addressOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16));
  return canonical(groups.join(':'));
}

/**
 * Returns an address as sockets write it: IPv6 with the longest run of zeros shortened, IPv4 without the IPv6 prefix.
 */
function canonical(address: string): string {
  if (isIPv4(address)) return address;
  if (address.includes('%')) throw malformed();
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text) ?? [];
  if (high === undefined || low === undefined) return text;
  const value = Buffer.alloc(4);
  value.writeUInt16BE(Number.parseInt(high, 16));
  value.writeUInt16BE(Number.parseInt(low, 16), 2);
  return value.join('.');
}

function malformed(): WmError {
  return new WmError('WM_PROTOCOL', 'This is not a header of the PROXY protocol.');
}
