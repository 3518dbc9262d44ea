import type { AsfEvent, EndEvent } from '../media/events.js';
import { Retries, type RetryOptions } from '../media/reconnect.js';
import { withEnd } from '../media/source.js';
import { MsbClient, type MsbClientOptions } from '../msb/client/client.js';
import type { RemoteSource } from './source.js';

const MORE: EndEvent = { type: 'end', moreEntries: true, reason: 1 };

/** A multicast that is received again after a failure, as {@link RetryOptions} say. */
export class MulticastSource implements RemoteSource {
  readonly #options: MsbClientOptions;
  readonly #closed = new AbortController();
  readonly #retries: Retries;
  #client: MsbClient;
  #before = { damagedPackets: 0, lostPackets: 0, recoveredPackets: 0 };
  #worked = false;
  // True if the end of the last client's content is still to be yielded.
  #open = false;

  /** @throws WmError WM_USAGE as {@link MsbClient} */
  constructor(options: MsbClientOptions, retry: RetryOptions) {
    this.#options = options;
    this.#retries = new Retries(retry, this.#closed.signal);
    this.#client = new MsbClient(options);
  }

  get description(): RemoteSource['description'] {
    return this.#client.description;
  }

  get stats(): RemoteSource['stats'] {
    const { damagedPackets, lostPackets, recoveredPackets } = this.#client.stats;
    return {
      reconnects: this.#retries.reconnects,
      damagedPackets: this.#before.damagedPackets + damagedPackets,
      lostPackets: this.#before.lostPackets + lostPackets,
      recoveredPackets: this.#before.recoveredPackets + recoveredPackets,
    };
  }

  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    return withEnd(this.#stream(), () => this.#open);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#client.close();
  }

  async *#stream(): AsyncGenerator<AsfEvent, void, undefined> {
    while (!this.#closed.signal.aborted) {
      try {
        yield* this.#events();
        return;
      } catch (error) {
        if (this.#closed.signal.aborted) return;
        await this.#retries.after(error, this.#worked);
      }
      await this.#again();
    }
  }

  /** Yields the events of one client, without the last end. */
  async *#events(): AsyncGenerator<AsfEvent, void, undefined> {
    for await (const event of this.#client) {
      if (event.type === 'end' && !event.moreEntries) continue;
      if (event.type === 'header' && this.#open) yield MORE;
      if (event.type === 'packet') this.#retries.progressed();
      this.#worked ||= event.type === 'header';
      this.#open = event.type !== 'end';
      yield event;
    }
  }

  async #again(): Promise<void> {
    const { damagedPackets, lostPackets = 0, recoveredPackets = 0 } = this.stats;
    this.#before = { damagedPackets, lostPackets, recoveredPackets };
    await this.#client.close();
    this.#client = new MsbClient(this.#options);
  }
}
