import type { Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { AsfError } from '../../asf/error.js';
import { GUID } from '../../asf/guid.js';
import { type AsfHeader, DATA_OBJECT_HEAD_SIZE, headerObjectSize, parseHeader } from '../../asf/header.js';
import { playerHeader } from '../../asf/lean-header.js';
import { type DataPacket, parsePacket } from '../../asf/packet.js';
import { WmError } from '../../errors.js';
import { systemErrorCode, systemErrorReason } from '../system-error.js';
import { buffers } from './buffer-pool.js';

/** Bytes of packets that one read takes to look at them, or one packet if that is larger. */
const BATCH_SIZE = 32 * 1024;
/** Read at once when a file is opened: nearly every header fits. Bytes. */
const HEAD_READ_SIZE = 16 * 1024;
/** How far from the end of a file without a packet count the last packet is looked for one by one. Bytes. */
const MAX_TAIL_SIZE = 16 * 1024 * 1024;

const EMPTY = Buffer.alloc(0);

/** The packet, or undefined when it cannot be read at all; a parity packet counts as such, since it carries no media. */
export function tryPacket(bytes: Buffer): DataPacket | undefined {
  try {
    const packet = parsePacket(bytes);
    return packet.parity ? undefined : packet;
  } catch (error) {
    if (error instanceof AsfError) return undefined;
    throw error;
  }
}

/** Calls `visit` with every packet of a run that can be read; `index` counts from 0 and does not skip the others. */
export function visitPackets(
  bytes: Buffer,
  packetSize: number,
  visit: (packet: DataPacket, index: number) => void,
): void {
  for (let at = 0, index = 0; at + packetSize <= bytes.length; at += packetSize, index++) {
    const packet = tryPacket(bytes.subarray(at, at + packetSize));
    if (packet !== undefined) visit(packet, index);
  }
}

function openError(path: string, error: unknown): WmError {
  const reason = systemErrorCode(error) === 'ENOENT' ? 'does not exist' : `cannot be read: ${systemErrorReason(error)}`;
  return new WmError('WM_NO_INPUT', `${path} ${reason}.`, { cause: error });
}

async function readAt(handle: FileHandle, path: string, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length);
  const filled = await fill(handle, path, buffer, position, length);
  return filled === length ? buffer : buffer.subarray(0, filled);
}

