import { AsfError } from './error.js';
import type { FileProperties, HeaderObject } from './objects.js';
import type { StreamProperties } from './stream.js';

export type * from './objects.js';
export type * from './stream.js';

/** The bytes of the Data Object before its first packet, which every Microsoft protocol sends behind the Header Object. */
export const DATA_OBJECT_HEAD_SIZE = 50;

/** The largest Header Object that is read or buffered, in bytes. */
export const MAX_HEADER_SIZE = 1024 * 1024;

/** What the first 50 bytes of a Data Object say (asf.md 5). */
export interface DataObject {
  readonly fileId: string;
  /** Object Size in bytes; 50 or less when live. */
  readonly size: bigint;
  /** Total Data Packets; not valid when live. */
  readonly packetCount: bigint;
}

export interface AsfHeader {
  /** Header Object + the first 50 bytes of the Data Object, as every Microsoft protocol sends it. */
  readonly bytes: Buffer;
  /** In file order; the Header Extension has its own `objects`. */
  readonly objects: readonly HeaderObject[];
  readonly fileProperties: FileProperties;
  /** By first appearance, those hidden in Extended Stream Properties included. */
  readonly streams: readonly StreamProperties[];
  /** Bytes of every data packet. */
  readonly packetSize: number;
  readonly broadcast: boolean;
  /** Bits per second by stream number: from Stream Bitrate Properties, else Extended Stream Properties, else estimated (asf.md 11). */
  readonly streamBitrates: ReadonlyMap<number, number>;
  readonly fileId: string;
  /** Milliseconds. */
  readonly preroll: number;
  readonly dataObject: DataObject;
}

/**
 * Reads a Header Object, alone or with the 50 bytes of the Data Object behind it (live ones are added when they are absent).
 * @throws AsfError when it is not a Header Object, is cut, or lacks File Properties or streams
 */
export function parseHeader(bytes: Buffer): AsfHeader {
  throw new AsfError(`Not implemented (${bytes.length}).`);
}

/**
 * Writes a Header Object and the first 50 bytes of the Data Object. Objects that came from {@link parseHeader} and were
 * not copied are written byte for byte.
 */
export function buildHeader(objects: readonly HeaderObject[], data: DataObject): AsfHeader {
  throw new AsfError(`Not implemented (${objects.length} ${data.size}).`);
}
