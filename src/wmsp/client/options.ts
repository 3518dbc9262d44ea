import type { TlsTrust } from '../../http/connection.js';
import type { PullClientOptions, PullDescription } from '../../receiving/client-options.js';
import type { WmspTimeouts } from './link.js';
import type { ReceivedMetadata } from './packets.js';
import type { ClientIdentity, ServerProduct } from './product.js';
import type { LinkParameters } from './requests.js';

/**
 * The options of a client of WMSP. Its URL begins with `http://`, `https://`, `mmsh://` or `mms://`. One that is tolerant
 * also accepts plain ASF over HTTP.
 *
 * @public
 */
export interface WmspClientOptions extends PullClientOptions {
  /** A player, or a server that relays; default: NSPlayer. */
  readonly identity?: ClientIdentity['token'] | undefined;
  readonly link?: LinkParameters | undefined;
  /** True to try the pipelined mode (one connection for everything); default: false. */
  readonly pipelined?: boolean | undefined;
  /** `http://host:port`: a proxy that is asked for content, or for a tunnel to a server that uses TLS. */
  readonly proxy?: string | undefined;
  /** For `https://`. */
  readonly tls?: TlsTrust | undefined;
  readonly timeouts?: Partial<WmspTimeouts> | undefined;
}

/** What a server of WMSP says of itself and of the content of a URL. @public */
export interface WmspDescription extends PullDescription {
  /** `wmsp`, or `http` for plain ASF. */
  readonly transport: 'wmsp' | 'http';
  readonly server: ServerProduct | undefined;
  readonly clientId: number | undefined;
  readonly metadata: ReceivedMetadata | undefined;
}

/** The waits of a client that sets none. */
export const DEFAULT_TIMEOUTS: WmspTimeouts = { connect: 10_000, answer: 15_000, data: 30_000, side: 3_000 };
