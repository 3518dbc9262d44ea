/** How many operations a process can have at its disks at a time: the threads of the system's pool. */
const THREADS = Math.min(Math.max(Math.trunc(Number(process.env['UV_THREADPOOL_SIZE'])) || 4, 1), 1_024);
/** How many of them may be on one folder. */
const MAX_PER_FOLDER = 2;

interface Waiting {
  readonly folder: string;
  start(): void;
}

/**
 * Lets the archives of a process use its disks, so that a disk that does not answer takes no more than some threads.
 * A folder that has not answered in time is not used again before it has.
 */
export class DiskGate {
  /** How many operations run at a time; the other threads are for files that are played, names and passwords. */
  readonly #most: number;
  /** How many of them may be on folders that have never answered. */
  readonly #mostUntried: number;
  readonly #running = new Map<string, number>();
  /** The folders that have answered. */
  readonly #answered = new Set<string>();
  #total = 0;
  /** The operations that are late, by folder. */
  readonly #late = new Map<string, number>();
  #waiting: Waiting[] = [];
  #progressAt = performance.now();

  /** @param threads how many operations the process can have at its disks at a time */
  constructor(threads = THREADS) {
    this.#most = Math.max(Math.floor(threads * 0.75), 1);
    this.#mostUntried = Math.max(Math.floor(threads / 2), 1);
  }

  /**
   * Runs an operation when its turn comes.
   *
   * @param patience how long it may take, and how long it waits while no other operation ends, in ms
   * @param abandoned receives the result if the operation ends after all
   * @throws Error if the folder does not answer; what the operation throws
   */
  async run<T>(
    folder: string,
    operation: () => Promise<T>,
    patience: number,
    abandoned: (result: T) => void = () => undefined,
  ): Promise<T> {
    await this.#turn(folder, patience);
    return new Promise<T>((resolve, reject) => {
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        this.#count(this.#late, folder, 1);
        this.#answered.delete(folder);
        reject(new Error(`the disk has not answered for ${patience / 1000} s`));
        this.#next();
      }, patience).unref();
      const ended = () => {
        clearTimeout(timer);
        if (isLate) this.#count(this.#late, folder, -1);
        this.#count(this.#running, folder, -1);
        this.#total--;
        this.#answered.add(folder);
        this.#progressAt = performance.now();
        this.#next();
      };
      operation().then(
        (result) => {
          ended();
          if (isLate) abandoned(result);
          else resolve(result);
        },
        (error: unknown) => {
          ended();
          reject(error);
        },
      );
    });
  }

  #turn(folder: string, patience: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#late.has(folder)) return reject(new Error('the disk still does not answer'));
      if (this.#mayStart(folder)) {
        this.#take(folder);
        return resolve();
      }
      let timer: NodeJS.Timeout | undefined;
      const waiting: Waiting = {
        folder,
        start: () => {
          clearTimeout(timer);
          if (this.#late.has(folder)) return reject(new Error('the disk does not answer'));
          this.#take(folder);
          resolve();
        },
      };
      const check = () => {
        const left = this.#progressAt + patience - performance.now();
        if (left > 0) {
          timer = setTimeout(check, left).unref();
          return;
        }
        this.#waiting = this.#waiting.filter((each) => each !== waiting);
        reject(new Error(`no disk has answered for ${patience / 1000} s`));
      };
      timer = setTimeout(check, patience).unref();
      this.#waiting.push(waiting);
    });
  }

  #mayStart(folder: string): boolean {
    const most = this.#answered.has(folder) ? this.#most : this.#mostUntried;
    return this.#total < most && (this.#running.get(folder) ?? 0) < MAX_PER_FOLDER;
  }

  #take(folder: string): void {
    this.#count(this.#running, folder, 1);
    this.#total++;
  }

  #next(): void {
    for (const each of [...this.#waiting]) {
      if (!this.#late.has(each.folder) && !this.#mayStart(each.folder)) continue;
      this.#waiting = this.#waiting.filter((other) => other !== each);
      each.start();
    }
  }

  #count(counts: Map<string, number>, folder: string, change: 1 | -1): void {
    const count = (counts.get(folder) ?? 0) + change;
    if (count > 0) counts.set(folder, count);
    else counts.delete(folder);
  }
}
