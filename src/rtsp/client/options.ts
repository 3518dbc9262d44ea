import type { PullClientOptions, PullDescription } from '../../receiving/client-options.js';
import type { Description } from '../../wms/content-description.js';
import type { SdpFeature } from '../messages/sdp.js';

/** The longest waits of a client, in ms. @public */
export interface RtspTimeouts {
  /** For the TCP connection. */
  readonly connect: number;
  /** For a response. */
  readonly answer: number;
  /** For the next packet. */
  readonly data: number;
  /** For datagrams that show that the way for UDP is open (the Firewall timer of MS-RTSP 3.1.2). */
  readonly firewall: number;
}

/** How fast the start may be sent, in bits per second and ms of media (MS-RTSP 2.2.6.1, 2.2.6.13). @public */
export interface RtspLinkParameters {
  readonly linkBandwidth: number;
  readonly accelBandwidth: number;
  readonly accelDuration: number;
}

/**
 * The options of a client of RTSP. Its URL begins with `rtsp://`, with `rtspt://` for media over TCP only, or with
 * `rtspu://` for media over UDP only; a User-Agent is `WMPlayer/n.n`, `WMServer/n.n` or `WMCacheProxy/n.n`.
 *
 * @public
 */
export interface RtspClientOptions extends PullClientOptions {
  /** A player, or a server that relays; default: a player. */
  readonly identity?: 'NSPlayer' | 'NSServer' | 'WMCacheProxy' | undefined;
  readonly link?: RtspLinkParameters | undefined;
  /** How long a datagram that is missing is asked for before it counts as lost, in ms; default: 3000. */
  readonly lossWindow?: number | undefined;
  readonly timeouts?: Partial<RtspTimeouts> | undefined;
}

/** What a server of RTSP says of itself and of the content of a URL. @public */
export interface RtspDescription extends PullDescription {
  readonly transport: 'rtsp';
  /** Undefined if the server does not name itself. */
  readonly server: { readonly text: string } | undefined;
  /** broadcast, playlist, notseekable … */
  readonly features: readonly SdpFeature[];
  /** X-Broadcast-Id; 0 for content that is not live. */
  readonly broadcastId: number;
  /** The server's content descriptions. */
  readonly descriptions: readonly Description[];
}

/** The waits of a client that sets none. */
export const DEFAULT_TIMEOUTS: RtspTimeouts = { connect: 10_000, answer: 15_000, data: 30_000, firewall: 3_000 };

/** The parameters of a client that knows no limit of its link, as Windows Media Player sends them. */
export const DEFAULT_LINK: RtspLinkParameters = {
  linkBandwidth: 0x7fffffff,
  accelBandwidth: 3_500_000,
  accelDuration: 18_000,
};

/** How long a datagram that is missing is asked for, in ms: what players buffer. */
export const DEFAULT_LOSS_WINDOW = 3_000;
