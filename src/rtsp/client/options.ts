import type { AsfHeader } from '../../asf/header.js';
import type { HttpAuthenticator } from '../../auth/client.js';
import type { AddressGuard } from '../../http/address-guard.js';
import type { CookieJar } from '../../http/cookie-jar.js';
import type { Clock } from '../../media/pacing.js';
import type { ReconnectPolicy, ReconnectReport } from '../../media/reconnect.js';
import type { PullChain } from '../../receiving/pull-chain.js';
import type { StreamWish } from '../../receiving/streams.js';
import type { Description } from '../../wms/content-description.js';
import type { Feature } from '../../wms/features.js';
import type { Relayed } from '../../wms/relayed.js';
import type { StartupParameters } from '../../wms/startup-profile.js';
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

/** @public */
export interface RtspClientOptions extends StreamWish {
  /** `rtsp://`, `rtspt://` for media over TCP only, or `rtspu://` for media over UDP only. */
  readonly url: string;
  /** A player, or a server that relays; default: a player. */
  readonly identity?: 'NSPlayer' | 'NSServer' | 'WMCacheProxy' | undefined;
  /** The product of the User-Agent, `WMPlayer/n.n`, `WMServer/n.n` or `WMCacheProxy/n.n`; takes precedence. */
  readonly userAgent?: string | undefined;
  /** In ms into the content; default: 0. */
  readonly startTime?: number | undefined;
  /** The number of an ASF packet; takes precedence over `startTime`. */
  readonly startPacket?: number | undefined;
  /** 1 to 5 forward, -5 to -1 backward; default: 1. */
  readonly rate?: number | undefined;
  /** A multiple of the bit rate at which content on demand is requested, if the server can; default: 1. */
  readonly speed?: number | undefined;
  /** In ms of media that are wanted; default: all. */
  readonly maxDuration?: number | undefined;
  readonly link?: RtspLinkParameters | undefined;
  /** True to have the server measure the bandwidth, and to choose streams by it if no option does. Default: false. */
  readonly packetPair?: boolean | undefined;
  /** True to let the server choose the streams of further playlist entries before it is asked; default: true. */
  readonly prediction?: boolean | undefined;
  /** How long a datagram that is missing is asked for before it counts as lost, in ms; default: 3000. */
  readonly lossWindow?: number | undefined;
  /** True to send the server logs of what was streamed, as the protocol requires; default: true. */
  readonly log?: boolean | undefined;
  /** True to tolerate servers that violate the specification; default: true. */
  readonly tolerant?: boolean | undefined;
  /** May be shared with other clients, also those of HTTP. */
  readonly cookies?: CookieJar | undefined;
  /** Answers the challenges of the server in `url`; no other server gets credentials. */
  readonly authorize?: HttpAuthenticator | undefined;
  /** For servers: the pulls that wait for this one, by which rings of servers are detected. */
  readonly pullChain?: PullChain | undefined;
  /** For a proxy: the request that it passes on (MS-RTSP 3.1.5.1). */
  readonly relayed?: Relayed | undefined;
  /** Where redirects of other hosts may lead, and with `led` the URL itself. Default: anywhere. */
  readonly guard?: AddressGuard | undefined;
  /** True if another host named the URL, in an announcement; default: false. */
  readonly led?: boolean | undefined;
  readonly timeouts?: Partial<RtspTimeouts> | undefined;
  /** Default: never. */
  readonly reconnect?: ReconnectPolicy | undefined;
  readonly clock?: Clock | undefined;
  /** Returns 0 to 1; default: Math.random. */
  readonly random?: (() => number) | undefined;
  /** Gets notes for the user, as sentences. */
  readonly onNote?: ((text: string) => void) | undefined;
  readonly onReconnect?: ((report: ReconnectReport) => void) | undefined;
}

/** A server's description of itself and of the content of a URL. @public */
export interface RtspDescription {
  /** The final URL, after redirects. */
  readonly url: string;
  readonly transport: 'rtsp';
  /** Undefined if the server does not name itself. */
  readonly server: { readonly text: string } | undefined;
  /** Undefined if the server does not say. */
  readonly supported: ReadonlySet<Feature> | undefined;
  /** broadcast, playlist, notseekable … */
  readonly features: readonly SdpFeature[];
  readonly cacheControl: readonly string[];
  /** That of the playlist entry; 0 if unknown. */
  readonly playlistGenId: number;
  /** X-Broadcast-Id; 0 for content that is not live. */
  readonly broadcastId: number;
  /** The server's content descriptions. */
  readonly descriptions: readonly Description[];
  readonly startupProfile: StartupParameters | undefined;
  /** The packet-pair estimate, in bits per second. */
  readonly bandwidth: number | undefined;
  /** True for live content; other content can be requested from any position. */
  readonly live: boolean;
  /** The header as received, with all streams. */
  readonly header: AsfHeader;
  /** The streams that a client with these options receives. */
  readonly chosen: ReadonlySet<number>;
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
