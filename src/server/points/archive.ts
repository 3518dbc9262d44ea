import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sameLayout } from '../../asf/edit.js';
import type { AsfHeader } from '../../asf/header.js';
import { messageOf } from '../../errors.js';
import { type ArchiveFile, ArchiveSink } from '../../media/archive.js';
import type { AsfEvent } from '../../media/events.js';
import { Timeline } from '../../media/timeline.js';
import { DiskGate } from './disk-gate.js';

// How long the disk may take for each operation, and a push waits for it, in ms.
const PATIENCE = 10_000;
// The maximum ratio of a file's size to the bytes pushed: packets get their padding back.
const MAX_EXPANSION = 100;

// Completing a file flushes everything that the system still buffers, so the disk gets this many times the patience.
const FLUSH_PATIENCE = 2;

/** One for the process: its threads are shared. */
const ALL_DISKS = new DiskGate();

/** The bounds and the clock of an archive. */
export interface PointArchiveOptions {
  readonly onWarning: (message: string) => void;
  /** How long the disk may take for one operation, and a push waits for it, in ms. */
  readonly patience?: number;
  /** Default: one for the process. */
  readonly disks?: DiskGate;
  /** Default: that of node:fs/promises. */
  readonly openFile?: (path: string, flags: 'w' | 'wx') => Promise<ArchiveFile>;
}

/**
 * Records what is pushed to a point, from the first header until nobody publishes any more. An encoder that comes
 * back with the same layout continues in the same file, as it does for players. If the disk fails, is too slow or does
 * not answer, a warning is issued once and the rest is not recorded; the broadcast goes on.
 */
export class PointArchive {
  readonly #onWarning: (message: string) => void;
  readonly #sink: ArchiveSink;
  readonly #patience: number;
  readonly #path: string;
  #header: AsfHeader | undefined;
  #timeline = newTimeline();
  #failed = false;

  /**
   * @param folder whose disk is used
   * @param path of the file; its folders are created if missing
   */
  constructor(folder: string, path: string, options: PointArchiveOptions) {
    const { onWarning, patience = PATIENCE, disks = ALL_DISKS, openFile = open } = options;
    this.#onWarning = onWarning;
    this.#patience = patience;
    this.#path = path;
    this.#sink = new ArchiveSink(this.#path, {
      existing: 'refuse',
      warn: onWarning,
      maxExpansion: MAX_EXPANSION,
      open: async (name, flags): Promise<ArchiveFile> => {
        const create = async () => {
          await mkdir(dirname(name), { recursive: true });
          return openFile(name, flags);
        };
        const close = (late: ArchiveFile) => void late.close().catch(() => {});
        const file = await disks.run(folder, create, patience, close);
        return patient(file, (operation, times = 1) => disks.run(folder, operation, times * patience));
      },
    });
  }

  /**
   * Records an event of the source. If too much is waiting for the disk, the returned promise asks the source to pause.
   * It never rejects and resolves within a bounded time.
   */
  write(event: AsfEvent): Promise<void> | undefined {
    const placed = this.#failed ? undefined : this.#place(event);
    const written = placed && this.#sink.write(placed)?.catch((error: unknown) => this.#fail(error));
    // Players do not have to wait until the file exists.
    return placed?.type === 'packet' ? written && this.#shortly(written) : undefined;
  }

  /** Completes the file, or gives up if the disk does not answer. @returns its path if it is complete */
  async close(): Promise<string | undefined> {
    await this.#sink.close().catch((error: unknown) => this.#fail(error));
    return this.#failed || this.#header === undefined ? undefined : this.#path;
  }

  /** Waits for the disk, but no longer than a push may wait. */
  async #shortly(done: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#sink.abort('the disk is too slow');
        resolve();
      }, this.#patience);
    });
    await Promise.race([done, late]);
    clearTimeout(timer);
  }

  /** Returns the event as it goes into the file; undefined if it does not. */
  #place(event: AsfEvent): AsfEvent | undefined {
    if (event.type === 'packet') return { type: 'packet', packet: this.#timeline.packet(event.packet) };
    // The next header after an end may fit the same file; `close` completes it.
    if (event.type === 'end') return undefined;
    if (this.#header !== undefined && sameLayout(this.#header, event.header)) {
      this.#timeline.restart();
      return undefined;
    }
    this.#header = event.header;
    this.#timeline = newTimeline();
    return event;
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#onWarning(`${messageOf(error)} The broadcast goes on without it.`);
  }
}

/** The file, of which each operation waits for its turn and then takes no longer than the disk may. */
function patient(file: ArchiveFile, run: <T>(operation: () => Promise<T>, times?: number) => Promise<T>): ArchiveFile {
  return {
    write: (...bytes) => run(() => file.write(...bytes)),
    truncate: (length) => run(() => file.truncate(length)),
    sync: () => run(() => file.sync(), FLUSH_PATIENCE),
    stat: () => run(() => file.stat()),
    close: () => run(() => file.close()),
  };
}

function newTimeline(): Timeline {
  return new Timeline({ detectsRestarts: true });
}
