import { messageOf, WmError } from '../errors.js';
import type { SessionRegistry } from '../playback/registry.js';
import type { ServerConfig } from './config.js';
import { packageVersion } from './version.js';
import type { ProcessView } from './workers/fleet.js';
import { isForWorkers } from './workers/worker.js';
import type { Workers } from './workers/workers.js';

/** The parts of a server that an upgrade concerns. */
export interface UpgradesOptions {
  readonly config: () => ServerConfig;
  /** Reads the configuration again; undefined without a configuration file. */
  readonly reload: (() => Promise<unknown>) | undefined;
  readonly workers: () => Workers | undefined;
  /** Gives a server without workers its first one, which takes all new players. */
  readonly divide: () => Promise<void>;
  readonly registry: SessionRegistry;
  /** The number of connections of this process. */
  readonly connections: () => number;
  readonly onUpgraded: (processes: readonly ProcessView[]) => void;
  readonly onWarning: (message: string) => void;
}

/** The time that players may stay in a process that was replaced, in s. */
export const DEFAULT_DRAIN = 600;

/**
 * Replaces the processes that serve players by new ones, with the code that is on the disk now. A server without workers
 * gets one, and its own process keeps what exists once: ports, points, encoders, archives, the administration.
 */
export class Upgrades {
  readonly #options: UpgradesOptions;
  readonly #startedAt = Date.now();
  #busy = false;
  /** Until the players of this process have to leave. */
  #bound: NodeJS.Timeout | undefined;

  constructor(options: UpgradesOptions) {
    this.#options = options;
  }

  /**
   * Reads the configuration again, and starts new processes for players. Those that play stay where they are until they
   * leave, or `drain` is over. If a process does not start, all go on as before.
   *
   * @throws WmError WM_CONFIG if the configuration has mistakes; WM_FAILED if a process does not start; WM_USAGE while
   *   another upgrade is under way
   */
  async upgrade(): Promise<void> {
    const { config, reload, workers, divide } = this.#options;
    if (this.#busy) throw new WmError('WM_USAGE', 'An upgrade is under way already.');
    this.#busy = true;
    try {
      await reload?.();
      const bound = (config().drain ?? DEFAULT_DRAIN) * 1000;
      const running = workers();
      // One process only can keep a cache.
      if (!running && config().proxy) throw new WmError('WM_USAGE', 'A server with a proxy has to be restarted.');
      if (running) await running.upgrade(bound);
      else {
        await divide();
        this.#bound = setTimeout(() => this.#cut(bound), bound).unref();
      }
      this.#options.onUpgraded(this.processes);
    } catch (error) {
      const code = error instanceof WmError ? error.code : 'WM_FAILED';
      throw new WmError(code, `The upgrade failed, and the processes are as before: ${messageOf(error)}`, {
        cause: error,
      });
    } finally {
      this.#busy = false;
    }
  }

  /** All processes of the server, the main one first. */
  get processes(): readonly ProcessView[] {
    const { workers, connections } = this.#options;
    const players = [...this.#options.registry].filter(({ role }) => role === 'player').length;
    const main: ProcessView = {
      number: 0,
      pid: process.pid,
      version: packageVersion,
      state: this.#bound && this.#replaced().length > 0 ? 'draining' : 'serving',
      since: this.#startedAt,
      players,
      connections: connections(),
    };
    return [main, ...(workers()?.processes ?? [])];
  }

  /** Ends workers that are still starting; those that have started are listeners of the server. */
  async close(): Promise<void> {
    clearTimeout(this.#bound);
    if (this.#busy) await this.#options.workers()?.close();
  }

  /** The sessions of this process that would be a worker's if they began now. */
  #replaced(): string[] {
    return [...this.#options.registry].filter(isForWorkers).map(({ id }) => id);
  }

  /** Ends the sessions that should be a worker's. */
  #cut(bound: number): void {
    const { registry, onWarning } = this.#options;
    const players = this.#replaced();
    if (players.length === 0) return;
    const many = players.length === 1 ? '1 player' : `${players.length} players`;
    onWarning(`The main process was relieved of players ${bound / 1000} s ago; ${many} lost the connection.`);
    for (const id of players) void registry.end(id);
  }
}
