import { open } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { AsfError } from '../asf/error.js';
import { AsfFileBuilder } from '../asf/file.js';
import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import { WmError } from '../errors.js';
import type { AsfEvent, AsfSink } from './events.js';
import { markGrowing } from './growing.js';
import { systemErrorCode, systemErrorReason } from './system-error.js';

/** The file operations that the archive needs; a `FileHandle` of node:fs/promises has them. @public */
export interface ArchiveFile {
  write(bytes: Buffer, offset: number, length: number, position: number | null): Promise<{ bytesWritten: number }>;
  truncate(length: number): Promise<void>;
  sync(): Promise<void>;
  stat(): Promise<{ isFile(): boolean; readonly dev?: number; readonly ino?: number }>;
  close(): Promise<void>;
}

/** @public */
export interface ArchiveOptions {
  /** Bytes that may wait for the disk before `write` asks its caller to wait; default 4 MiB. */
  readonly queue?: number | undefined;
  /** Bytes that may wait if the caller does not; beyond that the archive fails. Default 64 MiB. */
  readonly queueLimit?: number | undefined;
  /** How long the disk may take for each operation before the archive fails, in ms; default: no limit. */
  readonly patience?: number | undefined;
  /**
   * How many times larger than the input the file may become beyond its first 64 MiB, as packets get their padding
   * back; beyond that the archive fails. Default: no limit.
   */
  readonly maxExpansion?: number | undefined;
  /**
   * What to do if the file exists: replace it (default), fail, or write to the next free number: `name-2.asf`,
   * `name-3.asf`, …
   */
  readonly existing?: 'replace' | 'refuse' | 'number' | undefined;
  /** Receives a sentence about packets that the file cannot hold: longer than the header says, or without a header. */
  readonly warn?: ((message: string) => void) | undefined;
  /** Bytes to keep free in the header of each file for markers; default 0. */
  readonly markerSpace?: number | undefined;
  /** Default: that of node:fs/promises. */
  readonly open?: ((path: string, flags: 'w' | 'wx') => Promise<ArchiveFile>) | undefined;
}

/** One file of an archive. @public */
export interface ArchivedFile {
  readonly path: string;
  /** Number of data packets in the file. */
  readonly packets: number;
  readonly bytes: number;
  /** True if its counts, durations and index have been written. */
  readonly finished: boolean;
}

type Task =
  | { readonly type: 'open'; readonly header: AsfHeader }
  | { readonly type: 'packet'; readonly packet: DataPacket; readonly size: number }
  | { readonly type: 'mark'; readonly description: string }
  | { readonly type: 'finish' };

interface Waiter {
  readonly until: 'drained' | 'idle';
  readonly resolve: () => void;
  readonly reject: (error: WmError) => void;
}

/** The most recordings of one name in a folder. */
const MAX_NUMBER = 100_000;
/** Bytes written to the disk in one call. */
const BATCH_SIZE = 1024 * 1024;
/**
 * Completing a file flushes everything that the system still buffers, so the disk gets this many times the patience.
 */
const FINISH_PATIENCE = 2;
/** Below this size, in bytes, expansion is not limited. */
const FREE_EXPANSION = 64 * 1024 * 1024;

/**
 * Records its input to an ASF file, which players of this process may play meanwhile, waiting at its end. The file is
 * playable at any moment, even if this process is killed: it grows by whole packets under the header of a live stream.
 * An end event, or `close`, completes it with counts, durations and an index. Times are shifted so that the file starts
 * at 0. Every further header opens a new file: `name-2.asf`, `name-3.asf`, …
 *
 * Nothing is dropped silently: if writing fails, the promise of a `write`, or of `close`, is rejected once with WM_DISK
 * and a statement of what is safe. After that everything is ignored.
 *
 * @public
 */
export class ArchiveSink implements AsfSink {
  readonly #path: string;
  readonly #options: ArchiveOptions;
  readonly #files: WrittenFile[] = [];
  #queue: Task[] = [];
  // Bytes in the queue, and of all input, both with padding as on the disk; and bytes of the input as received.
  #queuedBytes = 0;
  #wholeBytes = 0;
  #receivedBytes = 0;
  #packetSize = 0;
  // Number of the newest file.
  #number = 0;
  // True if the disk has not answered in time; nothing more is written to it.
  #stuck = false;
  #waiters: Waiter[] = [];
  #running = false;
  #closed = false;
  #failure: WmError | undefined;
  #reported = false;
  #unwritable = 0;

