import { MmspError } from './base.js';

/*
 * RequestPacketListResend (MS-MMSP 2.2.5), a datagram; integers are little-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+
 *  |          Signature = 0xBEEFF00D (bytes 0D F0 EF BE)           |
 *  +---------------------------------------------------------------+
 *  |                      dwClientId (nCubs)                       |
 *  +-------------------------------+-------------------------------+
 *  | wSourceId: low of openFileId  |     wNumPackets, 1 to 32      |
 *  +-------------------------------+-------------------------------+
 *  |            dwBeginPacketList: sequence numbers ...            |
 *  +---------------------------------------------------------------+
 */

/** A request to send packets again, in one UDP datagram (2.2.5). */
export interface ResendRequest {
  /** dwClientId: nCubs of ReportFunnelInfo. */
  readonly clientId: number;
  /** wSourceId: the low 16 bits of openFileId. */
  readonly sourceId: number;
  /** 32-bit sequence numbers; AFFlags are their low 8 bits. */
  readonly numbers: readonly number[];
}

const SIGNATURE = 0xbeeff00d;
const HEAD = 12;
/** The most packets that one request may name. */
export const MAX_RESENDS = 32;

/** @throws MmspError for none, or more than 32, numbers */
export function buildResendRequest({ clientId, sourceId, numbers }: ResendRequest): Buffer {
  if (numbers.length < 1 || numbers.length > MAX_RESENDS) {
    throw new MmspError(`A resend request names ${numbers.length} packets, not 1 to ${MAX_RESENDS}.`);
  }
  const bytes = Buffer.alloc(HEAD + numbers.length * 4);
  bytes.writeUInt32LE(SIGNATURE, 0);
  bytes.writeUInt32LE(clientId >>> 0, 4);
  bytes.writeUInt16LE(sourceId & 0xffff, 8);
  bytes.writeUInt16LE(numbers.length, 10);
  for (const [index, number] of numbers.entries()) bytes.writeUInt32LE(number >>> 0, HEAD + index * 4);
  return bytes;
}

/** Reads a datagram. Returns undefined if it is not a resend request, or names no packets or too many (3.2.5.1). */
export function readResendRequest(bytes: Buffer): ResendRequest | undefined {
  if (bytes.length < HEAD || bytes.readUInt32LE(0) !== SIGNATURE) return undefined;
  const count = bytes.readUInt16LE(10);
  if (count < 1 || count > MAX_RESENDS || bytes.length < HEAD + count * 4) return undefined;
  return {
    clientId: bytes.readUInt32LE(4),
    sourceId: bytes.readUInt16LE(8),
    numbers: Array.from({ length: count }, (_, index) => bytes.readUInt32LE(HEAD + index * 4)),
  };
}
