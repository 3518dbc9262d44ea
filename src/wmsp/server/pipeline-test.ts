import type { ResponseStream } from '../../http/exchange.js';
import type { Ticker } from '../../media/on-demand/flow.js';
import { TEST_PACKET } from '../messages/packets.js';

// In ms (MS-WMSP 3.2.5.5).
const PIPELINE_TEST = 1_000;

/**
 * The first Pipeline response, which stays open until the second request arrives or the time is up (MS-WMSP 3.2.5.5).
 */
export class PipelineTest {
  readonly #stream: ResponseStream;
  readonly #ticker: Ticker;
  readonly #look: () => void;

  /**
   * Sends $T and starts the Pipeline-Test timer.
   *
   * @param now a clock in ms
   */
  constructor(stream: ResponseStream, ticker: Ticker, now: () => number) {
    this.#stream = stream;
    this.#ticker = ticker;
    const due = now() + PIPELINE_TEST;
    this.#look = () => {
      if (stream.ended || now() >= due) this.end();
    };
    ticker.add(this.#look);
    stream.write(TEST_PACKET);
  }

  /**
   * True while the timer runs; a second request that arrives then was let through while the first was being answered.
   */
  get running(): boolean {
    return !this.#stream.ended;
  }

  /** Ends the response (MS-WMSP 3.2.6.1). */
  end(): void {
    this.#ticker.delete(this.#look);
    this.#stream.end();
  }
}
