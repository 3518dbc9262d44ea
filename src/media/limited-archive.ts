import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { lastPacket, startPacket } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import { type DataPacket, packetStartsKeyFrame, parsePacket } from '../asf/packet.js';
import { type ArchivedFile, type ArchiveOptions, ArchiveSink } from './archive.js';
import type { AsfEvent, AsfSink, EndEvent, HeaderEvent } from './events.js';
import { MediaTime } from './media-time.js';

/** When a recording begins another file, or ends. @public */
export interface RecordingLimits {
  /** Bytes of one file. A file ends at the key frame after which it would probably become larger. */
  readonly size?: number | undefined;
  /** Seconds of media in one file; it ends at the next key frame. */
  readonly duration?: number | undefined;
  /** Bytes of the disk that stay free: nothing is recorded while there are fewer. */
  readonly free?: number | undefined;
  /** What follows a full file: another one (default), or nothing. */
  readonly full?: 'new' | 'stop' | undefined;
}

/** @public */
export interface LimitedArchiveOptions extends ArchiveOptions {
  readonly limits?: RecordingLimits | undefined;
  /** Returns the free bytes of the disk of a folder; default: that of node:fs/promises. */
  readonly freeBytes?: ((folder: string) => Promise<number>) | undefined;
  /** Ms; monotonic. */
  readonly now?: (() => number) | undefined;
}

const END: EndEvent = { type: 'end', moreEntries: false, reason: 0 };
/** How often the free space is looked at, in ms. */
const FREE_INTERVAL = 5_000;
/** How much more than the limit has to be free before recording goes on: it must not flutter. */
const AGAIN = 1.1;
/** A file without key frames ends in their absence, at this many times its limits. */
const OVERDUE = 1.25;

/**
 * Records as {@link ArchiveSink}, in files of limited size and length, each of which begins at a key frame. What was
 * recorded stays as it is, and with `existing: 'number'` no other file is replaced.
 *
 * @public
 */
export class LimitedArchive implements AsfSink {
  readonly #sink: ArchiveSink;
  readonly #path: string;
  readonly #limits: RecordingLimits;
  readonly #options: LimitedArchiveOptions;
  readonly #now: () => number;
  #header: HeaderEvent | undefined;
  #video: ReadonlySet<number> = new Set();
  #media = new MediaTime();
  #bytes = 0;
  /** Bytes since the last key frame, and the most between two of them. */
  #group = { bytes: 0, most: 0 };
  #state: 'recording' | 'waiting' | 'stopped' = 'recording';
  #isLow = false;
  /** What happened while a file was completed. */
  #failure: { readonly error: unknown } | undefined;
  #isReported = false;
  #checkedAt = Number.NEGATIVE_INFINITY;

  /** @param path as for {@link ArchiveSink} */
  constructor(path: string, options: LimitedArchiveOptions = {}) {
    const { limits = {}, freeBytes: _free, now = () => performance.now(), ...archive } = options;
    this.#sink = new ArchiveSink(path, archive);
    this.#path = path;
    this.#limits = limits;
    this.#options = options;
    this.#now = now;
  }

  get files(): readonly ArchivedFile[] {
    return this.#sink.files;
  }

  /** As {@link ArchiveSink.write}. */
  write(event: AsfEvent): void | Promise<void> {
    return this.#report() ?? this.#once(this.#write(event));
  }

  /** A failure is reported once, though several writes meet it. */
  #once(written: void | Promise<void>): void | Promise<void> {
    return written?.catch((error: unknown) => {
      if (this.#isReported) return;
      this.#isReported = true;
      throw error;
    });
  }

  #write(event: AsfEvent): void | Promise<void> {
    if (this.#state === 'stopped') return undefined;
    if (event.type === 'packet') return this.#packet(event.packet);
    if (event.type === 'header') {
      this.#checkSpace();
      this.#header = event;
      this.#video = videoOf(event.header);
      this.#begin();
    } else this.#header = undefined;
    return this.#state === 'recording' ? this.#sink.write(event) : undefined;
  }

