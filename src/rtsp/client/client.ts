import { randomBytes } from 'node:crypto';
import { printable } from '../../errors.js';
import type { Way } from '../../receiving/link.js';
import { PullClient } from '../../receiving/pull-client.js';
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
export class RtspClient extends PullClient<RtspDescription> {
  /** @throws WmError WM_USAGE for an unusable URL or User-Agent */
  constructor(options: RtspClientOptions) {
    super(rtspWays(options), { ...options, packetName: 'An RTP packet' });
  }

  /**
   * Asks about the content of a URL, and receives none of it.
   *
   * @throws WmError as the iteration of a client
   */
  static async describe(options: RtspClientOptions): Promise<RtspDescription> {
    return new RtspClient(options).describeContent();
  }

  get stats(): RtspClientStats {
    const { packets, bytes, damagedPackets, lostPackets, recoveredPackets, reconnects } = this.counts;
    return { packets, bytes, damagedPackets, lostPackets, recoveredPackets, reconnects };
  }
}
