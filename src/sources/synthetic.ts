import type { AsfEvent } from '../media/events.js';
import { SyntheticSource } from '../testing/synthetic.js';
import { parseSynthetic } from '../testing/synthetic-url.js';
import type { RemoteSource, SourceDescription } from './source.js';

/** A synthetic stream as a source by its name; it comes as fast as it is taken. */
export class SyntheticContent implements RemoteSource {
  readonly stats = { reconnects: 0, damagedPackets: 0 };
  readonly description: { readonly url: string; readonly live: boolean };
  readonly #source: SyntheticSource;

  /** @throws WmError WM_USAGE */
  constructor(url: string) {
    this.#source = new SyntheticSource(parseSynthetic(url));
    this.description = { url, live: false };
  }

  static describe(url: string): SourceDescription {
    const { header } = new SyntheticSource(parseSynthetic(url));
    return { url, live: header.broadcast, header, transport: 'synthetic' };
  }

  [Symbol.asyncIterator](): AsyncIterator<AsfEvent, void, undefined> {
    return this.#source[Symbol.asyncIterator]();
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
