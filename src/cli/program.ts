import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { messageOf, WmError } from '../errors.js';
import { Reporter } from './reporter.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** A command with the conventions of all of them: usage errors exit with 2, unknown options name the nearest one. */
export function newProgram(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .version(`${version} (Node.js ${process.versions.node})`)
    .showSuggestionAfterError()
    .showHelpAfterError('(--help shows all options)')
    .exitOverride();
}

/** Options that every command has. */
export function addCommonOptions(command: Command): Command {
  return command
    .option('--json', 'one JSON object a line on standard output')
    .option('-q, --quiet', 'only errors')
    .option('-v, --verbose', 'more detail');
}

/** Runs a program and ends the process with its exit code. */
export async function run(program: Command, argv: readonly string[] = process.argv): Promise<never> {
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
    process.exit(new Reporter({ json: argv.includes('--json') }).error(error));
  }
  process.exit(process.exitCode ?? 0);
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

/** A parser for a TCP port; 0 takes a free one. */
export const portNumber: (text: string) => number = wholeNumber(0, 65_535);

/** The wish of the person, or of the system, that the command ends. */
export class Interruption {
  /** Aborted by the first SIGINT or SIGTERM; a second one ends the process at once. */
  readonly signal: AbortSignal;
  #exitCode = 0;

  constructor() {
    const controller = new AbortController();
    this.signal = controller.signal;
    const handle = (exitCode: number) => {
      if (controller.signal.aborted) process.exit(exitCode);
      this.#exitCode = exitCode;
      controller.abort();
    };
    process.on('SIGINT', () => handle(130));
    process.on('SIGTERM', () => handle(143));
  }

  /** 130 or 143 after a signal, else 0. */
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
}
