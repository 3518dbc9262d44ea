import { BASE_SIZE, MAX_MESSAGE_SIZE, MESSAGE_ID, MsbdError, newMessage, readBase } from './base.js';
import { type PacketMessage, readPacket } from './packet.js';
import { readStreamInfo, type StreamInfo } from './stream-info.js';

/** Packets that consist of MSBMSGBASE only (MS-MSBD 2.2.2, 2.2.3, 2.2.4, 2.2.9). */
export type BareType = 'REQ_PING' | 'RES_PING' | 'REQ_STREAMINFO' | 'IND_EOS';

/** How packets are delivered: on this connection, or to a multicast group (2.2.7 dwFlags). @public */
export type MsbdDelivery = 'tcp' | 'multicast';

/** The multicast group that a channel is sent to. @public */
export interface MsbdGroup {
  /** IPv4 */
  readonly address: string;
  readonly port: number;
}

/** REQ_CONNECT (MS-MSBD 2.2.7). */
export interface ConnectRequest {
  readonly type: 'REQ_CONNECT';
  readonly delivery: MsbdDelivery;
  /** szChannel, without a null character at its end. */
  readonly channel: string;
}

/** RES_CONNECT (MS-MSBD 2.2.8). */
export interface ConnectResponse {
  readonly type: 'RES_CONNECT';
  readonly hr: number;
  /** True if the ASF header is in an .nsc file too. */
  readonly inNsc: boolean;
  /** Undefined if packets come on the connection. */
  readonly group: MsbdGroup | undefined;
}

/** Any packet, parsed. */
export type Message =
  | { readonly type: BareType }
  | ConnectRequest
  | ConnectResponse
  | {
      readonly type: 'RES_STREAMINFO' | 'IND_STREAMINFO';
      readonly hr: number;
      /** Undefined if nothing follows. */
      readonly info: StreamInfo | undefined;
    }
  | ({ readonly type: 'IND_PACKET' } & PacketMessage)
  /** 0x0000, 0x0006 and all above 0x000A. */
  | { readonly type: 'undefined'; readonly id: number };

/** The szChannel of clients that take whatever the server has (2.2.7). */
export const NETSHOW = 'NetShow';

const DW_FLAGS: Record<MsbdDelivery, number> = { tcp: 1, multicast: 2 };
const CONNECT_HEAD_SIZE = BASE_SIZE + 4;
const RES_CONNECT_SIZE = 36;
const AF_INET = 2;

/** Builds a packet that is only an MSBMSGBASE with hr 0: 16 bytes. */
export function buildBare(type: BareType): Buffer {
  return newMessage(MESSAGE_ID[type], 0);
}

/*
 * MSB_MSG_REQ_CONNECT (MS-MSBD 2.2.7); integers are little-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+
 *  |              MSBMSGBASE, 16 bytes, wMessageId 7               |
 *  +---------------------------------------------------------------+
 *  |            dwFlags: 1 this connection, 2 multicast            |
 *  +---------------------------------------------------------------+
 *  |    szChannel: UTF-16LE to the end, without a null character   |
 *  +---------------------------------------------------------------+
 */

/** @throws MsbdError if szChannel is longer than 65514 bytes */
export function buildConnectRequest(delivery: MsbdDelivery, channel: string = NETSHOW): Buffer {
  const text = Buffer.from(channel, 'utf16le');
  if (text.length > MAX_MESSAGE_SIZE - CONNECT_HEAD_SIZE) throw new MsbdError('The name of the channel is too long.');
  const bytes = newMessage(MESSAGE_ID.REQ_CONNECT, 4 + text.length);
  bytes.writeUInt32LE(DW_FLAGS[delivery], 16);
  text.copy(bytes, CONNECT_HEAD_SIZE);
  return bytes;
}

function readConnectRequest(bytes: Buffer): ConnectRequest {
  if (bytes.length < CONNECT_HEAD_SIZE || bytes.length % 2 === 1) {
    throw new MsbdError(`A REQ_CONNECT has ${bytes.length} bytes.`);
  }
  const flags = bytes.readUInt32LE(16);
  const delivery = flags === DW_FLAGS.tcp ? 'tcp' : flags === DW_FLAGS.multicast ? 'multicast' : undefined;
  if (!delivery) throw new MsbdError(`A REQ_CONNECT has the dwFlags 0x${flags.toString(16)}.`);
  return { type: 'REQ_CONNECT', delivery, channel: bytes.toString('utf16le', CONNECT_HEAD_SIZE).replace(/\0$/, '') };
}

