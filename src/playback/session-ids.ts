import { randomBytes, randomInt } from 'node:crypto';

/** The location of a session: a process of a host, among those that share its publishing points. @public */
export interface SessionHome {
  /** The number of the host, from 0. */
  readonly node: number;
  /** The number of its process, from 0. */
  readonly worker: number;
}

/** @public */
export interface SessionIdsOptions extends Partial<SessionHome> {
  /** The maximum number of hosts; default: 1. */
  readonly nodes?: number;
  /** The maximum number of processes of a host; default: 1. */
  readonly workers?: number;
}

/**
 * The ids of sessions. Each tells where its session lives, so that a request that reaches another process can be passed
 * on. A number tells it by its remainder; with a single process every number remains possible, so strangers have as
 * many to guess from.
 *
 * @public
 */
export class SessionIds {
  readonly home: SessionHome;
  /** The maximum number of hosts. */
  readonly nodes: number;
  readonly #workers: number;
  #last = 0;

  constructor({ node = 0, worker = 0, nodes = 1, workers = 1 }: SessionIdsOptions = {}) {
    if (!(node < nodes && worker < workers)) throw new RangeError(`There is no place ${node}.${worker}.`);
    this.home = { node, worker };
    this.nodes = nodes;
    this.#workers = workers;
  }

  /** Returns the next id for operators and logs: node, worker and a count. */
  next(): string {
    const { node, worker } = this.home;
    return `${node}.${worker}.${++this.#last}`;
  }

  /**
   * Returns a number that cannot be guessed and tells where it was made, which `homeOf` reads.
   *
   * @param from the smallest number
   * @param to the first number that is too large
   */
  random(from: number, to: number): number {
    const places = this.nodes * this.#workers;
    const place = this.home.node * this.#workers + this.home.worker;
    const first = from + ((((place - from) % places) + places) % places);
    return first + places * randomInt(0, Math.ceil((to - first) / places));
  }

  /** Returns such a number of 63 bits, for protocols whose ids are that long. */
  long(): bigint {
    const places = BigInt(this.nodes * this.#workers);
    const place = BigInt(this.home.node * this.#workers + this.home.worker);
    // The first bits are always 01, so that all ids have 19 digits.
    const number = (randomBytes(8).readBigUInt64BE() >> 2n) | (1n << 62n);
    return number - (number % places) + place;
  }

  /** Returns where a number of {@link random} or {@link long} was made, here or elsewhere. */
  homeOf(id: number | bigint): SessionHome {
    const place = Number(BigInt(id) % BigInt(this.nodes * this.#workers));
    return { node: Math.floor(place / this.#workers), worker: place % this.#workers };
  }
}
