import { AsfError } from '../../asf/error.js';
import { type AsfHeader, DATA_OBJECT_HEAD_SIZE, headerObjectSize, parseHeader } from '../../asf/header.js';
import { playerHeader } from '../../asf/lean-header.js';
import { findHeaderEnd, joinHeader } from '../../asf/top-level.js';
import { WmError } from '../../errors.js';
import type { DiskFile } from './disk-file.js';

/** The header as players get it, and where the first packet is in the file. */
export interface FileHead {
  readonly header: AsfHeader;
  /** Bytes from the start of the file. */
  readonly dataStart: number;
}

/** Read at once when a file is opened: nearly every header fits. Bytes. */
const HEAD_READ_SIZE = 16 * 1024;
/** A header that is left larger than this would be held for every file that is open. Bytes. */
const MAX_KEPT_HEADER_SIZE = 1024 * 1024;

/** Large headers are read one after the other, since each is in memory as a whole for a moment. */
let largeRead: Promise<unknown> = Promise.resolve();

function afterOtherLargeReads<T>(read: () => Promise<T>): Promise<T> {
  const reading = largeRead.then(read);
  largeRead = reading.catch(() => undefined);
  return reading;
}

/**
 * Reads the Header Object at a place and the first 50 bytes of the Data Object; of a large header only what players need is
 * kept.
 * @param at bytes from the start of the file
 * @param fileSize bytes
 * @throws AsfError when it is none, or cut; WmError WM_BAD_INPUT when no data follows, WM_NO_INPUT when the disk fails
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
    // Where objects are walked one by one, not one read for each of them.
    bytes = await disk.read(at, Math.min(Math.max(end.needed, 2 * bytes.length), fileSize - at));
  }
}

function headOf(bytes: Buffer, at: number, data: number): FileHead {
  const header = playerHeader(parseHeader(joinHeader(bytes, data)));
  if (header.bytes.length > MAX_KEPT_HEADER_SIZE) {
    throw new AsfError(
      `${header.bytes.length} bytes of the ASF header cannot be left out, which is too much to be served.`,
    );
  }
  return { header, dataStart: at + data + DATA_OBJECT_HEAD_SIZE };
}
