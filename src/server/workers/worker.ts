import { FeedClient } from '../../cluster/feed-client.js';
import { messageOf, WmError } from '../../errors.js';
import type { Exchange } from '../../http/exchange.js';
import type { HttpServer } from '../../http/server.js';
import type { Limits, PlaceWish, Ticket } from '../../playback/limits.js';
import type { SessionRegistry } from '../../playback/registry.js';
import { SessionIds } from '../../playback/session-ids.js';
import { Refusal } from '../../refusal.js';
import { pushRequestType } from '../../wmhttp/messages/messages.js';
import { classifyRequest } from '../../wmsp/messages/requests.js';
import { addCounters, newCounters } from '../admin/totals.js';
import type { ServerConfig } from '../config.js';
import type { Listener } from '../listeners/listener.js';
import type { PublishingPoint, PublishingPoints } from '../points/points.js';
import {
  type CreatedPoint,
  type FromWorker,
  type Refused,
  type StartMessage,
  socketOf,
  type ToWorker,
  type WorkerFigures,
} from './messages.js';
import { MirroredPoint } from './mirrored-point.js';
import { connectPoints, PassedOn, passOn } from './passing.js';

/** Files that players without the protocol ask for by name. */
const MEDIA_FILE = /^[^?#]*\.(?:asf|wmv|wma)(?:[?#]|$)/i;

/** What only the main process answers: the administration, announcements, and the logging URL. */
const ELSEWHERE = /^(?:\/api(?:[/?#]|$)|[^?#]*\.(?:asx|nsc|dll)(?:[?#]|$))/i;
/** In ms. */
const FIGURES_INTERVAL = 1_000;

/** The configuration of a worker: what it leaves to the main process is left out. */
export function workerConfig(config: ServerConfig): ServerConfig {
  return {
    ...config,
    workers: undefined,
    cluster: undefined,
    msbd: { ...config.msbd, port: 'none', multicast: undefined },
    mms: { ...config.mms, port: 'none' },
    rtsp: { ...config.rtsp, port: 'none' },
    points: config.points.map(
      ({ source: _, filler: _filler, archive: _archive, multicast: _group, ...point }) => point,
    ),
  };
}

/** The server that a worker is a part of, as that part uses it. */
interface WorkerServer {
  readonly points: PublishingPoints;
  stats(): { readonly connections: number };
  reload(): Promise<unknown>;
}

/** One worker's part of a server: what it passes on, and what it asks the main process for. */
export class WorkerPart implements Limits {
  readonly ids: SessionIds;
  readonly #start: StartMessage;
  readonly #say: (message: FromWorker) => void;
  readonly #feed: FeedClient;
  readonly #mirrors = new Map<PublishingPoint, MirroredPoint>();
  #config: ServerConfig;
  readonly #waiting = new Map<number, (refusal: Refused | undefined) => void>();
  #asks = 0;

  private constructor(start: StartMessage, say: (message: FromWorker) => void, feed: FeedClient) {
    this.#start = start;
    this.#config = start.config;
    this.#say = say;
    this.#feed = feed;
    this.ids = new SessionIds({ worker: start.worker, workers: start.processes });
    process.on('message', (message: ToWorker) => {
      if (message.kind === 'taken') this.#taken(message);
    });
  }

  /** Connects to the main process. */
  static async open(start: StartMessage, say: (message: FromWorker) => void): Promise<WorkerPart> {
    return new WorkerPart(start, say, new FeedClient(await connectPoints(socketOf(start.folder, 0))));
  }

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
    for (const created of this.#start.points) this.#create(created, points);
    process.on('message', (message: ToWorker) => {
      if (message.kind === 'point') this.#point(message, points);
      else if (message.kind === 'list' || message.kind === 'stop') void this.#answer(message, registry);
      else if (message.kind === 'config') {
        this.#config = message.config;
        server.reload().catch((error: unknown) => this.failed(error));
      }
    });
    setInterval(() => this.#report(server.stats().connections, registry, points), FIGURES_INTERVAL).unref();
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

  /** Ends the broadcasts for the players of this process. */
  close(): void {
    for (const mirror of this.#mirrors.values()) mirror.close();
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
    // While an earlier answer is streaming nothing can be passed on, and this process must not act for another.
    if (!passOn(exchange, socketOf(folder, to))) exchange.respond({ status: 503, close: true });
    return true;
  }

  #processFor({ request }: Exchange): number {
    const { worker } = this.#start;
    const { method, headers, target } = request;
    if (pushRequestType(headers) || ELSEWHERE.test(target)) return 0;
    const classified = classifyRequest(request);
    if (typeof classified === 'object') {
      const id = classified.pragma.number('client-id') ?? 0;
      return id === 0 ? worker : this.ids.homeOf(id).worker;
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

  #report(connections: number, registry: SessionRegistry, points: PublishingPoints): void {
    const counters = newCounters();
    addCounters(counters, points.counters);
    const playing = [...points].filter(({ broadcast }) => broadcast.players > 0);
    const figures: WorkerFigures = {
      connections,
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
