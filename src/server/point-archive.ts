import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { sameLayout } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import { messageOf } from '../errors.js';
import { type ArchiveFile, ArchiveSink } from '../media/archive.js';
import type { AsfEvent } from '../media/events.js';
import { Timeline } from '../media/timeline.js';

// The disk has to do each thing within this, ms, and a push waits no longer for it.
const PATIENCE = 10_000;
// A file may be so many times larger than what was pushed, because packets get their padding back.
const MAX_EXPANSION = 100;

/** Folders whose disk has not answered; each thing asked of it takes a thread away from everything else until it does. */
const stuckFolders = new Set<string>();

// With the time behind it well below what file systems take for a name, 255 bytes.
const MAX_NAME = 180;

export interface PointArchiveOptions {
  readonly onWarning: (message: string) => void;
  /** The time that is part of the name. */
  readonly now?: Date;
  /** Milliseconds that the disk may take for one thing, and a push waits for it. */
  readonly patience?: number;
  /** Default: that of node:fs/promises. */
  readonly openFile?: (path: string, flags: 'w' | 'wx') => Promise<ArchiveFile>;
}

/**
 * Keeps what is pushed to a point, from the first header to when nobody publishes any more: an encoder that comes back with the
 * same layout goes on in the same file, as its players see it. When the disk fails, is too slow or does not answer, that is told once
 * and the rest is not kept; the broadcast goes on.
 */
export class PointArchive {
  readonly #onWarning: (message: string) => void;
  readonly #sink: ArchiveSink;
  readonly #patience: number;
  #header: AsfHeader | undefined;
  #timeline = newTimeline();
  #failed = false;

  /**
   * @param folder made if it is not there
   * @param point the path of the point; its escaped form and the time are the name of the file
   */
  constructor(folder: string, point: string, options: PointArchiveOptions) {
    const { onWarning, now = new Date(), patience = PATIENCE, openFile = open } = options;
    const name = encodeURIComponent(point.slice(1)).slice(0, MAX_NAME).replace(/^\./, '%2E');
    const time = now.toISOString().replaceAll(':', '-');
    this.#onWarning = onWarning;
    this.#patience = patience;
    this.#sink = new ArchiveSink(join(folder, `${name}-${time}.asf`), {
      existing: 'refuse',
      warn: onWarning,
      patience,
      maxExpansion: MAX_EXPANSION,
      open: async (path, flags): Promise<ArchiveFile> => {
        if (stuckFolders.has(folder)) throw new Error('the disk still does not answer');
        stuckFolders.add(folder);
        try {
          await mkdir(folder, { recursive: true });
          return await openFile(path, flags);
        } finally {
          stuckFolders.delete(folder);
        }
      },
    });
  }

  /**
   * Takes an event of the source. Where too much waits for the disk, the promise asks to wait for a while; it is never rejected, and
   * never lasts long.
   */
  write(event: AsfEvent): Promise<void> | undefined {
    const placed = this.#failed ? undefined : this.#place(event);
    const written = placed && this.#sink.write(placed)?.catch((error: unknown) => this.#fail(error));
    // Players need not wait until the file is there.
    return placed?.type === 'packet' ? written && this.#shortly(written) : undefined;
  }

  /** Completes the file, or gives up when the disk does not answer. */
  async close(): Promise<void> {
    await this.#sink.close().catch((error: unknown) => this.#fail(error));
  }

  /** Waits for the disk as long as a push may. */
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

  /** The event as the file has it; undefined for one that it does not have. */
  #place(event: AsfEvent): AsfEvent | undefined {
    if (event.type === 'packet') return { type: 'packet', packet: this.#timeline.packet(event.packet) };
    // What follows an end may fit the same header; whether the file is complete, `close` says.
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

function newTimeline(): Timeline {
  return new Timeline({ detectsRestarts: true });
}
