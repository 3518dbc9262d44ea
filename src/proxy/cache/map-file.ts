import { crc32 } from 'node:zlib';
import { Ranges } from './ranges.js';

/*
 * The map of a copy says which of its packets are in the data file. It only grows: a record is appended after the
 * packets that it names are synced to the disk. All integers are little-endian.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------------------------------------------------------+
 *     |                        number of the first packet             |
 *     +---------------------------------------------------------------+
 *     |                        number of packets                      |
 *     +---------------------------------------------------------------+
 *     |     CRC-32 of the generation of the copy and the fields above |
 *     +---------------------------------------------------------------+
 */

/** Bytes of a record. */
export const RECORD_SIZE = 12;

/** @param generation names the copy, so that the record of another one is not taken for one of this */
export function writeRecord(generation: string, from: number, count: number): Buffer {
  const record = Buffer.alloc(RECORD_SIZE);
  record.writeUInt32LE(from, 0);
  record.writeUInt32LE(count, 4);
  record.writeUInt32LE(checkOf(generation, record.subarray(0, 8)), 8);
  return record;
}

/**
 * Reads a map up to the first record that is incomplete, damaged or impossible: a program that was killed may leave one.
 *
 * @param packetCount packets of the content
 * @returns the packets that are there, and how many bytes of the map are good
 */
export function readRecords(bytes: Buffer, generation: string, packetCount: number): { have: Ranges; good: number } {
  const have = new Ranges();
  let good = 0;
  for (; good + RECORD_SIZE <= bytes.length; good += RECORD_SIZE) {
    const record = bytes.subarray(good, good + RECORD_SIZE);
    const from = record.readUInt32LE(0);
    const end = from + record.readUInt32LE(4);
    if (record.readUInt32LE(8) !== checkOf(generation, record.subarray(0, 8)) || end > packetCount) break;
    have.add(from, end);
  }
  return { have, good };
}

function checkOf(generation: string, fields: Buffer): number {
  return crc32(fields, crc32(generation));
}
