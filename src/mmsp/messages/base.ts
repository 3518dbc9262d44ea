import { WmError } from '../../errors.js';

/**
 * Thrown for bytes that are not MMSP, or values that do not fit a message. The rest of the connection cannot be read.
 */
export class MmspError extends WmError {
  constructor(message: string) {
    super('WM_PROTOCOL', message);
    this.name = 'MmspError';
  }
}

/** MID of the messages that a client sends (MS-MMSP 2.2.4). */
export const CLIENT_MID = {
  connect: 0x00030001,
  connectFunnel: 0x00030002,
  openFile: 0x00030005,
  startPlaying: 0x00030007,
  stopPlaying: 0x00030009,
  closeFile: 0x0003000d,
  readBlock: 0x00030015,
  funnelInfo: 0x00030018,
  securityResponse: 0x0003001a,
  pong: 0x0003001b,
  cancelReadBlock: 0x00030025,
  startStriding: 0x00030028,
  logging: 0x00030032,
  streamSwitch: 0x00030033,
} as const;

/** MID of the messages that a server sends (MS-MMSP 2.2.4). */
export const SERVER_MID = {
  connectedEx: 0x00040001,
  connectedFunnel: 0x00040002,
  disconnectedFunnel: 0x00040003,
  startedPlaying: 0x00040005,
  openFile: 0x00040006,
  startStriding: 0x0004000a,
  readBlock: 0x00040011,
  funnelInfo: 0x00040015,
  securityChallenge: 0x0004001a,
  ping: 0x0004001b,
  endOfStream: 0x0004001e,
  streamChange: 0x00040020,
  streamSwitch: 0x00040021,
  redirect: 0x00040022,
} as const;

/**
 * How bandwidth is measured with a packet pair: the playIncarnation of Connect, ConnectedEX and both FunnelInfo
 * messages.
 */
export const PACKET_PAIR = {
  none: 0xf0f0f0ef,
  /** Possible, or wanted. */
  possible: 0xf0f0f0f0,
  /** By three ReportFunnelInfo messages of random bytes. */
  tcp: 0xf0f0f0f1,
  /** By two datagrams of random bytes ahead of the header. */
  udp: 0xf0f0f901,
} as const;

/** MacToViewerProtocolRevision and ViewerToMacProtocolRevision (2.2.4.2, 2.2.4.17). */
export const REVISION = { macToViewer: 0x0004000b, viewerToMac: 0x0003001c } as const;

/** maxBitRate: 10 Mbit/s (2.2.4.2, 2.2.4.18). */
export const MAX_BIT_RATE = 0x00989680;

/** Bytes of chunkLen and MID. */
export const HEAD_SIZE = 8;

/**
 * Returns a message of `size` bytes before its padding, all zeros except chunkLen and MID. Its length is a multiple of
 * 8 (2.2.4).
 *
 * @param size bytes from chunkLen to the last field
 */
export function newMessage(mid: number, size: number): Buffer {
  const bytes = Buffer.alloc(Math.ceil(size / 8) * 8);
  bytes.writeUInt32LE(bytes.length / 8, 0);
  bytes.writeUInt32LE(mid, 4);
  return bytes;
}

/** A received message, its fields not yet parsed. */
export interface RawMessage {
  readonly mid: number;
  /** From chunkLen to the end of the padding. */
  readonly bytes: Buffer;
}

/**
 * Splits the MMS message field of a TcpMessageHeader packet into zero or more messages, each a view (2.2.3).
 *
 * @throws MmspError for a chunkLen that is 0 or reaches past the field
 */
export function splitMessages(field: Buffer): RawMessage[] {
  const messages: RawMessage[] = [];
  let at = 0;
  // Some clients add a few bytes that form no message; anything too short for a head is padding.
  while (field.length - at >= HEAD_SIZE) {
    const size = field.readUInt32LE(at) * 8;
    if (size === 0 || size > field.length - at) {
      throw new MmspError(`A message says that it has ${size} bytes; ${field.length - at} are there.`);
    }
    messages.push({ mid: field.readUInt32LE(at + 4), bytes: field.subarray(at, at + size) });
    at += size;
  }
  return messages;
}

/**
 * Checks that the fixed fields of a message are present.
 *
 * @throws MmspError if it is shorter than `size` bytes
 */
export function need({ mid, bytes }: RawMessage, size: number): Buffer {
  if (bytes.length < size) {
    throw new MmspError(`The message 0x${mid.toString(16).padStart(8, '0')} has ${bytes.length} bytes, not ${size}.`);
  }
  return bytes;
}

/** Returns a text in UTF-16LE with its null character. */
export function wideText(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf16le');
}

/** Reads a peer's UTF-16LE text up to its first null character or the end of the bytes; ignores an odd last byte. */
export function readWideText(bytes: Buffer): string {
  return bytes.toString('utf16le').split('\0', 1)[0]!;
}
