import type { Command } from '../asf/command.js';
import { WmError } from '../errors.js';
import { Administration } from './admin/administration.js';
import { AdminFeed } from './admin/feed.js';
import { addCounters, newCounters } from './admin/totals.js';
import { baseUrlOf } from './assembly/base-url.js';
import { ContentWay } from './assembly/content-way.js';
import { ServerCore } from './assembly/core.js';
import { type Means, openMeans } from './assembly/means.js';
import { Openings } from './assembly/openings.js';
import { RequestWay } from './assembly/request-way.js';
import type { ServerConfig } from './config.js';
import { checkConfig } from './config-check.js';
import { masked } from './config-file.js';
import { type ServerEvents, watched } from './events.js';
import type { ServerPorts } from './listeners/listener.js';
import { checkLogFolder } from './logs/log-writer.js';
import { PointEditor } from './point-editor.js';
import type { PublishingPoints } from './points/points.js';
import type { ReloadReport } from './reload.js';
import { Reloader, type StartOptions, warnOfPlaces } from './reloader.js';
import type { ServerStats } from './stats.js';
import { Upgrades } from './upgrades.js';
import type { ProcessView } from './workers/fleet.js';
import type { WorkerPart } from './workers/worker.js';

/** The media server: publishing points, and the listeners that feed and play them. @public */
export class MediaServer {
  readonly points: PublishingPoints;
  readonly #core: ServerCore;
  readonly #content: ContentWay;
  readonly #requests: RequestWay;
  readonly #administration: Administration;
  readonly #openings: Openings;
  readonly #upgrades: Upgrades;
  readonly #reloader: Reloader;
  #ready = false;

  private constructor(config: ServerConfig, given: ServerEvents, means: Means) {
    const feed = new AdminFeed();
    this.#core = new ServerCore({
      config,
      events: watched(given, feed, (protocol) => this.#administration.started(protocol, this.#core.registry.players)),
      means,
      reload: () => this.reload(),
      forward: (log) => this.#content.forward(log),
    });
    this.points = this.#core.points;
    this.#content = new ContentWay(this.#core);
    this.#requests = new RequestWay(this.#core, this.#content);
    this.#administration = this.#newAdministration(feed);
    this.#openings = new Openings({
      core: this.#core,
      content: this.#content,
      requests: this.#requests,
      administration: this.#administration,
    });
    this.#upgrades = this.#newUpgrades();
    this.#reloader = this.#newReloader();
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
    options: StartOptions & { readonly part?: WorkerPart },
  ): Promise<MediaServer> {
    const { part } = options;
    const means = await openMeans(config, (message) => events.warning?.(message), options);
    const server = new MediaServer(config, events, means);
    const { logs, cluster, registry } = server.#core;
    if (!part) await logs?.open();
    try {
      await server.#openings.start();
    } catch (error) {
      await server.close();
      throw error;
    }
    for (const point of config.points) server.#content.pulls.set(point);
    cluster?.start();
    server.#ready = true;
    part?.attend(server, registry);
    return server;
  }

  /** The ports that the server listens on, by protocol. */
  get ports(): ServerPorts {
    return this.#core.ports;
  }

  /** The URL of the server's root for people on this host or nearby; with TLS if it has that. */
  get baseUrl(): string {
    return baseUrlOf(this.#core.settings.config.host, this.ports);
  }

  stats(): ServerStats {
    let [publishers, points] = [0, 0];
    for (const { publisher } of this.points) {
      points++;
      if (publisher) publishers++;
    }
    const { registry, workers } = this.#core;
    const { playback, remotes, proxy: passing } = this.#content;
    const counters = newCounters();
    addCounters(counters, playback.counters);
    for (const each of [this.points, remotes, workers]) if (each) addCounters(counters, each.counters);
    for (const each of passing?.streams ?? []) addCounters(counters, each.counters);
    const { connections, groupBytes } = this.#openings;
    const bytesOut = registry.bytesOut + groupBytes;
    const proxy = passing && { proxy: passing.stats };
    return { connections, players: registry.players, publishers, points, bytesOut, ...counters, ...proxy };
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
    await this.#content.pulls.inject(path, source);
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
    const { cluster, logs, hooks } = this.#core;
    this.#ready = false;
    await this.#upgrades.close();
    await this.#content.pulls.close();
    this.#openings.tlsWatch?.close();
    // Encoders find another node at once.
    await cluster?.close();
    this.#requests.closePages();
    await Promise.all([...this.points].map((point) => point.close()));
    this.#requests.closeSessions();
    await this.#openings.close();
    await this.#content.close();
    await logs?.close();
    await hooks.close();
  }

  #newAdministration(feed: AdminFeed): Administration {
    const core = this.#core;
    const { settings, points, registry, means } = core;
    const { admin } = settings.config;
    return new Administration({
      editor: new PointEditor({ file: means.file, config: () => settings.config, reloader: () => this.#reloader }),
      points,
      registry,
      feed,
      stills: this.#requests.stills,
      multicasts: () => core.multicasts,
      playersElsewhere: (path) => (core.workers?.playersOf(path) ?? 0) + (core.cluster?.peers.of(path).players ?? 0),
      cluster: core.cluster,
      stats: () => this.stats(),
      ports: () => this.ports,
      hostName: () => new URL(this.baseUrl).hostname,
      inject: (path, source) => this.inject(path, source),
      switchPoint: (path, on) => this.#reloader.switchPoint(path, on),
      command: (path, command) => this.command(path, command),
      reload: means.load && (() => this.reload()),
      upgrade: means.part ? undefined : () => this.upgrade(),
      processes: () => this.processes,
      access: means.access,
      rule: () => settings.rules.admin,
      names: () => settings.names,
      config: () => masked(settings.config),
      logFolder: settings.config.logs?.folder,
      ready: () => this.#ready,
      onError: core.onInternalError,
      host: admin.host,
      port: means.part ? 'none' : (admin.port ?? 'none'),
    });
  }

  #newUpgrades(): Upgrades {
    const core = this.#core;
    return new Upgrades({
      config: () => core.settings.config,
      reload: core.means.load && (() => this.reload()),
      workers: () => core.workers,
      divide: () => this.#openings.divide(),
      registry: core.registry,
      connections: () => this.#openings.ownConnections,
      onUpgraded: (processes) => core.events.upgraded?.(processes),
      onWarning: core.onWarning,
    });
  }

  #newReloader(): Reloader {
    const core = this.#core;
    const { settings, points, multicasts, admission, means, onWarning } = core;
    return new Reloader({
      settings,
      points,
      pulls: this.#content.pulls,
      multicasts,
      access: means.access,
      logins: means.logins,
      admission,
      tls: this.#openings.tlsWatch,
      load: means.load,
      onWarning,
      onReload: (report) => {
        this.#content.proxying?.reloaded();
        core.workers?.reload();
        core.cluster?.pointsChanged();
        core.events.reloaded?.(report);
      },
    });
  }
}
