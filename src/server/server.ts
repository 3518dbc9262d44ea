import type { Socket } from 'node:net';
import { availableParallelism, networkInterfaces } from 'node:os';
import type { Command } from '../asf/command.js';
import type { AccessControl } from '../auth/access.js';
import { callerOf } from '../auth/header-dialog.js';
import { LoginMemory } from '../auth/login-memory.js';
import { MAX_NODES } from '../cluster/directory.js';
import type { ClusterNode } from '../cluster/node.js';
import { WmError } from '../errors.js';
import { addressList } from '../http/address-list.js';
import { Admission } from '../http/admission.js';
import type { Exchange } from '../http/exchange.js';
import { peerOf } from '../http/peer.js';
import { HttpServer, type HttpServerOptions, type TlsIdentity } from '../http/server.js';
import { OnDemandFiles } from '../media/on-demand/files.js';
import { type Attempt, Entrance } from '../playback/entrance.js';
import { Playback } from '../playback/host.js';
import { type Limits, LocalLimits } from '../playback/limits.js';
import { type OtherSessions, SessionRegistry } from '../playback/registry.js';
import { SessionIds } from '../playback/session-ids.js';
import type { DiskCache } from '../proxy/cache/disk-cache.js';
import type { ProxyContent } from '../proxy/content.js';
import { type FaultPlan, parseFaults } from '../testing/fault-plan.js';
import { injected } from '../testing/injected.js';
import type { Publisher } from '../wmhttp/server/push-gate.js';
import { PushServer } from '../wmhttp/server/server.js';
import type { SubmittedLog } from '../wmlog/submitted.js';
import { SERVER_NAME } from '../wmsp/messages/responses.js';
import { WmspServer } from '../wmsp/server/server.js';
import { openAccess } from './access/credentials.js';
import { readTls, TlsWatch } from './access/tls-files.js';
import { Administration } from './admin/administration.js';
import { AdminFeed } from './admin/feed.js';
import { addCounters, newCounters } from './admin/totals.js';
import { joinCluster, ServerCluster } from './cluster/cluster.js';
import { AllOthers } from './cluster/peers.js';
import type { ServerConfig } from './config.js';
import { checkConfig } from './config-check.js';
import { masked } from './config-file.js';
import { pathOf } from './content/paths.js';
import { Programs } from './content/programs.js';
import { type ServerEvents, watched } from './events.js';
import { Hls } from './hls/hls.js';
import { ServerHooks } from './hooks/server-hooks.js';
import { HttpListener, type Listener, type ServerPorts } from './listeners/listener.js';
import { Multicasts } from './listeners/multicast.js';
import { protocolListeners } from './listeners/protocols.js';
import { LiveSettings } from './live-settings.js';
import { checkLogFolder } from './logs/log-writer.js';
import { ServerLogs } from './logs/server-logs.js';
import { PointEditor } from './point-editor.js';
import { type PointEvent, type PublishingPoint, PublishingPoints } from './points/points.js';
import { PointPulls } from './points/pulls.js';
import { PushPoints } from './points/push-points.js';
import { connectRemote, Remotes } from './points/remote.js';
import { settingsOf } from './points/settings.js';
import { openCache, type ProxyHost, Proxying } from './proxying.js';
import type { ReloadReport } from './reload.js';
import { Reloader, type StartOptions, warnOfPlaces } from './reloader.js';
import type { ServerStats } from './stats.js';
import { Stills } from './stills.js';
import { Upgrades } from './upgrades.js';
import { WebServer } from './web/web.js';
import type { ProcessView } from './workers/fleet.js';
import { type WorkerPart, workerConfig } from './workers/worker.js';
import { type OwnPlayers, placesFor, Workers } from './workers/workers.js';

// The minimum limit of push sessions: even with few points, an encoder that comes back briefly needs a second one.
const MIN_SESSIONS = 1_000;
const PROXY_IS_FOR_MEDIA = Buffer.from('This proxy passes on requests of Windows Media players only.\n');