/** Reads into the start of a buffer. @returns the bytes that were there */
async function fill(
  handle: FileHandle,
  path: string,
  buffer: Buffer,
  position: number,
  length: number,
): Promise<number> {
  let filled = 0;
  try {
    while (filled < length) {
      const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
  } catch (error) {
    throw openError(path, error);
  }
  return filled;
}

/** The header as players get it, and where the first packet is in the file. */
interface FileHead {
  readonly header: AsfHeader;
  readonly dataStart: number;
}

/** A header that is left larger than this would be held for every file that is open. Bytes. */
const MAX_KEPT_HEADER_SIZE = 1024 * 1024;

/** Large headers are read one after the other, since each is in memory as a whole for a moment. */
let largeRead: Promise<unknown> = Promise.resolve();

function afterOtherLargeReads<T>(read: () => Promise<T>): Promise<T> {
  const reading = largeRead.then(read);
  largeRead = reading.catch(() => undefined);
  return reading;
}

/** The Header Object and the first 50 bytes of the Data Object; of a large header only what players need is kept. */
async function readHeader(handle: FileHandle, path: string, fileSize: number): Promise<FileHead> {
  let bytes = await readAt(handle, path, 0, Math.min(HEAD_READ_SIZE, fileSize));
  const objectSize = headerObjectSize(bytes);
  if (objectSize > fileSize) throw new AsfError('The file ends inside the ASF header.', fileSize);
  const size = objectSize + DATA_OBJECT_HEAD_SIZE;
  const read = async (): Promise<FileHead> => {
    if (bytes.length < size) bytes = await readAt(handle, path, 0, Math.min(size, fileSize));
    return { header: playersHeader(path, bytes, size), dataStart: size };
  };
  return size <= MAX_KEPT_HEADER_SIZE ? read() : afterOtherLargeReads(read);
}

function playersHeader(path: string, bytes: Buffer, size: number): AsfHeader {
  const objectSize = size - DATA_OBJECT_HEAD_SIZE;
  if (bytes.length < size) throw new WmError('WM_BAD_INPUT', `${path} holds a header but no packets.`);
  if (bytes.toString('hex', objectSize, objectSize + 16) !== GUID.dataObject) {
    throw new AsfError('The ASF header is not followed by a Data Object.', objectSize);
  }
  const header = playerHeader(parseHeader(bytes.subarray(0, size)));
  if (header.bytes.length > MAX_KEPT_HEADER_SIZE) {
    throw new AsfError(
      `${header.bytes.length} bytes of the ASF header cannot be left out, which is too much to be served.`,
    );
  }
  return header;
}

/** What tells one state of a file from the next. */
export function versionOf({ dev, ino, size, mtimeMs }: Pick<Stats, 'dev' | 'ino' | 'size' | 'mtimeMs'>): string {
  return `${dev}-${ino}-${size}-${mtimeMs}`;
}

/** Whole packets in memory that is used again. */
export interface PacketRun {
  readonly bytes: Buffer;
  /** `bytes` is not needed any more; once. */
  release(): void;
}

/**
 * The data packets of an ASF file on disk, read when they are asked for: packet i at `dataStart + i × packetSize`.
 *
 * How many there are is said by the Data Object when all of it is here. The end of a file that is cut, or that has the
 * header of a live stream (a recording that goes on, or whose program was killed), is where the last whole packet ends; such
 * a file may still grow.
 */
export class PacketFile {
  readonly path: string;
  /** As it stands in the file, but for what players can do without in a large one. */
  readonly header: AsfHeader;
  readonly packetSize: number;
  /** Packets that one read takes to look at them. */
  readonly batchPackets: number;
  /** Of the first packet in the file, bytes. */
  readonly dataStart: number;
  /** The header says how many packets there are, and they are. */
  readonly complete: boolean;
  /** Bytes when the file was opened. */
  readonly size: number;
  readonly modified: Date;
  /** Differs when the file was changed or replaced. */
  readonly version: string;
  readonly #handle: FileHandle;
  #packetCount = 0;
  #knownSize: number;
  #extending: Promise<boolean> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(path: string, handle: FileHandle, stats: Stats, { header, dataStart }: FileHead) {
    const { dataObject, packetSize, broadcast } = header;
    this.path = path;
    this.#handle = handle;
    this.header = header;
    this.packetSize = packetSize;
    this.batchPackets = Math.max(1, Math.floor(BATCH_SIZE / packetSize));
    this.dataStart = dataStart;
    this.size = stats.size;
    this.#knownSize = stats.size;
    this.modified = stats.mtime;
    this.version = versionOf(stats);
    const declared = this.#declared(dataObject.size);
    this.complete = !broadcast && declared > 0 && declared <= this.#available(stats.size);
    if (this.complete) this.#packetCount = declared;
  }

  /**
   * Opens a file; of its data only the head and, without a usable count, the tail is read.
   * @throws WmError WM_NO_INPUT when it cannot be opened or read, WM_BAD_INPUT when it is empty, not a regular file or
   *   without a whole packet, WM_ASF_MALFORMED when it is not ASF
   */
  static async open(path: string): Promise<PacketFile> {
    // Opening a named pipe would wait for its writer, so what it is comes first.
    const before = await stat(path).catch((error: unknown) => Promise.reject(openError(path, error)));
    if (before.isDirectory()) throw new WmError('WM_BAD_INPUT', `${path} is a folder, not a file.`);
    if (!before.isFile()) throw new WmError('WM_BAD_INPUT', `${path} is not a regular file.`);
    const handle = await open(path, 'r').catch((error: unknown) => Promise.reject(openError(path, error)));
    try {
      const stats = await handle.stat();
      if (stats.size === 0) throw new WmError('WM_BAD_INPUT', `${path} is empty.`);
      const file = new PacketFile(path, handle, stats, await readHeader(handle, path, stats.size));
      if (!file.complete) file.#packetCount = await file.#count(stats.size);
      if (file.packetCount === 0) throw new WmError('WM_BAD_INPUT', `${path} holds a header but no packets.`);
      return file;
    } catch (error) {
      await handle.close().catch(() => undefined);
      if (error instanceof AsfError) {
        throw new WmError(error.code, `${path} cannot be played: ${error.message}`, { cause: error });
      }
      throw error instanceof WmError ? error : openError(path, error);
    }
  }

  /** Rises while the file grows. */
  get packetCount(): number {
    return this.#packetCount;
  }

  /** Bytes at the last look. */
  get knownSize(): number {
    return this.#knownSize;
  }

  /** Where index objects may stand, bytes. */
  get dataEnd(): number {
    if (!this.complete) return this.dataStart + this.#packetCount * this.packetSize;
    return this.dataStart + Number(this.header.dataObject.size) - DATA_OBJECT_HEAD_SIZE;
  }

  /**
   * The bytes of whole packets; fewer than asked for at the end of the data, and when the file was cut meanwhile.
   * @throws WmError WM_NO_INPUT when the disk fails or the file was closed
   */
  async read(from: number, count: number): Promise<Buffer> {
    const wanted = Math.min(count, this.#packetCount - from);
    if (!(wanted > 0)) return EMPTY;
    const bytes = await this.readBytes(this.dataStart + from * this.packetSize, wanted * this.packetSize);
    const rest = bytes.length % this.packetSize;
    return rest === 0 ? bytes : bytes.subarray(0, bytes.length - rest);
  }

  /**
   * As {@link read}, into memory that is given back.
   * @throws WmError WM_NO_INPUT when the disk fails or the file was closed
   */
  async borrow(from: number, count: number): Promise<PacketRun> {
    if (this.#closing !== undefined) throw this.#closedError();
    const wanted = Math.max(0, Math.min(count, this.#packetCount - from)) * this.packetSize;
    const room = buffers.take(wanted);
    const size = await fill(this.#handle, this.path, room, this.dataStart + from * this.packetSize, wanted);
    return { bytes: room.subarray(0, size - (size % this.packetSize)), release: () => buffers.give(room) };
  }

  /**
   * Bytes from anywhere in the file; fewer than asked for at its end.
   * @throws WmError WM_NO_INPUT when the disk fails or the file was closed
   */
  readBytes(position: number, length: number): Promise<Buffer> {
    if (this.#closing !== undefined) return Promise.reject(this.#closedError());
    return readAt(this.#handle, this.path, position, length);
  }

  /** Looks whether a file that was not complete has more packets by now. @throws WmError WM_NO_INPUT */
  extend(): Promise<boolean> {
    if (this.complete) return Promise.resolve(false);
    this.#extending ??= this.#extend().finally(() => {
      this.#extending = undefined;
    });
    return this.#extending;
  }

  /** Waits for reads under way; may be called more than once. */
  close(): Promise<void> {
    this.#closing ??= this.#handle.close();
    return this.#closing;
  }

  async #extend(): Promise<boolean> {
    const { size } = await this.#handle.stat().catch((error: unknown) => Promise.reject(openError(this.path, error)));
    if (size - this.#knownSize < this.packetSize) return false;
    const count = await this.#count(size);
    this.#knownSize = size;
    if (count <= this.#packetCount) return false;
    this.#packetCount = count;
    return true;
  }

  #closedError(): WmError {
    return new WmError('WM_NO_INPUT', `${this.path} was closed.`);
  }

  #available(fileSize: number): number {
    return Math.max(Math.floor((fileSize - this.dataStart) / this.packetSize), 0);
  }

  #declared(dataObjectSize: bigint): number {
    return Math.max(Math.floor((Number(dataObjectSize) - DATA_OBJECT_HEAD_SIZE) / this.packetSize), 0);
  }

  /** The packets of a file whose header does not tell. */
  async #count(fileSize: number): Promise<number> {
    const available = this.#available(fileSize);
    // Who finished a recording in the meantime wrote its size here.
    const head = await this.readBytes(this.dataStart - DATA_OBJECT_HEAD_SIZE, DATA_OBJECT_HEAD_SIZE);
    if (head.length === DATA_OBJECT_HEAD_SIZE && head.toString('hex', 0, 16) === GUID.dataObject) {
      const declared = this.#declared(head.readBigUInt64LE(16));
      if (declared > 0 && declared <= available) return declared;
    }
    return this.#lastPacket(available);
  }

  /** Practically all packets of a file begin with the same byte, 0x82, and that tells them well from other things. */
  async #firstByte(): Promise<number | undefined> {
    let first: number | undefined;
    const bytes = await this.readBytes(this.dataStart, this.batchPackets * this.packetSize);
    visitPackets(bytes, this.packetSize, (packet) => {
      first ??= packet.bytes[0];
    });
    return first;
  }

  /** Behind the packets may stand an index, what a protocol left, or the zeros of a file whose space was reserved. */
  async #lastPacket(available: number): Promise<number> {
    if (available === 0) return 0;
    const firstByte = await this.#firstByte();
    const isPacket = (bytes: Buffer): boolean =>
      bytes.length === this.packetSize &&
      (firstByte === undefined || bytes[0] === firstByte) &&
      tryPacket(bytes)?.damaged === false;
    const packetAt = (bytes: Buffer, index: number): Buffer =>
      bytes.subarray(index * this.packetSize, (index + 1) * this.packetSize);
    let end = available;
    const stop = Math.max(available - Math.floor(MAX_TAIL_SIZE / this.packetSize), 0);
    while (end > stop) {
      const from = Math.max(end - this.batchPackets, 0);
      const bytes = await this.readBytes(this.dataStart + from * this.packetSize, (end - from) * this.packetSize);
      for (let index = end - from - 1; index >= 0; index--) {
        if (isPacket(packetAt(bytes, index))) return from + index + 1;
      }
      end = from;
    }
    let low = 0;
    while (low < end) {
      const middle = Math.floor((low + end) / 2);
      const bytes = await this.readBytes(this.dataStart + middle * this.packetSize, this.packetSize);
      if (isPacket(bytes)) low = middle + 1;
      else end = middle;
    }
    return low;
  }
}
