import { plainAddress } from '../http/addresses.js';
import type { PlayReport } from '../wmsp/server.js';

/** Somebody who plays at the moment. */
export interface PlayingClient {
  /** The client-id of the session (MS-WMSP 2.2.1.4.2); none over plain HTTP. */
  readonly id?: number;
  readonly path: string;
  /** The User-Agent. */
  readonly client: string;
  readonly remoteAddress: string;
  /** Ms since 1970. */
  readonly since: number;
}

/** Who plays, for the administrator: over WMSP, a broadcast over plain HTTP, and others that are known elsewhere. */
export class Players {
  readonly #playing = new Map<number | symbol, PlayingClient>();
  readonly #others: () => Iterable<PlayingClient>;

  constructor(others: () => Iterable<PlayingClient>) {
    this.#others = others;
  }

  /** Without those that are known elsewhere. */
  get size(): number {
    return this.#playing.size;
  }

  *[Symbol.iterator](): Generator<PlayingClient, void, undefined> {
    yield* this.#playing.values();
    yield* this.#others();
  }

  began(path: string, client: string, remoteAddress: string, id: number): void {
    this.#playing.set(id, { id, path, client, remoteAddress: plainAddress(remoteAddress), since: Date.now() });
  }

  /** @returns to be called when it is over */
  beganPlain(path: string, client: string, remoteAddress: string): () => void {
    const key = Symbol(path);
    this.#playing.set(key, { path, client, remoteAddress: plainAddress(remoteAddress), since: Date.now() });
    return () => this.#playing.delete(key);
  }

  ended({ clientId }: PlayReport): void {
    this.#playing.delete(clientId);
  }
}
