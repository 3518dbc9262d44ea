import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { messageOf, WmError } from '../errors.js';
import { systemErrorCode, systemErrorReason } from '../media/system-error.js';
import { type ControlAnswer, type ControlTarget, control } from './control.js';
import type { OpenedInput } from './open-input.js';
import type { Reporter } from './reporter.js';

/** The most controllers at a time. */
const MOST_CLIENTS = 16;
/** The longest line, in characters. */
const LONGEST_LINE = 64 * 1024;
/** The most requests of one controller that wait for their turn. */
const MOST_WAITING = 1_000;
/** Bytes of answers that a controller may leave unread. */
const MOST_UNREAD = 1024 * 1024;
/** How long a socket in the way may take to answer, in ms. */
const KNOCK_TIMEOUT = 1_000;

/**
 * Takes requests for a running broadcast: lines of text on a Unix socket (a named pipe on Windows) or on standard input.
 * Each is answered with a line of JSON, in order.
 */
export class ControlPort {
  readonly #path: string;
  readonly #print: (line: string) => void;
  readonly #clients = new Set<Socket>();
  #server: Server | undefined;
  /** The broadcast to control; undefined if nothing runs. */
  target: ControlTarget | undefined;

  private constructor(path: string, print: (line: string) => void) {
    this.#path = path;
    this.#print = print;
  }

  /**
   * Begins to listen. Only the user of this process may connect.
   *
   * @param path of the socket, or - for standard input
   * @param print writes answers to what came on standard input
   * @throws WmError WM_PORT_IN_USE if another process listens there, WM_USAGE if a file is in the way
   */
  static async open(path: string, print: (line: string) => void): Promise<ControlPort> {
    const port = new ControlPort(path, print);
    if (path === '-') port.#readStandardInput();
    else await port.#listen();
    return port;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    const server = this.#server;
    this.#server = undefined;
    // This also removes the socket.
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
    if (this.#path === '-') process.stdin.unref?.();
  }

  async #listen(): Promise<void> {
    try {
      await this.#bind();
    } catch (error) {
      if (systemErrorCode(error) !== 'EADDRINUSE') throw this.#failure(error);
      await this.#removeStale();
      await this.#bind().catch((again: unknown) => {
        throw this.#failure(again);
      });
    }
  }

  async #bind(): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      // No moment passes in which others could connect.
      const before = process.platform === 'win32' ? undefined : process.umask(0o177);
      server.listen(this.#path, resolve);
      if (before !== undefined) process.umask(before);
    });
    if (process.platform !== 'win32') chmodSync(this.#path, 0o600);
    server.on('error', () => {});
    this.#server = server.unref();
  }

  /** Removes a socket that a process has left, and nothing else. */
  async #removeStale(): Promise<void> {
    if (!lstatSync(this.#path, { throwIfNoEntry: false })?.isSocket()) {
      throw new WmError('WM_USAGE', `${this.#path} exists and is not a socket: name another one with --control.`);
    }
    const isAlive = await new Promise<boolean>((resolve) => {
      const knock = connect(this.#path);
      knock.setTimeout(KNOCK_TIMEOUT, () => resolve(true));
      knock.once('connect', () => resolve(true)).once('error', () => resolve(false));
      knock.once('close', () => knock.destroy());
      void Promise.resolve().then(() => knock.unref());
    });
    if (isAlive) {
      throw new WmError('WM_PORT_IN_USE', `Another process is controlled by ${this.#path}.`, {
        hint: 'Name another socket with --control.',
      });
    }
    unlinkSync(this.#path);
  }

  #failure(error: unknown): WmError {
    const reason = systemErrorReason(error);
    return new WmError('WM_FAILED', `The socket ${this.#path} cannot be opened: ${reason}.`, { cause: error });
  }

  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (this.#clients.size >= MOST_CLIENTS) {
      socket.end(`${JSON.stringify({ ok: false, error: 'There are too many controllers.' })}\n`);
      return;
    }
    this.#clients.add(socket);
    socket.once('close', () => this.#clients.delete(socket));
    const answers = new Answers(
      () => this.target,
      (line) => {
        socket.write(line);
        if (socket.writableLength > MOST_UNREAD) socket.destroy();
      },
    );
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split(/\r?\n/);
      rest = lines.pop()!;
      const isFull = !lines.every((line) => answers.take(line));
      if (rest.length > LONGEST_LINE || isFull) socket.destroy();
    });
    socket.once('end', () => {
      answers.take(rest);
      void answers.done.then(() => socket.end());
    });
  }

  #readStandardInput(): void {
    const answers = new Answers(
      () => this.target,
      (line) => this.#print(line.trimEnd()),
    );
    const lines = createInterface({ input: process.stdin });
    lines.on('line', (line) => answers.take(line.slice(0, LONGEST_LINE)));
    process.stdin.on('error', () => {});
    // The end of the input is not the end of the broadcast.
    process.stdin.unref?.();
  }
}

/**
 * Opens the port of `--control`, if that is given.
 *
 * @param details further fields of the answer to `status`
 * @throws WmError as {@link ControlPort.open}, after closing the input
 */
export async function openControl(
  { control: path }: { readonly control?: string },
  reporter: Reporter,
  input: OpenedInput,
  details: ControlTarget['details'],
): Promise<ControlPort | undefined> {
  if (path === undefined) return undefined;
  try {
    const port = await ControlPort.open(path, (line) => reporter.print(line));
    port.target = targetOf(input, details);
    if (path !== '-') reporter.info(`Controlled by ${path}: wmcast control ${path} status`);
    return port;
  } catch (error) {
    await input.source.close();
    throw error;
  }
}

/** Returns what can be done to an input; undefined if it cannot be switched. */
export function targetOf(
  { rundown, entry, send, source }: OpenedInput,
  details: ControlTarget['details'],
): ControlTarget | undefined {
  return rundown && { rundown, entry, send, details, stop: () => void source.close() };
}

/** Answers the requests of one controller in their order. */
class Answers {
  readonly #target: () => ControlTarget | undefined;
  readonly #write: (line: string) => void;
  #waiting = 0;
  /** Resolves when all requests so far are answered. */
  done: Promise<void> = Promise.resolve();

  constructor(target: () => ControlTarget | undefined, write: (line: string) => void) {
    this.#target = target;
    this.#write = write;
  }

  /** @returns false if too many requests wait */
  take(line: string): boolean {
    if (this.#waiting >= MOST_WAITING) return false;
    this.#waiting++;
    this.done = this.done
      .then(() => control(line, this.#target()))
      .catch((error: unknown): ControlAnswer => ({ ok: false, request: line, error: messageOf(error) }))
      .then((answer) => {
        this.#waiting--;
        if (answer) this.#write(`${JSON.stringify(answer)}\n`);
      });
    return true;
  }
}
