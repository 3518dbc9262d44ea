import type { Exchange } from '../http/exchange.js';

// A session has two or three at a time; more are of a client that opens one for each request, and those close by themselves.
const MAX_CONNECTIONS = 32;

/** The connections over which the requests of one session came, as long as they are there. */
export class Connections {
  /** The last exchange of each, the oldest first. They are not kept alive: a session outlives most of its connections. */
  #exchanges: WeakRef<Exchange>[] = [];

  /** A request of the session came. */
  add(exchange: Exchange): void {
    const { connection } = exchange;
    const others = this.#exchanges.filter((known) => {
      const other = known.deref();
      return other && !other.lost && other.connection !== connection;
    });
    this.#exchanges = [...others.slice(1 - MAX_CONNECTIONS), new WeakRef(exchange)];
  }

  /** Closes those over which nothing of other sessions has come since. */
  close(): void {
    for (const exchange of this.#exchanges) exchange.deref()?.closeConnection();
    this.#exchanges = [];
  }
}
