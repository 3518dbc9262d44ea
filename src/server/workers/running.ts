import { type ChildProcess, fork } from 'node:child_process';
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
  /**
   * `loading`: it does not listen to messages yet. `draining`: it gets no more connections, and ends once its last one
   * is over.
   */
  state: 'loading' | 'starting' | 'serving' | 'draining' | 'gone' = 'loading';
  /** The places that its players have taken. */
  readonly tickets = new Map<number, Ticket>();
  figures = NO_FIGURES;
  /** Its sessions, for the log if it dies. */
  readonly sessions = new Map<string, SessionInfo>();
  readonly #answers = new Map<number, (message: Answer) => void>();
  #asks = 0;

  /** Starts the process, with the code that is on the disk now. */
  constructor(number: number) {
    this.number = number;
    this.process = fork(fileURLToPath(new URL('./worker-process.js', import.meta.url)), [], {
      serialization: 'advanced',
    });
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

  /** Resolves once the process has ended; kills it if that takes too long. */
  ended(): Promise<void> {
    const { process } = this;
    return new Promise((resolve) => {
      if (process.exitCode !== null || process.signalCode !== null) {
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
