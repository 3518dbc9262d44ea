import pino, { type Logger } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { hidePasswords, messageOf, WmError } from '../errors.js';
import { systemErrorReason } from '../media/system-error.js';
import { RepeatedLines } from './repeated-lines.js';
import type { Reporter, ReporterOptions } from './reporter.js';

/** The parts of a server's log, each of which can have a level of its own. */
export const LOG_ROOMS = ['points', 'players', 'reports', 'server'] as const;
/** A part of the server with a log level of its own. */
export type LogRoom = (typeof LOG_ROOMS)[number];

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
/** The least severe lines that are written; `silent` writes none. */
export type LogLevel = (typeof LEVELS)[number];

/** The level of each room that has one of its own, and of all others. */
export interface LogLevels {
  readonly all?: LogLevel | undefined;
  readonly rooms: ReadonlyMap<LogRoom, LogLevel>;
}

/** The form and the levels of the server's log. */
export interface ServeLogOptions extends ReporterOptions {
  readonly logFormat: 'text' | 'json';
  readonly logLevel?: LogLevels | undefined;
  /** Default: standard error. */
  readonly logFile?: string | undefined;
}

/** Parses levels such as `warn,players=info`. @throws WmError WM_USAGE */
export function parseLogLevels(text: string): LogLevels {
  const rooms = new Map<LogRoom, LogLevel>();
  let all: LogLevel | undefined;
  for (const part of text.split(',')) {
    const [first = '', second] = part.trim().split('=', 2);
    const level = LEVELS.find((each) => each === (second ?? first));
    const room = LOG_ROOMS.find((each) => each === first);
    if (!level || (second !== undefined && !room)) {
      throw new WmError(
        'WM_USAGE',
        `"${part.trim()}" is no level. It takes ${LEVELS.join(', ')}, or one for a part: ${LOG_ROOMS.map((each) => `${each}=debug`).join(', ')}.`,
      );
    }
    if (second === undefined) all = level;
    else rooms.set(room!, level);
  }
  return { all, rooms };
}

/** Bytes that may wait for a file that cannot be written; more are dropped. */
const MAX_WAITING = 1024 * 1024;

/** The log of a running server: a line for each event, on standard error or in a file. */
export class ServeLog {
  readonly #loggers: ReadonlyMap<LogRoom, Logger>;
  readonly #repeats: RepeatedLines;
  readonly #file: ReturnType<typeof pino.destination> | undefined;
  readonly #onSignal = () => this.reopen();

  /**
   * @param reporter takes the lines that go to standard error, and problems with the file
   * @throws WmError WM_CONFIG if the file cannot be written
   */
  constructor(options: ServeLogOptions, reporter: Reporter) {
    const { logLevel, quiet, verbose } = options;
    this.#file = options.logFile === undefined ? undefined : openFile(options.logFile, reporter);
    const root = rootLogger(options, (line) => (this.#file ? void this.#file.write(line) : reporter.log(line)));
    const byDefault = logLevel?.all ?? (quiet ? 'error' : verbose ? 'debug' : 'info');
    this.#loggers = new Map(
      LOG_ROOMS.map((room) => [room, root.child({ room }, { level: logLevel?.rooms.get(room) ?? byDefault })]),
    );
    this.#repeats = new RepeatedLines();
    // Node.js would open its debugger.
    if (this.#file) process.on('SIGUSR1', this.#onSignal);
  }

  /** True if lines of that level are written. */
  isEnabled(room: LogRoom, level: Exclude<LogLevel, 'silent'>): boolean {
    return this.#loggers.get(room)!.isLevelEnabled(level);
  }

  debug(room: LogRoom, facts: object, message: string): void {
    this.#loggers.get(room)!.debug(facts, message);
  }

  info(room: LogRoom, facts: object, message: string): void {
    this.#loggers.get(room)!.info(facts, message);
  }

  /** Writes a warning; the same one again within 10 s is only counted. */
  warn(message: string): void {
    const logger = this.#loggers.get('server')!;
    this.#repeats.line(hidePasswords(message), (text) => logger.warn(text));
  }

  /** Writes an error that no peer caused; the same one again within 10 s is only counted. */
  error(error: unknown): void {
    const logger = this.#loggers.get('server')!;
    const message = `internal error: ${messageOf(error)}`;
    this.#repeats.line(message, (text) => logger.error(error, text));
  }

  /** Opens the file again, after another program has renamed it. Called at SIGUSR1. */
  reopen(): void {
    this.#file?.reopen();
  }

  /** Writes what is outstanding, and closes the file. */
  close(): void {
    this.#repeats.close();
    process.off('SIGUSR1', this.#onSignal);
    this.#file?.end();
  }
}

function rootLogger({ logFormat, verbose, logFile }: ServeLogOptions, write: (line: string) => void): Logger {
  const level = 'debug';
  if (logFormat === 'json') return pino({ level }, { write });
  const colorize = logFile === undefined && process.stderr.isTTY && !process.env['NO_COLOR'];
  const translateTime = 'SYS:yyyy-mm-dd HH:MM:ss';
  const ignore = 'pid,hostname,room';
  const format = prettyFactory({ colorize, hideObject: verbose !== true, ignore, translateTime });
  // What is not shown is not written for the formatter to read.
  const formatters = verbose ? {} : { log: () => ({}) };
  return pino({ level, formatters }, { write: (line: string) => write(String(format(line))) });
}

/** Opens a file that lines are appended to. @throws WmError WM_CONFIG */
function openFile(path: string, reporter: Reporter): ReturnType<typeof pino.destination> {
  try {
    const file = pino.destination({ dest: path, append: true, mkdir: true, sync: true, maxLength: MAX_WAITING });
    let hasFailed = false;
    file.on('error', (error: unknown) => {
      if (!hasFailed) reporter.warn(`The log ${path} cannot be written: ${systemErrorReason(error)}.`);
      hasFailed = true;
    });
    return file;
  } catch (error) {
    const sentence = `The log ${path} cannot be written: ${systemErrorReason(error)}.`;
    throw new WmError('WM_CONFIG', sentence, { cause: error });
  }
}
