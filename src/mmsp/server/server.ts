import { randomInt } from 'node:crypto';
import type { Socket as UdpSocket } from 'node:dgram';
import type { Server, Socket } from 'node:net';
import { plainAddress } from '../../http/addresses.js';
import type { Admission } from '../../http/admission.js';
import { type ProxyOptions, peerOf } from '../../http/peer.js';
import { TcpFront } from '../../http/tcp-front.js';
import { type DatagramOutput, DatagramPacer } from '../../media/datagrams.js';
import { gather, socketOutput } from '../../media/socket-output.js';
import { bindUdp, closeUdp, datagramOutput, type OnDatagrams } from '../../media/udp.js';
import type { PlayerOutput } from '../../media/wire.js';
import type { Entrance } from '../../playback/entrance.js';
import { Playback } from '../../playback/host.js';
import type { PaceLimits } from '../../playback/pace.js';
import { PlayingSessions } from '../../playback/playing.js';
import { SessionRegistry } from '../../playback/registry.js';
import { MmspError, splitMessages } from '../messages/base.js';
import { readClientMessage } from '../messages/client.js';
import { TcpPacketReader, wrapMessages } from '../messages/frame.js';
import { readResendRequest } from '../messages/resend.js';
import { buildPing } from '../messages/server.js';
import type { SessionHost } from './host.js';
import { MmspSession, type SessionLink } from './session.js';

/** The content, the limits and the clock of an MMSP server. */
export interface MmspServerOptions {
  readonly entrance: Pick<Entrance, 'enter'>;
  /** Returns the path of the content that a fileName names. @throws Refusal for a name that no content can have */
  readonly pathOf: (fileName: string, host?: string) => string;
  /** ServerVersionInfo: major.minor or major.minor.n.n. */
  readonly version: string;
  /** The state that sessions of all protocols share; default one of its own. */
  readonly playback?: Playback;
  readonly limits?: PaceLimits;
  /** Decides which connections to accept; default all. */
  readonly admission?: Admission;
  /** Receives each connection before its first request. */
  readonly onSocket?: ((socket: Socket) => void) | undefined;
  readonly onDatagrams?: OnDatagrams | undefined;
  readonly timers?: Partial<MmspTimers>;
  /** Where playing sessions are registered; default one of its own. */
  readonly registry?: SessionRegistry;
  /** Returns the number of a client that connects, from 1 to 2^32 - 1; default a random one. */
  readonly newId?: (() => number) | undefined;
  /** Takes datagrams about clients that are not connected here: they may be another process's. */
  readonly onStranger?: ((clientId: number, bytes: Buffer, address: string) => void) | undefined;
  /** Proxies that name their clients by the PROXY protocol. */
  readonly proxies?: ProxyOptions | undefined;
  /** Called when a client was refused the content it named. */
  readonly onRefused?: (fileName: string, remoteAddress: string, why: string) => void;
  /** @param log a CLIENT_LOG, unparsed @param peer the session, as in `RunningSession.peer` */
  readonly onLog?: (path: string, remoteAddress: string, client: string, log: Buffer, peer: object) => void;
  readonly onError?: (error: unknown) => void;
  /** A monotonic clock in ms. */
  readonly now?: () => number;
}

/** In ms (MS-MMSP 3.2.2). */
export interface MmspTimers {
  /** A client that is silent for so long is pinged, and dropped if it does not answer within the same time. */
  readonly keepAlive: number;
  /** Until a session that plays nothing is closed. */
  readonly idle: number;
  /** Until a connection that has not opened anything is closed. */
  readonly setUp: number;
}

const DEFAULT_TIMERS: MmspTimers = { keepAlive: 30_000, idle: 3_600_000, setUp: 60_000 };
const SWEEP_INTERVAL = 1_000;
/** Bytes of answers, besides media, that may wait for a client that does not read. */
const MAX_ANSWERS_BEHIND = 1024 * 1024;
/** Datagrams with resend requests accepted from one client in a second. */
const MAX_RESEND_REQUESTS = 200;

