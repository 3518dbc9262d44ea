import type { AddressList } from '../../http/address-list.js';
import type { Admission } from '../../http/admission.js';
import type { RunningWorker } from './running.js';

/**
 * Counts the connections of all workers against the limits of their server. The main process accepts them, so it can
 * refuse them too; the workers say when they are over.
 */
export class WorkerConnections {
  readonly #admission: Admission;
  readonly #proxies: AddressList | undefined;
  #last = 0;

  /** @param proxies those that name their clients by the PROXY protocol, which only the workers read */
  constructor(admission: Admission, proxies: AddressList | undefined) {
    this.#admission = admission;
    this.#proxies = proxies;
  }

  /** True if there may be a connection more from that address. It counts until it is released, or was given away. */
  admit(address: string): boolean {
    return this.#admission.admit(address, this.#proxies?.includes(address, false));
  }

  release(address: string): void {
    this.#admission.release(address);
  }

  /** The process has too many files open to accept a connection. */
  starved(): void {
    this.#admission.starved();
  }

  /** A connection that was admitted goes to a worker. @returns its number, by which the worker says that it is over */
  given({ connections }: RunningWorker, address: string): number {
    const number = ++this.#last;
    connections.set(number, address);
    return number;
  }

  /** A connection that a worker has handed over goes to another one. */
  moved(worker: RunningWorker, address: string): number {
    this.#admission.keep(address);
    return this.given(worker, address);
  }

  /** Connections of a worker are over; by default all of them. */
  over({ connections }: RunningWorker, numbers: Iterable<number> = connections.keys()): void {
    for (const number of [...numbers]) {
      const address = connections.get(number);
      if (address !== undefined) this.#admission.release(address);
      connections.delete(number);
    }
  }
}
