import { randomBytes } from 'node:crypto';
import type { LeadsElsewhere } from '../../announce/elsewhere.js';
import type { AsfEvent, AsfSource } from '../../media/events.js';
import type { Way } from '../../receiving/link.js';
import { PullSource } from '../../receiving/pull-source.js';
import { anonymousPlayerId } from '../../wmlog/client-log.js';
import type { WmspClientOptions, WmspDescription } from './options.js';
import { type WmspFacts, WmspPeer, WmspPullLink } from './pull-link.js';

export type { WmspClientOptions, WmspDescription } from './options.js';

/** The counts of what a client has received. @public */
export interface WmspClientStats {
  /** ASF data packets that were forwarded. */
  readonly packets: number;
  readonly bytes: number;
  /** Packets that were unreadable and dropped. */
  readonly damagedPackets: number;
  readonly reconnects: number;
}

/**
 * Returns the way to the content of a URL by HTTP.
 *
 * @throws WmError WM_USAGE for an unusable URL, proxy or User-Agent
 */
export function wmspWays(options: WmspClientOptions): Array<Way<WmspFacts>> {
  const peer = new WmspPeer(options, anonymousPlayerId(randomBytes(6).toString('hex').toUpperCase()));
  const note = (text: string) => options.onNote?.(text);
  return [{ name: `HTTP to ${peer.url.authority}`, connect: (context) => new WmspPullLink(peer, context, note) }];
}

/**
 * Receives a stream over HTTP as a player or a relaying server does (MS-WMSP 3.1): live or on demand, from a Windows
 * Media server, an encoder, another program that speaks WMSP, or as plain ASF from any web server. It is a source of headers, packets as
 * the server sent them, and an end. Anything that leads to other URLs, such as an .asx file, is thrown as
 * {@link LeadsElsewhere}.
 *
 * If the connection breaks, it is reopened as {@link WmspClientOptions.reconnect} says. On demand, the stream continues
 * with the next packet; live, it continues as one stream without repeated packets.
 *
 * @public
 */
export class WmspClient implements AsfSource {
  readonly #source: PullSource<WmspFacts>;

  /** @throws WmError WM_USAGE for an unusable URL, proxy or User-Agent */
  constructor(options: WmspClientOptions) {
    this.#source = new PullSource(wmspWays(options), { ...options, packetName: 'A $D packet' });
  }

  /**
   * Asks about the content of a URL, and receives none of it.
   *
   * @throws WmError as the iteration of a client
   */
  static async describe(options: WmspClientOptions): Promise<WmspDescription> {
    return (await new WmspClient(options).#source.describe()).description;
  }

  /** The last description from the server; undefined before that. Known when the first header arrives. */
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
   * WM_ASF_MALFORMED, WM_USAGE for streams that do not exist
   * @throws LeadsElsewhere for an announcement or a redirect to another protocol, WM_BAD_INPUT for an unreadable
   * announcement
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

  /** Continues at another position of content on demand (MS-WMSP 3.1.4.7). @param milliseconds from its start */
  seek(milliseconds: number): void {
    this.#source.seek(milliseconds);
  }

  /**
   * Forwards a remote event of a client of this one, for proxies (MS-WMSP 2.2.2.9). @param agent the User-Agent of that
   * client
   */
  forward(body: Buffer, agent: string): void {
    this.#source.forward(body, agent);
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
