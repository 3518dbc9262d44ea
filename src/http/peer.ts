import type { Socket } from 'node:net';
import { messageOf } from '../errors.js';
import type { AddressList } from './address-list.js';
import { isLoopback, plainAddress } from './addresses.js';
import { MAX_PROXY_HEADER, type ProxiedConnection, readProxyHeader } from './proxy-protocol.js';

/** The other end of a connection. */
export interface Peer {
  /** From the socket, or from the header of a proxy. */
  readonly remoteAddress: string;
  /** True if the client runs on this host: it came over the loopback, or from the very address that it connected to. */
  readonly local: boolean;
  /** For a connection that another process passes on: where its client connected to, as in a URL, and if by TLS. */
  readonly passedOn?: { readonly host: string; readonly secure: boolean };
}

/** Which peers are proxies that announce their clients by the PROXY protocol. @public */
export interface ProxyOptions {
  readonly addresses: AddressList;
  /** A listed proxy sent no header: one sentence, at most once a minute. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Time limit for the header, in ms; default 5000. */
  readonly timeout?: number;
}

const HEADER_TIMEOUT = 5_000;
const WARNING_INTERVAL = 60_000;

/**
 * Peers that are connected through proxies. The keys are ports, because a socket and the TLS socket on top of it are
 * two objects.
 */
const proxied = new Map<string, Peer>();

/** Peers of connections that another process of this server has accepted. */
const passedOn = new WeakMap<Socket, Peer>();

/** Names the peer of a connection that another process of this server has read from; no proxy announces it again. */
export function namePeer(socket: Socket, peer: Peer): void {
  passedOn.set(socket, peer);
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

function directPeer({ remoteAddress = '', localAddress = '' }: Socket): Peer {
  const remote = plainAddress(remoteAddress);
  return { remoteAddress, local: isLoopback(remote) || (remote !== '' && remote === plainAddress(localAddress)) };
}

/** Returns the peer at the other end of a socket, or of the proxy there. */
export function peerOf(socket: Socket): Peer {
  const known = passedOn.get(socket) ?? (proxied.size > 0 ? proxied.get(keyOf(socket)) : undefined);
  return known ?? directPeer(socket);
}

/**
 * Sits before a listener and reads the headers of listed proxies; other connections pass unchanged. A listed proxy that
 * sends no header is cut off, because all its clients would seem to be the proxy itself.
 */
export class ProxyGate {
  readonly #options: ProxyOptions;
  readonly #pass: (socket: Socket) => void;
  readonly #waiting = new Set<Socket>();
  #warnedAt = Number.NEGATIVE_INFINITY;

  /** @param pass takes each connection; `peerOf` knows its peer by then */
  constructor(options: ProxyOptions, pass: (socket: Socket) => void) {
    this.#options = options;
    this.#pass = pass;
  }

  /** Takes a new connection. */
  take(socket: Socket): void {
    const { remoteAddress, local } = directPeer(socket);
    if (passedOn.has(socket) || !this.#options.addresses.includes(remoteAddress, local)) {
      this.#pass(socket);
      return;
    }
    this.#waiting.add(socket);
    let read: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => fail('sends no header'), this.#options.timeout ?? HEADER_TIMEOUT);
    const done = () => {
      clearTimeout(timer);
      this.#waiting.delete(socket);
      socket.removeListener('data', take).removeListener('close', done).removeListener('error', ignore);
    };
    const fail = (why: string) => {
      done();
      socket.on('error', ignore).destroy();
      this.#warn(`${plainAddress(remoteAddress)} is in proxyProtocol and ${why}, so its connection was closed.`);
    };
    const take = (chunk: Buffer) => {
      read = Buffer.concat([read, chunk]);
      try {
        const header = readProxyHeader(read);
        if (!header && read.length < MAX_PROXY_HEADER) return;
        if (!header) throw new Error('Its header has no end.');
        done();
        this.#admit(socket, header.connection, read.subarray(header.size));
      } catch (error) {
        fail(`sends something else than a header (${messageOf(error)})`);
      }
    };
    socket.on('data', take).on('close', done).on('error', ignore);
  }

  /** Cuts the connections whose header is still missing. */
  close(): void {
    for (const socket of this.#waiting) socket.destroy();
  }

  #admit(socket: Socket, connection: ProxiedConnection | undefined, rest: Buffer): void {
    socket.pause();
    if (rest.length > 0) socket.unshift(rest);
    const key = keyOf(socket);
    const peer = proxiedPeer(directPeer(socket), connection);
    proxied.set(key, peer);
    // By then another connection may have the same ports.
    socket.once('close', () => proxied.get(key) === peer && proxied.delete(key));
    this.#pass(socket);
    // A TLS listener reads by itself; others get what arrived before they listened.
    if (socket.listenerCount('data') > 0) socket.resume();
  }

  #warn(message: string): void {
    const now = performance.now();
    if (now - this.#warnedAt < WARNING_INTERVAL) return;
    this.#warnedAt = now;
    this.#options.onWarning?.(message);
  }
}

/** A client of a proxy on another host is never local, even if the proxy says so. */
function proxiedPeer(proxy: Peer, connection: ProxiedConnection | undefined): Peer {
  if (!connection) return { remoteAddress: proxy.remoteAddress, local: false };
  const { source, destination } = connection;
  const own = isLoopback(source) || plainAddress(source) === plainAddress(destination);
  return { remoteAddress: source, local: proxy.local && own };
}

function ignore(): void {}
