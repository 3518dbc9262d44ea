import { findBitrates } from './bitrate.js';
import { ByteWriter, dword, guid, qword, word } from './codec.js';
import { AsfError } from './error.js';
import { GUID } from './guid.js';
import { OBJECT_HEAD_SIZE, objectBytes, readObjects } from './object-tree.js';
import { FILE_FLAG, type FileProperties, type HeaderObject } from './objects.js';
import { describeBytes } from './sniff.js';
import { findStreams, flattenObjects, type StreamProperties } from './stream.js';

export * from './objects.js';
export type * from './stream.js';

/**
 * The bytes of the Data Object before its first packet, which every Microsoft protocol sends after the Header Object.
 *
 * @public
 */
export const DATA_OBJECT_HEAD_SIZE = 50;

/** The largest Header Object that is read, in bytes. Pictures and space for later edits make headers large. @public */
export const MAX_HEADER_SIZE = 32 * 1024 * 1024;

/** Written by ffmpeg to a pipe, where it cannot go back to fill in a size. */
const UNWRITTEN_SIZE = 0xffff_ffff_ffff_ffffn;

/** The largest plausible packet size, in bytes. */
const MAX_PACKET_SIZE = 1024 * 1024;

/** Head, Number of Header Objects, two reserved bytes. */
const HEADER_HEAD_SIZE = 30;

/** The first 50 bytes of a Data Object (asf.md 5). @public */
export interface DataObject {
  readonly fileId: string;
  /** Object Size in bytes; 50 or less when live. */
  readonly size: bigint;
  /** Total Data Packets; not valid when live. */
  readonly packetCount: bigint;
}

/** An ASF header: its bytes and their meaning. Never changed in place. @public */
export interface AsfHeader {
  /** Header Object + the first 50 bytes of the Data Object, as every Microsoft protocol sends it. */
  readonly bytes: Buffer;
  /** In file order; the Header Extension has its own `objects`. */
  readonly objects: readonly HeaderObject[];
  readonly fileProperties: FileProperties;
  /** In the order of declaration, those hidden in Extended Stream Properties last. */
  readonly streams: readonly StreamProperties[];
  /** Bytes per data packet. */
  readonly packetSize: number;
  readonly broadcast: boolean;
  /**
   * Bits per second by stream number: from Stream Bitrate Properties, else Extended Stream Properties, else estimated
   * (asf.md 11).
   */
  readonly streamBitrates: ReadonlyMap<number, number>;
  readonly fileId: string;
  /** Milliseconds. */
  readonly preroll: number;
  readonly dataObject: DataObject;
}

/**
 * Returns the size that the first 24 bytes of a Header Object declare, in bytes.
 * @throws AsfError if they are the start of something else, or the size is impossible
 * @public
 */
export function headerObjectSize(bytes: Buffer): number {
  if (bytes.length < OBJECT_HEAD_SIZE || bytes.toString('hex', 0, 16) !== GUID.headerObject) {
    throw new AsfError(`This is not ASF but ${describeBytes(bytes)}.`, 0);
  }
  const size = bytes.readBigUInt64LE(16);
  if (size === UNWRITTEN_SIZE) throw new AsfError('An ASF header was not completed: it does not say its size.', 16);
  if (size < HEADER_HEAD_SIZE || size > MAX_HEADER_SIZE) {
    throw new AsfError(`An ASF header of ${size} bytes is not read: the limit is ${MAX_HEADER_SIZE}.`, 16);
  }
  return Number(size);
}

/**
 * Returns the size of the packets, which the header gives twice. If the two differ, one is wrong: the Data Object tells
 * which one, or else it is the Minimum.
 */
function packetSizeOf({ maximumPacketSize, minimumPacketSize }: FileProperties, data: DataObject): number {
  const isPossible = (size: number) => size > 0 && size <= MAX_PACKET_SIZE;
  const fills = (size: number) =>
    data.packetCount > 0n && data.size === BigInt(DATA_OBJECT_HEAD_SIZE) + data.packetCount * BigInt(size);
  const possible = [maximumPacketSize, minimumPacketSize].filter(isPossible);
  const size = possible.find(fills) ?? possible[0];
  if (size === undefined) {
    const declared = maximumPacketSize || minimumPacketSize;
    throw new AsfError(`A packet size of ${declared} bytes is not possible.`);
  }
  return size;
}

/*
 * The Data Object up to its first packet.
 *
 * +-------------------------+----------+
 * | ASF_Data_Object         | 16 bytes |
 * | Object Size             | QWORD    |
 * | File ID                 | 16 bytes |
 * | Total Data Packets      | QWORD    |
 * | Reserved = 0x0101       | WORD     |
 * +-------------------------+----------+
 */
