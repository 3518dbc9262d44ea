import { crc32 } from 'node:zlib';
import { Random } from './random.js';

/** A media object of a synthetic stream. @public */
export interface MarkedObject {
  readonly stream: number;
  readonly key: boolean;
  /** Counts the objects of the stream from 0. */
  readonly number: number;
  /** Presentation time in ms, preroll not included. */
  readonly time: number;
}

/** Bytes before the filler; a shorter object is only filler. */
export const MARK_SIZE = 24;
const MAGIC = 'WMST';

/*
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                         'W' 'M' 'S' 'T'                       |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |    Stream     | Key (0 or 1)  |               0               |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                        Number of the object                   |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                        Presentation time, ms                  |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                        Size of the object                     |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                CRC-32 of all bytes but these four             |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                        Filler ...                             |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */

/** Makes a media object that says what it is; integers are little-endian. @param size in bytes */
export function markObject(object: MarkedObject, size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  const random = new Random(seed, object.stream, object.number);
  if (size < MARK_SIZE) return random.fill(bytes);
  random.fill(bytes.subarray(MARK_SIZE));
  bytes.write(MAGIC, 0, 'latin1');
  bytes[4] = object.stream;
  bytes[5] = object.key ? 1 : 0;
  bytes.writeUInt32LE(object.number, 8);
  bytes.writeUInt32LE(object.time >>> 0, 12);
  bytes.writeUInt32LE(size, 16);
  bytes.writeUInt32LE(checksum(bytes), 20);
  return bytes;
}

/**
 * Reads a media object of a synthetic stream.
 *
 * @param bytes the whole object
 * @returns undefined if it is not one, or if a byte of it has changed
 * @public
 */
export function readMarkedObject(bytes: Buffer): MarkedObject | undefined {
  const isMarked = bytes.length >= MARK_SIZE && bytes.toString('latin1', 0, 4) === MAGIC;
  if (!isMarked || bytes.readUInt32LE(16) !== bytes.length || bytes.readUInt32LE(20) !== checksum(bytes)) {
    return undefined;
  }
  return {
    stream: bytes[4]!,
    key: bytes[5] === 1,
    number: bytes.readUInt32LE(8),
    time: bytes.readUInt32LE(12),
  };
}

function checksum(bytes: Buffer): number {
  return crc32(bytes.subarray(MARK_SIZE), crc32(bytes.subarray(0, 20)));
}