/** The media server: publishing points, and the listeners that feed and play them. @public */
export class MediaServer {
  readonly points: PublishingPoints;
  readonly #settings: LiveSettings;
  /** Shared by all listeners. */
  readonly #admission: Admission;
  readonly #multicasts: Multicasts;
  readonly #listeners: Listener[];
  #tlsWatch: TlsWatch | undefined;
  #workers: Workers | undefined;
  readonly #cluster: ServerCluster | undefined;
  readonly #access: AccessControl;
  readonly #registry: SessionRegistry;
  readonly #push: PushServer;
  readonly #playback: Playback;
  readonly #logs: ServerLogs | undefined;
  readonly #hooks: ServerHooks;
  readonly #wmsp: WmspServer;
  readonly #files = new OnDemandFiles();
  readonly #entrance: Entrance;
  readonly #remotes: Remotes;
  readonly #faulty: ((socket: Socket) => void) | undefined;
  readonly #proxy: ProxyContent | undefined;
  readonly #pulls: PointPulls;
  readonly #started: Listener[] = [];
  readonly #feed = new AdminFeed();
  readonly #administration: Administration;
  readonly #stills: Stills;
  readonly #hls: Hls;
  #ready = false;
  readonly #upgrades: Upgrades;
  /** Makes workers, of a server that had none until now. */
  readonly #makeWorkers: (own: OwnPlayers) => Workers;
  readonly #reloader: Reloader;
  #ports: ServerPorts = {};

