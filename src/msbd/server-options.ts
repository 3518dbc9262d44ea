import type { Admission } from '../http/admission.js';
import type { ProxyOptions } from '../http/peer.js';
import type { Broadcast } from '../media/broadcast.js';
import type { SessionRegistry } from '../playback/registry.js';
import type { ServerTimers } from './server-session.js';

/** The port on which MSBD servers usually listen; none is assigned (MS-MSBD 2.1). */
export const MSBD_PORT = 7007;

/** What a server gives, by the szChannel of its clients. */
export interface MsbdContent {
  /**
   * @param channel `NetShow` is what there is, whatever its name (2.2.7)
   * @returns undefined when nothing has that name
   * @throws Refusal when the client may not have it, or not now; any other error refuses it as not there at the moment
   */
  open(channel: string, client: MsbdPeer): Promise<Broadcast | undefined>;
}

/** A client, as far as its connection tells. */
export interface MsbdPeer {
  readonly remoteAddress: string;
  /** It runs on this host. */
  readonly local: boolean;
  /** The same object for everything that comes over one connection. */
  readonly connection: object;
  /** Aborted once the client is refused, gets nothing more, or has gone. */
  readonly signal: AbortSignal;
}

/** How packets reach the clients that ask for multicast delivery. */
export interface MsbdMulticast {
  /** IPv4; the first channel that is asked for gets it, each other one the next address. */
  readonly address: string;
  readonly port: number;
  /** Networks that datagrams may pass; default 1. */
  readonly ttl?: number | undefined;
  /** Data packets for each parity packet, 1 to 15; default 0, which is none. */
  readonly fec?: number | undefined;
  /** The interface that they leave by, by its name or an address of it; default: as the system routes. */
  readonly interface?: string | undefined;
}

export interface MsbdServerOptions {
  readonly content: MsbdContent;
  /** Which connections are taken, also of those that have not asked for anything yet; several servers may share one. Default 10000. */
  readonly admission?: Admission | undefined;
  /** Which peers say whom they bring, by the PROXY protocol; default none. */
  readonly proxies?: ProxyOptions | undefined;
  /** Without it, who asks for multicast delivery is refused. */
  readonly multicast?: MsbdMulticast | undefined;
  /** How long clients wait for another stream when one has ended, in ms, before they are told that none follows. Default 0. */
  readonly hold?: number | undefined;
  /** Whether the header is offered in an .nsc file too (2.2.8). Default: no. */
  readonly inNsc?: ((broadcast: Broadcast) => boolean) | undefined;
  readonly timers?: Partial<ServerTimers> | undefined;
  /** Where clients that a stream is sent to are known; default one of its own. */
  readonly registry?: SessionRegistry | undefined;
  /** The path of a broadcast, for the registry; default that of the channel that was asked for. */
  readonly pathOf?: ((broadcast: Broadcast, channel: string) => string) | undefined;
  /** Something failed that no client caused. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** ms that only go forward; default `performance.now`. */
  readonly now?: (() => number) | undefined;
}
