import { constants } from 'node:fs';
import { access, type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { WmError } from '../../errors.js';
import { systemErrorCode, systemErrorReason } from '../../media/system-error.js';

/** The file operations that a {@link LogWriter} needs. */
export interface LogFile {
  /** Writes at a position; may write fewer bytes. */
  write(bytes: Buffer, offset: number, length: number, position: number): Promise<{ readonly bytesWritten: number }>;
  truncate(length: number): Promise<void>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}

/** Where log files are written, and their bounds. */
export interface LogWriterOptions {
  readonly folder: string;
  /** The size in bytes from which on another file is begun; default: 100 MiB. */
  readonly maxSize?: number | undefined;
  /** Returns the head of a file. Its length must not depend on `ended`. */
  readonly head: (started: Date, ended: Date) => string;
  /** Reports that logging has stopped, and that it goes on. */
  readonly onWarning: (message: string) => void;
  readonly now?: () => Date;
  /** Creates a file. @throws an error with code EEXIST if there is one already */
  readonly create?: (path: string) => Promise<LogFile>;
  /** How long to wait after a failure before the next attempt, in ms; default: 30 s. */
  readonly retryAfter?: number;
}

const DEFAULT_SIZE = 100 * 1024 * 1024;
const RETRY_AFTER = 30_000;
/** Lines that wait for the disk, in bytes; beyond it lines are dropped. */
const MAX_WAITING = 4 * 1024 * 1024;
/** The interval at which written lines are forced to the disk, in ms. */
const SYNC_INTERVAL = 1_000;
/** The number of files that one day may have. */
const MAX_FILES = 100_000;

/** A file that is being written. */
interface Current {
  readonly file: LogFile;
  readonly path: string;
  /** The UTC day, as in its name. */
  readonly day: string;
  readonly started: Date;
  /** The bytes of its head; 0 as long as that could not be written. */
  head: number;
  /** The bytes of its head and whole lines. */
  size: number;
}

/**
 * Writes lines to files named after the day: `WMS_20261130.log`, then `WMS_20261130_001.log`.
 *
 * A line is never torn: each write ends with a line, and what a full disk cut off is removed. Libraries that rotate
 * files (pino-roll, rotating-file-stream) rename or append to files that exist, and leave half a line after a short
 * write. Here every file is created exclusively, so nothing that exists is touched.
 *
 * Lines are written as soon as the previous write is done, and synced at most a second later. If that fails, logging
 * stops with one warning, and is tried again from time to time; the caller never waits.
 */
export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #maxSize: number;
  readonly #retryAfter: number;
  readonly #now: () => Date;
  readonly #create: (path: string) => Promise<LogFile>;
  #current: Current | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #working: Promise<void> | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  /** Set while logging is stopped: when to try again. */
  #retryAt: number | undefined;
  #lost = 0;
  #written = 0;
  #closed = false;

  constructor(options: LogWriterOptions) {
    this.#options = options;
    this.#maxSize = options.maxSize ?? DEFAULT_SIZE;
    this.#retryAfter = options.retryAfter ?? RETRY_AFTER;
    this.#now = options.now ?? (() => new Date());
    this.#create = options.create ?? ((path) => createFile(path));
  }

  /** The number of lines in files. */
  get written(): number {
    return this.#written;
  }

  /** The file that is being written; undefined before the first line. */
  get path(): string | undefined {
    return this.#current?.path;
  }

  /** Begins the first file, so that the first line has to wait for one write only. Failures become warnings. */
  async open(): Promise<void> {
    this.#working ??= this.#fileFor(0)
      .then(
        () => {},
        (error: unknown) => this.#fail(error),
      )
      .finally(() => {
        this.#working = undefined;
        if (this.#waiting.length > 0) this.#work();
      });
    await this.#working;
  }

  /** Queues a line, which includes its line end. Lines that the disk cannot take are dropped and counted. */
  write(line: string): void {
    if (this.#closed) return;
    const bytes = Buffer.from(line, 'utf8');
    if (this.#stopped() || this.#waitingBytes + bytes.length > MAX_WAITING) {
      this.#lost++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#work();
  }

  /** Resolves when all queued lines are written or dropped. */
  async settled(): Promise<void> {
    while (this.#working) await this.#working;
  }

  /** Writes what is queued, dates the end of the file, and closes it. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.settled();
    clearTimeout(this.#syncTimer);
    await this.#finish();
  }

  #stopped(): boolean {
    return this.#retryAt !== undefined && performance.now() < this.#retryAt;
  }

  #work(): void {
    this.#working ??= this.#writeAll().finally(() => {
      this.#working = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        await this.#append(lines);
      } catch (error) {
        await this.#fail(error);
      }
    }
  }

  /** Writes lines in as few writes as the size of files allows. Lines that were not written are counted as lost. */
  async #append(lines: readonly Buffer[]): Promise<void> {
    let next = 0;
    try {
      while (next < lines.length) {
        const current = await this.#fileFor(lines[next]!.length);
        let end = next + 1;
        let size = lines[next]!.length;
        while (end < lines.length && current.size + size + lines[end]!.length <= this.#maxSize) {
          size += lines[end++]!.length;
        }
        await writeWhole(current.file, Buffer.concat(lines.slice(next, end)), current.size);
        current.size += size;
        this.#written += end - next;
        next = end;
        this.#goesOn(current);
        this.#syncLater();
      }
    } finally {
      this.#lost += lines.length - next;
    }
  }

  /** Returns the file that takes a line of that many bytes now; begins another one each day, and if it gets too large. */
  async #fileFor(bytes: number): Promise<Current> {
    const now = this.#now();
    const day = now.toISOString().slice(0, 10).replaceAll('-', '');
    let current = this.#current;
    // Every file takes one line at least.
    const fits = (size: number) => size + bytes <= this.#maxSize || size <= (this.#current?.head ?? 0);
    if (current?.day !== day || !fits(current.size)) {
      await this.#finish();
      current = { ...(await this.#createNext(day)), day, started: now, head: 0, size: 0 };
      this.#current = current;
    }
    if (current.size > 0) return current;
    const head = Buffer.from(this.#options.head(current.started, current.started), 'utf8');
    await writeWhole(current.file, head, 0);
    current.head = head.length;
    current.size = head.length;
    return current;
  }

  async #createNext(day: string): Promise<{ readonly file: LogFile; readonly path: string }> {
    for (let number = 0; number < MAX_FILES; number++) {
      const suffix = number === 0 ? '' : `_${String(number).padStart(3, '0')}`;
      const path = join(this.#options.folder, `WMS_${day}${suffix}.log`);
      try {
        return { file: await this.#create(path), path };
      } catch (error) {
        if (systemErrorCode(error) !== 'EEXIST') throw error;
      }
    }
    throw new Error(`there are ${MAX_FILES} files of that day`);
  }

  #syncLater(): void {
    if (this.#syncTimer || this.#closed) return;
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = undefined;
      this.#current?.file.datasync().catch((error: unknown) => this.#fail(error));
    }, SYNC_INTERVAL);
    this.#syncTimer.unref();
  }

  /** Dates the end of the current file and closes it. */
  async #finish(): Promise<void> {
    const current = this.#current;
    if (!current) return;
    this.#current = undefined;
    try {
      if (current.size > 0) {
        const head = Buffer.from(this.#options.head(current.started, this.#now()), 'utf8');
        await writeWhole(current.file, head, 0);
        await current.file.datasync();
      }
    } catch {
      // The lines are in the file; only the date of its end is not.
    } finally {
      await current.file.close().catch(() => {});
    }
  }

  async #fail(error: unknown): Promise<void> {
    const isNew = this.#retryAt === undefined;
    this.#retryAt = performance.now() + this.#retryAfter;
    this.#lost += this.#waiting.length;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const current = this.#current;
    await current?.file.truncate(current.size).catch(() => {});
    if (!isNew) return;
    const place = current?.path ?? this.#options.folder;
    this.#options.onWarning(
      `Logging to ${place} has stopped: ${systemErrorReason(error)}. Serving goes on; logging is tried again.`,
    );
  }

  #goesOn({ path }: Current): void {
    if (this.#retryAt === undefined) return;
    this.#retryAt = undefined;
    this.#options.onWarning(`Logging goes on in ${path}; ${this.#lost} lines were lost.`);
    this.#lost = 0;
  }
}

/** Writes all bytes at a position. @throws what the file throws; some bytes may then be in the file */
async function writeWhole(file: LogFile, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' });
    done += bytesWritten;
  }
}

function createFile(path: string): Promise<FileHandle> {
  return open(path, 'wx', 0o640);
}

/**
 * Checks that a folder takes files, and creates it if it is missing.
 *
 * @throws WmError WM_CONFIG
 */
export async function checkLogFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const sentence = `The log folder ${folder} cannot be written: ${systemErrorReason(error)}.`;
    throw new WmError('WM_CONFIG', sentence, { cause: error });
  }
}
