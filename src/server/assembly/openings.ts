import type { Socket } from 'node:net';
import { addressList } from '../../http/address-list.js';
import type { Exchange } from '../../http/exchange.js';
import { peerOf } from '../../http/peer.js';
import { HttpServer, type HttpServerOptions } from '../../http/server.js';
import { injected } from '../../testing/injected.js';
import { TlsWatch } from '../access/tls-files.js';
import type { Administration } from '../admin/administration.js';
import type { ServerConfig } from '../config.js';
import { HttpListener, type Listener } from '../listeners/listener.js';
import { protocolListeners } from '../listeners/protocols.js';
import { workerConfig } from '../workers/worker.js';
import { type OwnPlayers, Workers } from '../workers/workers.js';
import type { ContentWay } from './content-way.js';
import type { ServerCore } from './core.js';
import type { RequestWay } from './request-way.js';
import { workerCount } from './worker-count.js';

/** The parts that connections and datagrams go to. */
export interface OpeningsOptions {
  readonly core: ServerCore;
  readonly content: ContentWay;
  readonly requests: RequestWay;
  readonly administration: Administration;
}

/** Where a server is open to others: its listeners, and the processes that it gives connections to. */
export class Openings {
  /** Renews the key and the certificate of the HTTPS listener. */
  tlsWatch: TlsWatch | undefined;
  readonly #core: ServerCore;
  readonly #http: HttpServerOptions;
  readonly #all: Listener[];
  readonly #started: Listener[] = [];

  constructor({ core, content, requests, administration }: OpeningsOptions) {
    const { config } = core.settings;
    const { part, faults } = core.means;
    this.#core = core;
    const faulty = injected(faults);
    this.#http = {
      onSocket: faulty?.http,
      proxies: config.proxyProtocol && { addresses: addressList(config.proxyProtocol), onWarning: core.onWarning },
      admission: core.admission,
      onError: core.onInternalError,
      onRequest: (exchange: Exchange) => {
        const status = faulty?.refusal();
        if (status !== undefined) return exchange.respond({ status, close: true });
        requests.handle(exchange, administration.api);
      },
    };
    this.#all = [
      ...this.#httpListeners(),
      core.multicasts,
      ...protocolListeners({
        config: ownListeners(config),
        ids: core.ids,
        part,
        points: core.points,
        entrance: content.entrance,
        playback: content.playback,
        registry: core.registry,
        admission: core.admission,
        proxies: this.#http.proxies,
        targets: content.proxying,
        multicasts: core.multicasts,
        onStranger: (...about) => {
          if (!core.cluster?.elsewhere.strangersDatagram(...about)) core.workers?.strangersDatagram(...about);
        },
        rtspElsewhere: part?.rtspElsewhere ?? core.cluster?.elsewhere.rtsp,
        faults: faulty,
        onLog: core.onLog,
        onEvent: (path, body) => core.events.event?.(path, body),
        onInternalError: core.onInternalError,
        onError: core.onError,
      }),
      administration.listener,
    ];
  }

  /** The number of connections of all processes. */
  get connections(): number {
    return sumOf(this.#all, ({ connections }) => connections);
  }

  /** The number of connections of this process. */
  get ownConnections(): number {
    return sumOf(this.#all, (each) => (each === this.#core.workers ? 0 : each.connections));
  }

  /** Bytes sent to multicast groups. */
  get groupBytes(): number {
    return sumOf(this.#all, ({ groupBytes }) => groupBytes);
  }

  /** Starts all listeners, one after the other. @throws WmError as {@link Listener.start} */
  async start(): Promise<void> {
    for (const listener of this.#all) {
      this.#core.ports = { ...this.#core.ports, ...(await listener.start()) };
      this.#started.push(listener);
    }
    this.#core.cluster?.elsewhere.serve(() => this.#started.flatMap((each) => each.lend?.() ?? []));
  }

  /** Closes the listeners that have started; bounded in time. */
  async close(): Promise<void> {
    await Promise.all(this.#started.map((each) => each.close()));
  }

  /** Lets a worker take all new players of a server that had none until now. */
  async divide(): Promise<void> {
    const lent = this.#started.flatMap((each) => each.lend?.() ?? []);
    const workers = this.#newWorkers(1, { ports: this.#core.ports, lent });
    // It hears of points that come meanwhile.
    this.#core.workers = workers;
    try {
      await workers.start();
    } catch (error) {
      this.#core.workers = undefined;
      throw error;
    }
    this.#all.push(workers);
    this.#started.push(workers);
  }

  /** Makes the listeners for HTTP: of this process, or of its workers. */
  #httpListeners(): Listener[] {
    const { settings, means, onWarning } = this.#core;
    const { host, httpPort, tls, workers } = settings.config;
    const { part, tls: identity } = means;
    if (workers !== undefined) {
      this.#core.workers = this.#newWorkers(workerCount(workers));
      return [this.#core.workers];
    }
    const http = this.#http;
    const listeners: Listener[] = part ? [part.listener(passedOn(http))] : [];
    if (httpPort !== 'none')
      listeners.push(new HttpListener('http', new HttpServer(http), { port: httpPort, host, given: part }));
    if (identity && tls) {
      const https = new HttpServer({ ...http, tls: identity });
      listeners.push(new HttpListener('https', https, { port: tls.port, host, given: part }));
      this.tlsWatch = new TlsWatch(tls, (renewed) => https.renewTls(renewed), onWarning);
    }
    return listeners;
  }

  #newWorkers(count: number, own?: OwnPlayers): Workers {
    const { settings, points, limits, ids, means, events, logs, admission, onWarning, onInternalError } = this.#core;
    return new Workers({
      config: () => settings.config,
      workerConfig: () => workerConfig(settings.config),
      count,
      own,
      points,
      limits,
      ids,
      logins: means.logins,
      admission,
      proxies: this.#http.proxies?.addresses,
      http: passedOn(this.#http),
      onBegin: (info) => info.role === 'player' && events.play?.(info),
      onEnd: (report) => report.role === 'player' && events.played?.(report),
      // Its line comes by itself.
      onSubmitted: (log) => events.log?.(log),
      onLine: (line) => logs?.line(line),
      onEvent: events.event && ((path, body) => events.event?.(path, body)),
      onWarning,
      onError: onInternalError,
    });
  }
}

/** Makes the server for connections that other processes pass on. */
function passedOn(http: HttpServerOptions): HttpServer {
  // Faults are injected where the client's own socket is: not again where its bytes are passed on.
  const onSocket = http.onSocket && ((socket: Socket) => !peerOf(socket).passedOn && http.onSocket?.(socket));
  return new HttpServer({ ...http, onSocket });
}

/** Returns the configuration of the listeners of this process: with workers, those have the ports of players. */
function ownListeners(config: ServerConfig): ServerConfig {
  if (config.workers === undefined) return config;
  return { ...config, mms: { ...config.mms, port: 'none' }, rtsp: { ...config.rtsp, port: 'none' } };
}

function sumOf<T>(all: readonly T[], figure: (each: T) => number): number {
  return all.reduce((sum, each) => sum + figure(each), 0);
}
