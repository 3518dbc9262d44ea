import { readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { AsfHeader } from '../../asf/header.js';
import { packetStartsKeyFrame } from '../../asf/packet.js';
import { messageOf } from '../../errors.js';
import type { AsfEvent, HeaderEvent } from '../../media/events.js';
import { PointArchive, type PointArchiveOptions } from './archive.js';
import { ArchiveNames } from './archive-names.js';

/** Which files an archive consists of, and for how long they are kept. @public */
export interface ArchiveLimits {
  /** The name of a file, with `{point}`, `{date}` and `{time}`; it may begin with folders. */
  readonly name?: string | undefined;
  /** The size after which a new file begins, in MB. */
  readonly maxSize?: number | undefined;
  /** The length of media after which a new file begins, in minutes. */
  readonly maxMinutes?: number | undefined;
  /** The age at which files are deleted, in days. */
  readonly keepDays?: number | undefined;
  /** The free space of the disk below which nothing is recorded, in MB. */
  readonly minFree?: number | undefined;
}

/** How the files of an archive are made. */
export interface ArchiveSeriesOptions extends Omit<PointArchiveOptions, 'now' | 'path'> {
  readonly limits?: ArchiveLimits | undefined;
  /** Called with each file that is complete. */
  readonly onFile: (file: string) => void;
  /** Ms since 1970; default: `Date.now`. */
  readonly now?: () => number;
  /** Returns the free bytes of the disk of a folder; default: that of node:fs/promises. */
  readonly free?: (folder: string) => Promise<number>;
}

const MB = 1_000_000;
const DAY = 86_400_000;
/** How often the free space is looked at while a file grows, in ms. */
const FREE_INTERVAL = 30_000;

/**
 * The archive of a point: one file after the other, each of which begins at a key frame. Old files are deleted when a
 * file is complete, and nothing is recorded while the disk is nearly full.
 */
export class ArchiveSeries {
  readonly #folder: string;
  readonly #options: ArchiveSeriesOptions;
  readonly #names: ArchiveNames;
  readonly #now: () => number;
  #current: PointArchive | undefined;
  #header: HeaderEvent | undefined;
  #video: ReadonlySet<number> = new Set();
  #bytes = 0;
  /** The send time of the first packet of the file, in ms. */
  #startedAt: number | undefined;
  #checkedAt = 0;
  #full = false;
  readonly #closing = new Set<Promise<void>>();

  /** @param point the path of the point */
  constructor(folder: string, point: string, options: ArchiveSeriesOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#names = new ArchiveNames(point, options.limits?.name);
    this.#now = options.now ?? Date.now;
  }

  /** As {@link PointArchive.write}. */
  write(event: AsfEvent): Promise<void> | undefined {
    if (event.type === 'header') {
      this.#header = event;
      this.#video = videoOf(event.header);
      this.#checkSpace(true);
    } else if (event.type === 'packet') this.#checkSpace(false);
    if (event.type === 'packet' && this.#header && !this.#full) {
      const { packet } = event;
      this.#startedAt ??= packet.sendTime;
      if (this.#isLong(packet.sendTime) && packetStartsKeyFrame(packet, this.#video)) {
        this.#end();
        this.#startedAt = packet.sendTime;
      }
      this.#bytes += Math.max(packet.bytes.length, this.#header.header.packetSize);
      if (!this.#current) void this.#begin().write(this.#header);
    }
    if (this.#full || !this.#header) return undefined;
    return (this.#current ?? this.#begin()).write(event);
  }

  /** Completes the last file, and waits for those before it. */
  async close(): Promise<void> {
    this.#end();
    this.#header = undefined;
    await Promise.all(this.#closing);
  }

  #begin(): PointArchive {
    const { limits: _, onFile: _onFile, free: _free, now: _now, ...options } = this.#options;
    const path = join(this.#folder, this.#names.at(new Date(this.#now())));
    this.#bytes = 0;
    this.#current = new PointArchive(this.#folder, path, options);
    return this.#current;
  }

  #end(): void {
    const archive = this.#current;
    this.#current = undefined;
    this.#startedAt = undefined;
    if (!archive) return;
    const closing = archive
      .close()
      .then((file) => {
        if (file !== undefined) this.#options.onFile(file);
        return this.#prune();
      })
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #isLong(sendTime: number): boolean {
    const { maxSize = Number.POSITIVE_INFINITY, maxMinutes = Number.POSITIVE_INFINITY } = this.#options.limits ?? {};
    const length = (sendTime - (this.#startedAt ?? sendTime)) | 0;
    return this.#bytes >= maxSize * MB || length >= maxMinutes * 60_000;
  }

  /** Looks at the free space now and then, and stops or begins again when the answer comes. */
  #checkSpace(isDue: boolean): void {
    const { limits, onWarning, free = freeBytes } = this.#options;
    const now = this.#now();
    if (limits?.minFree === undefined || !(isDue || now - this.#checkedAt >= FREE_INTERVAL)) return;
    this.#checkedAt = now;
    const least = limits.minFree * MB;
    free(this.#folder).then(
      (bytes) => {
        const isFull = bytes < least;
        if (isFull && !this.#full) {
          onWarning(`${this.#folder} has less than ${limits.minFree} MB of free space, so nothing is recorded.`);
          this.#end();
        }
        this.#full = isFull;
      },
      // The archive itself will say that the folder cannot be used.
      () => {},
    );
  }

  /** Deletes the files of this point that are too old, and nothing else. */
  async #prune(): Promise<void> {
    const { limits, onWarning } = this.#options;
    if (limits?.keepDays === undefined) return;
    const oldest = this.#now() - limits.keepDays * DAY;
    try {
      for (const name of await readdir(this.#folder, { recursive: true })) {
        if (!this.#names.matches(name)) continue;
        const file = join(this.#folder, name);
        if ((await stat(file)).mtimeMs < oldest) await rm(file);
      }
    } catch (error) {
      onWarning(`Old files in ${this.#folder} cannot be deleted: ${messageOf(error)}`);
    }
  }
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function videoOf({ streams }: AsfHeader): ReadonlySet<number> {
  return new Set(streams.filter(({ type }) => type === 'video').map(({ number }) => number));
}
