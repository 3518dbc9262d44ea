import { AsfError } from '../../asf/error.js';
import { type AsfHeader, DATA_OBJECT_HEAD_SIZE, headerObjectSize, parseHeader } from '../../asf/header.js';
import { playerHeader } from '../../asf/lean-header.js';
import { findHeaderEnd, joinHeader } from '../../asf/top-level.js';
import { WmError } from '../../errors.js';
import type { DiskFile } from './disk-file.js';

/** The header for players, and where the first packet is in the file. */
export interface FileHead {
  readonly header: AsfHeader;
  /** Bytes from the start of the file. */
  readonly dataStart: number;
}

/** Bytes read when a file is opened: nearly every header fits. */
const HEAD_READ_SIZE = 16 * 1024;
/**
 * A header that is larger than this even after reduction is refused, since it would be kept for every open file. Bytes.
 */
const MAX_KEPT_HEADER_SIZE = 1024 * 1024;

/** Large headers are read one at a time, since each is briefly in memory whole. */
let largeRead: Promise<unknown> = Promise.resolve();

function afterOtherLargeReads<T>(read: () => Promise<T>): Promise<T> {
  const reading = largeRead.then(read);
  largeRead = reading.catch(() => undefined);
  return reading;
}

/**
 * Reads the Header Object at a position and the first 50 bytes of the Data Object; keeps of a large header only what
 * players need.
 *
 * @param at bytes from the start of the file
 * @param fileSize bytes
 * @throws AsfError if it is not a header, or is cut off; WmError WM_BAD_INPUT if no data follows, WM_NO_INPUT if the
 *   disk fails
 */
export async function readFileHead(disk: DiskFile, at: number, fileSize: number): Promise<FileHead> {
  const bytes = await disk.read(at, Math.min(HEAD_READ_SIZE, fileSize - at));
  const end = findHeaderEnd(bytes);
  if ('data' in end) return headOf(bytes, at, end.data);
  if (end.needed <= MAX_KEPT_HEADER_SIZE) return readOn(disk, at, fileSize, bytes);
  return afterOtherLargeReads(() => readOn(disk, at, fileSize, bytes));
}

async function readOn(disk: DiskFile, at: number, fileSize: number, first: Buffer): Promise<FileHead> {
  let bytes = first;
  for (;;) {
    const end = findHeaderEnd(bytes);
    if ('data' in end) return headOf(bytes, at, end.data);
    if (end.needed > fileSize - at) {
      if (headerObjectSize(bytes) > fileSize - at) {
        throw new AsfError('The file ends inside the ASF header.', fileSize);
      }
      throw new WmError('WM_BAD_INPUT', `${disk.path} holds a header but no packets.`);
    }
    // When the objects are walked one by one, reads several of them at once.
    bytes = await disk.read(at, Math.min(Math.max(end.needed, 2 * bytes.length), fileSize - at));
  }
}

function headOf(bytes: Buffer, at: number, data: number): FileHead {
  const header = playerHeader(parseHeader(joinHeader(bytes, data)));
  if (header.bytes.length > MAX_KEPT_HEADER_SIZE) {
    throw new AsfError(`The ASF header is too large to serve: players need ${header.bytes.length} bytes of it.`);
  }
  return { header, dataStart: at + data + DATA_OBJECT_HEAD_SIZE };
}
