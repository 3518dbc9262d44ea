import { randomBytes } from 'node:crypto';
import type { LeadsElsewhere } from '../announce/elsewhere.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { PullSource } from '../receiving/pull-source.js';
import { anonymousPlayerId } from '../wmlog/client-log.js';
import type { WmspClientOptions, WmspDescription } from './client-options.js';
import { type WmspFacts, WmspPeer, WmspPullLink } from './client-pull-link.js';

export type { WmspClientOptions, WmspDescription } from './client-options.js';

/** What a client has received so far. */
export interface WmspClientStats {
  /** ASF data packets that were passed on. */
  readonly packets: number;
  readonly bytes: number;
  /** Packets that could not be read and were left out. */
  readonly damagedPackets: number;
  readonly reconnects: number;
}

/**
 * Receives a stream over HTTP as a player or a relaying server does (MS-WMSP 3.1): live or on demand, from a Windows Media server,
 * an encoder, VLC, ffserver, or as plain ASF from any web server. It is a source of headers, packets as the server sent them, and an
 * end. What leads to other URLs, such as an .asx file, is thrown as {@link LeadsElsewhere}.
 *
 * When the connection breaks it is made again as {@link WmspClientOptions.reconnect} says: on demand the stream goes on with the next packet, live
 * as one stream without what was sent twice.
 */
export class WmspClient implements AsfSource {
  readonly #source: PullSource<WmspFacts>;

  /** @throws WmError WM_USAGE for a URL, proxy or User-Agent that cannot be used */
  constructor(options: WmspClientOptions) {
    const peer = new WmspPeer(options, anonymousPlayerId(randomBytes(6).toString('hex').toUpperCase()));
    const note = (text: string) => options.onNote?.(text);
    this.#source = new PullSource(
      [{ name: peer.url.authority, connect: (context) => new WmspPullLink(peer, context, note) }],
      { ...options, packetName: 'A $D packet' },
    );
  }

  /**
   * Asks what is at a URL, and receives nothing of it.
   *
   * @throws WmError as the iteration of a client
   */
  static async describe(options: WmspClientOptions): Promise<WmspDescription> {
    return (await new WmspClient(options).#source.describe()).description;
  }

  /** What the server said last; undefined before it did. Known when the first header comes. */
  get description(): WmspDescription | undefined {
    return this.#source.facts?.description;
  }

  get stats(): WmspClientStats {
    const { packets, bytes, damagedPackets, reconnects } = this.#source.stats;
    return { packets, bytes, damagedPackets, reconnects };
  }

  /**
   * The iteration throws, after an end event if there was a header:
   * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_NO_INPUT, WM_AUTH_REFUSED, WM_PROTOCOL, WM_HTTP_MALFORMED,
   *   WM_ASF_MALFORMED, WM_USAGE for streams that are not there
   * @throws LeadsElsewhere for an announcement or a redirect to another protocol, WM_BAD_INPUT for an announcement that cannot be read
   */
  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    return this.#source[Symbol.asyncIterator]();
  }

  /** Has the server stop; the session is kept, so that {@link resume} goes on with the next packet. */
  pause(): void {
    this.#source.pause();
  }

  resume(): void {
    this.#source.resume();
  }

  /** Goes on at another place (MS-WMSP 3.1.4.7), of content on demand. @param milliseconds from its start */
  seek(milliseconds: number): void {
    this.#source.seek(milliseconds);
  }

  /** Passes on a remote event of a client of this one (MS-WMSP 2.2.2.9): for proxies. @param agent the User-Agent of that client */
  forward(body: Buffer, agent: string): void {
    this.#source.forward(body, agent);
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
