import { WmError } from '../../errors.js';

/*
 * MSBMSGBASE (MS-MSBD 2.2.1), the start of every packet; integers are little-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+
 *  |               dwSignature = 0x2042534D, "MSB "                |
 *  +-------------------------------+-------------------------------+
 *  |       wVersion = 0x0106       |          wMessageId           |
 *  +-------------------------------+-------------------------------+
 *  |       cbMessage: bytes of the whole packet, with these 16     |
 *  +---------------------------------------------------------------+
 *  |                              hr                               |
 *  +---------------------------------------------------------------+
 */

/** Bytes of MSBMSGBASE. */
export const BASE_SIZE = 16;
/** The largest cbMessage, in bytes (2.2.1). */
export const MAX_MESSAGE_SIZE = 0xffff;

const SIGNATURE = 0x2042534d;
const VERSION = 0x0106;

/** wMessageId of each packet type (2.2.1). */
export const MESSAGE_ID = {
  REQ_PING: 0x0001,
  RES_PING: 0x0002,
  REQ_STREAMINFO: 0x0003,
  RES_STREAMINFO: 0x0004,
  IND_STREAMINFO: 0x0005,
  REQ_CONNECT: 0x0007,
  RES_CONNECT: 0x0008,
  IND_EOS: 0x0009,
  IND_PACKET: 0x000a,
} as const;

/** The values of hr that this server sends ([MS-ERREF] 2.1). */
export const HR = {
  ok: 0,
  /** E_ACCESSDENIED */
  accessDenied: 0x80070005,
  /** E_INVALIDARG */
  invalidArgument: 0x80070057,
  /** NS_E_FILE_NOT_FOUND: the channel, or this way of delivery, does not exist (3.1.5.1). */
  notFound: 0xc00d001a,
  /** NS_E_BUSY */
  busy: 0xc00d0025,
  /** NS_E_NO_STREAM: nothing follows, or there is no stream yet (3.1.5.3). */
  noStream: 0xc00d0033,
} as const;

/**
 * Thrown for bytes that are not an MSBD packet, or values that do not fit one. The rest of the connection cannot be
 * read.
 */
export class MsbdError extends WmError {
  constructor(message: string) {
    super('WM_PROTOCOL', message);
    this.name = 'MsbdError';
  }
}

/** The fields of MSBMSGBASE. */
export interface Base {
  readonly id: number;
  /** cbMessage: 16 to 65535 bytes. */
  readonly size: number;
  readonly hr: number;
}

/**
 * Reads the 16 bytes at `at`; the caller checks that they are there.
 *
 * @throws MsbdError for another signature or version, or a cbMessage outside 16 to 65535
 */
export function readBase(bytes: Buffer, at = 0): Base {
  const signature = bytes.readUInt32LE(at);
  if (signature !== SIGNATURE) throw new MsbdError(`A packet starts with ${bytes.toString('hex', at, at + 4)}.`);
  const version = bytes.readUInt16LE(at + 4);
  if (version !== VERSION) throw new MsbdError(`A packet has the version 0x${version.toString(16)}, not 0x106.`);
  const size = bytes.readUInt32LE(at + 8);
  if (size < BASE_SIZE || size > MAX_MESSAGE_SIZE) throw new MsbdError(`A packet says that it has ${size} bytes.`);
  return { id: bytes.readUInt16LE(at + 6), size, hr: bytes.readUInt32LE(at + 12) };
}

/**
 * Writes MSBMSGBASE at `at`.
 *
 * @throws MsbdError for a size that does not fit cbMessage
 */
export function writeBase(bytes: Buffer, id: number, size: number, hr: number = HR.ok, at = 0): void {
  if (size > MAX_MESSAGE_SIZE) throw new MsbdError(`${size} bytes do not fit a packet.`);
  bytes.writeUInt32LE(SIGNATURE, at);
  bytes.writeUInt16LE(VERSION, at + 4);
  bytes.writeUInt16LE(id, at + 6);
  bytes.writeUInt32LE(size, at + 8);
  bytes.writeUInt32LE(hr, at + 12);
}

/** Returns a packet of `size` bytes: MSBMSGBASE, then zeros. */
export function newMessage(id: number, size: number, hr: number = HR.ok): Buffer {
  const bytes = Buffer.alloc(BASE_SIZE + size);
  writeBase(bytes, id, bytes.length, hr);
  return bytes;
}
