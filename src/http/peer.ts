import type { Socket } from 'node:net';
import { messageOf } from '../errors.js';
import type { AddressList } from './address-list.js';
import { isLoopback, plainAddress } from './addresses.js';
import { MAX_PROXY_HEADER, type ProxiedConnection, readProxyHeader } from './proxy-protocol.js';

/** Who is at the other end of a connection. */
export interface Peer {
  /** As a socket has it, or as a proxy says. */
  readonly remoteAddress: string;
  /** True if the client runs on this host: it came over the loopback, or from the very address that it came to. */
  readonly local: boolean;
}

/** Which peers are proxies that say whom they bring, before anything else, by the PROXY protocol. */
export interface ProxyOptions {
  readonly addresses: AddressList;
  /** A proxy that is listed did not say whom it brings: one sentence, at most one a minute. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Longest time for its header, ms; default 5000. */
  readonly timeout?: number;
}

const HEADER_TIMEOUT = 5_000;
const WARNING_INTERVAL = 60_000;

/**
 * Peers that came through proxies, while they are connected. By their ports, because a socket and the one that speaks TLS on top of it
 * are two objects.
 */
const proxied = new Map<string, Peer>();

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

function directPeer({ remoteAddress = '', localAddress = '' }: Socket): Peer {
  const remote = plainAddress(remoteAddress);
  return { remoteAddress, local: isLoopback(remote) || (remote !== '' && remote === plainAddress(localAddress)) };
}

/** Who is at the other end of a socket, or of the proxy there. */
export function peerOf(socket: Socket): Peer {
  return (proxied.size > 0 ? proxied.get(keyOf(socket)) : undefined) ?? directPeer(socket);
}

/**
 * Stands before a listener and reads the headers of listed proxies; everybody else passes as they are. A listed proxy that sends no
 * header is cut off: it would make everybody behind it look like itself.
 */
export class ProxyGate {
  readonly #options: ProxyOptions;
  readonly #pass: (socket: Socket) => void;
  readonly #waiting = new Set<Socket>();
  #warnedAt = Number.NEGATIVE_INFINITY;

  /** @param pass takes each connection; `peerOf` knows it by then */
  constructor(options: ProxyOptions, pass: (socket: Socket) => void) {
    this.#options = options;
    this.#pass = pass;
  }

  /** Takes a connection that has just been made. */
  take(socket: Socket): void {
    const { remoteAddress, local } = directPeer(socket);
    if (!this.#options.addresses.includes(remoteAddress, local)) {
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

  /** Cuts off those whose header is awaited. */
  close(): void {
    for (const socket of this.#waiting) socket.destroy();
  }

  #admit(socket: Socket, connection: ProxiedConnection | undefined, rest: Buffer): void {
    socket.pause();
    if (rest.length > 0) socket.unshift(rest);
    const key = keyOf(socket);
    const peer = behind(directPeer(socket), connection);
    proxied.set(key, peer);
    // Another connection may have the same ports by then.
    socket.once('close', () => proxied.get(key) === peer && proxied.delete(key));
    this.#pass(socket);
    // A listener that speaks TLS reads by itself; others get what came before they listened.
    if (socket.listenerCount('data') > 0) socket.resume();
  }

  #warn(message: string): void {
    const now = performance.now();
    if (now - this.#warnedAt < WARNING_INTERVAL) return;
    this.#warnedAt = now;
    this.#options.onWarning?.(message);
  }
}

/** A client of a proxy on another host is on no host that this one can trust, even if the proxy calls it its own. */
function behind(proxy: Peer, connection: ProxiedConnection | undefined): Peer {
  if (!connection) return { remoteAddress: proxy.remoteAddress, local: false };
  const { source, destination } = connection;
  const own = isLoopback(source) || plainAddress(source) === plainAddress(destination);
  return { remoteAddress: source, local: proxy.local && own };
}

function ignore(): void {}
