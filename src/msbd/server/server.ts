import { lookup } from 'node:dns/promises';
import { createServer, isIP, type Server, type Socket } from 'node:net';
import { WmError } from '../../errors.js';
import { plainAddress } from '../../http/addresses.js';
import { Admission } from '../../http/admission.js';
import { listenTcp } from '../../http/listen.js';
import { ProxyGate, peerOf } from '../../http/peer.js';
import type { Broadcast } from '../../media/broadcast.js';
import { SessionRegistry } from '../../playback/registry.js';
import { Channel } from './channel.js';
import { Connection, type ConnectionHost } from './connection.js';
import { GroupSender } from './group-sender.js';
import type { MsbdMulticast, MsbdPeer, MsbdServerOptions } from './options.js';
import { DEFAULT_TIMERS } from './session.js';

const SWEEP_INTERVAL = 1_000;

/**
 * Serves live streams to servers and players by MSBD, over TCP and to multicast groups (MS-MSBD 3.1). IPv4 only (2.1).
 *
 * @public
 */
export class MsbdServer {
  readonly #options: MsbdServerOptions;
  readonly #server: Server;
  readonly #admission: Admission;
  readonly #gate: ProxyGate | undefined;
  readonly #connections = new Set<Connection>();
  readonly #channels = new WeakMap<Broadcast, Channel>();
  readonly #groups = new Map<Channel, Promise<GroupSender>>();
  // The group addresses in use.
  readonly #addresses = new Set<string>();
  #groupBytes = 0;
  readonly #host: ConnectionHost;
  readonly #now: () => number;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: MsbdServerOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    const accept = (socket: Socket) => this.#accept(socket);
    this.#gate = options.proxies && new ProxyGate(options.proxies, accept);
    this.#server = createServer({ noDelay: true }, (socket) => (this.#gate ? this.#gate.take(socket) : accept(socket)));
    this.#admission = options.admission ?? new Admission({ connections: 10_000 });
    this.#host = {
      options,
      timers: { ...DEFAULT_TIMERS, ...options.timers },
      now: this.#now,
      players: new Set(),
      registry: options.registry ?? new SessionRegistry({ now: this.#now }),
      channel: (name, client) => this.#channel(name, client),
      group: (channel) => this.#group(channel),
    };
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Number of clients that receive a stream. */
  get clients(): number {
    return this.#host.players.size;
  }

  /** Bytes sent to multicast groups. */
  get groupBytes(): number {
    return this.#groupBytes;
  }

  /**
   * Starts to listen.
   *
   * @param port 0 takes a free port
   * @param host an IPv4 address or a name that has one; without it, all IPv4 addresses of the host
   * @returns the port
   * @throws WmError WM_PORT_IN_USE, or WM_FAILED if the address cannot be used, such as an IPv6 address
   */
  async listen(port: number, host?: string): Promise<number> {
    const taken = await listenTcp(this.#server, { port, host: await ipv4(host) });
    this.#server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EMFILE' || error.code === 'ENFILE') this.#admission.starved();
      else this.#options.onError?.(error);
    });
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL);
    return taken;
  }

  /** Checks the timers of all sessions; called once a second. */
  sweep(): void {
    const now = this.#now();
    this.#admission.sweep();
    for (const connection of this.#connections) connection.tick(now);
  }

  /** Tells clients that nothing follows, and stops; bounded in time. */
  async close(graceMilliseconds = 1_000): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#gate?.close();
    for (const connection of this.#connections) connection.finish();
    const timer = setTimeout(() => {
      for (const { socket } of this.#connections) socket.destroy();
    }, graceMilliseconds);
    await closed;
    clearTimeout(timer);
    clearInterval(this.#sweeper);
    const groups = await Promise.allSettled(this.#groups.values());
    for (const group of groups) if (group.status === 'fulfilled') group.value.close();
  }

  #accept(socket: Socket): void {
    const address = peerOf(socket).remoteAddress;
    if (!this.#admission.admit(address)) {
      socket.destroy();
      return;
    }
    socket.once('close', () => this.#admission.release(address));
    this.#options.onSocket?.(socket);
    const connection = new Connection(socket, this.#host);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }

  async #channel(name: string, client: MsbdPeer): Promise<Channel | undefined> {
    const broadcast = await this.#options.content.open(name, client);
    if (!broadcast) return undefined;
    let channel = this.#channels.get(broadcast);
    if (!channel) {
      channel = new Channel(broadcast);
      this.#channels.set(broadcast, channel);
    }
    return channel;
  }

  /** Returns the sender of a channel, which exists as long as it has members. */
  async #group(channel: Channel): Promise<GroupSender | undefined> {
    const { multicast } = this.#options;
    if (!multicast) return undefined;
    const running = this.#groups.get(channel);
    if (running) return running;
    const address = this.#freeAddress(multicast);
    if (address === undefined) return undefined;
    const forget = () => {
      this.#groups.delete(channel);
      this.#addresses.delete(address);
    };
    const starting = GroupSender.start({
      channel,
      group: { address, port: multicast.port },
      ttl: multicast.ttl ?? 1,
      interface: multicast.interface,
      fec: multicast.fec ?? 0,
      onError: (error) => this.#options.onError?.(error),
      onSent: (bytes) => {
        this.#groupBytes += bytes;
      },
      onClose: forget,
    });
    this.#addresses.add(address);
    this.#groups.set(channel, starting);
    starting.catch(forget);
    return starting;
  }

  #freeAddress({ address }: MsbdMulticast): string | undefined {
    const first = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    for (let value = first; value < 0xf000_0000 && value - first <= this.#addresses.size; value++) {
      const text = [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
      if (!this.#addresses.has(text)) return text;
    }
    return undefined;
  }
}

/** Returns an IPv4 address to listen on. */
async function ipv4(host: string | undefined): Promise<string> {
  if (host === undefined || host === '::') return '0.0.0.0';
  if (isIP(plainAddress(host)) === 4) return plainAddress(host);
  try {
    if (isIP(host) !== 0) throw new Error('This is an IPv6 address.');
    return (await lookup(host, { family: 4 })).address;
  } catch (error) {
    throw new WmError('WM_FAILED', `Cannot listen on ${host}: MSBD needs an IPv4 address.`, { cause: error });
  }
}
