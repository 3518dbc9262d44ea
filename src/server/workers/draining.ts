import type { RunningWorker } from './running.js';

/** How often a worker is looked at, in ms, and how many times in a row it must have nobody left. */
const CHECK_INTERVAL = 1_000;
const EMPTY_CHECKS = 3;

/** What the end of a worker depends on. */
export interface DrainingOptions {
  /** How long players may stay, in ms. */
  readonly bound: number;
  readonly onWarning: (message: string) => void;
}

/**
 * Ends a worker that another one has replaced: once its last connection is over, or when the bound is. A client that
 * comes back over another connection has a few seconds to do so.
 */
export class Draining {
  readonly #worker: RunningWorker;
  readonly #options: DrainingOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #until: number;
  #empty = 0;

  constructor(worker: RunningWorker, options: DrainingOptions) {
    this.#worker = worker;
    this.#options = options;
    this.#until = performance.now() + options.bound;
    worker.state = 'draining';
    this.#timer = setInterval(() => this.#check(), CHECK_INTERVAL).unref();
  }

  /** Looks after it no longer. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const { number, figures, sessions } = this.#worker;
    this.#empty = figures.connections === 0 && sessions.size === 0 ? this.#empty + 1 : 0;
    const isOver = performance.now() >= this.#until;
    if (!isOver && this.#empty < EMPTY_CHECKS) return;
    this.stop();
    if (sessions.size > 0) {
      const players = sessions.size === 1 ? '1 player' : `${sessions.size} players`;
      const time = Math.round(this.#options.bound / 1000);
      this.#options.onWarning(`Worker ${number} was replaced ${time} s ago; ${players} lost the connection.`);
    }
    this.#worker.dismiss();
  }
}
