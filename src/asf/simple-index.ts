import { ByteReader, ByteWriter, dword, guid, qword, word } from './codec.js';
import { AsfError } from './error.js';
import { GUID } from './guid.js';
import { frameObject, OBJECT_HEAD_SIZE } from './object-tree.js';
import type { IndexSpecifier } from './objects.js';

/** Simple Index of one video stream (asf.md 6). @public */
export interface SimpleIndex {
  readonly fileId: string;
  /** 100 ns units between two entries; 0 in the dummy index of audio files. */
  readonly interval: bigint;
  /** The largest of {@link packetCounts}. */
  readonly maximumPacketCount: number;
  /**
   * By entry: the packet, counted from 0, in which the last key frame with a presentation time ≤ entry × interval
   * starts.
   */
  readonly packetNumbers: Uint32Array;
  /** By entry: how many packets that key frame spans. */
  readonly packetCounts: Uint16Array;
}

/** One block of an {@link IndexObject}. @public */
export interface IndexBlock {
  /** By specifier: bytes from the first data packet. */
  readonly positions: BigUint64Array;
  /** By entry, then by specifier: bytes to add to the position; 0xFFFFFFFF: no offset. */
  readonly offsets: Uint32Array;
}

/** Index Object and Media Object Index Object (asf.md 6). @public */
export interface IndexObject {
  readonly kind: 'index' | 'mediaObjectIndex';
  /** Milliseconds between two entries; objects in a Media Object Index. */
  readonly interval: number;
  readonly specifiers: readonly IndexSpecifier[];
  readonly blocks: readonly IndexBlock[];
}

const ENTRY_SIZE = 6;

/** Returns a reader of the fields of a whole object. @throws AsfError if it is not one of these objects */
function openObject(bytes: Buffer, guids: readonly string[]): ByteReader {
  if (bytes.length < OBJECT_HEAD_SIZE || !guids.includes(bytes.toString('hex', 0, 16))) {
    throw new AsfError('This is not an index object.', 0);
  }
  const size = bytes.readBigUInt64LE(16);
  if (size < OBJECT_HEAD_SIZE) throw new AsfError(`An index object of ${size} bytes is not possible.`, 16);
  return new ByteReader(bytes, OBJECT_HEAD_SIZE, size > bytes.length ? bytes.length : Number(size));
}

/**
 * Reads a Simple Index Object, its head included. Cut entries are left out.
 *
 * +---------------------------+----------+
 * | ASF_Simple_Index_Object   | 16 bytes |
 * | Object Size               | QWORD    |
 * | File ID                   | 16 bytes |
 * | Index Entry Time Interval | QWORD    |  100 ns
 * | Maximum Packet Count      | DWORD    |
 * | Index Entries Count       | DWORD    |
 * | Packet Number             | DWORD    |  each entry
 * | Packet Count              | WORD     |
 * +---------------------------+----------+
 *
 * @throws AsfError if it is another object or shorter than its fixed fields
 * @public
 */
export function parseSimpleIndex(bytes: Buffer): SimpleIndex {
  const reader = openObject(bytes, [GUID.simpleIndexObject]);
  const fileId = guid.read(reader);
  const interval = qword.read(reader);
  const maximumPacketCount = dword.read(reader);
  const count = Math.min(dword.read(reader), Math.floor(reader.remaining / ENTRY_SIZE));
  const packetNumbers = new Uint32Array(count);
  const packetCounts = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    packetNumbers[i] = dword.read(reader);
    packetCounts[i] = word.read(reader);
  }
  return { fileId, interval, maximumPacketCount, packetNumbers, packetCounts };
}

/** Writes a Simple Index Object, its head included; {@link parseSimpleIndex} has the layout. @public */
export function buildSimpleIndex(index: SimpleIndex): Buffer {
  const writer = new ByteWriter();
  guid.write(writer, index.fileId);
  qword.write(writer, index.interval);
  dword.write(writer, index.maximumPacketCount);
  dword.write(writer, index.packetNumbers.length);
  index.packetNumbers.forEach((packetNumber, entry) => {
    dword.write(writer, packetNumber);
    word.write(writer, index.packetCounts[entry] ?? 0);
  });
  return frameObject(GUID.simpleIndexObject, writer.finish());
}

function readBlock(reader: ByteReader, specifierCount: number): IndexBlock {
  const count = dword.read(reader);
  const positions = BigUint64Array.from({ length: specifierCount }, () => qword.read(reader));
  const whole = Math.min(count, Math.floor(reader.remaining / (4 * specifierCount)));
  const offsets = new Uint32Array(whole * specifierCount);
  for (let i = 0; i < offsets.length; i++) offsets[i] = dword.read(reader);
  return { positions, offsets };
}

/**
 * Reads an Index Object or a Media Object Index Object, its head included. Cut parts are left out.
 *
 * +---------------------------+----------+
 * | GUID, Object Size         | 24 bytes |
 * | Index Entry Time Interval | DWORD    |  ms, or objects
 * | Index Specifiers Count ns | WORD     |
 * | Index Blocks Count nb     | DWORD    |
 * | Stream Number, Index Type | 2 WORDs  |  ns times
 * | Index Entry Count         | DWORD    |  each block
 * | Block Positions           | QWORDs   |    ns times
 * | Offsets                   | DWORDs   |    ns times each entry
 * +---------------------------+----------+
 *
 * @throws AsfError if it is another object, or its specifiers are cut
 * @public
 */
export function parseIndexObject(bytes: Buffer): IndexObject {
  const reader = openObject(bytes, [GUID.indexObject, GUID.mediaObjectIndexObject]);
  const kind = bytes.toString('hex', 0, 16) === GUID.indexObject ? 'index' : 'mediaObjectIndex';
  const interval = dword.read(reader);
  const specifierCount = word.read(reader);
  const blockCount = dword.read(reader);
  const specifiers = Array.from({ length: specifierCount }, () => ({
    streamNumber: word.read(reader),
    indexType: word.read(reader),
  }));
  const blocks: IndexBlock[] = [];
  const blockHead = 4 + 8 * specifierCount;
  while (specifierCount > 0 && blocks.length < blockCount && reader.remaining >= blockHead) {
    blocks.push(readBlock(reader, specifierCount));
  }
  return { kind, interval, specifiers, blocks };
}
