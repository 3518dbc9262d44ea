import { randomInt } from 'node:crypto';

/** Where a session lives: a process of a host, among those that share its publishing points. */
export interface SessionHome {
  /** Number of the host, from 0. */
  readonly node: number;
  /** Number of its process, from 0. */
  readonly worker: number;
}

export interface SessionIdsOptions extends Partial<SessionHome> {
  /** Hosts that there may be at most; default 1. */
  readonly nodes?: number;
  /** Processes of a host that there may be at most; default 1. */
  readonly workers?: number;
}

/**
 * The ids of sessions. Each says where its session lives, so that a request which comes to another process can be handed over: a
 * number by its remainder, which costs a single process none of the numbers that strangers would have to guess.
 */
export class SessionIds {
  readonly home: SessionHome;
  readonly #nodes: number;
  readonly #workers: number;
  #last = 0;

  constructor({ node = 0, worker = 0, nodes = 1, workers = 1 }: SessionIdsOptions = {}) {
    if (!(node < nodes && worker < workers)) throw new RangeError(`There is no place ${node}.${worker}.`);
    this.home = { node, worker };
    this.#nodes = nodes;
    this.#workers = workers;
  }

  /** The next id for operators and logs: node, worker and a count. */
  next(): string {
    const { node, worker } = this.home;
    return `${node}.${worker}.${++this.#last}`;
  }

  /**
   * A number that cannot be guessed and says where it was made; `homeOf` reads that.
   *
   * @param from the smallest one
   * @param to the first that is too large
   */
  random(from: number, to: number): number {
    const places = this.#nodes * this.#workers;
    const place = this.home.node * this.#workers + this.home.worker;
    const first = from + ((((place - from) % places) + places) % places);
    return first + places * randomInt(0, Math.ceil((to - first) / places));
  }

  /** Where a number of {@link random} was made, here or elsewhere. */
  homeOf(id: number): SessionHome {
    const place = id % (this.#nodes * this.#workers);
    return { node: Math.floor(place / this.#workers), worker: place % this.#workers };
  }
}
