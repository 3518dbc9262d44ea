import { AsfError } from '../../asf/error.js';
import { GUID } from '../../asf/guid.js';
import type { AsfHeader } from '../../asf/header.js';
import { OBJECT_HEAD_SIZE } from '../../asf/object-tree.js';
import { type IndexObject, parseIndexObject, parseSimpleIndex, type SimpleIndex } from '../../asf/simple-index.js';

/** The key frames of one stream by time, from an index object of the file (asf.md 6). */
export interface TimeIndex {
  /** Milliseconds between two entries; above 0. */
  readonly interval: number;
  /**
   * By entry: the packet in which the last key frame up to entry × interval begins, or {@link NO_PACKET}. Unchecked.
   */
  readonly packets: Uint32Array;
}

/** A file that may have indexes. */
export interface IndexedFile {
  readonly header: AsfHeader;
  readonly packetSize: number;
  /** Position in bytes where index objects may begin that match the packets; undefined if there can be none. */
  readonly indexStart: number | undefined;
  /** Size of the file in bytes at the last look. */
  readonly knownSize: number;
  readBytes(position: number, length: number): Promise<Buffer>;
}

/** An entry that names no packet. */
export const NO_PACKET = 0xffff_ffff;

/** The largest index object that is read, and the limit for all of them together, in bytes. */
const MAX_INDEX_SIZE = 16 * 1024 * 1024;
/** The most objects examined after the data. */
const MAX_OBJECTS = 100;
const HUNDRED_NS_PER_MS = 10_000;
/** The Index Type of entries that name the nearest past cleanpoint. */
const PAST_CLEANPOINT = 3;

function fromSimpleIndex({ interval, packetNumbers }: SimpleIndex): TimeIndex | undefined {
  const ms = Number(interval) / HUNDRED_NS_PER_MS;
  return ms > 0 && packetNumbers.length > 0 ? { interval: ms, packets: packetNumbers } : undefined;
}

/** Returns the column of one specifier as packet numbers; offsets count from the first packet. */
function columnOf({ interval, specifiers, blocks }: IndexObject, column: number, packetSize: number): TimeIndex {
  const entries = blocks.map(({ offsets }) => offsets.length / specifiers.length);
  const packets = new Uint32Array(entries.reduce((sum, count) => sum + count, 0));
  let entry = 0;
  blocks.forEach(({ positions, offsets }, block) => {
    const position = Number(positions[column]);
    for (let row = 0; row < entries[block]!; row++) {
      const offset = offsets[row * specifiers.length + column]!;
      packets[entry++] =
        offset === 0xffff_ffff ? NO_PACKET : Math.min(Math.floor((position + offset) / packetSize), NO_PACKET);
    }
  });
  return { interval, packets };
}

/** Reads the whole objects after the data, one by one. */
async function* indexObjects(file: IndexedFile): AsyncGenerator<Buffer, void, undefined> {
  const { indexStart } = file;
  if (indexStart === undefined) return;
  let at = indexStart;
  let budget = MAX_INDEX_SIZE;
  for (let count = 0; count < MAX_OBJECTS; count++) {
    const left = file.knownSize - at;
    const head = await file.readBytes(at, OBJECT_HEAD_SIZE);
    if (left < OBJECT_HEAD_SIZE || head.length < OBJECT_HEAD_SIZE) return;
    const size = Number(head.readBigUInt64LE(16));
    if (size < OBJECT_HEAD_SIZE) return;
    const id = head.toString('hex', 0, 16);
    if ((id === GUID.simpleIndexObject || id === GUID.indexObject) && size <= budget) {
      budget -= size;
      yield await file.readBytes(at, Math.min(size, left));
    }
    at += size;
  }
}

/**
 * Reads the Simple Index Objects, which are in the order of the visible video streams' numbers, and the cleanpoint
 * columns of the Index Object (asf.md 6). Skips broken ones.
 *
 * @returns indexes by stream number; a Simple Index takes precedence over an Index Object
 * @throws WmError WM_NO_INPUT if the disk fails
 */
export async function readTimeIndexes(file: IndexedFile): Promise<Map<number, TimeIndex>> {
  const visible = file.header.streams.filter(({ type, hidden }) => type === 'video' && !hidden);
  const streams = visible.map(({ number }) => number).sort((a, b) => a - b);
  const simple = new Map<number, TimeIndex>();
  const other = new Map<number, TimeIndex>();
  let nth = 0;
  for await (const bytes of indexObjects(file)) {
    try {
      if (bytes.toString('hex', 0, 16) === GUID.simpleIndexObject) {
        const stream = streams[nth++];
        const index = fromSimpleIndex(parseSimpleIndex(bytes));
        if (stream !== undefined && index !== undefined) simple.set(stream, index);
        continue;
      }
      const object = parseIndexObject(bytes);
      object.specifiers.forEach(({ streamNumber, indexType }, column) => {
        if (indexType !== PAST_CLEANPOINT || object.interval === 0 || other.has(streamNumber)) return;
        other.set(streamNumber, columnOf(object, column, file.packetSize));
      });
    } catch (error) {
      if (!(error instanceof AsfError)) throw error;
    }
  }
  return new Map([...other, ...simple]);
}
