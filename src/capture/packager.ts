import { type ChildProcess, spawn } from 'node:child_process';
import { liveHeader } from '../asf/edit.js';
import { AsfError } from '../asf/error.js';
import { AsfFileBuilder } from '../asf/file.js';
import { AsfReader } from '../asf/reader.js';
import { messageOf, WmError } from '../errors.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { SingleReading, withEnd } from '../media/source.js';
import { systemErrorReason } from '../media/system-error.js';

/** A program that a stream goes through. */
export interface PackagerOptions {
  /** A command of the shell that reads ASF on standard input and writes ASF on standard output. */
  readonly command: string;
  /** How long it may write nothing although it is given packets, in ms; default 15000. */
  readonly patience?: number | undefined;
}

const PATIENCE = 15_000;
/** How long it may take to end when its input has ended, in ms. */
const END_PATIENCE = 10_000;
/** What is kept of its standard error, in characters. */
const MAX_SAID = 500;

/**
 * A source that an external program packages: it gets the stream as ASF and returns it, for example encrypted and with
 * the objects of a DRM in its header. Nothing of what it returns is looked into but headers and packets.
 *
 * The iteration throws, after an end event if there was a header:
 * @throws WmError WM_PACKAGER_FAILED if the program fails, hangs or does not return ASF; errors of the source
 */
export class PackagedSource implements AsfSource {
  readonly #source: AsfSource;
  readonly #options: PackagerOptions;
  readonly #reading = new SingleReading();
  #child: ChildProcess | undefined;
  #hasHeader = false;
  #closed = false;
  #said = '';
  /** Since when it has had packets without returning any, in ms; undefined while the consumer is busy. */
  #owesSince: number | undefined;
  #isTaken = true;

  constructor(source: AsfSource, options: PackagerOptions) {
    this.#source = source;
    this.#options = options;
  }

  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    this.#reading.begin();
    return withEnd(this.#events(), () => this.#hasHeader);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#source.close();
  }

  async *#events(): AsyncGenerator<AsfEvent, void, undefined> {
    const { command, patience = PATIENCE } = this.#options;
    // Its own group, so that what the shell starts ends with it.
    const detached = process.platform !== 'win32';
    const child = spawn(command, { shell: true, stdio: ['pipe', 'pipe', 'pipe'], detached, windowsHide: true });
    this.#child = child;
    const onExit = () => this.#kill();
    process.once('exit', onExit);
    const ended = new Promise<string | undefined>((resolve) => {
      child.once('error', (error) => resolve(`cannot be started: ${systemErrorReason(error)}`));
      child.once('close', (code, signal) =>
        resolve(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`),
      );
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-MAX_SAID);
    });
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.on('error', () => {});
    let isSilent = false;
    const watch = setInterval(() => {
      if (this.#owesSince === undefined || performance.now() - this.#owesSince < patience) return;
      isSilent = true;
      this.#kill();
    }, patience / 10);
    let source: { readonly error: unknown } | undefined;
    this.#feed(child).catch((error: unknown) => {
      source = { error };
    });
    try {
      yield* this.#returned(child);
      const failure = isSilent ? `returned nothing for ${patience / 1000} s` : await this.#end(ended);
      // A source that failed has ended the input of the program, which has ended since.
      if (source) throw (source as { readonly error: unknown }).error;
      if (failure !== undefined && !this.#closed) throw this.#failed(failure);
    } catch (error) {
      if (error instanceof AsfError) throw this.#failed(`does not return ASF: ${error.message}`);
      throw error;
    } finally {
      clearInterval(watch);
      process.removeListener('exit', onExit);
      this.#kill();
      await this.#source.close();
    }
  }

  /** Writes the source to the program, as fast as it reads. */
  async #feed({ stdin }: ChildProcess): Promise<void> {
    if (!stdin) return;
    let builder: AsfFileBuilder | undefined;
    try {
      for await (const event of this.#source) {
        if (stdin.destroyed) return;
        if (event.type === 'end') continue;
        if (event.type === 'header') builder = new AsfFileBuilder(event.header);
        const bytes = event.type === 'header' ? builder?.start() : builder?.packet(event.packet);
        if (this.#isTaken) this.#owesSince ??= performance.now();
        if (bytes && !stdin.write(bytes)) {
          await new Promise<void>((resolve) => {
            stdin.once('drain', resolve).once('close', resolve);
          });
        }
      }
    } finally {
      stdin.end();
    }
  }

  async *#returned({ stdout }: ChildProcess): AsyncGenerator<AsfEvent, void, undefined> {
    const reader = new AsfReader();
    const events = (items: ReturnType<AsfReader['push']>) =>
      items.flatMap((item): AsfEvent[] => {
        if (item.type === 'packet') return [{ type: 'packet', packet: item.packet }];
        if (item.type !== 'header') return [];
        this.#hasHeader = true;
        return [{ type: 'header', header: liveHeader(item.header) }];
      });
    for await (const chunk of stdout ?? []) {
      // The time that the consumer takes is not that of the program.
      this.#owesSince = undefined;
      this.#isTaken = false;
      yield* events(reader.push(chunk as Buffer));
      this.#isTaken = true;
    }
    if (this.#hasHeader) yield* events(reader.end());
  }

  /** Waits until the program has ended. */
  async #end(ended: Promise<string | undefined>): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve('does not end'), END_PATIENCE);
    });
    const outcome = await Promise.race([ended, late]);
    clearTimeout(timer);
    return outcome ?? (this.#hasHeader ? undefined : 'returned nothing');
  }

  #failed(what: string): WmError {
    const said = this.#said.trim().split('\n').at(-1) ?? '';
    // Its arguments may hold keys.
    const name = this.#options.command.trim().split(/\s/, 1)[0];
    return new WmError(
      'WM_PACKAGER_FAILED',
      messageOf(`The packager ${name} ${what}${said === '' ? '' : `: ${said}`}.`),
    );
  }

  #kill(): void {
    const { pid } = this.#child ?? {};
    if (pid === undefined) return;
    try {
      process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}
