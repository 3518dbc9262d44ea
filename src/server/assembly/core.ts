import { MAX_NODES } from '../../cluster/directory.js';
import { WmError } from '../../errors.js';
import { Admission } from '../../http/admission.js';
import { type Limits, LocalLimits } from '../../playback/limits.js';
import { type OtherSessions, SessionRegistry } from '../../playback/registry.js';
import { SessionIds } from '../../playback/session-ids.js';
import type { Publisher } from '../../wmhttp/server/push-gate.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';
import { ServerCluster } from '../cluster/cluster.js';
import { AllOthers } from '../cluster/peers.js';
import type { ServerConfig } from '../config.js';
import type { ServerEvents } from '../events.js';
import { ServerHooks } from '../hooks/server-hooks.js';
import type { ServerPorts } from '../listeners/listener.js';
import { Multicasts } from '../listeners/multicast.js';
import { LiveSettings } from '../live-settings.js';
import { ServerLogs } from '../logs/server-logs.js';
import { type PointEvent, type PublishingPoint, PublishingPoints } from '../points/points.js';
import { settingsOf } from '../points/settings.js';
import type { ReloadReport } from '../reload.js';
import { placesFor, type Workers } from '../workers/workers.js';
import type { Means } from './means.js';
import { workerCount } from './worker-count.js';

/** What the core needs of the parts that are made after it. */
export interface CoreOptions {
  readonly config: ServerConfig;
  readonly events: ServerEvents;
  readonly means: Means;
  /** Reads the configuration again. */
  readonly reload: () => Promise<ReloadReport>;
  /** Passes the log of a player on to the server that its content came from. */
  readonly forward: (log: SubmittedLog) => void;
}

/**
 * What a process of a server has once, for all protocols: its points, sessions, limits, logs and hooks, and what it
 * knows of other processes and hosts.
 */
export class ServerCore {
  readonly events: ServerEvents;
  readonly means: Means;
  readonly settings: LiveSettings;
  readonly ids: SessionIds;
  readonly hooks: ServerHooks;
  readonly registry: SessionRegistry;
  readonly logs: ServerLogs | undefined;
  readonly points: PublishingPoints;
  readonly limits: Limits;
  readonly cluster: ServerCluster | undefined;
  readonly multicasts: Multicasts;
  /** Which connections the listeners of all protocols accept. */
  readonly admission: Admission;
  /** The processes that serve players, if there are any. */
  workers: Workers | undefined;
  /** The ports of all listeners that have started. */
  ports: ServerPorts = {};
  readonly #forward: CoreOptions['forward'];

  constructor({ config, events, means, reload, forward }: CoreOptions) {
    const { part } = means;
    this.events = events;
    this.means = means;
    this.#forward = forward;
    const settings = new LiveSettings(config);
    this.settings = settings;
    const node = means.node && { node: means.node.number, nodes: MAX_NODES };
    this.ids = part?.ids ?? new SessionIds({ ...node, workers: placesFor(workerCount(config.workers ?? 1)) });
    this.hooks = new ServerHooks({ hooks: () => settings.config.hooks, onWarning: this.onWarning });
    this.registry = this.#newRegistry();
    this.logs = this.#newLogs(config);
    this.points = this.#newPoints();
    for (const point of config.points) this.points.configure(point.path, settingsOf(point));
    const localLimits = new LocalLimits(() => settings.limits);
    this.limits = part ?? localLimits;
    this.cluster =
      means.node &&
      new ServerCluster({
        node: means.node,
        points: this.points,
        registry: this.registry,
        limits: localLimits,
        ids: this.ids,
        config: () => settings.config,
        reload: means.load && reload,
        onWarning: this.onWarning,
      });
    this.multicasts = new Multicasts(
      config.points.flatMap(({ path, multicast }) =>
        multicast ? [{ point: this.points.get(path)!, config: multicast }] : [],
      ),
      this.onWarning,
    );
    this.admission = new Admission({
      connections: config.limits.connections,
      perAddress: config.limits.connectionsPerAddress,
      configured: true,
      onWarning: this.onWarning,
    });
  }

