import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { sameLayout } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import { messageOf } from '../errors.js';
import { type ArchiveFile, ArchiveSink } from '../media/archive.js';
import type { AsfEvent } from '../media/events.js';
import { Timeline } from '../media/timeline.js';

// With the time behind it well below what file systems take for a name, 255 bytes.
const MAX_NAME = 180;

/**
 * Keeps what is pushed to a point, from the first header to when nobody publishes any more: an encoder that comes back with the
 * same layout goes on in the same file, as its players see it. When the disk fails, that is told once and the rest is not kept;
 * the broadcast goes on.
 */
export class PointArchive {
  readonly #onWarning: (message: string) => void;
  readonly #sink: ArchiveSink;
  #header: AsfHeader | undefined;
  #timeline = newTimeline();
  #failed = false;

  /**
   * @param folder made if it is not there
   * @param point the path of the point; its escaped form and the time are the name of the file
   */
  constructor(folder: string, point: string, onWarning: (message: string) => void, now = new Date()) {
    const name = encodeURIComponent(point.slice(1)).slice(0, MAX_NAME).replace(/^\./, '%2E');
    const time = now.toISOString().replaceAll(':', '-');
    this.#onWarning = onWarning;
    this.#sink = new ArchiveSink(join(folder, `${name}-${time}.asf`), {
      overwrite: false,
      warn: onWarning,
      open: async (path, flags): Promise<ArchiveFile> => {
        await mkdir(folder, { recursive: true });
        return open(path, flags);
      },
    });
  }

  /** Takes an event of the source. The promise, when the disk is behind, asks to wait; it is never rejected. */
  write(event: AsfEvent): Promise<void> | undefined {
    const placed = this.#failed ? undefined : this.#place(event);
    const written = placed && this.#sink.write(placed);
    return written?.catch((error: unknown) => this.#fail(error));
  }

  /** Completes the file. */
  async close(): Promise<void> {
    await this.#sink.close().catch((error: unknown) => this.#fail(error));
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
