import type { Duplex, Readable, Writable } from 'node:stream';
import { execa } from 'execa';
import { slowness } from '../../support/patience.js';

export interface Exit {
  /** Null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: 'pipe' | 'ignore';
  /** The working directory; default: that of the tests. */
  readonly cwd?: string;
  /** True to give it a socket as its file descriptor 3. */
  readonly control?: boolean;
  /** True to run it in its own process group, as a shell does. */
  readonly ownGroup?: boolean;
  readonly onOutput?: (line: string) => void;
  readonly onLog?: (line: string) => void;
  /** Where standard output goes unchanged, instead of being read as lines. */
  readonly pipeTo?: Writable;
}

const running = new Set<Child>();
const KILL_AFTER = 3_000;
/**
 * In ms, the maximum time for anything a program does. Only a program that hangs takes so long; a loaded machine takes
 * many times longer than a fast one.
 */
export const PATIENCE = 90_000;
const CONTROL = 3;

/** A real program that a test runs: its lines, its end, and the guarantee that it ends. */
export class Child {
  readonly name: string;
  /** When it was started, in ms of `performance.now()`. */
  readonly startedAt = performance.now();
  /** The lines of standard output and of standard error. */
  readonly output: string[] = [];
  readonly log: string[] = [];
  /** Resolves when it has ended and all its lines have been read. */
  readonly exited: Promise<Exit>;
  readonly #process: ReturnType<typeof spawn>;
  readonly #watchers = new Set<() => void>();
  #exit: Exit | undefined;

  constructor(program: string, args: readonly string[], options: ChildOptions = {}) {
    this.name = [program, ...args].join(' ');
    this.#process = spawn(program, args, options);
    const { stdout, stderr } = this.#process;
    if (options.pipeTo) stdout.pipe(options.pipeTo);
    else readLines(stdout, (line) => this.#take(this.output, line, options.onOutput));
    readLines(stderr, (line) => this.#take(this.log, line, options.onLog));
    running.add(this);
    this.exited = this.#end();
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** How it ended; undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  get stdin(): Writable {
    return this.#process.stdin!;
  }

  /** The socket to a program that was started with `control`. */
  get control(): Duplex {
    return this.#process.stdio[CONTROL] as Duplex;
  }

  /**
   * Waits for a condition that its lines bring about.
   *
   * @throws Error with the last lines if it ends first, or after `timeout` ms
   */
  until<T>(what: string, find: () => T | undefined, timeout = PATIENCE): Promise<T> {
    const found = this.#until(what, find, timeout);
    // A test that failed before awaiting this has reported why; this must not end it in the middle of another test.
    found.catch(() => {});
    return found;
  }

  async #until<T>(what: string, find: () => T | undefined, timeout: number): Promise<T> {
    const early = find();
    if (early !== undefined) return early;
    let watcher = () => {};
    const found = new Promise<T>((resolve, reject) => {
      watcher = () => {
        const value = find();
        if (value !== undefined) resolve(value);
        else if (this.#exit) reject(new Error(this.describe(`ended before ${what}`)));
      };
      this.#watchers.add(watcher);
      watcher();
    });
    try {
      return await within(found, timeout, () => this.describe(`did not show ${what} within ${timeout} ms`));
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  /** Waits until it ends by itself. @throws Error after `timeout` ms */
  async ends(timeout = PATIENCE): Promise<Exit> {
    return within(this.exited, timeout, () => this.describe(`did not end within ${timeout} ms`));
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#exit) this.#process.kill(signal);
  }

  /** Acts like Ctrl-C on a terminal: signals the whole process group, which must be its own. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid!, signal);
  }

  /** Ends it, by force if necessary. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.signal(signal);
    const timer = setTimeout(() => this.signal('SIGKILL'), KILL_AFTER);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /** Returns a sentence with the facts that help when something went wrong. */
  describe(what: string): string {
    const exit = this.#exit ? ` (exit ${this.#exit.code ?? this.#exit.signal})` : '';
    const tail = [...this.output.slice(-5), ...this.log.slice(-10)].map((line) => `\n    ${line}`).join('');
    return `${this.name}${exit} ${what}${tail}`;
  }

  #take(lines: string[], line: string, listener: ((line: string) => void) | undefined): void {
    lines.push(line);
    listener?.(line);
    this.notify();
  }

  /** Rechecks pending waits, for conditions that do not depend on its lines. */
  notify(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  async #end(): Promise<Exit> {
    const { exitCode, signal } = await this.#process;
    this.#exit = { code: exitCode ?? null, signal: (signal as NodeJS.Signals | undefined) ?? null };
    running.delete(this);
    this.notify();
    return this.#exit;
  }
}

/** Ends every program that is still running; for afterAll. */
export async function stopAll(): Promise<void> {
  // The newest first: players and encoders before their server.
  await Promise.all([...running].reverse().map((child) => child.stop()));
}

/** Bounds the time of a promise. @throws Error after `timeout` ms, more on a machine that has more work than cores */
export async function within<T>(promise: Promise<T>, timeout: number, message: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message())), timeout * slowness());
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function spawn(program: string, args: readonly string[], options: ChildOptions) {
  const { environment, stdin, cwd, ownGroup, control } = options;
  return execa(program, args, {
    stdio: [stdin ?? 'ignore', 'pipe', 'pipe', control ? 'pipe' : 'ignore'],
    buffer: false,
    reject: false,
    cleanup: true,
    detached: ownGroup ?? false,
    ...(cwd === undefined ? {} : { cwd }),
    ...(environment === undefined ? {} : { env: environment }),
  });
}

/** Splits output into lines; a carriage return ends one too, since players rewrite their status line with it. */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split(/[\r\n]+/);
    rest = lines.pop()!;
    for (const line of lines) if (line !== '') onLine(line);
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
  stream.on('error', () => {});
}
