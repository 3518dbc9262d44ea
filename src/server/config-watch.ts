import { stat } from 'node:fs/promises';

const INTERVAL = 1_000;

/**
 * Notices changes of a file, by looking once a second: that works on every file system, and for files that are replaced
 * or reached by a symbolic link. A change counts once the file has been the same for two looks, so that it is complete.
 */
export class ConfigWatch {
  readonly #file: string;
  readonly #onChange: () => void;
  readonly #timer: NodeJS.Timeout;
  /** The version that was last reported, or was there at the start. */
  #known: Promise<string>;
  #last = '';

  constructor(file: string, onChange: () => void, interval: number = INTERVAL) {
    this.#file = file;
    this.#onChange = onChange;
    this.#known = versionOf(file);
    this.#timer = setInterval(() => void this.look(), interval);
    this.#timer.unref();
  }

  /** Looks at the file; never throws. */
  async look(): Promise<void> {
    const known = await this.#known;
    const now = await versionOf(this.#file);
    const settled = now === this.#last;
    this.#last = now;
    // A file that is missing is about to be replaced.
    if (now === known || now === MISSING || !settled) return;
    this.#known = Promise.resolve(now);
    this.#onChange();
  }

  /** Takes the file as it is now for known, because it has just been read. */
  seen(): void {
    this.#known = versionOf(this.#file);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

const MISSING = 'missing';

async function versionOf(file: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return MISSING;
  }
}
