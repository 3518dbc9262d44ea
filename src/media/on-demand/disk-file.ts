import { read, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { WmError } from '../../errors.js';
import { systemErrorCode, systemErrorReason } from '../system-error.js';

function openError(path: string, error: unknown): WmError {
  const reason = systemErrorCode(error) === 'ENOENT' ? 'does not exist' : `cannot be read: ${systemErrorReason(error)}`;
  return new WmError('WM_NO_INPUT', `${path} ${reason}.`, { cause: error });
}

/** Returns a text that differs between two states of a file. */
export function versionOf({ dev, ino, size, mtimeMs }: Pick<Stats, 'dev' | 'ino' | 'size' | 'mtimeMs'>): string {
  return `${dev}-${ino}-${size}-${mtimeMs}`;
}

/** A regular file open for reading, with errors that name it. */
export class DiskFile {
  readonly path: string;
  /** When the file was opened. */
  readonly stats: Stats;
  readonly #handle: FileHandle;
  #closing: Promise<void> | undefined;
  /** Reads that have begun and not ended. */
  #reading = 0;
  #readEnded: (() => void) | undefined;

  private constructor(path: string, handle: FileHandle, stats: Stats) {
    this.path = path;
    this.#handle = handle;
    this.stats = stats;
  }

  /** @throws WmError WM_NO_INPUT if it cannot be opened, WM_BAD_INPUT if it is empty or not a regular file */
  static async open(path: string): Promise<DiskFile> {
    // Opening a named pipe would wait for a writer, so check the type first.
    const before = await stat(path).catch((error: unknown) => Promise.reject(openError(path, error)));
    if (before.isDirectory()) throw new WmError('WM_BAD_INPUT', `${path} is a folder, not a file.`);
    if (!before.isFile()) throw new WmError('WM_BAD_INPUT', `${path} is not a regular file.`);
    const handle = await open(path, 'r').catch((error: unknown) => Promise.reject(openError(path, error)));
    try {
      const stats = await handle.stat();
      if (stats.size === 0) throw new WmError('WM_BAD_INPUT', `${path} is empty.`);
      return new DiskFile(path, handle, stats);
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error instanceof WmError ? error : openError(path, error);
    }
  }

  /** Returns the current size in bytes. @throws WmError WM_NO_INPUT */
  async size(): Promise<number> {
    const { size } = await this.#handle.stat().catch((error: unknown) => Promise.reject(openError(this.path, error)));
    return size;
  }

  /**
   * Reads bytes from anywhere in the file; fewer than requested at its end.
   *
   * @throws WmError WM_NO_INPUT if the disk fails or the file was closed
   */
  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length);
    const filled = await this.fill(buffer, position, length);
    return filled === length ? buffer : buffer.subarray(0, filled);
  }

  /**
   * Reads into a buffer, from `at` on.
   *
   * @returns the number of bytes read, fewer at the end of the file
   * @throws WmError WM_NO_INPUT if the disk fails or the file was closed
   */
  async fill(buffer: Buffer, position: number, length: number, at = 0): Promise<number> {
    if (this.#closing !== undefined) throw new WmError('WM_NO_INPUT', `${this.path} was closed.`);
    let filled = 0;
    this.#reading++;
    try {
      while (filled < length) {
        const bytesRead = await this.#read(buffer, at + filled, length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
    } catch (error) {
      throw openError(this.path, error);
    } finally {
      if (--this.#reading === 0) this.#readEnded?.();
    }
    return filled;
  }

  /** Waits for pending reads, then closes the file; may be called more than once. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** The read of `node:fs/promises` costs several times as much: it also makes memory for file statistics. */
  #read(buffer: Buffer, at: number, length: number, position: number): Promise<number> {
    // No file is that long, whatever its size fields say.
    if (position > Number.MAX_SAFE_INTEGER - length) return Promise.resolve(0);
    return new Promise((resolve, reject) => {
      read(this.#handle.fd, buffer, at, length, position, (error, bytesRead) => {
        if (error) reject(error);
        else resolve(bytesRead);
      });
    });
  }

  async #close(): Promise<void> {
    if (this.#reading > 0) {
      await new Promise<void>((resolve) => {
        this.#readEnded = resolve;
      });
    }
    await this.#handle.close();
  }
}
