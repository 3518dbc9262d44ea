import { randomBytes } from 'node:crypto';
import type { Server, Socket } from 'node:net';
import { plainAddress } from '../../http/addresses.js';
import type { Admission } from '../../http/admission.js';
import type { ProxyOptions } from '../../http/peer.js';
import { TcpFront } from '../../http/tcp-front.js';
import { DatagramPacer } from '../../media/datagrams.js';
import { closeUdp, datagramOutput, type OnDatagrams } from '../../media/udp.js';
import type { Entrance } from '../../playback/entrance.js';
import { Playback } from '../../playback/host.js';
import type { PaceLimits } from '../../playback/pace.js';
import { PlayingSessions } from '../../playback/playing.js';
import { SessionRegistry } from '../../playback/registry.js';
import { readNacks } from '../messages/rtcp.js';
import { openRtpPorts, type RtpPorts } from '../rtp-ports.js';
import { RtspConnection, type RtspTimers } from './connection.js';
import type { Elsewhere, RtspHost } from './host.js';
import type { RtspSession } from './session.js';

/** The content, the limits and the ports of an RTSP server. */
export interface RtspServerOptions {
  readonly entrance: Pick<Entrance, 'enter'>;
  /** The path of content that a URL names. @throws Refusal for one that no content can have */
  readonly pathOf: (url: string) => string;
  /** The state that sessions of all protocols share; default one of its own. */
  readonly playback?: Playback;
  readonly limits?: PaceLimits;
  /** Decides which connections are taken; default all. */
  readonly admission?: Admission;
  /** Receives each connection before its first request. */
  readonly onSocket?: ((socket: Socket) => void) | undefined;
  readonly onDatagrams?: OnDatagrams | undefined;
  readonly timers?: Partial<RtspTimers>;
  /** Offers FEC by UDP, with an FEC packet after so many packets, up to 24; default 0: none. */
  readonly fec?: number | undefined;
  /** Where sessions that play are registered; default one of its own. */
  readonly registry?: SessionRegistry;
  /** Returns an id for a session that begins; default 19 random digits. */
  readonly newId?: (() => string) | undefined;
  /** Passes on connections whose session another process has. */
  readonly elsewhere?: Elsewhere | undefined;
  /** Proxies that name their clients by the PROXY protocol. */
  readonly proxies?: ProxyOptions | undefined;
  /** A client was refused what it named. */
  readonly onRefused?: (url: string, remoteAddress: string, why: string) => void;
  /** A log or an event. @param kind its media type */
  readonly onLog?: (
    path: string,
    remoteAddress: string,
    client: string,
    kind: string,
    body: Buffer,
    peer: object | undefined,
  ) => void;
  readonly onError?: (error: unknown) => void;
  /** A clock in ms that never goes back. */
  readonly now?: () => number;
}

/** Clients are told 60 s, and some send their keep-alive no earlier. */
const DEFAULT_TIMERS: RtspTimers = { idle: 62_000, paused: 1_200_000, setUp: 60_000 };
const SWEEP_INTERVAL = 1_000;
/** Most sessions without a connection, for one address and for all. Beyond that the longest disconnected ones end. */
const MAX_DETACHED = { address: 16, all: 512 };
/** Datagrams with NACKs of one client that are looked at in a second. */
const MAX_NACKS = 200;

/** The server role of MS-RTSP: a TCP port for clients, and a pair of UDP ports for RTP and RTCP. */
export class RtspServer {
  readonly #options: RtspServerOptions;
  readonly #timers: RtspTimers;
  readonly #now: () => number;
  readonly #front: TcpFront;
  readonly #connections = new Set<RtspConnection>();
  readonly #sessions = new Map<string, RtspSession>();
  /** Those without a connection, by how long they have none. */
  readonly #detached = new Set<RtspSession>();
  /** By the SSRC of the retransmission stream. */
  readonly #rtx = new Map<number, RtspSession>();
  readonly #nacks = new WeakMap<RtspSession, { at: number; count: number }>();
  readonly #host: RtspHost<RtspSession>;
  readonly #playback: Playback;
  readonly #pacer = new DatagramPacer();
  readonly #playing: PlayingSessions<RtspSession>;
  #udp: RtpPorts | undefined;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: RtspServerOptions) {
    this.#options = options;
    this.#timers = { ...DEFAULT_TIMERS, ...options.timers };
    this.#now = options.now ?? (() => performance.now());
    this.#playback = options.playback ?? new Playback(options);
    const { admission, proxies, onError, onSocket, registry = new SessionRegistry({ now: this.#now }) } = options;
    this.#front = new TcpFront({ admission, proxies, onError, onSocket, accept: (socket) => this.#accept(socket) });
    this.#playing = new PlayingSessions('RTSP', registry, ({ playlist, genId }) => (playlist ? genId : undefined));
    this.#host = this.#makeHost();
  }

  /** Clients that play at the moment. */
  get players(): number {
    return this.#playing.size;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#front.connections;
  }

  /** What accepts the connections of the port. */
  get listener(): Server {
    return this.#front.listener;
  }

  /** Sessions, whether they play or not. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** The UDP ports for RTP and RTCP. */
  get rtpPorts(): readonly [rtp: number, rtcp: number] | undefined {
    return this.#udp?.ports;
  }

  /**
   * Starts to listen.
   *
   * @param port of TCP; 0 takes a free one
   * @param host without one, all addresses of the host, IPv4 and IPv6
   * @param rtpPort of UDP, the first of a pair; 0 takes any pair; without one 5004 if that is free
   * @returns the port of TCP
   * @throws WmError WM_PORT_IN_USE, or WM_FAILED when the address cannot be used
   */
  async listen(port: number, host?: string, rtpPort?: number): Promise<number> {
    const taken = await this.#front.listen(port, host, () => this.#open(host, rtpPort === undefined ? [] : [rtpPort]));
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL);
    this.#sweeper.unref();
    return taken;
  }

  /**
   * Opens the UDP ports without listening on TCP; {@link take} brings the connections.
   *
   * @param rtpPorts as in `openRtpPorts`
   * @throws WmError WM_PORT_IN_USE
   */
  async attach(host: string | undefined, rtpPorts: readonly number[]): Promise<void> {
    await this.#open(host, rtpPorts);
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL);
    this.#sweeper.unref();
  }