  /** Takes a problem that an operator can fix. */
  readonly onWarning = (message: string): void => this.events.warning?.(message);

  /** Takes an internal error that no peer caused. */
  readonly onInternalError = (error: unknown): void => this.events.error?.(error);

  /** Takes an error of content: those in a file or a playlist are for the operator to fix. */
  readonly onError = (error: unknown): void => {
    if (error instanceof WmError) this.onWarning(error.message);
    else this.onInternalError(error);
  };

  /** Takes the log of a player, of any protocol. */
  readonly onLog = (log: SubmittedLog): void => {
    this.logs?.submitted(log);
    this.#forward(log);
    this.events.log?.({ ...log, peer: undefined });
  };

  /** The processes and hosts that share the sessions of this server. */
  get #others(): OtherSessions | undefined {
    const [workers, peers] = [this.workers, this.cluster?.peers];
    return workers && peers ? new AllOthers([workers, peers]) : (workers ?? peers);
  }

  #newRegistry(): SessionRegistry {
    return new SessionRegistry({
      ids: this.ids,
      others: () => this.#others,
      onBegin: (info, session) => {
        this.hooks.began(info);
        if (info.role !== 'player') return;
        this.logs?.began(info, session);
        this.events.play?.(info);
      },
      onEnd: (report, session) => {
        this.hooks.ended(report);
        if (report.role !== 'player') return;
        this.logs?.stopped(session);
        this.events.played?.(report);
      },
    });
  }

  #newLogs({ logs, host }: ServerConfig): ServerLogs | undefined {
    if (!logs) return undefined;
    const { part } = this.means;
    return new ServerLogs({
      config: logs,
      ...(part ? { write: (line: string) => part.line(line) } : {}),
      host,
      players: () => this.registry.players,
      onWarning: this.onWarning,
      onLog: this.onLog,
    });
  }

  #newPoints(): PublishingPoints {
    const { settings, onInternalError } = this;
    const { part, node } = this.means;
    return new PublishingPoints({
      // What feeds a point of a worker is the main process.
      ...(part ? {} : { registry: this.registry }),
      get newPoints() {
        return settings.config.push.newPoints;
      },
      get maxPoints() {
        return settings.config.limits.points;
      },
      get broadcast() {
        const { burst, batchInterval } = settings.config.live;
        return {
          onError: onInternalError,
          burst: burst * 1000,
          ...(batchInterval === undefined ? {} : { batchInterval: batchInterval * 1000 }),
        };
      },
      ...(node && {
        claim: (point: PublishingPoint, publisher: Publisher) => this.cluster!.claim(point, publisher),
        keeps: (path: string) => node.remoteOwner(path) !== undefined,
      }),
      onEvent: (event) => {
        this.#multicastAsTemplate(event);
        this.cluster?.noted(event);
        this.#tellProcesses(event);
        this.events.point?.(event);
      },
      onArchive: (path, file) => this.hooks.archived(path, file),
      onWarning: this.onWarning,
    });
  }

  /** Tells the other processes of this server about points that come and go. */
  #tellProcesses({ point: path, what }: PointEvent): void {
    this.means.part?.pointsChanged(this.points);
    const point = what === 'created' ? this.points.get(path) : undefined;
    if (point && !point.configured) this.workers?.created(point);
    if (what === 'removed') this.workers?.removed(path);
  }

  /** Multicasts a point that a push created from a multicast template. */
  #multicastAsTemplate({ point: path, what }: PointEvent): void {
    if (what === 'removed') this.multicasts.remove(path);
    const point = what === 'created' || what === 'publishing' ? this.points.get(path) : undefined;
    const { multicast } = point?.settings ?? {};
    if (point && !point.configured && multicast) this.multicasts.copy(point, multicast);
  }
}
