import type { AsfEvent, AsfSource } from '../media/events.js';
import { type Clock, Pacer, systemClock } from '../media/pacing.js';

type Described = AsfSource & { readonly description?: { readonly live: boolean } | undefined };

/**
 * Paces a source at its playback rate, as live receivers need it: live content as it arrives, and content on demand
 * when it is due, however fast the server sends it.
 */
export class PacedSource implements AsfSource {
  readonly #source: Described;
  readonly #clock: Clock;
  readonly #closed = new AbortController();

  constructor(source: Described, clock: Clock = systemClock) {
    this.#source = source;
    this.#clock = clock;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    let pacer: Pacer | undefined;
    for await (const event of this.#source) {
      if (event.type === 'header') {
        const isLive = this.#source.description?.live ?? event.header.broadcast;
        pacer = isLive ? undefined : new Pacer(this.#clock);
      }
      if (event.type === 'packet') await pacer?.wait(event.packet.sendTime, this.#closed.signal);
      yield event;
    }
  }

  close(): Promise<void> {
    this.#closed.abort();
    return this.#source.close();
  }
}
