import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Ticket } from '../../playback/limits.js';
import type { SessionInfo } from '../../playback/registry.js';
import { newCounters } from '../admin/totals.js';
import type { FromWorker, ToWorker, WorkerFigures } from './messages.js';

/** The longest wait for an answer of a worker, and for its end, in ms. */
const ANSWER_TIMEOUT = 5_000;
const END_TIMEOUT = 5_000;
const NO_FIGURES: WorkerFigures = { connections: 0, players: 0, bytesOut: 0, counters: newCounters(), playersOf: {} };

type Answer = FromWorker & { kind: 'answer' };

/** A worker, and what the main process holds for it. */
export class RunningWorker {
  readonly process: ChildProcess;
  /** Tells it from all others that run, draining ones included; ids of sessions contain it. */
  readonly number: number;
  readonly since = performance.now();
  /** In ms since 1970. */
  readonly startedAt = Date.now();
  /**
   * `loading`: it does not listen to messages yet. `ready`: it has started, but gets no connections until all workers of
   * an upgrade have. `draining`: it gets no more connections, and ends once its last one is over.
   */
  state: 'loading' | 'starting' | 'ready' | 'serving' | 'draining' | 'gone' = 'loading';
  /** The version of its code, once it has loaded. */
  version = '';
  /** True for a worker of an upgrade that has not taken over: if it ends, it is not started again. */
  onTrial: boolean;
  /** The places that its players have taken. */
  readonly tickets = new Map<number, Ticket>();
  figures = NO_FIGURES;
  /** The addresses of the clients whose connections it has, by the numbers of these. */
  readonly connections = new Map<number, string>();
  /** Its sessions, for the log if it dies. */
  readonly sessions = new Map<string, SessionInfo>();
  readonly #answers = new Map<number, (message: Answer) => void>();
  #asks = 0;

  /** Starts the process, with the code that is on the disk now. */
  constructor(number: number, { onTrial = false }: { readonly onTrial?: boolean } = {}) {
    this.number = number;
    this.onTrial = onTrial;
    this.process = fork(workerProgram(), [], { serialization: 'advanced' });
  }

  /** True if it may have sessions. */
  get serves(): boolean {
    return this.state === 'serving' || this.state === 'draining';
  }

  tell(message: ToWorker): void {
    // A worker that has just died takes no message; its end is noticed anyway. One that loads learns all by its start.
    if (this.process.connected && this.state !== 'loading') this.process.send(message, undefined, undefined, () => {});
  }

  /** Asks the worker; undefined if it does not answer. */
  ask(message: (ask: number) => ToWorker): Promise<Answer | undefined> {
    const ask = ++this.#asks;
    return new Promise((resolve) => {
      const done = (answer?: Answer) => {
        clearTimeout(timer);
        this.#answers.delete(ask);
        resolve(answer);
      };
      const timer = setTimeout(done, ANSWER_TIMEOUT);
      this.#answers.set(ask, done);
      this.tell(message(ask));
    });
  }

  answered(answer: Answer): void {
    this.#answers.get(answer.ask)?.(answer);
  }

  /** Ends it, without another one in its place. */
  dismiss(): void {
    this.state = 'draining';
    this.tell({ kind: 'close' });
    void this.ended();
  }

  /** Resolves once the process has ended; kills it if that takes too long. */
  ended(): Promise<void> {
    const { process } = this;
    return new Promise((resolve) => {
      if (process.pid === undefined || process.exitCode !== null || process.signalCode !== null) {
        resolve();
        return;
      }
      const timer = setTimeout(() => process.kill('SIGKILL'), END_TIMEOUT);
      process.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/**
 * Returns the program of a worker. Where versions are folders, and a link names the current one, the program that was
 * started is looked up again through that link; this module may belong to a version that was replaced.
 */
function workerProgram(): string {
  const own = fileURLToPath(new URL('./worker-process.js', import.meta.url));
  try {
    const started = realpathSync(process.argv[1] ?? '');
    const current = join(started, '../../dist/server/workers/worker-process.js');
    // A program that uses the library is somewhere else.
    if (existsSync(current)) return current;
  } catch {
    // The program that was started is gone.
  }
  return own;
}