  /** @param path where to write; anything but a regular file gets the live form and no index */
  constructor(path: string, options: ArchiveOptions = {}) {
    this.#path = path;
    this.#options = options;
  }

  /** The files so far; the last one may still be growing. */
  get files(): readonly ArchivedFile[] {
    return this.#files.map(({ path, packets, position, finished }) => ({ path, packets, bytes: position, finished }));
  }

  /**
   * Takes an event. The promise of a header resolves when the file is open, that of an end when the file is complete. A
   * packet returns a promise only if too much is waiting for the disk.
   */
  write(event: AsfEvent): void | Promise<void> {
    if (this.#failure !== undefined) return this.#report();
    if (this.#closed) return Promise.reject(new WmError('WM_FAILED', `The archive ${this.#path} is already closed.`));
    if (event.type === 'header') this.#packetSize = event.header.packetSize;
    if (event.type !== 'packet') {
      this.#enqueue(event.type === 'header' ? { type: 'open', header: event.header } : { type: 'finish' });
      return this.#until('idle');
    }
    const size = Math.max(event.packet.bytes.length, this.#packetSize);
    this.#queuedBytes += size;
    this.#wholeBytes += size;
    this.#receivedBytes += event.packet.bytes.length;
    this.#enqueue({ type: 'packet', packet: event.packet, size });
    const { maxExpansion = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#wholeBytes > FREE_EXPANSION && this.#wholeBytes > maxExpansion * this.#receivedBytes) {
      this.#fail(new Error('its packets are almost empty, and would fill the disk with padding'));
    }
    if (this.#queuedBytes > (this.#options.queueLimit ?? 64 * 1024 * 1024)) {
      this.#fail(new Error('the disk is slower than the stream'));
    }
    return this.#queuedBytes > this.#limit ? this.#until('drained') : undefined;
  }

  /** Adds a marker at this place, which players list as a chapter; needs `markerSpace`. */
  mark(description: string): void {
    if (this.#failure === undefined && !this.#closed) this.#enqueue({ type: 'mark', description });
  }

  /** Gives up: drops the queue, and rejects the next promise with the reason. */
  abort(reason: string): void {
    this.#fail(new Error(reason));
  }

  async close(): Promise<void> {
    if (!this.#closed && this.#failure === undefined) this.#enqueue({ type: 'finish' });
    this.#closed = true;
    if (this.#running && !this.#stuck) await this.#until('idle');
    await this.#report();
    if (this.#unwritable > 0) {
      this.#options.warn?.(
        `${this.#path}: ${this.#unwritable} packets are missing because they did not fit the header.`,
      );
      this.#unwritable = 0;
    }
  }

  get #limit(): number {
    return this.#options.queue ?? 4 * 1024 * 1024;
  }

  #report(): Promise<void> | undefined {
    if (this.#failure === undefined || this.#reported) return undefined;
    this.#reported = true;
    return Promise.reject(this.#failure);
  }

  #until(until: Waiter['until']): Promise<void> | undefined {
    if (this.#failure !== undefined) return this.#report();
    return new Promise<void>((resolve, reject) => this.#waiters.push({ until, resolve, reject }));
  }

  #enqueue(task: Task): void {
    this.#queue.push(task);
    if (!this.#running) {
      this.#running = true;
      void this.#run();
    }
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const tasks = this.#queue;
        this.#queue = [];
        for (let at = 0; at < tasks.length && this.#failure === undefined; ) {
          at = await this.#patiently(this.#step(tasks, at), tasks[at]!);
        }
        this.#wake('drained');
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#running = false;
    if (this.#failure !== undefined && !this.#stuck) await this.#files.at(-1)?.abandon();
    this.#wake('idle');
  }

  /** Waits for a step, but no longer than the disk may take. */
  async #patiently(step: Promise<number>, { type }: Task): Promise<number> {
    const { patience } = this.#options;
    if (patience === undefined) return step;
    const limit = type === 'finish' ? patience * FINISH_PATIENCE : patience;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#stuck = true;
        reject(new Error(`the disk has not answered for ${limit / 1000} s`));
      }, limit);
    });
    // The late result is of no use any more.
    step.catch(() => undefined);
    return Promise.race([step, late]).finally(() => clearTimeout(timer));
  }

  /** Runs one task, or a batch of packets; returns the index of the next task. */
  async #step(tasks: readonly Task[], at: number): Promise<number> {
    const task = tasks[at]!;
    if (task.type === 'open') await this.#open(task.header);
    else if (task.type === 'mark') this.#mark(task.description);
    else if (task.type === 'finish') await this.#files.at(-1)?.finish();
    else {
      const batch: Buffer[] = [];
      let size = 0;
      let next = at;
      for (; next < tasks.length && size < BATCH_SIZE; next++) {
        const each = tasks[next]!;
        if (each.type !== 'packet') break;
        this.#queuedBytes -= each.size;
        const bytes = this.#stored(each.packet);
        if (bytes === undefined || bytes.length === 0) continue;
        batch.push(bytes);
        size += bytes.length;
      }
      await this.#files.at(-1)?.append(batch);
      if (this.#queuedBytes <= this.#limit / 2) this.#wake('drained');
      return next;
    }
    return at + 1;
  }

  #mark(description: string): void {
    const file = this.#files.at(-1);
    if (file && !file.finished && !file.mark(description)) {
      this.#options.warn?.(`${file.path}: the marker "${description.slice(0, 60)}" is left out: the header is full.`);
    }
  }