/** The server role of MS-MMSP: a TCP port for clients, and a UDP port for resend requests and Data packets. */
export class MmspServer {
  readonly #options: MmspServerOptions;
  readonly #timers: MmspTimers;
  readonly #now: () => number;
  readonly #front: TcpFront;
  readonly #connections = new Map<number, Connection>();
  readonly #host: SessionHost<MmspSession>;
  readonly #pacer = new DatagramPacer();
  readonly #playing: PlayingSessions<MmspSession>;
  #udp: UdpSocket | undefined;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: MmspServerOptions) {
    this.#options = options;
    this.#timers = { ...DEFAULT_TIMERS, ...options.timers };
    this.#now = options.now ?? (() => performance.now());
    const { admission, proxies, onError, onSocket } = options;
    this.#front = new TcpFront({
      admission,
      proxies,
      onError,
      onSocket,
      accept: (...client) => this.#accept(...client),
    });
    this.#playing = new PlayingSessions('MMSP', options.registry ?? new SessionRegistry({ now: this.#now }));
    this.#host = {
      playback: options.playback ?? new Playback(options),
      entrance: options.entrance,
      version: options.version,
      pathOf: options.pathOf,
      started: (session) => this.#playing.started(session),
      stopped: (session) => this.#playing.stopped(session),
      refused: (session, fileName, why) => options.onRefused?.(fileName, session.remoteAddress, why),
      log: (session, log) => options.onLog?.(session.path, session.remoteAddress, session.client, log, session),
      failed: (error) => options.onError?.(error),
    };
  }

  /** Number of clients that are playing. */
  get players(): number {
    return this.#playing.size;
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#front.connections;
  }

  /** The socket for datagrams, once it is bound. */
  get udp(): UdpSocket | undefined {
    return this.#udp;
  }

  /** What accepts the connections of the port. */
  get listener(): Server {
    return this.#front.listener;
  }

  /**
   * Starts to listen on a TCP port and the UDP port of the same number.
   *
   * @param port 0 takes a port that is free for both
   * @param host the address to listen on; without it, all IPv4 and IPv6 addresses of the host
   * @returns the port
   * @throws WmError WM_PORT_IN_USE, or WM_FAILED if the address cannot be used
   */
  async listen(port: number, host?: string): Promise<number> {
    const taken = await this.#front.listen(port, host, async (free) => {
      this.attach(await bindUdp(free, host));
    });
    return taken;
  }

  /**
   * Uses a UDP socket that is bound to the port of the server, without listening on TCP; {@link take} brings the
   * connections.
   */
  attach(udp: UdpSocket): void {
    this.#udp = udp;
    udp.on('error', (error) => this.#options.onError?.(error));
    udp.on('message', (bytes, { address }) => this.datagram(bytes, plainAddress(address)));
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL);
    this.#sweeper.unref();
  }

  /** Takes a connection that another process has accepted. */
  take(socket: Socket): void {
    this.#front.take(socket);
  }

  /** Checks the timers of all sessions; called once a second. */
  sweep(): void {
    const now = this.#now();
    for (const connection of this.#connections.values()) connection.tick(now, this.#timers);
    this.#host.playback.sweep();
  }

  /** Ends all playback, and stops; bounded in time. */
  async close(graceMilliseconds = 1_000): Promise<void> {
    clearInterval(this.#sweeper);
    await this.#front.close(graceMilliseconds, () => {
      for (const { session } of this.#connections.values()) session.kick();
    });
    const udp = this.#udp;
    this.#udp = undefined;
    if (udp) await closeUdp(udp);
  }

  /**
   * Takes a datagram. A resend request counts only if it comes from the address of the client's connection.
   *
   * @param address that it came from
   */
  datagram(bytes: Buffer, address: string): void {
    const request = readResendRequest(bytes);
    if (!request) return;
    const connection = this.#connections.get(request.clientId);
    if (!connection) this.#options.onStranger?.(request.clientId, bytes, address);
    else if (connection.address === address) connection.resend(request, this.#now());
  }

  #accept(socket: Socket, address: string): void {
    const { newId = () => randomInt(1, 2 ** 32) } = this.#options;
    let id = newId();
    while (this.#connections.has(id)) id = newId();
    const connection = new Connection(id, socket, {
      host: this.#host,
      now: this.#now,
      datagrams: (port) =>
        datagramOutput(this.#udp!, { address, port, pacer: this.#pacer, through: this.#options.onDatagrams }),
    });
    this.#connections.set(id, connection);
    socket.once('close', () => this.#connections.delete(id));
  }
}

interface ConnectionMeans {
  readonly host: SessionHost<MmspSession>;
  readonly now: () => number;
  readonly datagrams: (port: number) => DatagramOutput;
}

/** One client's TCP connection. */
class Connection implements SessionLink {
  readonly socket: Socket;
  readonly session: MmspSession;
  readonly tcp: PlayerOutput;
  readonly #means: ConnectionMeans;
  readonly #reader = new TcpPacketReader({ takesData: false });
  readonly remoteAddress: string;
  readonly isLocal: boolean;
  readonly #since: number;
  #sequence = 0;
  #heardAt: number;
  #sentAt: number;
  #pingedAt = Number.NEGATIVE_INFINITY;
  #idleSince: number;
  #requests = 0;
  #requestsAt = 0;
  #ending = false;

  constructor(id: number, socket: Socket, means: ConnectionMeans) {
    this.socket = socket;
    this.#means = means;
    const peer = peerOf(socket);
    this.remoteAddress = plainAddress(peer.remoteAddress);
    this.isLocal = peer.local;
    const now = means.now();
    this.#since = now;
    this.#heardAt = now;
    this.#sentAt = now;
    this.#idleSince = now;
    this.tcp = socketOutput(socket);
    this.session = new MmspSession(id, this, means.host);
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.session.close());
  }

  get connection(): object {
    return this.socket;
  }

  /** The address that Data packets by UDP go to, and that resend requests come from. */
  get address(): string {
    return plainAddress(this.socket.remoteAddress ?? '');
  }

  get offersUdp(): boolean {
    return this.remoteAddress === this.address;
  }

  get bytesWritten(): number {
    return this.socket.bytesWritten;
  }

  send(message: Buffer): void {
    const now = this.#means.now();
    this.#sentAt = now;
    if (this.socket.writableLength > MAX_ANSWERS_BEHIND && !this.session.active) this.socket.destroy();
    else gather(this.socket).write(wrapMessages(message, this.#sequence++, now - this.#since));
  }

  udp(port: number): DatagramOutput {
    return this.#means.datagrams(port);
  }

  end(): void {
    this.#ending = true;
    this.session.close();
    this.socket.end();
    // Nobody reads what the client still sends.
    this.socket.resume();
  }

  resend(request: Parameters<MmspSession['resend']>[0], now: number): void {
    if (now - this.#requestsAt >= 1_000) {
      this.#requestsAt = now;
      this.#requests = 0;
    }
    if (++this.#requests <= MAX_RESEND_REQUESTS) this.session.resend(request);
  }

  tick(now: number, { keepAlive, idle, setUp }: MmspTimers): void {
    const { state, active } = this.session.playback;
    if (active) this.#idleSince = now;
    if (this.#ending || (state === 'init' && now - this.#since > setUp)) {
      this.socket.destroy();
      return;
    }
    if (now - this.#idleSince > idle) {
      this.end();
      return;
    }
    const isPinged = this.#pingedAt > this.#heardAt;
    if (isPinged && now - this.#pingedAt > keepAlive) this.socket.destroy();
    else if (!isPinged && now - Math.max(this.#heardAt, this.#sentAt) > keepAlive) {
      this.#pingedAt = now;
      this.send(buildPing());
    }
  }

  #receive(bytes: Buffer): void {
    if (this.#ending) return;
    this.#heardAt = this.#means.now();
    try {
      for (const packet of this.#reader.push(bytes)) {
        if (packet.type !== 'messages') continue;
        for (const raw of splitMessages(packet.field)) {
          if (!this.session.receive(readClientMessage(raw))) {
            this.end();
            return;
          }
          if (this.#ending) return;
        }
      }
    } catch (error) {
      // What was answered before still arrives.
      this.end();
      if (!(error instanceof MmspError)) this.#means.host.failed(error);
    }
  }
}
