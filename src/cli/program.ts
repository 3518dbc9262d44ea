import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { messageOf, WmError } from '../errors.js';
import { Reporter, type ReporterOptions } from './reporter.js';
import { packageVersion } from './version.js';

/** A command with the conventions of all of them: usage errors exit with 2, unknown options name the nearest one. */
export function newProgram(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .version(
      `${packageVersion} (Node.js ${process.versions.node})`,
      '-V, --version',
      'print the versions of wmcast, Node.js and ffmpeg',
    )
    .showSuggestionAfterError()
    .showHelpAfterError('(--help lists all options)')
    .exitOverride();
}

/** Adds a command that has the conventions of the program, with the commands in it. */
export function addCommand(program: Command, command: Command): Command {
  for (const part of command.copyInheritedSettings(program).commands) part.copyInheritedSettings(command);
  return program.addCommand(command);
}

/** Options that every command has. */
export function addCommonOptions(command: Command): Command {
  return command
    .optionsGroup('Output:')
    .option('--json', 'print one JSON object per line on standard output')
    .option('-q, --quiet', 'print errors only')
    .option('-v, --verbose', 'print more detail')
    .optionsGroup('');
}

/** Runs a program and ends the process with its exit code; with that of a signal whenever one came. */
export async function run(program: Command, argv: readonly string[] = process.argv): Promise<never> {
  let options: ReporterOptions = {};
  program.hook('preAction', (_, command) => {
    options = command.opts();
  });
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError) process.exit(usageExit(error, argv));
    if (!(error instanceof Interrupted)) {
      const exitCode = new Reporter(options).error(error);
      return end(process.exitCode ?? exitCode);
    }
  }
  return end(process.exitCode ?? 0);
}

/** Those of standard input, output and error that are one. */
const terminals = [0, 1, 2].filter((fd) => isatty(fd));

/** How long the end of the process waits for a disk, ms. */
const DISK_TIMEOUT = 1_000;

/**
 * Ends the process. Node.js crashes in `exit` when a terminal has gone that it wants to leave as it found it; a process that SIGHUP
 * kills has the same exit code for a shell, 129. And `exit` waits for a disk that does not answer, perhaps for ever; then the signal
 * that was to end the process does.
 */
async function end(exitCode: number | string): Promise<never> {
  const signal = Object.entries(EXIT_CODES).find(([, code]) => code === exitCode)?.[0];
  if (exitCode === EXIT_CODES.SIGHUP && !terminals.every((fd) => isatty(fd))) kill('SIGHUP');
  const deadline = performance.now() + DISK_TIMEOUT;
  while (signal && waitsForDisk() && performance.now() < deadline) await delay(20);
  if (signal && waitsForDisk()) kill(signal as NodeJS.Signals);
  process.exit(exitCode);
}

function kill(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

function waitsForDisk(): boolean {
  return process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq'));
}

/** The exit code for what commander has told a person already, as it has its help and its version; scripts get it here. */
function usageExit({ code, message, exitCode }: CommanderError, argv: readonly string[]): number {
  if (exitCode === 0) return 0;
  const sentence = code === 'commander.help' ? 'a command is missing' : message.replace(/^error: /, '');
  const error = new WmError(
    'WM_USAGE',
    `${sentence
      .replace(/\s+/g, ' ')
      .replace(/\.$/, '')
      .replace(/^./, (first) => first.toUpperCase())}.`,
  );
  // The options were not read to their end, so this is all there is to go by.
  const end = argv.indexOf('--');
  const json = argv.slice(0, end < 0 ? argv.length : end).includes('--json');
  new Reporter({ json }).errorEvent(error);
  return error.exitCode;
}

/** Uses a parser that throws {@link WmError} as commander wants it, so that the message names the option. */
export function parsedBy<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(messageOf(error));
    }
  };
}

/** A parser for whole numbers from `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return parsedBy((text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new WmError('WM_USAGE', `It takes a whole number from ${least} to ${most}.`);
    }
    return value;
  });
}

/**
 * The arguments that are ffmpeg's: those after `--`.
 *
 * @param extra all that came after the arguments of the command
 * @throws WmError WM_USAGE for one that came without `--`
 */
export function ffmpegArguments(extra: readonly string[], command: Command): string[] {
  let root = command;
  while (root.parent) root = root.parent;
  const { rawArgs } = root as Command & { readonly rawArgs: readonly string[] };
  const dashes = rawArgs.indexOf('--');
  const after = dashes === -1 ? 0 : rawArgs.length - dashes - 1;
  const [stray] = extra.slice(0, Math.max(0, extra.length - after));
  if (stray !== undefined) {
    throw new WmError(
      'WM_USAGE',
      `"${stray}" is one argument too many: an input is named with -i, and arguments for ffmpeg come after --.`,
    );
  }
  return [...extra];
}

/** A number of attempts. @throws WmError WM_USAGE */
export function parseRetry(text: string): number {
  if (text === 'forever') return Number.POSITIVE_INFINITY;
  if (!/^\d{1,6}$/.test(text)) throw new WmError('WM_USAGE', 'It takes a number or "forever".');
  return Number(text);
}

/** A parser for a TCP port; 0 takes a free one. */
export const portNumber: (text: string) => number = wholeNumber(0, 65_535);

const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
/** A terminal that closes and npm both send a signal twice, which is no wish for haste; ms. */
const SAME_SIGNAL = 300;

/** What a wait is rejected with that a signal ended: no failure to tell of. */
export class Interrupted extends Error {
  constructor() {
    super('Interrupted.');
    this.name = 'Interrupted';
  }
}

/** The wish of the person, or of the system, that the command ends. */
export class Interruption {
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. */
  readonly signal: AbortSignal;
  #exitCode = 0;
  #receivedAt = 0;

  constructor() {
    const controller = new AbortController();
    this.signal = controller.signal;
    const handle = (exitCode: number) => {
      if (controller.signal.aborted) {
        if (performance.now() - this.#receivedAt > SAME_SIGNAL) end(exitCode);
        return;
      }
      this.#exitCode = exitCode;
      this.#receivedAt = performance.now();
      // Whatever the command says of its end, even that it failed, it ended because of the signal.
      process.exitCode = exitCode;
      controller.abort();
    };
    for (const [name, exitCode] of Object.entries(EXIT_CODES)) process.on(name, () => handle(exitCode));
  }

  /** 129, 130 or 143 after a signal, else 0. */
  get exitCode(): number {
    return this.#exitCode;
  }

  /** Resolves when the signal comes. */
  get received(): Promise<void> {
    return new Promise((resolve) => {
      if (this.signal.aborted) resolve();
      else this.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /**
   * Waits for something, but after a signal no longer than `grace` ms.
   *
   * @param late gets what came when nobody waited for it any more, to close it
   * @throws Interrupted, or what `work` throws
   */
  async race<T>(
    work: Promise<T>,
    { grace = 0, late }: { grace?: number; late?: (result: T) => void } = {},
  ): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    let onAbort = () => {};
    const given = new Promise<never>((_, reject) => {
      onAbort = () => {
        timer = setTimeout(() => {
          work.then(late, () => {});
          reject(new Interrupted());
        }, grace);
      };
      if (this.signal.aborted) onAbort();
      else this.signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([work, given]);
    } finally {
      clearTimeout(timer);
      this.signal.removeEventListener('abort', onAbort);
    }
  }
}
