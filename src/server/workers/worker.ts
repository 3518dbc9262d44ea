import type { Socket as UdpSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import { LoginMemory } from '../../auth/login-memory.js';
import { FeedClient } from '../../cluster/feed-client.js';
import { messageOf, WmError } from '../../errors.js';
import type { Exchange } from '../../http/exchange.js';
import { peerOf } from '../../http/peer.js';
import type { HttpServer } from '../../http/server.js';
import type { Limits, PlaceWish, Ticket } from '../../playback/limits.js';
import type { SessionFacts, SessionRegistry } from '../../playback/registry.js';
import { SessionIds } from '../../playback/session-ids.js';
import { Refusal } from '../../refusal.js';
import { pushRequestType } from '../../wmhttp/messages/messages.js';
import { classifyRequest } from '../../wmsp/messages/requests.js';
import { addCounters, newCounters } from '../admin/totals.js';
import type { ServerConfig } from '../config.js';
import type { Given, Listener, PortName, ServerPorts } from '../listeners/listener.js';
import type { PublishingPoint, PublishingPoints } from '../points/points.js';
import type { ServerStats } from '../stats.js';
import { handOver, takeOver } from './handover.js';
import {
  type CreatedPoint,
  type DatagramMessage,
  type FromWorker,
  type Refused,
  type StartMessage,
  socketOf,
  type ToWorker,
  type WorkerFigures,
} from './messages.js';
import { MirroredPoint } from './mirrored-point.js';
import { connectPoints, PassedOn, pipeTo } from './passing.js';

/** Files that players without the protocol ask for by name. */
const MEDIA_FILE = /^[^?#]*\.(?:asf|wmv|wma)(?:[?#]|$)/i;

/** The protocols that workers speak; of plain HTTP they serve {@link MEDIA_FILE}. */
const WORKERS_PROTOCOLS = new Set(['WMSP', 'MMSP', 'RTSP']);

/** True for players that workers serve, if there are any; MSBD, multicast, HLS and pages stay in the main process. */
export function isForWorkers({ role, protocol, path }: SessionFacts): boolean {
  if (role !== 'player') return false;
  return WORKERS_PROTOCOLS.has(protocol) || (protocol === 'HTTP' && MEDIA_FILE.test(path));
}

/** What only the main process answers: the administration, announcements, and the logging URL. */
const ELSEWHERE = /^(?:\/api(?:[/?#]|$)|[^?#]*\.(?:asx|nsc|dll)(?:[?#]|$))/i;
/** Datagrams of strangers that are passed on in a second. */
const MAX_DATAGRAMS = 1_000;
/** In ms. */
const FIGURES_INTERVAL = 1_000;

/** The configuration of a worker: what it leaves to the main process is left out. */
export function workerConfig(config: ServerConfig): ServerConfig {
  return {
    ...config,
    workers: undefined,
    cluster: undefined,
    msbd: { ...config.msbd, port: 'none', multicast: undefined },
    points: config.points.map(
      ({ source: _, filler: _filler, archive: _archive, multicast: _group, ...point }) => point,
    ),
  };
}

/** The server that a worker is a part of, as that part uses it. */
interface WorkerServer {
  readonly points: PublishingPoints;
  stats(): ServerStats;
  reload(): Promise<unknown>;
}

/** One worker's part of a server: what it passes on, and what it asks the main process for. */
export class WorkerPart implements Limits, Given {
  readonly ids: SessionIds;
  readonly logins: LoginMemory;
  /** Of MMSP, if that has a port. */
  readonly udp: UdpSocket | undefined;
  readonly #start: StartMessage;
  readonly #say: (message: FromWorker) => void;
  readonly #feed: FeedClient;
  readonly #mirrors = new Map<PublishingPoint, MirroredPoint>();
  #config: ServerConfig;
  readonly #waiting = new Map<number, (refusal: Refused | undefined) => void>();
  #asks = 0;
  readonly #takers = new Map<PortName, (socket: Socket) => void>();
  #takeDatagram: ((bytes: Buffer, address: string) => void) | undefined;
  /** The workers that run, this one included. */
  #running: ReadonlySet<number> | undefined;
  #strangers = { second: 0, count: 0 };
  /** The numbers of the connections that the main process has given it. */
  readonly #held = new Map<Socket, number>();
  /** Those that have closed since it last said so. */
  #over: number[] = [];
  #registry: SessionRegistry | undefined;

  private constructor(
    start: StartMessage,
    say: (message: FromWorker) => void,
    feed: FeedClient,
    udp: UdpSocket | undefined,
  ) {
    this.#start = start;
    this.udp = udp;
    this.#config = start.config;
    this.#say = say;
    this.#feed = feed;
    const { node, nodes, worker, processes: workers } = start;
    this.ids = new SessionIds({ node, nodes, worker, workers });
    this.logins = new LoginMemory({ snapshot: start.logins });
    this.logins.share((login) => say({ kind: 'login', login }));
    process.on('message', (message: ToWorker, handle) => {
      if (message.kind === 'taken') this.#taken(message);
      else if (message.kind === 'login') this.logins.take(message.login);
      else if (message.kind === 'running') this.#running = new Set(message.numbers);
      else if (message.kind === 'datagram') this.#takeDatagram?.(message.bytes, message.address);
      else if (message.kind === 'accepted' || message.kind === 'client') {
        // The client may have gone on the way.
        const socket = handle as Socket | undefined;
        if (message.connection !== undefined) this.#hold(message.connection, socket);
        if (socket && message.kind === 'client') takeOver(socket, message);
        if (socket) this.#takers.get(message.port)?.(socket);
      }
    });
  }

  /** Connects to the main process. @param udp the socket of MMSP */
  static async open(
    start: StartMessage,
    say: (message: FromWorker) => void,
    udp?: UdpSocket | undefined,
  ): Promise<WorkerPart> {
    return new WorkerPart(start, say, new FeedClient(await connectPoints(socketOf(start.folder, 0))), udp);
  }

  get ports(): ServerPorts {
    return this.#start.ports;
  }

  /** Has a listener take the connections of a port. */
  serve(port: PortName, take: (socket: Socket) => void): void {
    this.#takers.set(port, take);
  }

  /** Has the listener of MMSP take the datagrams that other processes received. */
  serveDatagrams(take: (bytes: Buffer, address: string) => void): void {
    this.#takeDatagram = take;
  }

  /** The pairs of UDP ports for RTP to try: each worker has one, and so has each that is about to be replaced. */
  rtpPorts(first: number | undefined): readonly number[] {
    if (first === undefined || first === 0) return first === undefined ? [] : [0];
    return [...Array.from({ length: this.#start.processes - 1 }, (_, pair) => first + 2 * pair), 0];
  }

  /** Passes on a datagram about a client of another process; of floods it passes on a part. */
  strangersDatagram(clientId: number, bytes: Buffer, address: string): void {
    const second = Math.floor(performance.now() / 1_000);
    if (this.#strangers.second !== second) this.#strangers = { second, count: 0 };
    if (!this.#isElsewhere(this.#workerOf(clientId)) || ++this.#strangers.count > MAX_DATAGRAMS) return;
    const message: DatagramMessage = { kind: 'datagram', clientId, bytes, address };
    this.#say(message);
  }

  /** The sessions of RTSP in other processes. */
  readonly rtspElsewhere = {
    has: (id: string) => /^\d{1,20}$/.test(id) && this.#isElsewhere(this.#workerOf(BigInt(id))),
    passOn: (socket: Socket, unread: Buffer, id: string) =>
      this.#handOver(socket, unread, this.#workerOf(BigInt(id)), 'rtsp'),
  };

  /** Returns the listener for what other workers pass on. @param http takes the connections */
  listener(http: HttpServer): Listener {
    const passedOn = new PassedOn({ client: http });
    return {
      name: 'passed on',
      groupBytes: 0,
      get connections() {
        return http.connections;
      },
      start: async () => {
        await passedOn.listen(socketOf(this.#start.folder, this.#start.worker));
        return {};
      },
      close: async () => {
        passedOn.close();
        await http.close();
      },
    };
  }

  /** The current configuration. */
  get config(): ServerConfig {
    return this.#config;
  }

  /** Feeds the points, and does what the main process says from now on. */
  attend(server: WorkerServer, registry: SessionRegistry): void {
    const { points } = server;
    this.#registry = registry;
    for (const created of this.#start.points) this.#create(created, points);
    process.on('message', (message: ToWorker) => {
      if (message.kind === 'point') this.#point(message, points);
      else if (message.kind === 'list' || message.kind === 'stop') void this.#answer(message, registry);
      else if (message.kind === 'config') {
        this.#config = message.config;
        server.reload().catch((error: unknown) => this.failed(error));
      }
    });
    setInterval(() => this.#report(server.stats(), registry, points), FIGURES_INTERVAL).unref();
  }

  /** Feeds new points, and ends the broadcasts of those that are gone. */
  pointsChanged(points: PublishingPoints): void {
    for (const [point, mirror] of this.#mirrors) {
      if (points.get(point.path) === point) continue;
      mirror.close();
      this.#mirrors.delete(point);
    }
    for (const point of points) {
      if (this.#mirrors.has(point)) continue;
      const mirror = new MirroredPoint(point, this.#feed);
      this.#mirrors.set(point, mirror);
      point.feeder = mirror;
    }
  }

  /** Ends what the players of this process play. */
  close(): void {
    for (const mirror of this.#mirrors.values()) mirror.close();
    for (const { id } of this.#registry ?? []) void this.#registry?.end(id);
  }

  /** Passes a line for the log files on. */
  line(line: string): void {
    this.#say({ kind: 'line', line });
  }

  #create({ path, model }: CreatedPoint, points: PublishingPoints): void {
    if (points.get(path)) return;
    const settings = model === undefined ? {} : points.get(model)?.settings;
    // Without its settings it would be open to players that its rule refuses.
    if (settings) points.add(path, settings);
  }

  #point({ created, removed }: ToWorker & { kind: 'point' }, points: PublishingPoints): void {
    if (created) this.#create(created, points);
    const point = removed === undefined ? undefined : points.get(removed);
    if (point) points.remove(point);
  }

  /**
   * Passes a request on to the process that it concerns.
   *
   * @returns false if it is for this one
   */
  passOn(exchange: Exchange): boolean {
    const { worker, folder } = this.#start;
    const to = this.#processFor(exchange);
    if (to === worker) return false;
    const detached = exchange.detach();
    // While an earlier answer is streaming nothing can be passed on, and this process must not act for another.
    if (!detached) exchange.respond({ status: 503, close: true });
    else if (exchange.secure) pipeTo(socketOf(folder, to), detached, exchange);
    else this.#handOver(detached.socket, detached.unread, to, 'http');
    return true;
  }

  /** Says when a connection that the main process counts is over. */
  #hold(connection: number, socket: Socket | undefined): void {
    const leave = () => {
      if (this.#over.push(connection) === 1) setImmediate(() => this.#sayOver());
    };
    if (!socket || socket.destroyed) {
      leave();
      return;
    }
    this.#held.set(socket, connection);
    socket.once('close', () => this.#held.delete(socket) && leave());
  }

  #sayOver(): void {
    const connections = this.#over;
    this.#over = [];
    if (connections.length > 0) this.#say({ kind: 'closed', connections });
  }

  #handOver(socket: Socket, unread: Buffer, to: number, port: PortName): void {
    const connection = this.#held.get(socket);
    // Said before it is counted there, so that there is a place for it.
    if (connection !== undefined && this.#held.delete(socket)) this.#over.push(connection);
    this.#sayOver();
    handOver(process, socket, peerOf(socket), unread, { kind: 'client', to, port });
  }

  /** Returns the process of this host that has a session; this one for sessions of other hosts. */
  #workerOf(id: number | bigint): number {
    const home = this.ids.homeOf(id);
    return home.node === this.ids.home.node ? home.worker : this.#start.worker;
  }

  /** True for another process that serves players. */
  #isElsewhere(home: number): boolean {
    if (home === 0) return this.#start.mainServes;
    return home !== this.#start.worker && (this.#running?.has(home) ?? false);
  }

  #processFor({ request }: Exchange): number {
    const { worker } = this.#start;
    const { method, headers, target } = request;
    if (pushRequestType(headers) || ELSEWHERE.test(target)) return 0;
    const classified = classifyRequest(request);
    if (typeof classified === 'object') {
      const id = classified.pragma.number('client-id') ?? 0;
      const home = id === 0 ? worker : this.#workerOf(id);
      return home === 0 || this.#isElsewhere(home) ? home : worker;
    }
    const isMedia = (method === 'GET' || method === 'HEAD') && MEDIA_FILE.test(target);
    return isMedia ? worker : 0;
  }

  /** Takes a place among the players of all processes. */
  async take(wish: PlaceWish): Promise<Ticket> {
    const ask = ++this.#asks;
    const refusal = await new Promise<Refused | undefined>((resolve) => {
      this.#waiting.set(ask, resolve);
      this.#say({ kind: 'take', ask, wish });
    });
    if (refusal) throw new Refusal(refusal.kind, refusal.message);
    let released = false;
    return {
      release: () => {
        if (!released) this.#say({ kind: 'release', ask });
        released = true;
      },
    };
  }

  #taken({ ask, refusal }: ToWorker & { kind: 'taken' }): void {
    this.#waiting.get(ask)?.(refusal);
    this.#waiting.delete(ask);
  }

  async #answer(message: ToWorker & { kind: 'list' | 'stop' }, registry: SessionRegistry): Promise<void> {
    const { ask } = message;
    if (message.kind === 'stop') this.#say({ kind: 'answer', ask, found: await registry.end(message.id) });
    else this.#say({ kind: 'answer', ask, sessions: (await registry.list(message.filter)).sessions });
  }

  #report(stats: ServerStats, registry: SessionRegistry, points: PublishingPoints): void {
    const counters = newCounters();
    addCounters(counters, stats);
    const playing = [...points].filter(({ broadcast }) => broadcast.players > 0);
    const figures: WorkerFigures = {
      connections: stats.connections,
      players: registry.players,
      bytesOut: registry.bytesOut,
      counters,
      playersOf: Object.fromEntries(playing.map(({ path, broadcast }) => [path, broadcast.players])),
    };
    this.#say({ kind: 'figures', figures });
  }

  /** Says what has gone wrong. */
  failed(error: unknown): void {
    if (error instanceof WmError) this.#say({ kind: 'warning', message: error.message });
    else
      this.#say({ kind: 'error', message: messageOf(error), stack: error instanceof Error ? error.stack : undefined });
  }
}