  #stored(packet: DataPacket): Buffer | undefined {
    try {
      const file = this.#files.at(-1);
      if (file === undefined || file.finished) throw new AsfError('no header came before it');
      return file.stored(packet);
    } catch (error) {
      if (!(error instanceof AsfError)) throw error;
      if (this.#unwritable++ === 0) this.#options.warn?.(`${this.#path}: a packet is left out: ${error.message}`);
      return undefined;
    }
  }

  /** Opens the next file. @throws WmError WM_DISK */
  async #create(): Promise<{ path: string; handle: ArchiveFile }> {
    const { existing = 'replace', open: openFile = open } = this.#options;
    for (;;) {
      const path = numbered(this.#path, ++this.#number);
      try {
        return { path, handle: await openFile(path, existing === 'replace' ? 'w' : 'wx') };
      } catch (error) {
        if (existing === 'number' && systemErrorCode(error) === 'EEXIST' && this.#number < MAX_NUMBER) continue;
        throw new WmError('WM_DISK', `The archive ${path} cannot be created: ${systemErrorReason(error)}.`, {
          cause: error,
        });
      }
    }
  }

  async #open(header: AsfHeader): Promise<void> {
    const last = this.#files.at(-1);
    // A header without packets is not worth a file.
    if (last !== undefined && last.packets === 0 && !last.finished) await last.restart(header);
    else {
      await last?.finish();
      const { path, handle } = await this.#create();
      if (this.#stuck) {
        await handle.close();
        return;
      }
      const about = await handle.stat();
      const { markerSpace } = this.#options;
      const file = new WrittenFile(path, handle, about.isFile(), growingMark(about), markerSpace);
      this.#files.push(file);
      await file.restart(header);
    }
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error instanceof WmError && error.code === 'WM_DISK' ? error : this.#diskError(error);
    this.#queue = [];
    this.#queuedBytes = 0;
    const file = this.#files.at(-1);
    if (file) file.givenUp = true;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      this.#reported = true;
      waiter.reject(this.#failure);
    }
  }

  #diskError(error: unknown): WmError {
    const file = this.#files.at(-1);
    const path = file?.path ?? this.#path;
    const kilobytes = (file?.position ?? 0) / 1000;
    const size = kilobytes < 1000 ? `${Math.ceil(kilobytes)} kB` : `${(kilobytes / 1000).toFixed(1)} MB`;
    const safe =
      file === undefined || file.packets === 0
        ? 'nothing of it is safe'
        : `its first ${file.packets} packets (${size}) are safe and play`;
    return new WmError('WM_DISK', `The archive ${path} cannot be written: ${systemErrorReason(error)}; ${safe}.`, {
      cause: error,
    });
  }

  #wake(what: Waiter['until']): void {
    const idle = what === 'idle';
    const waiters = this.#waiters;
    this.#waiters = idle ? [] : waiters.filter(({ until }) => until === 'idle');
    for (const { until, resolve } of waiters) if (idle || until === 'drained') resolve();
  }
}

