import type { Exchange } from '../../http/exchange.js';

// A session has two or three at a time. Only a client that opens one for each request has more, and those close by
// themselves.
const MAX_CONNECTIONS = 32;

/** The open connections over which the requests of one session came. */
export class Connections {
  /**
   * The last exchange of each connection, the oldest first. Weak references, because a session outlives most of its
   * connections.
   */
  #exchanges: WeakRef<Exchange>[] = [];

  /** Records a request of the session. */
  add(exchange: Exchange): void {
    const { connection } = exchange;
    const others = this.#exchanges.filter((known) => {
      const other = known.deref();
      return other && !other.lost && other.connection !== connection;
    });
    const latest = new WeakRef(exchange);
    // Spread syntax reserves places for 17, and most sessions have one connection.
    this.#exchanges = others.length === 0 ? [latest] : [...others.slice(1 - MAX_CONNECTIONS), latest];
  }

  /** Closes the connections that no other session has used since. */
  close(): void {
    for (const exchange of this.#exchanges) exchange.deref()?.closeConnection();
    this.#exchanges = [];
  }
}
