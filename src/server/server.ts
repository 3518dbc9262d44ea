import { networkInterfaces } from 'node:os';
import { plainAddress } from '../http/addresses.js';
import { HttpServer } from '../http/server.js';
import { OnDemandFiles } from '../media/on-demand/files.js';
import type { Publisher, PushDecision, PushPoint, PushSetupRequest } from '../wmhttp/push-gate.js';
import { PushServer } from '../wmhttp/server.js';
import { SERVER_NAME } from '../wmsp/responses.js';
import { type PlayReport, type SubmittedLog, WmspServer } from '../wmsp/server.js';
import type { ServerConfig } from './config.js';
import { ContentRoot } from './content.js';
import { pathOf } from './paths.js';
import { PointPull } from './point-pull.js';
import { type PointEvent, type PublishingPoint, PublishingPoints } from './points.js';
import { Programs } from './programs.js';
import { connectRemote, Remotes } from './remote.js';
import { WebServer } from './web.js';

/** What a server tells while it runs. */
export interface ServerListener {
  point?(event: PointEvent): void;
  play?(path: string, client: string, remoteAddress: string): void;
  played?(report: PlayReport): void;
  log?(log: SubmittedLog): void;
  /** Something that an operator can mend, such as a playlist entry that is not there. */
  warning?(message: string): void;
  /** An error of the server's own that no peer caused. */
  error?(error: unknown): void;
}

/** Figures of the moment, and counters since the start. */
export interface ServerStats {
  readonly connections: number;
  readonly players: number;
  readonly publishers: number;
  readonly points: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  readonly skippedPackets: number;
  readonly droppedPlayers: number;
}

/** The media server: publishing points, and the listeners that feed and play them. */
export class MediaServer {
  readonly points: PublishingPoints;
  readonly #config: ServerConfig;
  readonly #http: HttpServer;
  readonly #push: PushServer;
  readonly #wmsp: WmspServer;
  readonly #files = new OnDemandFiles();
  readonly #programs: Programs;
  readonly #remotes: Remotes;
  readonly #pulls: PointPull[] = [];
  #httpPort = 0;

  private constructor(config: ServerConfig, listener: ServerListener) {
    this.#config = config;
    this.points = new PublishingPoints({
      newPoints: config.push.newPoints,
      maxPoints: config.limits.points,
      broadcast: {
        onError: (error) => listener.error?.(error),
        burst: config.live.burst * 1000,
        ...(config.live.batchInterval === undefined ? {} : { batchInterval: config.live.batchInterval * 1000 }),
      },
      onEvent: (event) => listener.point?.(event),
    });
    for (const { path } of config.points) this.points.configure(path);
    const onWarning = (message: string) => listener.warning?.(message);
    this.#push = new PushServer(
      { open: (request) => this.#openPush(request) },
      { pathOf, serverName: SERVER_NAME, onError: (error) => listener.error?.(error) },
    );
    this.#remotes = new Remotes({ onWarning });
    const content = config.content && new ContentRoot(config.content.folder, wrapperOf(config));
    this.#programs = new Programs({
      points: this.points,
      files: this.#files,
      content,
      remote: this.#remotes,
      redirects: new Map(config.redirects.map(({ path, to, proxy }) => [path, { redirect: to, proxy }])),
      onWarning,
    });
    this.#wmsp = new WmspServer({
      content: this.#programs,
      onError: (error) => listener.error?.(error),
      pathOf,
      ...(config.limits.players === undefined ? {} : { maxPlayers: config.limits.players }),
      onLog: (log) => listener.log?.(log),
      onPlay: (path, client, address) => listener.play?.(path, client, plainAddress(address)),
      onPlayed: (report) => listener.played?.(report),
    });
    const web = new WebServer(this.points, content);
    this.#http = new HttpServer({
      maxConnections: config.limits.connections,
      onError: (error) => listener.error?.(error),
      onRequest: (exchange) => {
        if (this.#push.handle(exchange) || this.#wmsp.handle(exchange)) return;
        web.handle(exchange);
      },
    });
  }

  /**
   * Starts a server.
   *
   * @throws WmError WM_PORT_IN_USE, or WM_FAILED when it cannot listen there
   */
  static async start(config: ServerConfig, listener: ServerListener = {}): Promise<MediaServer> {
    const server = new MediaServer(config, listener);
    server.#httpPort = await server.#http.listen(config.httpPort, config.host);
    server.#startPulling((message) => listener.warning?.(message));
    return server;
  }

  /** The ports that are listened on, by protocol. */
  get ports(): { http: number } {
    return { http: this.#httpPort };
  }

  /** The URL of the server's root for a person on this host or beside it. */
  get baseUrl(): string {
    return `http://${authority(this.#config.host, this.#httpPort)}`;
  }

  stats(): ServerStats {
    const stats = { bytesIn: 0, bytesOut: 0, packetsIn: 0, skippedPackets: 0, droppedPlayers: 0 };
    let [players, publishers, points] = [0, 0, 0];
    for (const { broadcast, publisher } of this.points) {
      points++;
      players += broadcast.players;
      if (publisher) publishers++;
      for (const name of Object.keys(stats) as Array<keyof typeof stats>) stats[name] += broadcast.counters[name];
    }
    return { connections: this.#http.connections, players, publishers, points, ...stats };
  }

  /** Ends all broadcasts with $E, sends encoders away, and stops; bounded in time. */
  async close(): Promise<void> {
    await Promise.all(this.#pulls.map((pull) => pull.close()));
    for (const point of this.points) {
      point.publisher?.disconnect(503);
      await point.broadcast.close();
    }
    this.#push.close();
    this.#wmsp.close();
    await this.#http.close();
    await this.#remotes.close();
    await this.#files.close();
  }

  #startPulling(onWarning: (message: string) => void): void {
    for (const { path, source: url } of this.#config.points) {
      if (url === undefined) continue;
      const point = this.points.get(path)!;
      this.#pulls.push(new PointPull({ point, url, connect: (from) => connectRemote(from, onWarning), onWarning }));
    }
  }

  #openPush({ path, template, exchange }: PushSetupRequest): PushDecision {
    const point = this.points.forPush(path, template, exchange.local);
    return { accept: this.#pushPoint(point) };
  }

  #pushPoint(point: PublishingPoint): PushPoint {
    let publisher: Publisher | undefined;
    return {
      start: (candidate) => {
        this.points.keep(point);
        const sink = point.publish(candidate);
        publisher = candidate;
        this.points.tell({
          point: point.path,
          what: 'publishing',
          remoteAddress: plainAddress(candidate.remoteAddress),
        });
        return sink;
      },
      release: ({ clean, destroy }) => {
        const wasPublishing = publisher !== undefined && point.unpublish(publisher);
        if (wasPublishing) this.points.tell({ point: point.path, what: 'unpublished', clean });
        const neverFed = point.broadcast.generation === 0;
        if ((destroy || neverFed) && !point.publisher) this.points.remove(point);
      },
    };
  }
}

/** `host:port` as it stands in a URL; for a server on all addresses, one that others can reach. */
function authority(host: string | undefined, port: number): string {
  const everywhere = host === undefined || host === '0.0.0.0' || host === '::';
  const name = everywhere ? (firstAddress() ?? '127.0.0.1') : host;
  return `${name.includes(':') ? `[${name}]` : name}:${port}`;
}

function firstAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}

function wrapperOf({ content }: ServerConfig): { wrapper?: string } {
  return content?.wrapper === undefined ? {} : { wrapper: content.wrapper };
}
