import { randomBytes } from 'node:crypto';
import type { LeadsElsewhere } from '../../announce/elsewhere.js';
import type { Way } from '../../receiving/link.js';
import { PullClient } from '../../receiving/pull-client.js';
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
export class WmspClient extends PullClient<WmspDescription> {
  /** @throws WmError WM_USAGE for an unusable URL, proxy or User-Agent */
  constructor(options: WmspClientOptions) {
    super(wmspWays(options), { ...options, packetName: 'A $D packet' });
  }

  /**
   * Asks about the content of a URL, and receives none of it.
   *
   * @throws WmError as the iteration of a client
   */
  static async describe(options: WmspClientOptions): Promise<WmspDescription> {
    return new WmspClient(options).describeContent();
  }

  get stats(): WmspClientStats {
    const { packets, bytes, damagedPackets, reconnects } = this.counts;
    return { packets, bytes, damagedPackets, reconnects };
  }
}
