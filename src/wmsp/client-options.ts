import type { AsfHeader } from '../asf/header.js';
import type { HttpAuthenticator } from '../auth/client.js';
import type { AddressGuard } from '../http/address-guard.js';
import type { TlsTrust } from '../http/connection.js';
import type { Clock } from '../media/pacing.js';
import type { ReconnectPolicy, ReconnectReport } from '../media/reconnect.js';
import type { PullChain } from '../receiving/pull-chain.js';
import type { StreamWish } from '../receiving/streams.js';
import type { Feature } from '../wms/features.js';
import type { StartupParameters } from '../wms/startup-profile.js';
import type { CookieJar } from './client-cookies.js';
import type { WmspTimeouts } from './client-link.js';
import type { ReceivedMetadata } from './client-packets.js';
import type { ClientIdentity, ServerProduct } from './client-product.js';
import type { LinkParameters } from './client-requests.js';

export interface WmspClientOptions extends StreamWish {
  /** `http://`, `https://`, `mmsh://` or `mms://` */
  readonly url: string;
  /** A player, or a server that relays; default NSPlayer. */
  readonly identity?: ClientIdentity['token'] | undefined;
  /** The whole User-Agent; goes before `identity`. */
  readonly userAgent?: string | undefined;
  /** Milliseconds into the content. Default 0. */
  readonly startTime?: number | undefined;
  /** Number of an ASF packet; goes before `startTime`. */
  readonly startPacket?: number | undefined;
  /** 1 to 5 forward, -5 to -1 backward, by key frames when it is not 1. Default 1. */
  readonly rate?: number | undefined;
  /** How often faster than its bit rate content on demand is wanted, if the server can. Default 1. */
  readonly speed?: number | undefined;
  /** Milliseconds of media that are wanted; servers may ignore it. Default: all. */
  readonly maxDuration?: number | undefined;
  readonly link?: LinkParameters | undefined;
  /** Try the pipelined mode (one connection for all). Default false. */
  readonly pipelined?: boolean | undefined;
  /** Have the server measure the bandwidth, and choose streams by it when nothing else says which. Default false. */
  readonly packetPair?: boolean | undefined;
  /** Let the server choose the streams of further playlist entries before it is asked. Default true. */
  readonly prediction?: boolean | undefined;
  /** `http://host:port`; a proxy that is asked for content, or for a way to a server that speaks TLS. */
  readonly proxy?: string | undefined;
  /** Send the server a log of what was streamed, as the protocol demands. Default true. */
  readonly log?: boolean | undefined;
  /** Bear servers that break rules, and take plain ASF over HTTP. Default true. */
  readonly tolerant?: boolean | undefined;
  /** Shared with other clients if wanted. */
  readonly cookies?: CookieJar | undefined;
  /** Answers the challenges of proxies and of the server that `url` names; no other server gets credentials. */
  readonly authorize?: HttpAuthenticator | undefined;
  /** For servers: the pulls that wait for this one, by which rings of servers are found. */
  readonly pullChain?: PullChain | undefined;
  /** For `https://`. */
  readonly tls?: TlsTrust | undefined;
  /** Where redirects of other hosts may lead, and with `led` the URL itself. Default: anywhere. */
  readonly guard?: AddressGuard | undefined;
  /** Another host named the URL, in an announcement. Default false. */
  readonly led?: boolean | undefined;
  readonly timeouts?: Partial<WmspTimeouts> | undefined;
  /** Default: never. */
  readonly reconnect?: ReconnectPolicy | undefined;
  readonly clock?: Clock | undefined;
  /** 0 to 1; default Math.random. */
  readonly random?: (() => number) | undefined;
  /** Gets sentences that a person may want to know. */
  readonly onNote?: ((text: string) => void) | undefined;
  readonly onReconnect?: ((report: ReconnectReport) => void) | undefined;
}

/** What a server says of itself and of the content at a URL. */
export interface WmspDescription {
  /** Where it is in the end, after redirects. */
  readonly url: string;
  /** `wmsp`, or `http` for plain ASF. */
  readonly transport: 'wmsp' | 'http';
  readonly server: ServerProduct | undefined;
  /** Undefined when the server does not say. */
  readonly supported: ReadonlySet<Feature> | undefined;
  /** broadcast, seekable, playlist … */
  readonly features: readonly string[];
  readonly cacheControl: readonly string[];
  readonly clientId: number | undefined;
  /** Of the playlist entry; 0 unknown. */
  readonly playlistGenId: number;
  readonly metadata: ReceivedMetadata | undefined;
  readonly startupProfile: StartupParameters | undefined;
  /** The packet-pair estimate, bits per second. */
  readonly bandwidth: number | undefined;
  /** Whether it is live; otherwise it can be asked for from any place. */
  readonly live: boolean;
  /** The header as it came, with all streams. */
  readonly header: AsfHeader;
  /** The streams that a client with these options takes. */
  readonly chosen: ReadonlySet<number>;
}

export const DEFAULT_TIMEOUTS: WmspTimeouts = { connect: 10_000, answer: 15_000, data: 30_000, side: 3_000 };
