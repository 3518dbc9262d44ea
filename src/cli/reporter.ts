import type { Ora } from 'ora';
import { type ErrorCode, errorTable, messageOf, WmError } from '../errors.js';

/** How much a command prints, and in which form. */
export interface ReporterOptions {
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
}

/** How often the status is a line of the log, in ms. */
const ALIVE_INTERVAL = 60_000;
/** The shortest time between two writes of log lines, in ms. */
const LOG_INTERVAL = 50;

/**
 * Reports to people and scripts. Data and `--json` events go to standard output, everything else to standard error; the
 * status line appears on terminals, elsewhere once a minute.
 */
export class Reporter {
  readonly json: boolean;
  readonly verbose: boolean;
  readonly #quiet: boolean;
  #spinner: Ora | undefined;
  /** Makes a spinner, once that is loaded: only a terminal needs it. */
  #spin: ((text: string) => Ora) | undefined;
  #isLoading = false;
  /** The status line, shown or about to be. */
  #status: string | undefined;
  /** When there was a sign of life, or when the first one was asked for. */
  #aliveAt: number | undefined;
  /** Lines of the log that are not written yet, and the timer that writes them. */
  #waiting: string[] = [];
  #logTimer: NodeJS.Timeout | undefined;
  #flushesAtExit = false;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor({ json = false, quiet = false, verbose = false }: ReporterOptions = {}) {
    this.json = json;
    this.verbose = verbose;
    this.#quiet = quiet;
    // A reader that has seen enough, such as head, is not an error.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
    });
    // A terminal that is gone cannot show messages; the work still has to be ended properly.
    process.stderr.on('error', () => {});
  }

  /** Writes one JSON object as a line on standard output; does nothing without --json. */
  event(event: string, fields: Record<string, unknown> = {}): void {
    if (this.json) process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
  }

  /** Writes data to standard output. */
  print(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  info(text: string): void {
    if (!this.#quiet) this.#line(text);
  }

  detail(text: string): void {
    if (this.verbose) this.#line(text);
  }

  /**
   * Writes a line of a log, which has levels of its own; it may end with a line feed. Lines in quick succession are
   * written together: a thousand players that come at once must not cost a thousand writes, which wait for the terminal.
   */
  log(line: string): void {
    this.#waiting.push(line.replace(/\n$/, ''));
    if (this.#logTimer !== undefined) return;
    const delay = Math.max(0, this.#loggedAt + LOG_INTERVAL - performance.now());
    if (delay === 0) {
      this.#flushLog();
      return;
    }
    this.#logTimer = setTimeout(() => this.#flushLog(), delay);
    if (!this.#flushesAtExit) process.once('exit', () => this.#flushLog());
    this.#flushesAtExit = true;
  }

  warn(text: string): void {
    if (!this.#quiet) this.#line(`Warning: ${text}`);
    this.event('warning', { message: text });
  }

  /**
   * Reports a failure in one sentence with a hint.
   *
   * @returns the exit code
   */
  error(error: unknown): number {
    this.endStatus();
    const { code, hint, exitCode } = this.errorEvent(error);
    this.#line(`Error: ${messageOf(error)}`);
    this.#line(`       ${hint} [${code}]`);
    if (this.verbose && error instanceof Error && error.stack) this.#line(error.stack);
    return exitCode;
  }

  /** Writes the event of a failure that is also reported to people. */
  errorEvent(error: unknown): { code: ErrorCode; hint: string; exitCode: number } {
    const code = error instanceof WmError ? error.code : 'WM_FAILED';
    const { exitCode } = errorTable[code];
    const hint = error instanceof WmError ? error.hint : errorTable[code].hint;
    this.event('error', { code, message: messageOf(error), hint, exitCode });
    return { code, hint, exitCode };
  }

  /**
   * Sets the status line of a terminal.
   *
   * @param alive true to write it once a minute where there is no terminal, as a sign of life
   */
  status(text: string, alive = false): void {
    if (this.#quiet || this.json) return;
    if (!process.stderr.isTTY) {
      if (!alive) return;
      const now = performance.now();
      this.#aliveAt ??= now;
      if (now - this.#aliveAt < ALIVE_INTERVAL) return;
      this.#aliveAt = now;
      this.#line(text);
      return;
    }
    this.#status = harmless(text);
    this.#showStatus();
  }

  endStatus(): void {
    this.#status = undefined;
    this.#spinner?.stop();
    this.#spinner = undefined;
  }

  #showStatus(): void {
    if (this.#status === undefined) return;
    if (!this.#spin) {
      if (!this.#isLoading) void this.#loadSpinner();
      return;
    }
    this.#spinner ??= this.#spin(this.#status);
    this.#spinner.text = this.#status;
  }

  async #loadSpinner(): Promise<void> {
    this.#isLoading = true;
    const { default: ora } = await import('ora');
    this.#spin = (text) => ora({ text, stream: process.stderr, discardStdin: false }).start();
    this.#showStatus();
  }

  #flushLog(): void {
    clearTimeout(this.#logTimer);
    this.#logTimer = undefined;
    if (this.#waiting.length === 0) return;
    const lines = this.#waiting.join('\n');
    this.#waiting = [];
    this.#loggedAt = performance.now();
    this.#line(lines);
  }

  #line(text: string): void {
    this.#flushLog();
    const shown = this.#status;
    this.endStatus();
    process.stderr.write(`${harmless(text)}\n`);
    if (shown !== undefined) this.status(shown);
  }
}

// Matches anything that moves the cursor, or changes the window's title or the writing direction; but not line ends,
// tabs and the colours of logs.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to remove
const CONTROLS = /(?!\u001b\[[\d;]{0,20}m|[\n\t]|\r\n)[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** Makes a text safe for a terminal: parts of it may come from other hosts. */
function harmless(text: string): string {
  return text.replace(CONTROLS, '?');
}

/** Formats a number of bytes or bits as people read it: three digits and a unit. */
export function withUnit(value: number, unit: string): string {
  const scales: ReadonlyArray<readonly [number, string]> = [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ];
  const [scale, prefix] = scales.find(([size]) => value >= size) ?? [1, ''];
  const scaled = value / scale;
  return `${scale === 1 || scaled >= 100 ? Math.round(scaled) : scaled.toPrecision(3)} ${prefix}${unit}`;
}

/** Formats seconds as h:mm:ss. */
export function asClock(seconds: number): string {
  const whole = Math.floor(seconds);
  const part = (value: number) => String(value).padStart(2, '0');
  return `${Math.floor(whole / 3600)}:${part(Math.floor(whole / 60) % 60)}:${part(whole % 60)}`;
}
