import type { AsfEvent, AsfSource } from '../media/events.js';
import type { SourceFacts, Way } from './link.js';
import { type PullOptions, PullSource, type PullStats } from './pull-source.js';

/**
 * A client that pulls the content of a URL by one protocol: a source of headers, packets as the server sent them, and an
 * end.
 *
 * @public
 */
export abstract class PullClient<Description> implements AsfSource {
  readonly #source: PullSource<SourceFacts & { readonly description: Description }>;

  /** @internal */
  protected constructor(
    ways: ReadonlyArray<Way<SourceFacts & { readonly description: Description }>>,
    options: PullOptions,
  ) {
    this.#source = new PullSource(ways, options);
  }

  /** The last description from the server; undefined before that. Known when the first header arrives. */
  get description(): Description | undefined {
    return this.#source.facts?.description;
  }

  /** @internal */
  protected get counts(): PullStats {
    return this.#source.stats;
  }

  /** @internal */
  protected async describeContent(): Promise<Description> {
    return (await this.#source.describe()).description;
  }

  /**
   * The iteration throws, after an end event if there was a header:
   * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_NO_INPUT, WM_AUTH_REFUSED, WM_PROTOCOL, WM_ASF_MALFORMED,
   * WM_USAGE for streams that do not exist, by HTTP also WM_HTTP_MALFORMED, and WM_BAD_INPUT for an unreadable
   * announcement
   * @throws LeadsElsewhere for a redirect to another protocol, by HTTP also for an announcement
   */
  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    return this.#source[Symbol.asyncIterator]();
  }

  /** Stops the server; the session is kept, so that {@link resume} continues with the next packet. */
  pause(): void {
    this.#source.pause();
  }

  resume(): void {
    this.#source.resume();
  }

  /**
   * Continues at another position of content on demand (MS-WMSP 3.1.4.7, MS-RTSP 3.1.4.8). @param milliseconds from its
   * start
   */
  seek(milliseconds: number): void {
    this.#source.seek(milliseconds);
  }

  /**
   * Forwards a remote event of a client of this one, for proxies (MS-WMSP 2.2.2.9, MS-RTSP 2.2.7.11). @param agent the
   * User-Agent of that client
   */
  forward(body: Buffer, agent: string): void {
    this.#source.forward(body, agent);
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
