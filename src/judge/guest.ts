import { WmError } from '../errors.js';
import { defaultConfig } from '../server/config.js';
import { MediaServer } from '../server/server.js';
import { type Dialog, readDialog } from './exchanges.js';
import type { Recorder } from './recording.js';
import type { JudgedRole } from './report.js';
import { Tap } from './tap.js';

/** How to judge a program that connects to us. @public */
export interface JudgeGuestOptions {
  /** Where to listen; default a free port of 127.0.0.1. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** The longest wait for a connection, in ms; default 60 000. */
  readonly wait?: number | undefined;
  /** How long the session lasts, in ms; default 10 000. */
  readonly duration?: number | undefined;
  /** Called with the URL that the program is to use; a promise that it returns is awaited. */
  readonly onReady?: ((url: string) => unknown) | undefined;
  /** Called when the session is over: a program that was started for it ends properly now. */
  readonly onOver?: (() => Promise<unknown>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The point that a program uses. */
export const JUDGE_PATH = '/judge';

/** A server of our own for a program that connects to it, and the record of what it does. */
export class GuestSession {
  readonly recorder: Recorder;
  readonly server: MediaServer;
  readonly tap: Tap;
  readonly url: string;
  readonly signal: AbortSignal;

  private constructor(recorder: Recorder, server: MediaServer, tap: Tap, url: string, signal: AbortSignal) {
    this.recorder = recorder;
    this.server = server;
    this.tap = tap;
    this.url = url;
    this.signal = signal;
  }

  /** @param scheme of the URL that the program gets @throws WmError if it cannot listen */
  static async open(
    scheme: 'http' | 'mmsh',
    { host = '127.0.0.1', port = 0, signal = new AbortController().signal }: JudgeGuestOptions,
    recorder: Recorder,
  ): Promise<GuestSession> {
    const server = await MediaServer.start({ ...defaultConfig(), host: '127.0.0.1', httpPort: 0 });
    try {
      const tap = await Tap.listen(recorder, { host, port }, server.ports.http!);
      const named = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
      const url = `${scheme}://${named.includes(':') ? `[${named}]` : named}:${tap.port}${JUDGE_PATH}`;
      return new GuestSession(recorder, server, tap, url, signal);
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  /** Waits for the first connection. @throws WmError WM_UNREACHABLE if nobody comes within `wait` ms */
  async begun(role: JudgedRole, wait: number): Promise<void> {
    const came = await this.tap.until(() => this.recorder.connections.length > 0, wait, this.signal);
    if (came || this.signal.aborted) return;
    throw new WmError('WM_UNREACHABLE', `No ${role} connected to ${this.url} within ${wait / 1000} s.`, {
      hint: `Start the ${role} with that URL, or give it more time with --wait.`,
    });
  }

  get dialogs(): Dialog[] {
    return this.recorder.connections.map(readDialog);
  }

  async close(): Promise<void> {
    await this.tap.close();
    await this.server.close();
  }
}
