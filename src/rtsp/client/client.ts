import { randomBytes } from 'node:crypto';
import { printable } from '../../errors.js';
import type { AsfEvent, AsfSource } from '../../media/events.js';
import type { Way } from '../../receiving/link.js';
import { PullSource } from '../../receiving/pull-source.js';
import { anonymousPlayerId } from '../../wmlog/client-log.js';
import type { RtspClientOptions, RtspDescription } from './options.js';
import { RtspPeer } from './peer.js';
import { type RtspFacts, RtspPullLink } from './pull-link.js';

export type { RtspClientOptions, RtspDescription, RtspLinkParameters, RtspTimeouts } from './options.js';

/** The counts of what a client has received. @public */
export interface RtspClientStats {
  /** ASF data packets that were forwarded. */
  readonly packets: number;
  readonly bytes: number;
  /** Packets that were unreadable and dropped. */
  readonly damagedPackets: number;
  /** RTP packets that never came. */
  readonly lostPackets: number;
  /** Lost RTP packets that the server sent again. */
  readonly recoveredPackets: number;
  readonly reconnects: number;
}

/** How long to wait for the first datagram of a stream before it is requested over TCP, in ms. */
const FIRST_DATAGRAM = 10_000;

/**
 * Returns the ways to the content of a URL by RTSP: datagrams before the connection, as players try them, unless the
 * URL names one of the two.
 *
 * @throws WmError WM_USAGE for an unusable URL or User-Agent
 */
export function rtspWays(options: RtspClientOptions): Array<Way<RtspFacts>> {
  const peer = new RtspPeer(options, anonymousPlayerId(randomBytes(6).toString('hex').toUpperCase()));
  const note = (text: string) => options.onNote?.(printable(text, 500));
  const way = (transport: 'tcp' | 'udp'): Way<RtspFacts> => ({
    name: `RTSP over ${transport.toUpperCase()} to ${peer.url.authority}`,
    connect: (context) => new RtspPullLink(peer, context, transport, note),
    ...(transport === 'udp' ? { firstPacketWithin: FIRST_DATAGRAM } : {}),
  });
  const { delivery } = peer.url;
  return delivery === 'any' ? [way('udp'), way('tcp')] : [way(delivery)];
}

/**
 * Receives a stream over RTSP with the extensions of Windows Media (MS-RTSP 3.1), live or on demand, as a player or a
 * relaying server does. It is a source of headers, packets as the server sent them, and an end. Media come as
 * datagrams, lost ones are requested again; if none arrive, or with `rtspt://`, they come over the connection.
 *
 * If the connection breaks, it is reopened as {@link RtspClientOptions.reconnect} says, as one stream.
 *
 * @public
 */
export class RtspClient implements AsfSource {
  readonly #source: PullSource<RtspFacts>;

  /** @throws WmError WM_USAGE for an unusable URL or User-Agent */
  constructor(options: RtspClientOptions) {
    this.#source = new PullSource(rtspWays(options), { ...options, packetName: 'An RTP packet' });
  }

  /**
   * Asks about the content of a URL, and receives none of it.
   *
   * @throws WmError as the iteration of a client
   */
  static async describe(options: RtspClientOptions): Promise<RtspDescription> {
    return (await new RtspClient(options).#source.describe()).description;
  }

  /** The last description from the server; undefined before that. Known when the first header arrives. */
  get description(): RtspDescription | undefined {
    return this.#source.facts?.description;
  }

  get stats(): RtspClientStats {
    const { packets, bytes, damagedPackets, lostPackets, recoveredPackets, reconnects } = this.#source.stats;
    return { packets, bytes, damagedPackets, lostPackets, recoveredPackets, reconnects };
  }

  /**
   * The iteration throws, after an end event if there was a header:
   * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_NO_INPUT, WM_AUTH_REFUSED, WM_PROTOCOL, WM_ASF_MALFORMED,
   * WM_USAGE for streams that do not exist
   * @throws LeadsElsewhere for a redirect to another protocol
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

  /** Continues at another position of content on demand (MS-RTSP 3.1.4.8). @param milliseconds from its start */
  seek(milliseconds: number): void {
    this.#source.seek(milliseconds);
  }

  /**
   * Forwards a remote event of a client of this one, for proxies (MS-RTSP 2.2.7.11). @param agent the User-Agent of
   * that client
   */
  forward(body: Buffer, agent: string): void {
    this.#source.forward(body, agent);
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