/*
 * MSB_MSG_RES_CONNECT (MS-MSBD 2.2.8), 36 bytes; integers are little-endian except sin_port and sin_addr.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+
 *  |              MSBMSGBASE, 16 bytes, wMessageId 8               |
 *  +---------------------------------------------------------------+
 *  |             dwFlags: 2 header in an .nsc file, or 0           |
 *  +-------------------------------+-------------------------------+
 *  |  sin_family: 2 multicast, 0   |     sin_port, big-endian      |
 *  +-------------------------------+-------------------------------+
 *  |                     sin_addr, big-endian                      |
 *  +---------------------------------------------------------------+
 *  |                       sin_zero, 8 bytes                       |
 *  +---------------------------------------------------------------+
 */

/** @throws MsbdError for a group that is not an IPv4 multicast address or has no port */
export function buildConnectResponse({ hr, inNsc, group }: Omit<ConnectResponse, 'type'>): Buffer {
  const bytes = newMessage(MESSAGE_ID.RES_CONNECT, RES_CONNECT_SIZE - BASE_SIZE, hr);
  bytes.writeUInt32LE(inNsc ? 2 : 0, 16);
  if (group) {
    if (!isMulticast(group)) throw new MsbdError(`${group.address}:${group.port} is not an IPv4 multicast group.`);
    bytes.writeUInt16LE(AF_INET, 20);
    bytes.writeUInt16BE(group.port, 22);
    bytes.set(group.address.split('.').map(Number), 24);
  }
  return bytes;
}

function readConnectResponse(bytes: Buffer, hr: number): ConnectResponse {
  if (bytes.length < RES_CONNECT_SIZE) throw new MsbdError(`A RES_CONNECT has ${bytes.length} bytes.`);
  const hasGroup = bytes.readUInt16LE(20) === AF_INET;
  const group = { address: bytes.subarray(24, 28).join('.'), port: bytes.readUInt16BE(22) };
  return {
    type: 'RES_CONNECT',
    hr,
    inNsc: bytes.readUInt32LE(16) === 2,
    group: hasGroup && isMulticast(group) ? group : undefined,
  };
}

/** True if datagrams can be sent to the group: 224.0.0.0/4 and a port. */
export function isMulticast({ address, port }: MsbdGroup): boolean {
  const parts = address.split('.');
  const isAddress = parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
  return isAddress && Number(parts[0]) >= 224 && Number(parts[0]) < 240 && port > 0 && port <= 0xffff;
}

/**
 * Parses a packet; buffers in the result are views.
 *
 * @param bytes exactly one packet, as MessageReader yields it, or a datagram; bytes after the fields of the packet type
 *   are ignored
 * @throws MsbdError if it is not a packet, is truncated, or has an impossible length or value
 */
export function readMessage(bytes: Buffer): Message {
  if (bytes.length < BASE_SIZE) throw new MsbdError(`A packet has ${bytes.length} bytes.`);
  const base = readBase(bytes);
  const { id, size, hr } = base;
  if (size !== bytes.length) throw new MsbdError(`A packet of ${bytes.length} bytes says that it has ${size}.`);
  switch (id) {
    case MESSAGE_ID.REQ_PING:
      return { type: 'REQ_PING' };
    case MESSAGE_ID.RES_PING:
      return { type: 'RES_PING' };
    case MESSAGE_ID.REQ_STREAMINFO:
      return { type: 'REQ_STREAMINFO' };
    case MESSAGE_ID.IND_EOS:
      return { type: 'IND_EOS' };
    case MESSAGE_ID.RES_STREAMINFO:
      return { type: 'RES_STREAMINFO', hr, info: readStreamInfo(bytes, base) };
    case MESSAGE_ID.IND_STREAMINFO:
      return { type: 'IND_STREAMINFO', hr, info: readStreamInfo(bytes, base) };
    case MESSAGE_ID.REQ_CONNECT:
      return readConnectRequest(bytes);
    case MESSAGE_ID.RES_CONNECT:
      return readConnectResponse(bytes, hr);
    case MESSAGE_ID.IND_PACKET:
      return { type: 'IND_PACKET', ...readPacket(bytes) };
    default:
      return { type: 'undefined', id };
  }
}
