import type { Socket } from 'node:net';
import type { Admission } from '../../http/admission.js';
import type { ProxyOptions } from '../../http/peer.js';
import type { Broadcast } from '../../media/broadcast.js';
import type { SessionRegistry } from '../../playback/registry.js';
import type { ServerTimers } from './session.js';

/** The port on which MSBD servers usually listen; no port is assigned (MS-MSBD 2.1). */
export const MSBD_PORT = 7007;

/** The content of a server, by the szChannel of its clients. @public */
export interface MsbdContent {
  /**
   * @param channel `NetShow` means any content, whatever its name (2.2.7)
   * @returns undefined if nothing has that name
   * @throws Refusal if the client may not have it, or not now; any other error tells the client that it is unavailable
   *   at the moment
   */
  open(channel: string, client: MsbdPeer): Promise<Broadcast | undefined>;
}

/** A client, as far as its connection identifies it. @public */
export interface MsbdPeer {
  readonly remoteAddress: string;
  /** True if the client runs on this host. */
  readonly local: boolean;
  /** The same object for all requests over one connection. */
  readonly connection: object;
  /** Aborted once the client is refused, needs nothing more, or has gone. */
  readonly signal: AbortSignal;
}

/** How to send to clients that ask for multicast delivery. @public */
export interface MsbdMulticast {
  /** IPv4; the first channel requested gets this address, each other channel the next one. */
  readonly address: string;
  readonly port: number;
  /** TTL of datagrams; default 1. */
  readonly ttl?: number | undefined;
  /** Data packets for each parity packet, 1 to 15; default 0, no parity. */
  readonly fec?: number | undefined;
  /** The interface that datagrams leave by, by its name or an address of it; default: the system's choice of route. */
  readonly interface?: string | undefined;
}

/** @public */
export interface MsbdServerOptions {
  readonly content: MsbdContent;
  /**
   * Decides which connections to accept, and counts them even before they have asked for anything; several servers may
   * share one. Default 10000.
   */
  readonly admission?: Admission | undefined;
  /** Receives each connection before its first request. */
  readonly onSocket?: ((socket: Socket) => void) | undefined;
  /** Proxies that name their clients by the PROXY protocol; default none. */
  readonly proxies?: ProxyOptions | undefined;
  /** Without it, requests for multicast delivery are refused. */
  readonly multicast?: MsbdMulticast | undefined;
  /** How long clients wait for another stream after an end before they are told that none follows, in ms. Default 0. */
  readonly hold?: number | undefined;
  /** Returns true if the header is offered in an .nsc file too (2.2.8). Default: false. */
  readonly inNsc?: ((broadcast: Broadcast) => boolean) | undefined;
  readonly timers?: Partial<ServerTimers> | undefined;
  /** Where clients that receive a stream are registered; default one of its own. */
  readonly registry?: SessionRegistry | undefined;
  /** The path of a broadcast, for the registry; default the requested channel's. */
  readonly pathOf?: ((broadcast: Broadcast, channel: string) => string) | undefined;
  /** Called with an error that no client caused. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** A monotonic clock in ms; default `performance.now`. */
  readonly now?: (() => number) | undefined;
}