  private constructor(config: ServerConfig, given: ServerEvents, means: Means) {
    const events = watched(given, this.#feed, (protocol) =>
      this.#administration.started(protocol, this.#registry.players),
    );
    const settings = new LiveSettings(config);
    this.#settings = settings;
    const onWarning = (message: string) => events.warning?.(message);
    // Errors in a file or a playlist are for the operator to fix.
    const onError = (error: unknown) => {
      if (error instanceof WmError) onWarning(error.message);
      else events.error?.(error);
    };
    const { part } = means;
    const node = means.node && { node: means.node.number, nodes: MAX_NODES };
    const ids = part?.ids ?? new SessionIds({ ...node, workers: placesFor(countOf(config.workers ?? 1)) });
    this.#hooks = new ServerHooks({ hooks: () => settings.config.hooks, onWarning });
    this.#registry = new SessionRegistry({
      ids,
      others: () => this.#others,
      onBegin: (info, session) => {
        this.#hooks.began(info);
        if (info.role !== 'player') return;
        this.#logs?.began(info, session);
        events.play?.(info);
      },
      onEnd: (report, session) => {
        this.#hooks.ended(report);
        if (report.role !== 'player') return;
        this.#logs?.stopped(session);
        events.played?.(report);
      },
    });
    const onLog = (log: SubmittedLog) => {
      this.#logs?.submitted(log);
      this.#forward(log);
      events.log?.({ ...log, peer: undefined });
    };
    this.#logs =
      config.logs &&
      new ServerLogs({
        config: config.logs,
        ...(part ? { write: (line: string) => part.line(line) } : {}),
        host: config.host,
        players: () => this.#registry.players,
        onWarning,
        onLog,
      });
    this.points = new PublishingPoints({
      // What feeds a point of a worker is the main process.
      ...(part ? {} : { registry: this.#registry }),
      get newPoints() {
        return settings.config.push.newPoints;
      },
      get maxPoints() {
        return settings.config.limits.points;
      },
      get broadcast() {
        const { burst, batchInterval } = settings.config.live;
        return {
          onError: (error: unknown) => events.error?.(error),
          burst: burst * 1000,
          ...(batchInterval === undefined ? {} : { batchInterval: batchInterval * 1000 }),
        };
      },
      ...(means.node && {
        claim: (point: PublishingPoint, publisher: Publisher) => this.#cluster!.claim(point, publisher),
        keeps: (path: string) => means.node?.remoteOwner(path) !== undefined,
      }),
      onEvent: (event) => {
        this.#multicastAsTemplate(event);
        this.#cluster?.noted(event);
        this.#tellWorkers(event, part);
        events.point?.(event);
      },
      onArchive: (path, file) => this.#hooks.archived(path, file),
      onWarning,
    });
    for (const point of config.points) this.points.configure(point.path, settingsOf(point));
    const localLimits = new LocalLimits(() => settings.limits);
    this.#cluster = this.#clusterOf(means, localLimits, onWarning);
    this.#access = means.access;
    const gate = new PushPoints({
      points: this.points,
      access: this.#access,
      get rule() {
        return settings.rules.push;
      },
      get redirects() {
        return settings.redirects;
      },
      get names() {
        return settings.names;
      },
      onWarning,
      admit: async (encoder) => {
        this.#cluster?.refuseWhileDraining();
        await this.#hooks.mayPublish(encoder);
      },
      get authenticateStart() {
        return settings.config.push.authenticateStart ?? false;
      },
    });
    this.#push = new PushServer(gate, {
      ids,
      pathOf,
      serverName: SERVER_NAME,
      maxSessions: Math.max(config.limits.points, MIN_SESSIONS),
      ...(config.push.idleTimeout === undefined ? {} : { idleTimeout: config.push.idleTimeout * 1000 }),
      onError: (error) => events.error?.(error),
    });
    const { guard } = settings;
    this.#pulls = new PointPulls({
      points: this.points,
      ports: () => this.#ports,
      folder: () => settings.config.content?.folder,
      guard,
      onWarning,
      onLost: (...lost) => this.#hooks.sourceLost(...lost),
    });
    this.#remotes = new Remotes({
      onWarning,
      connect: (url, onNote, chain) => connectRemote(url, { onNote, chain, guard }),
      own: (url, chain) => this.#pulls.ownBroadcast(url, chain),
    });
    const programs = new Programs({
      points: this.points,
      get rule() {
        return settings.rules.play;
      },
      files: this.#files,
      get content() {
        return settings.content;
      },
      remote: this.#remotes,
      get redirects() {
        return settings.redirects;
      },
      onWarning,
    });
    const limits = part ?? localLimits;
    const proxying = config.proxy && new Proxying(this.#proxyHost(programs, onWarning), means.cache);
    this.#proxy = proxying?.content;
    this.#entrance = new Entrance({
      content: proxying?.content ?? programs,
      access: means.access,
      limits,
      admit: async (guest) => {
        this.#cluster?.refuseWhileDraining();
        await this.#hooks.mayPlay(guest);
      },
      ...(config.logs ? { onAttempt: (attempt: Attempt) => this.#logs?.attempted(attempt) } : {}),
    });
    this.#playback = new Playback({ onError });
    this.#wmsp = new WmspServer({
      entrance: this.#entrance,
      playback: this.#playback,
      onError,
      pathOf: (target, host) => (proxying ? proxying.pathOf(target, host) : pathOf(target)),
      registry: this.#registry,
      ids,
      get caching() {
        return settings.caching;
      },
      onLog,
      ...(events.event ? { onEvent: (path: string, body: string) => events.event?.(path, body) } : {}),
    });
    this.#multicasts = new Multicasts(
      config.points.flatMap(({ path, multicast }) =>
        multicast ? [{ point: this.points.get(path)!, config: multicast }] : [],
      ),
      onWarning,
    );
    this.#stills = new Stills({ enabled: () => settings.config.stills });
    this.#hls = new Hls({ points: () => settings.config.hls?.points, registry: this.#registry, onWarning });
    const web = new WebServer(this.points, () => settings.content, {
      entrance: this.#entrance,
      multicast: (path) => this.#multicasts.get(path),
      loggingUrl: (authority) => this.#logs?.loggingUrl(authority),
      ports: () => this.#ports,
      guide: () => settings.config.guide,
      hls: this.#hls,
      onAttempt: (attempt) => this.#logs?.attempted(attempt),
      stills: this.#stills,
      isPublic: async (exchange, { settings: { play }, path }) => {
        const caller = callerOf(exchange);
        const asked = { ...caller, credentials: { ...caller.credentials, given: undefined } };
        return (await this.#access.check(asked, play ?? settings.rules.play, `play ${path}`)).granted;
      },
      registry: this.#registry,
      onWarning,
      onError,
    });
    const editor = new PointEditor({ file: means.file, config: () => settings.config, reloader: () => this.#reloader });
    this.#administration = new Administration({
      editor,
      points: this.points,
      registry: this.#registry,
      feed: this.#feed,
      stills: this.#stills,
      multicasts: () => this.#multicasts,
      playersElsewhere: (path) => (this.#workers?.playersOf(path) ?? 0) + (this.#cluster?.peers.of(path).players ?? 0),
      cluster: this.#cluster,
      stats: () => this.stats(),
      ports: () => this.#ports,
      hostName: () => new URL(this.baseUrl).hostname,
      inject: (path, source) => this.inject(path, source),
      switchPoint: (path, on) => this.#reloader.switchPoint(path, on),
      command: (path, command) => this.command(path, command),
      reload: means.load && (() => this.reload()),
      upgrade: part ? undefined : () => this.upgrade(),
      processes: () => this.processes,
      access: this.#access,
      rule: () => settings.rules.admin,
      names: () => settings.names,
      config: () => masked(settings.config),
      ready: () => this.#ready,
      onError: (error) => events.error?.(error),
      host: config.admin.host,
      port: part ? 'none' : (config.admin.port ?? 'none'),
    });
    const { api } = this.#administration;
    this.#admission = new Admission({
      connections: config.limits.connections,
      perAddress: config.limits.connectionsPerAddress,
      configured: true,
      onWarning,
    });
    const faults = injected(means.faults);
    this.#faulty = faults?.other;
    const http = {
      onSocket: faults?.http,
      proxies: config.proxyProtocol && { addresses: addressList(config.proxyProtocol), onWarning },
      admission: this.#admission,
      onError: (error: unknown) => events.error?.(error),
      onRequest: (exchange: Exchange) => {
        const status = faults?.refusal();
        if (status !== undefined) return exchange.respond({ status, close: true });
        if (part?.passOn(exchange)) return;
        if (this.#push.handle(exchange) || api.handle(exchange) || this.#logs?.handle(exchange)) return;
        const { target, headers } = exchange.request;
        const isForOthers = proxying?.isForOthers(target, headers.get('Host')) ?? false;
        if ((isForOthers || !web.announces(exchange)) && this.#wmsp.handle(exchange)) return;
        if (isForOthers) return exchange.respond({ status: 501, body: PROXY_IS_FOR_MEDIA, close: true });
        web.handle(exchange);
      },
    };
    const shared = { limits, ids, logins: means.logins };
    this.#makeWorkers = (own) => this.#workersOf(1, shared, passedOn(http), events, own);
    this.#listeners = [
      ...this.#httpListeners(http, means, shared, events),
      this.#multicasts,
      ...protocolListeners({
        config: ownListeners(config),
        ids,
        part,
        points: this.points,
        entrance: this.#entrance,
        playback: this.#playback,
        registry: this.#registry,
        admission: this.#admission,
        proxies: http.proxies,
        targets: proxying,
        multicasts: this.#multicasts,
        onStranger: (...about) => this.#workers?.strangersDatagram(...about),
        onSocket: this.#faulty,
        onDatagrams: faults?.datagrams,
        onLog,
        onEvent: (path, body) => events.event?.(path, body),
        onInternalError: (error) => events.error?.(error),
        onError,
      }),
      this.#administration.listener,
    ];
    this.#upgrades = new Upgrades({
      config: () => settings.config,
      reload: means.load && (() => this.reload()),
      workers: () => this.#workers,
      divide: () => this.#divide(),
      registry: this.#registry,
      connections: () => sumOf(this.#listeners, (each) => (each === this.#workers ? 0 : each.connections)),
      onUpgraded: (processes) => events.upgraded?.(processes),
      onWarning,
    });
    this.#reloader = new Reloader({
      settings,
      points: this.points,
      pulls: this.#pulls,
      multicasts: this.#multicasts,
      access: this.#access,
      logins: means.logins,
      admission: this.#admission,
      tls: this.#tlsWatch,
      load: means.load,
      onWarning,
      onReload: (report) => {
        proxying?.reloaded();
        this.#workers?.reload();
        this.#cluster?.pointsChanged();
        events.reloaded?.(report);
      },
    });
  }

  /**
   * Starts a server.
   *
   * @throws WmError WM_PORT_IN_USE, or WM_FAILED if it cannot listen for another reason; WM_CONFIG if the users, the
   *   key or the certificate are unusable, or rules name users although there is no user file
   */
  static async start(
    config: ServerConfig,
    events: ServerEvents = {},
    { load, file }: StartOptions = {},
  ): Promise<MediaServer> {
    checkConfig(config);
    await warnOfPlaces(config, config.points, (message) => events.warning?.(message));
    if (config.logs) await checkLogFolder(config.logs.folder);
    return MediaServer.#open(config, events, { load, file });
  }

  /**
   * Starts one worker's part of a server, with the configuration that `workerConfig` returns.
   *
   * @throws as {@link start}
   * @internal
   */
  static startPart(config: ServerConfig, events: ServerEvents, part: WorkerPart): Promise<MediaServer> {
    return MediaServer.#open(config, events, { part, load: async () => part.config });
  }

  static async #open(
    config: ServerConfig,
    events: ServerEvents,
    { load, file, part }: StartOptions & { readonly part?: WorkerPart },
  ): Promise<MediaServer> {
    const onWarning = (message: string) => events.warning?.(message);
    const logins = part?.logins ?? new LoginMemory();
    const server = new MediaServer(config, events, {
      part,
      tls: config.tls && (await readTls(config.tls, onWarning)),
      access: await openAccess({ ...config, schemes: config.authentication }, onWarning, logins),
      logins,
      faults: config.faults === undefined ? undefined : parseFaults(config.faults),
      load,
      file,
      cache: await openCache(config, onWarning),
      // Last: a node that has joined has to leave again.
      node: part ? undefined : await joinCluster(config, onWarning),
    });
    if (!part) await server.#logs?.open();
    try {
      for (const listener of server.#listeners) {
        server.#ports = { ...server.#ports, ...(await listener.start()) };
        server.#started.push(listener);
      }
    } catch (error) {
      await server.close();
      throw error;
    }
    for (const point of config.points) server.#pulls.set(point);
    server.#cluster?.start();
    server.#ready = true;
    part?.attend(server, server.#registry);
    return server;
  }

  /** The ports that the server listens on, by protocol. */
  get ports(): ServerPorts {
    return this.#ports;
  }

  /** The URL of the server's root for people on this host or nearby; with TLS if it has that. */
  get baseUrl(): string {
    const { http, https } = this.#ports;
    const { host } = this.#settings.config;
    return https === undefined ? `http://${authority(host, http ?? 0)}` : `https://${authority(host, https)}`;
  }

  stats(): ServerStats {
    let [publishers, points] = [0, 0];
    for (const { publisher } of this.points) {
      points++;
      if (publisher) publishers++;
    }
    const counters = newCounters();
    addCounters(counters, this.#playback.counters);
    for (const each of [this.points, this.#remotes, this.#workers]) if (each) addCounters(counters, each.counters);
    for (const each of this.#proxy?.streams ?? []) addCounters(counters, each.counters);
    const connections = sumOf(this.#listeners, (each) => each.connections);
    const bytesOut = this.#registry.bytesOut + sumOf(this.#listeners, (each) => each.groupBytes);
    const proxy = this.#proxy && { proxy: this.#proxy.stats };
    return { connections, players: this.#registry.players, publishers, points, bytesOut, ...counters, ...proxy };
  }

  /**
   * Plays something next on a point whose source is a file, a folder or a playlist: after the current entry, for all
   * players at the same time. Then the programme goes on.
   *
   * @param path of the point, such as `/live`
   * @param source a file, a folder or a playlist that ends, as in the configuration; or a URL
   * @throws WmError WM_USAGE if the point has no programme, or the source is unusable; WM_NO_INPUT if there is nothing
   *   to play
   */
  async inject(path: string, source: string): Promise<void> {
    await this.#pulls.inject(path, source);
  }

  /**
   * Reads the configuration again and takes over what has changed. Rules, limits and settings count from the next
   * request on; players stay, except those of points that were removed. If the new configuration has mistakes, nothing
   * changes.
   *
   * @throws WmError WM_CONFIG with all mistakes; WM_USAGE if the server has no configuration to read
   */
  reload(): Promise<ReloadReport> {
    return this.#reloader.reload();
  }

  /**
   * Starts new processes for players, with the code that is on the disk now. They take all new connections; those that
   * play stay where they are until they leave, or the time that the configuration allows (`drain`) is over. If anything
   * fails, nothing changes.
   *
   * @throws WmError WM_CONFIG if the configuration has mistakes; WM_FAILED if a process does not start; WM_USAGE while
   *   another upgrade is under way
   */
  upgrade(): Promise<void> {
    return this.#upgrades.upgrade();
  }

  /** The processes of the server, the main one first. */
  get processes(): readonly ProcessView[] {
    return this.#upgrades.processes;
  }

  /**
   * Sends the players of a point a script command, such as TEXT or URL. TEXT is repeated for players that join later.
   *
   * @param path of the point, such as `/live`
   * @throws WmError WM_USAGE if there is no such point, nothing is live, or its stream has none of commands; AsfError if
   *   the command does not fit a packet
   */
  command(path: string, command: Command): void {
    const point = this.points.find(path);
    if (!point) throw new WmError('WM_USAGE', `There is no point ${path}.`);
    if (point.command(command)) return;
    const why = point.broadcast.live ? 'its stream has none for commands: set "scripts: true"' : 'it is offline';
    throw new WmError('WM_USAGE', `${path} takes no script command: ${why}.`);
  }

  /** Ends all broadcasts with $E, disconnects encoders, and stops; bounded in time. */
  async close(): Promise<void> {
    this.#ready = false;
    this.#upgrades.close();
    await this.#pulls.close();
    this.#tlsWatch?.close();
    // Encoders find another node at once.
    await this.#cluster?.close();
    this.#stills.close();
    this.#hls.close();
    await Promise.all([...this.points].map((point) => point.close()));
    this.#push.close();
    this.#wmsp.close();
    await Promise.all(this.#started.map((each) => each.close()));
    await this.#remotes.close();
    await this.#proxy?.close();
    await this.#files.close();
    await this.#logs?.close();
    await this.#hooks.close();
  }

  #clusterOf(
    { node, load }: Means,
    limits: LocalLimits,
    onWarning: (message: string) => void,
  ): ServerCluster | undefined {
    if (!node) return undefined;
    const config = () => this.#settings.config;
    const reload = load && (() => this.#reloader.reload());
    return new ServerCluster({
      node,
      points: this.points,
      registry: this.#registry,
      limits,
      config,
      reload,
      onWarning,
    });
  }

  /** The processes and hosts that share the sessions of this server. */
  get #others(): OtherSessions | undefined {
    const [workers, peers] = [this.#workers, this.#cluster?.peers];
    return workers && peers ? new AllOthers([workers, peers]) : (workers ?? peers);
  }

  /** Passes the log of a player on to the origin; those of WMSP take the way of their session. */
  #forward({ protocol, path, remoteAddress, client, log }: SubmittedLog): void {
    if (!this.#proxy || !log || (protocol !== 'MMSP' && protocol !== 'RTSP')) return;
    this.#proxy.report(path, { log, address: remoteAddress, agent: client }).catch(() => undefined);
  }

  #proxyHost(local: Programs, onWarning: (message: string) => void): ProxyHost {
    const settings = this.#settings;
    return {
      get config() {
        return settings.config;
      },
      local,
      ports: () => this.#ports,
      clients: () => this.#registry.players,
      guard: this.#settings.guard,
      broadcast: { burst: this.#settings.config.live.burst * 1000 },
      onWarning,
    };
  }

  /** Makes the listeners for HTTP: of this process, or of its workers. */
  #httpListeners(
    http: HttpServerOptions,
    { tls: identity, part }: Means,
    shared: SharedByProcesses,
    events: ServerEvents,
  ): Listener[] {
    const { host, httpPort, tls, workers } = this.#settings.config;
    if (workers !== undefined) {
      this.#workers = this.#workersOf(countOf(workers), shared, passedOn(http), events);
      return [this.#workers];
    }
    const listeners: Listener[] = part ? [part.listener(passedOn(http))] : [];
    if (httpPort !== 'none')
      listeners.push(new HttpListener('http', new HttpServer(http), { port: httpPort, host, given: part }));
    if (identity && tls) {
      const https = new HttpServer({ ...http, tls: identity });
      listeners.push(new HttpListener('https', https, { port: tls.port, host, given: part }));
      const onWarning = (message: string) => events.warning?.(message);
      this.#tlsWatch = new TlsWatch(tls, (renewed) => https.renewTls(renewed), onWarning);
    }
    return listeners;
  }

  /** Lets a worker take all new players from now on. */
  async #divide(): Promise<void> {
    const lent = this.#started.flatMap((each) => each.lend?.() ?? []);
    const workers = this.#makeWorkers({ ports: this.#ports, lent });
    // It hears of points that come meanwhile.
    this.#workers = workers;
    try {
      await workers.start();
    } catch (error) {
      this.#workers = undefined;
      throw error;
    }
    this.#listeners.push(workers);
    this.#started.push(workers);
  }

  #workersOf(
    count: number,
    shared: SharedByProcesses,
    http: HttpServer,
    events: ServerEvents,
    own?: OwnPlayers,
  ): Workers {
    return new Workers({
      config: () => this.#settings.config,
      workerConfig: () => workerConfig(this.#settings.config),
      count,
      own,
      points: this.points,
      ...shared,
      http,
      onBegin: (info) => info.role === 'player' && events.play?.(info),
      onEnd: (report) => report.role === 'player' && events.played?.(report),
      // Its line comes by itself.
      onSubmitted: (log) => events.log?.(log),
      onLine: (line) => this.#logs?.line(line),
      onEvent: events.event && ((path, body) => events.event?.(path, body)),
      onWarning: (message) => events.warning?.(message),
      onError: (error) => events.error?.(error),
    });
  }

  /** Tells the other processes of this server about points that come and go. */
  #tellWorkers({ point: path, what }: PointEvent, part: WorkerPart | undefined): void {
    if (part) part.pointsChanged(this.points);
    const point = what === 'created' ? this.points.get(path) : undefined;
    if (point && !point.configured) this.#workers?.created(point);
    if (what === 'removed') this.#workers?.removed(path);
  }

  /** Multicasts a point that a push created from a multicast template. */
  #multicastAsTemplate({ point: path, what }: PointEvent): void {
    if (what === 'removed') this.#multicasts.remove(path);
    const point = what === 'created' || what === 'publishing' ? this.points.get(path) : undefined;
    const { multicast } = point?.settings ?? {};
    if (point && !point.configured && multicast) this.#multicasts.copy(point, multicast);
  }
}

/** Makes the server for connections that other processes pass on. */
function passedOn(http: HttpServerOptions): HttpServer {
  // Faults are injected where the client's own socket is: not again where its bytes are passed on.
  const onSocket = http.onSocket && ((socket: Socket) => !peerOf(socket).passedOn && http.onSocket?.(socket));
  return new HttpServer({ ...http, onSocket });
}

/** What this process has for all processes of the server. */
interface SharedByProcesses {
  readonly limits: Limits;
  readonly ids: SessionIds;
  readonly logins: LoginMemory;
}

/** What is opened before the server is created: the access control, the TLS identity, and the part of a worker. */
interface Means {
  readonly part?: WorkerPart | undefined;
  readonly node: ClusterNode | undefined;
  readonly cache: DiskCache | undefined;
  readonly tls: TlsIdentity | undefined;
  readonly access: AccessControl;
  readonly logins: LoginMemory;
  readonly faults: FaultPlan | undefined;
  readonly load: StartOptions['load'];
  readonly file: StartOptions['file'];
}

/** Returns the configuration of the listeners of this process: with workers, those have the ports of players. */
function ownListeners(config: ServerConfig): ServerConfig {
  if (config.workers === undefined) return config;
  return { ...config, mms: { ...config.mms, port: 'none' }, rtsp: { ...config.rtsp, port: 'none' } };
}

/** Returns a number of processes. */
function countOf(workers: number | 'auto'): number {
  return workers === 'auto' ? availableParallelism() : workers;
}

/** Returns `host:port` for a URL; for a server on all addresses, an address that others can reach. */
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

function sumOf<T>(all: readonly T[], figure: (each: T) => number): number {
  return all.reduce((sum, each) => sum + figure(each), 0);
}