function dataObjectHead(data: DataObject): Buffer {
  const writer = new ByteWriter();
  guid.write(writer, GUID.dataObject);
  qword.write(writer, data.size);
  guid.write(writer, data.fileId);
  qword.write(writer, data.packetCount);
  word.write(writer, 0x0101);
  return writer.finish();
}

/** Returns the start of a Data Object at an offset; undefined if something else is there. */
function findDataObject(bytes: Buffer, at: number): Buffer | undefined {
  if (bytes.length - at < DATA_OBJECT_HEAD_SIZE) return undefined;
  const isData = bytes.toString('hex', at, at + 16) === GUID.dataObject;
  return isData ? bytes.subarray(at, at + DATA_OBJECT_HEAD_SIZE) : undefined;
}

/**
 * Reads a Header Object (asf.md 2 to 5), with or without the first 50 bytes of the Data Object after it. If they are
 * absent, those of a live stream are added. Anything after them is ignored. The bytes are copied.
 *
 * +--------------------------+----------+
 * | ASF_Header_Object        | 16 bytes |
 * | Object Size              | QWORD    |
 * | Number of Header Objects | DWORD    |  direct children; not relied on
 * | Reserved 1, 2 = 1, 2     | 2 bytes  |
 * | objects                  |          |
 * +--------------------------+----------+
 * | Data Object head         | 50 bytes |
 * +--------------------------+----------+
 *
 * @throws AsfError if it is not a Header Object, is cut, is larger than {@link MAX_HEADER_SIZE}, or lacks File
 *   Properties, a usable packet size or a stream
 * @public
 */
export function parseHeader(bytes: Buffer): AsfHeader {
  const size = headerObjectSize(bytes);
  if (size > bytes.length) throw new AsfError(`An ASF header ends after ${bytes.length} of ${size} bytes.`, size);
  const whole = Buffer.allocUnsafeSlow(size + DATA_OBJECT_HEAD_SIZE);
  bytes.copy(whole, 0, 0, size);
  const objects = readObjects(whole, HEADER_HEAD_SIZE, size);
  const fileProperties = flattenObjects(objects).find((object) => object.type === 'fileProperties');
  if (fileProperties === undefined) throw new AsfError('An ASF header has no readable File Properties.', size);
  const streams = findStreams(objects);
  if (streams.length === 0) throw new AsfError('An ASF header declares no stream.', size);

  const live: DataObject = { fileId: fileProperties.fileId, size: BigInt(DATA_OBJECT_HEAD_SIZE), packetCount: 0n };
  const data = findDataObject(bytes, size) ?? dataObjectHead(live);
  data.copy(whole, size);
  const dataObject: DataObject = {
    size: data.readBigUInt64LE(16),
    fileId: data.toString('hex', 24, 40),
    packetCount: data.readBigUInt64LE(40),
  };
  const packetSize = packetSizeOf(fileProperties, dataObject);
  return {
    bytes: whole,
    objects,
    fileProperties,
    streams,
    packetSize,
    broadcast: (fileProperties.flags & FILE_FLAG.broadcast) !== 0,
    streamBitrates: findBitrates(objects, streams, fileProperties, packetSize),
    fileId: fileProperties.fileId,
    preroll: fileProperties.preroll,
    dataObject,
  };
}

/**
 * Returns the length in bytes of a header with these objects, the first 50 bytes of the Data Object included.
 *
 * @public
 */
export function headerLength(objects: readonly HeaderObject[]): number {
  return objects.reduce((sum, object) => sum + objectBytes(object).length, HEADER_HEAD_SIZE + DATA_OBJECT_HEAD_SIZE);
}

/**
 * Writes a Header Object and the first 50 bytes of the Data Object. Objects from {@link parseHeader} that were not
 * copied are written byte for byte; sizes and the Number of Header Objects are computed.
 * @throws AsfError if a value does not fit its field, or {@link parseHeader} would reject the result
 * @public
 */
export function buildHeader(objects: readonly HeaderObject[], data: DataObject): AsfHeader {
  const children = objects.map(objectBytes);
  const writer = new ByteWriter();
  guid.write(writer, GUID.headerObject);
  qword.write(writer, BigInt(children.reduce((sum, child) => sum + child.length, HEADER_HEAD_SIZE)));
  dword.write(writer, children.length);
  writer.put(Buffer.from([1, 2]));
  for (const child of children) writer.put(child);
  writer.put(dataObjectHead(data));
  return parseHeader(writer.finish());
}