  /** As {@link ArchiveSink.mark}. */
  mark(description: string): void {
    if (this.#state === 'recording') this.#sink.mark(description);
  }

  async close(): Promise<void> {
    await this.#once(this.#sink.close());
    await this.#report();
  }

  #packet(packet: DataPacket): void | Promise<void> {
    this.#checkSpace();
    const size = Math.max(packet.bytes.length, this.#header?.header.packetSize ?? 0);
    const isStart = packetStartsKeyFrame(packet, this.#video);
    if (isStart) {
      this.#group.most = Math.max(this.#group.most, this.#group.bytes);
      this.#group.bytes = 0;
    }
    this.#group.bytes += size;
    if (this.#state === 'recording' && this.#isLow) return void this.#continue(this.#end('waiting'));
    if (this.#state === 'waiting') return this.#resume(packet, size, isStart);
    if (this.#isFull(packet, isStart)) {
      if (this.#limits.full === 'stop') {
        this.#warn(`${this.#path} has reached its limit; the rest is not recorded.`);
        return void this.#continue(this.#end('stopped'));
      }
      // The last picture of a file may end in the packet in which the key frame of the next one begins.
      void this.#continue(this.#part(lastPacket(packet, this.#video)));
      void this.#continue(this.#end('recording'));
      if (this.#header) void this.#continue(this.#sink.write(this.#header));
      this.#begin();
      return this.#record(this.#startOf(packet), size);
    }
    return this.#record(packet, size);
  }

  #record(packet: DataPacket, size: number): void | Promise<void> {
    this.#bytes += size;
    this.#media.count({ type: 'packet', packet });
    return this.#sink.write({ type: 'packet', packet });
  }

  /** Goes on in another file, when there is room and a key frame to begin with. */
  #resume(packet: DataPacket, size: number, isStart: boolean): void | Promise<void> {
    if (this.#isLow || !isStart || this.#header === undefined) return undefined;
    this.#state = 'recording';
    this.#begin();
    void this.#continue(this.#sink.write(this.#header));
    return this.#record(this.#startOf(packet), size);
  }

  #startOf(packet: DataPacket): DataPacket {
    const bytes = startPacket(packet, this.#video);
    return bytes === undefined || bytes === packet.bytes ? packet : parsePacket(bytes);
  }

  #part(bytes: Buffer | undefined): void | Promise<void> {
    return bytes && this.#sink.write({ type: 'packet', packet: parsePacket(bytes) });
  }

  #begin(): void {
    this.#bytes = this.#header?.header.bytes.length ?? 0;
    this.#media = new MediaTime();
  }

  #end(state: 'recording' | 'waiting' | 'stopped'): void | Promise<void> {
    this.#state = this.#limits.full === 'stop' && state === 'waiting' ? 'stopped' : state;
    return this.#sink.write(END);
  }

  /** Lets the disk complete a file while the stream goes on; a failure is that of the next write. */
  async #continue(written: void | Promise<void>): Promise<void> {
    try {
      await written;
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #report(): Promise<never> | undefined {
    if (this.#failure === undefined || this.#isReported) return undefined;
    this.#isReported = true;
    return Promise.reject(this.#failure.error);
  }

  #isFull(packet: DataPacket, isStart: boolean): boolean {
    const { size = Number.POSITIVE_INFINITY, duration = Number.POSITIVE_INFINITY } = this.#limits;
    this.#media.count({ type: 'packet', packet });
    const seconds = this.#media.milliseconds / 1000;
    if (this.#bytes <= (this.#header?.header.bytes.length ?? 0)) return false;
    if (isStart) return this.#bytes + this.#group.most > size || seconds >= duration;
    return this.#bytes > size * OVERDUE || seconds >= duration * OVERDUE;
  }

  /** Looks at the free space now and then; the answer counts from the next packet on. */
  #checkSpace(): void {
    const { free } = this.#limits;
    const now = this.#now();
    if (free === undefined || now - this.#checkedAt < FREE_INTERVAL) return;
    this.#checkedAt = now;
    const { freeBytes = freeOf } = this.#options;
    freeBytes(dirname(this.#path)).then(
      (bytes) => this.#measured(bytes, free),
      // The archive itself says that the folder cannot be used.
      () => {},
    );
  }

  #measured(bytes: number, least: number): void {
    const wasLow = this.#isLow;
    this.#isLow = wasLow ? bytes < least * AGAIN : bytes < least;
    if (!this.#isLow || wasLow) return;
    const rest = this.#limits.full === 'stop' ? 'the rest is not recorded' : 'nothing is recorded until there is more';
    this.#warn(`The disk of ${this.#path} has only ${Math.floor(bytes / 1e6)} MB left; ${rest}.`);
  }

  #warn(message: string): void {
    this.#options.warn?.(message);
  }
}

async function freeOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function videoOf({ streams }: AsfHeader): ReadonlySet<number> {
  return new Set(streams.filter(({ type }) => type === 'video').map(({ number }) => number));
}
