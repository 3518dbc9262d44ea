import { addCounters, newCounters, type TotalCounters } from '../admin/totals.js';
import type { ToWorker, WorkerFigures } from './messages.js';
import { RunningWorker } from './running.js';

/** A process of a server, as operators see it. @public */
export interface ProcessView {
  /** 0 is the main process; ids of sessions contain it. */
  readonly number: number;
  readonly pid: number;
  /** The version of wmcast that it runs. */
  readonly version: string;
  readonly state: 'starting' | 'serving' | 'draining';
  /** In ms since 1970. */
  readonly since: number;
  readonly players: number;
  readonly connections: number;
}

/** The workers that run, by their numbers, and what all of them together have done. */
export class Fleet {
  readonly #workers = new Map<number, RunningWorker>();
  /** Bytes and counters of workers that have ended. */
  #bytesBefore = 0;
  readonly #countersBefore = newCounters();

  [Symbol.iterator](): Iterator<RunningWorker> {
    return this.#workers.values();
  }

  get size(): number {
    return this.#workers.size;
  }

  get(number: number): RunningWorker | undefined {
    return this.#workers.get(number);
  }

  /** Those that get new connections, by their numbers. */
  get serving(): RunningWorker[] {
    return [...this].filter(({ state }) => state === 'serving').sort((a, b) => a.number - b.number);
  }

  /** Adds up a figure of all workers. */
  sum(figure: (figures: WorkerFigures) => number): number {
    let sum = 0;
    for (const { figures } of this) sum += figure(figures);
    return sum;
  }

  /** Bytes sent to players since the start. */
  get bytesOut(): number {
    return this.#bytesBefore + this.sum(({ bytesOut }) => bytesOut);
  }

  /** What the workers' copies of broadcasts dropped; what they received came from the main process. */
  get counters(): TotalCounters {
    const sum = newCounters();
    addCounters(sum, this.#countersBefore);
    for (const { figures } of this) addCounters(sum, figures.counters);
    return { ...sum, bytesIn: 0, packetsIn: 0 };
  }

  get views(): ProcessView[] {
    return [...this]
      .sort((a, b) => a.number - b.number)
      .map(({ number, process, version, state, serves, startedAt, figures }) => ({
        number,
        pid: process.pid ?? 0,
        version,
        state: serves ? (state as 'serving' | 'draining') : 'starting',
        since: startedAt,
        players: figures.players,
        connections: figures.connections,
      }));
  }

  /** Starts the process of another worker. */
  create(options?: { readonly onTrial?: boolean }): RunningWorker {
    let number = 1;
    while (this.#workers.has(number)) number++;
    const worker = new RunningWorker(number, options);
    this.#workers.set(number, worker);
    return worker;
  }

  /** A worker has ended. */
  gone(worker: RunningWorker): void {
    worker.state = 'gone';
    this.#workers.delete(worker.number);
    this.#bytesBefore += worker.figures.bytesOut;
    addCounters(this.#countersBefore, worker.figures.counters);
    this.tellWhoServes();
  }

  tell(message: ToWorker): void {
    for (const worker of this) worker.tell(message);
  }

  /** A session of a worker that is gone is of nobody: any worker may say so. */
  tellWhoServes(): void {
    const numbers = [...this].filter(({ serves }) => serves).map(({ number }) => number);
    this.tell({ kind: 'running', numbers });
  }
}
