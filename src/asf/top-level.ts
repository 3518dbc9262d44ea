import { AsfError } from './error.js';
import { GUID } from './guid.js';
import { DATA_OBJECT_HEAD_SIZE, headerObjectSize, MAX_HEADER_SIZE } from './header.js';
import { OBJECT_HEAD_SIZE } from './object-tree.js';
import { INDEX_GUIDS } from './scan.js';

/** Where the header of a file ends. */
export type HeaderEnd =
  /** Bytes from the start that are needed to tell; more than there are. */
  | { readonly needed: number }
  /** Offset of the Data Object from the start, in bytes; its head is there too. */
  | { readonly data: number };

/** Head, Number of Header Objects, two reserved bytes. */
const HEADER_HEAD_SIZE = 30;

const idAt = (bytes: Buffer, at: number): string => bytes.toString('hex', at, at + 16);

/** Walks objects by their sizes to the Data Object; undefined if that does not reach it. */
function walk(bytes: Buffer, start: number): HeaderEnd | undefined {
  for (let at = start; at <= MAX_HEADER_SIZE; ) {
    const end = at + DATA_OBJECT_HEAD_SIZE;
    if (bytes.length < end) return { needed: end };
    if (idAt(bytes, at) === GUID.dataObject) return { data: at };
    const size = bytes.readBigUInt64LE(at + 16);
    if (size < OBJECT_HEAD_SIZE || size > MAX_HEADER_SIZE) return undefined;
    at += Number(size);
  }
  return undefined;
}

/**
 * Finds the Data Object. Programs that edit headers forget to correct the size of the Header Object, or put objects
 * between it and the data. So if the data does not follow at that size, the objects are walked by their own sizes, as
 * ffmpeg does.
 * @param bytes the Header Object from its first byte, and as many after it as there are
 * @throws AsfError if it is not a Header Object, or no Data Object follows
 */
export function findHeaderEnd(bytes: Buffer): HeaderEnd {
  if (bytes.length < OBJECT_HEAD_SIZE) return { needed: OBJECT_HEAD_SIZE };
  const size = headerObjectSize(bytes);
  const end = size + DATA_OBJECT_HEAD_SIZE;
  if (bytes.length >= end && idAt(bytes, size) === GUID.dataObject) return { data: size };
  const walked = walk(bytes, HEADER_HEAD_SIZE);
  if (walked !== undefined && 'data' in walked) return walked;
  if (bytes.length < end) return { needed: end };
  const found = walked ?? walk(bytes, size);
  if (found === undefined) throw new AsfError('An ASF header is not followed by a Data Object.', size);
  return found;
}

/**
 * Returns the Header Object, with its correct size, directly followed by the first 50 bytes of the Data Object. Objects
 * that were between them become part of the header, except indexes.
 * @param data offset of the Data Object, from {@link findHeaderEnd}
 */
export function joinHeader(bytes: Buffer, data: number): Buffer {
  const end = data + DATA_OBJECT_HEAD_SIZE;
  const size = bytes.readBigUInt64LE(16);
  if (size === BigInt(data)) return bytes.subarray(0, end);
  const pieces = size < BigInt(data) ? objectsBetween(bytes, Number(size), data) : [bytes.subarray(0, data)];
  const header = Buffer.concat([...pieces, bytes.subarray(data, end)]);
  header.writeBigUInt64LE(BigInt(header.length - DATA_OBJECT_HEAD_SIZE), 16);
  return header;
}

/** The header up to its end, then everything before the data except whole index objects. */
function objectsBetween(bytes: Buffer, from: number, to: number): Buffer[] {
  const pieces = [bytes.subarray(0, from)];
  for (let at = from; at < to; ) {
    const size = to - at >= OBJECT_HEAD_SIZE ? Number(bytes.readBigUInt64LE(at + 16)) : 0;
    const isObject = size >= OBJECT_HEAD_SIZE && size <= to - at;
    const end = isObject ? at + size : to;
    if (!isObject || !INDEX_GUIDS.has(idAt(bytes, at))) pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}
