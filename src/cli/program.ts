import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { messageOf, WmError } from '../errors.js';
import { packageVersion } from '../server/version.js';
import { Reporter, type ReporterOptions } from './reporter.js';

/** Creates a command with the common conventions: usage errors exit with 2, unknown options suggest the nearest one. */
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

/** Adds a command and its subcommands, with the conventions of the program. */
export function addCommand(program: Command, command: Command): Command {
  for (const part of command.copyInheritedSettings(program).commands) part.copyInheritedSettings(command);
  return program.addCommand(command);
}

/** Adds the options that every command has. */
export function addCommonOptions(command: Command): Command {
  return command
    .optionsGroup('Output:')
    .option('--json', 'print one JSON object per line on standard output')
    .option('-q, --quiet', 'print errors only')
    .option('-v, --verbose', 'print more detail')
    .optionsGroup('');
}

/** Runs a program and ends the process with its exit code, or with that of a signal if one arrived. */
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

/** Standard input, output and error, as far as they are terminals. */
const terminals = [0, 1, 2].filter((fd) => isatty(fd));

/** How long the end of the process waits for a disk, in ms. */
const DISK_TIMEOUT = 1_000;

/**
 * Ends the process. In `exit`, Node.js crashes when it tries to restore a terminal that is gone; a process killed by
 * SIGHUP has the same exit code for a shell, 129. `exit` may also wait for ever for a disk that does not answer. Then
 * the process kills itself: with the signal that asked it to end, else with SIGTERM.
 */
async function end(exitCode: number | string): Promise<never> {
  const signal = Object.entries(EXIT_CODES).find(([, code]) => code === exitCode)?.[0];
  if (exitCode === EXIT_CODES.SIGHUP && !terminals.every((fd) => isatty(fd))) kill('SIGHUP');
  const deadline = performance.now() + DISK_TIMEOUT;
  while (waitsForDisk() && performance.now() < deadline) await delay(20);
  if (waitsForDisk()) kill((signal ?? 'SIGTERM') as NodeJS.Signals);
  process.exit(exitCode);
}

function kill(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

function waitsForDisk(): boolean {
  return process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq'));
}

/**
 * Returns the exit code after commander has printed an error, the help or the version. With --json, scripts get the
 * error as an event.
 */
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
  // The options were not parsed completely, so look for the flag in the raw arguments.
  const end = argv.indexOf('--');
  const json = argv.slice(0, end < 0 ? argv.length : end).includes('--json');
  new Reporter({ json }).errorEvent(error);
  return error.exitCode;
}

/** Adapts a parser that throws {@link WmError} to commander, so that the message names the option. */
export function parsedBy<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(messageOf(error));
    }
  };
}

/** Returns a parser for whole numbers from `least` to `most`. */
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
 * Returns the arguments for ffmpeg: those after `--`.
 *
 * @param extra everything after the command's own arguments
 * @throws WmError WM_USAGE for an argument that came without `--`
 */
export function ffmpegArguments(extra: readonly string[], command: Command): string[] {
  const { before, after } = aroundDashes(extra, command);
  const [stray] = before;
  if (stray !== undefined) {
    throw new WmError(
      'WM_USAGE',
      `"${stray}" is one argument too many: an input is named with -i, and arguments for ffmpeg come after --.`,
    );
  }
  return after;
}

/** Divides further arguments into those before `--` and those after it. */
export function aroundDashes(extra: readonly string[], command: Command): { before: string[]; after: string[] } {
  let root = command;
  while (root.parent) root = root.parent;
  const { rawArgs } = root as Command & { readonly rawArgs: readonly string[] };
  const dashes = rawArgs.indexOf('--');
  const count = dashes === -1 ? 0 : rawArgs.length - dashes - 1;
  const at = Math.max(0, extra.length - count);
  return { before: extra.slice(0, at), after: extra.slice(at) };
}

/** Parses a number of attempts. @throws WmError WM_USAGE */
export function parseRetry(text: string): number {
  if (text === 'forever') return Number.POSITIVE_INFINITY;
  if (!/^\d{1,6}$/.test(text)) throw new WmError('WM_USAGE', 'It takes a number or "forever".');
  return Number(text);
}

/** Parses a TCP port; 0 picks a free one. */
export const portNumber: (text: string) => number = wholeNumber(0, 65_535);

const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
/**
 * A closing terminal and npm both send a signal twice within this time, in ms; that does not mean the user is
 * impatient.
 */
const SAME_SIGNAL = 300;

/** The rejection of a wait that a signal ended; not a failure to report. */
export class Interrupted extends Error {
  constructor() {
    super('Interrupted.');
    this.name = 'Interrupted';
  }
}

/** A request from the user or the system to end the command. */
export class Interruption {
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. */
  readonly signal: AbortSignal;
  #exitCode = 0;
  #receivedAt = 0;
  #onHangUp: (() => void) | undefined;

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
      // Whatever the command reports at its end, even a failure, it ended because of the signal.
      process.exitCode = exitCode;
      controller.abort();
    };
    for (const [name, exitCode] of Object.entries(EXIT_CODES)) {
      process.on(name, () => {
        if (name === 'SIGHUP' && this.#onHangUp && terminals.every((fd) => isatty(fd))) this.#onHangUp();
        else handle(exitCode);
      });
    }
  }

  /** Handles SIGHUP instead of ending the command, unless it comes because the terminal is gone. */
  onHangUp(handler: () => void): void {
    this.#onHangUp = handler;
  }

  /** 129, 130 or 143 after a signal, else 0. */
  get exitCode(): number {
    return this.#exitCode;
  }

  /** Resolves when the signal arrives. */
  get received(): Promise<void> {
    return new Promise((resolve) => {
      if (this.signal.aborted) resolve();
      else this.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /**
   * Waits for `work`, but after a signal for at most `grace` ms.
   *
   * @param late receives a result that arrived too late, to close it
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