/** A file on the disk, and how much of it is sound. */
class WrittenFile {
  readonly path: string;
  readonly #handle: ArchiveFile;
  /** True if the file is seekable, so that its header can be completed. */
  readonly #isRegular: boolean;
  readonly #ended: () => void;
  readonly #markerSpace: number;
  #builder: AsfFileBuilder | undefined;
  /** Bytes of whole packets and everything before them. */
  position = 0;
  packets = 0;
  finished = false;
  /** True to end a write after the bytes that the disk is taking. */
  givenUp = false;
  #closed = false;

  /** @param ended called when writing is over */
  constructor(
    path: string,
    handle: ArchiveFile,
    isRegular: boolean,
    ended: () => void = () => undefined,
    markerSpace = 0,
  ) {
    this.#markerSpace = markerSpace;
    this.path = path;
    this.#handle = handle;
    this.#isRegular = isRegular;
    this.#ended = ended;
  }

  /** Writes another header at the start of a file without packets. */
  async restart(header: AsfHeader): Promise<void> {
    this.#builder = new AsfFileBuilder(header, { markerSpace: this.#markerSpace });
    if (this.position > 0 && this.#isRegular) await this.#handle.truncate(0);
    this.position = 0;
    const start = this.#builder.start();
    await this.#write(start, 0);
    this.position = start.length;
  }

  /**
   * Returns the packet in the form of the file; empty if a file has no place for it. @throws AsfError if it does not
   * fit
   */
  stored(packet: DataPacket): Buffer {
    return this.#builder!.packet(packet);
  }

  /** @returns false if there is no room for a marker */
  mark(description: string): boolean {
    return this.#builder!.mark(description);
  }

  async append(packets: readonly Buffer[]): Promise<void> {
    if (packets.length === 0 || this.finished) return;
    const bytes = packets.length === 1 ? packets[0]! : Buffer.concat(packets);
    let written = 0;
    try {
      await this.#write(bytes, this.position, (count) => {
        written = count;
      });
    } finally {
      // After a failure, the packets that were written whole are kept.
      for (const packet of packets) {
        if (packet.length > written) break;
        written -= packet.length;
        this.position += packet.length;
        this.packets++;
      }
    }
  }

  async finish(): Promise<void> {
    if (this.finished || this.#closed) return;
    if (this.#isRegular && this.packets > 0) {
      const { trailer, header } = this.#builder!.finish();
      await this.#write(trailer, this.position);
      await this.#write(header, 0);
      await this.#handle.sync();
      this.position += trailer.length;
    }
    this.finished = true;
    await this.#close();
  }

  /** Truncates the file to whole packets. The header is still the live one, so the file plays. */
  async abandon(): Promise<void> {
    if (this.#closed) return;
    if (this.#isRegular) await this.#handle.truncate(this.position).catch(() => undefined);
    await this.#close().catch(() => undefined);
  }

  async #close(): Promise<void> {
    this.#closed = true;
    this.#ended();
    await this.#handle.close();
  }

  async #write(bytes: Buffer, position: number, progress?: (written: number) => void): Promise<void> {
    for (let written = 0; written < bytes.length; ) {
      const at = this.#isRegular ? position + written : null;
      const { bytesWritten } = await this.#handle.write(bytes, written, bytes.length - written, at);
      if (bytesWritten <= 0) throw new Error('the disk accepts no more data');
      if (this.givenUp && written + bytesWritten < bytes.length) throw new Error('the archive was given up');
      written += bytesWritten;
      progress?.(written);
    }
  }
}

/** Marks the file as growing for its players; undefined for anything but a regular file. */
function growingMark({ dev, ino }: { readonly dev?: number; readonly ino?: number }): (() => void) | undefined {
  return dev === undefined || ino === undefined ? undefined : markGrowing({ dev, ino });
}

function numbered(path: string, number: number): string {
  if (number === 1) return path;
  const { dir, name, ext } = parse(path);
  return join(dir, `${name}-${number}${ext}`);
}
