import type { AsfEvent, AsfSource, EndEvent } from './events.js';
import { MediaTime } from './media-time.js';
import { SingleReading } from './source.js';

/** @public */
export interface SequenceOptions {
  /** Functions that open the entries; each is called in the entry's turn. */
  readonly entries: ReadonlyArray<() => AsfSource | Promise<AsfSource>>;
  /** True to start over after the last entry. Default false. */
  readonly loop?: boolean | undefined;
  /** Seconds of media, counted by send times, after which the sequence ends. Default: all. */
  readonly duration?: number | undefined;
  /** Called if an entry cannot be opened, or breaks off; the next one follows. @param index from 0 */
  readonly onSkipped?: ((error: unknown, index: number) => void) | undefined;
}

const MORE: EndEvent = { type: 'end', moreEntries: true, reason: 1 };

/**
 * Plays sources one after the other as one stream, the way a playlist is pushed (MS-WMHTTP 3.1.4.4, 3.1.4.5): an end
 * that says that more entries follow, then the next header. Each entry has times of its own.
 *
 * The iteration throws the error of an entry, after an end event if there was a header, if a whole round of entries
 * yielded nothing.
 *
 * @public
 */
export class Sequence implements AsfSource {
  readonly #options: SequenceOptions;
  readonly #time = new MediaTime();
  #current: AsfSource | undefined;
  #closed = false;
  #started = false;
  readonly #reading = new SingleReading();

  constructor(options: SequenceOptions) {
    this.#options = options;
  }

  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    this.#reading.begin();
    return this.#events();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#current?.close();
  }

  async *#events(): AsyncGenerator<AsfEvent, void, undefined> {
    let failure: unknown;
    let isFruitful: boolean;
    do {
      isFruitful = false;
      failure = undefined;
      for (const [index, open] of this.#options.entries.entries()) {
        if (this.#closed) break;
        try {
          if (yield* this.#entry(open)) isFruitful = true;
        } catch (error) {
          failure = error;
          if (!this.#closed && this.#options.entries.length > 1) this.#options.onSkipped?.(error, index);
        }
      }
    } while (this.#options.loop && isFruitful && !this.#closed);
    if (this.#started) yield { type: 'end', moreEntries: false, reason: 0 };
    if (!isFruitful && failure !== undefined && !this.#closed) throw failure;
  }

  /** @returns true if it yielded packets */
  async *#entry(open: SequenceOptions['entries'][number]): AsyncGenerator<AsfEvent, boolean, undefined> {
    const source = await open();
    this.#current = source;
    let hasPackets = false;
    try {
      if (this.#closed) return false;
      for await (const event of source) {
        this.#time.count(event);
        if (event.type === 'end' && !event.moreEntries) continue;
        if (event.type === 'header' && !hasPackets && this.#started) yield MORE;
        if (this.#isOver(event)) {
          this.#closed = true;
          break;
        }
        if (event.type === 'header') this.#started = true;
        if (event.type === 'packet') hasPackets = true;
        yield event;
      }
    } finally {
      this.#current = undefined;
      await source.close();
    }
    return hasPackets;
  }

  #isOver(event: AsfEvent): boolean {
    const { duration } = this.#options;
    return duration !== undefined && event.type === 'packet' && this.#time.milliseconds >= duration * 1000;
  }
}