  /** Takes a connection that another process has accepted. */
  take(socket: Socket): void {
    this.#front.take(socket);
  }

  /** Looks at the timers of all connections and sessions; called once a second. */
  sweep(): void {
    const now = this.#now();
    for (const connection of this.#connections) connection.tick(now, this.#timers);
    for (const session of this.#sessions.values()) if (this.#isIdle(session, now)) this.#drop(session);
    this.#playback.sweep();
  }

  /** Ends what plays, and stops; bounded in time. */
  async close(graceMilliseconds = 1_000): Promise<void> {
    clearInterval(this.#sweeper);
    await this.#front.close(graceMilliseconds, () => {
      for (const session of [...this.#sessions.values()]) session.kick();
      for (const connection of this.#connections) connection.end();
    });
    const udp = this.#udp;
    this.#udp = undefined;
    for (const socket of udp ? [udp.rtp, udp.rtcp] : []) await closeUdp(socket);
  }

  async #open(host: string | undefined, rtpPorts: readonly number[]): Promise<void> {
    this.#udp = await openRtpPorts(rtpPorts, host);
    const { rtp, rtcp } = this.#udp;
    for (const socket of [rtp, rtcp]) socket.on('error', (error) => this.#options.onError?.(error));
    rtcp.on('message', (bytes, { address }) => this.#control(bytes, plainAddress(address)));
  }

  #makeHost(): RtspHost<RtspSession> {
    const { options, ports } = { options: this.#options, ports: () => this.#udp?.ports };
    return {
      playback: this.#playback,
      entrance: options.entrance,
      get ports() {
        return ports();
      },
      fecSpan: options.fec ?? 0,
      now: this.#now,
      pathOf: options.pathOf,
      datagrams: (address, port) =>
        datagramOutput(this.#udp!.rtp, { address, port, pacer: this.#pacer, through: options.onDatagrams }),
      newId: options.newId ?? (() => ((randomBytes(8).readBigUInt64BE() >> 2n) | (1n << 62n)).toString()),
      elsewhere: options.elsewhere,
      find: (id) => this.#sessions.get(id),
      add: (session) => {
        this.#sessions.set(session.id, session);
        this.#rtx.set(session.delivery.rtxSsrc, session);
        this.#bound(session.address);
      },
      detached: (session) => this.#detached.add(session),
      attached: (session) => this.#detached.delete(session),
      remove: (session) => {
        this.#detached.delete(session);
        this.#sessions.delete(session.id);
        this.#rtx.delete(session.delivery.rtxSsrc);
      },
      started: (session) => this.#playing.started(session),
      stopped: (session) => this.#playing.stopped(session),
      refused: (url, remoteAddress, why) => options.onRefused?.(url, remoteAddress, why),
      log: (...log) => options.onLog?.(...log),
      failed: (error) => options.onError?.(error),
    };
  }

  /** Over TCP the connection shows that a player is there; by UDP only its requests do (MS-RTSP 3.2.6.2). */
  #isIdle({ usedAt, transport, playback, link }: RtspSession, now: number): boolean {
    const { idle, paused } = this.#timers;
    if (playback.active) return transport === 'udp' && now - usedAt > idle;
    return now - usedAt > (link ? paused : idle);
  }

  #drop(session: RtspSession): void {
    const { link } = session;
    session.close();
    link?.end();
  }

  /** Sessions that lost their connection hold a place: one address, and all together, have only so many. */
  #bound(address: string): void {
    if (this.#detached.size <= MAX_DETACHED.address) return;
    const detached = [...this.#detached];
    const own = detached.filter((session) => session.address === address);
    const tooMany = [
      ...own.slice(0, Math.max(0, own.length - MAX_DETACHED.address)),
      ...detached.slice(0, Math.max(0, detached.length - MAX_DETACHED.all)),
    ];
    for (const session of new Set(tooMany)) session.close();
  }

  /** A NACK counts only from the address that the client's connection comes from. */
  #control(bytes: Buffer, address: string): void {
    const request = readNacks(bytes);
    const session = request && this.#rtx.get(request.rtxSsrc);
    if (!session || session.address !== address) return;
    const now = this.#now();
    const count = this.#nacks.get(session) ?? { at: now, count: 0 };
    if (now - count.at >= 1_000) [count.at, count.count] = [now, 0];
    this.#nacks.set(session, count);
    if (++count.count <= MAX_NACKS) session.resend(request!);
  }

  #accept(socket: Socket): void {
    const connection = new RtspConnection(socket, this.#host);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }
}
