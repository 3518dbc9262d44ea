import type { AsfHeader } from '../asf/header.js';
import type { HttpAuthenticator } from '../auth/client.js';
import type { AddressGuard } from '../http/address-guard.js';
import type { CookieJar } from '../http/cookie-jar.js';
import type { Clock } from '../media/pacing.js';
import type { ReconnectPolicy, ReconnectReport } from '../media/reconnect.js';
import type { Feature } from '../wms/features.js';
import type { Relayed } from '../wms/relayed.js';
import type { StartupParameters } from '../wms/startup-profile.js';
import type { PullChain } from './pull-chain.js';
import type { StreamWish } from './streams.js';

/** What a client that pulls is to receive, and how; the same for every protocol. @public */
export interface PullClientOptions extends StreamWish {
  readonly url: string;
  /** The whole User-Agent, a product of the protocol with its version; takes precedence over an identity. */
  readonly userAgent?: string | undefined;
  /** In ms into the content; default: 0. */
  readonly startTime?: number | undefined;
  /** The number of an ASF packet; takes precedence over `startTime`. */
  readonly startPacket?: number | undefined;
  /** 1 to 5 forward, -5 to -1 backward, by key frames unless it is 1; default: 1. */
  readonly rate?: number | undefined;
  /** A multiple of the bit rate at which content on demand is requested, if the server can; default: 1. */
  readonly speed?: number | undefined;
  /** In ms of media that are wanted; servers may ignore it. Default: all. */
  readonly maxDuration?: number | undefined;
  /** True to have the server measure the bandwidth, and to choose streams by it if no option does. Default: false. */
  readonly packetPair?: boolean | undefined;
  /** True to let the server choose the streams of further playlist entries before it is asked; default: true. */
  readonly prediction?: boolean | undefined;
  /** True to send the server logs of what was streamed, as the protocol requires; default: true. */
  readonly log?: boolean | undefined;
  /** True to tolerate servers that violate the specification; default: true. */
  readonly tolerant?: boolean | undefined;
  /** May be shared with other clients, also those of other protocols. */
  readonly cookies?: CookieJar | undefined;
  /** Answers the challenges of the server in `url`, and of proxies; no other server gets credentials. */
  readonly authorize?: HttpAuthenticator | undefined;
  /** For servers: the pulls that wait for this one, by which rings of servers are detected. */
  readonly pullChain?: PullChain | undefined;
  /** For a proxy: the request that it passes on. */
  readonly relayed?: Relayed | undefined;
  /** Where redirects of other hosts may lead, and with `led` the URL itself. Default: anywhere. */
  readonly guard?: AddressGuard | undefined;
  /** True if another host named the URL, in an announcement; default: false. */
  readonly led?: boolean | undefined;
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
export interface PullDescription {
  /** The final URL, after redirects. */
  readonly url: string;
  /** Undefined if the server does not say. */
  readonly supported: ReadonlySet<Feature> | undefined;
  /** broadcast, seekable, playlist, notseekable … */
  readonly features: readonly string[];
  readonly cacheControl: readonly string[];
  /** That of the playlist entry; 0 if unknown. */
  readonly playlistGenId: number;
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
