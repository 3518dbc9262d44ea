import type { AccessControl } from '../auth/access.js';
import type { LoginMemory } from '../auth/login-memory.js';
import { WmError } from '../errors.js';
import type { Admission } from '../http/admission.js';
import { sourceSpec } from '../sources/spec.js';
import { openUsers } from './access/credentials.js';
import { readTls, type TlsWatch } from './access/tls-files.js';
import type { ServerConfig } from './config.js';
import { checkConfig } from './config-check.js';
import { unusablePlaces } from './config-file.js';
import type { Multicasts } from './listeners/multicast.js';
import type { LiveSettings } from './live-settings.js';
import type { PublishingPoints } from './points/points.js';
import type { PointPulls } from './points/pulls.js';
import { settingsOf } from './points/settings.js';
import { type Changes, changesBetween, type ReloadReport, reportOf } from './reload.js';

/** How a server gets a new configuration while it runs. @public */
export interface StartOptions {
  /** Reads the configuration again, for {@link MediaServer.reload}. */
  readonly load?: (() => Promise<ServerConfig>) | undefined;
  /** The file that it is read from; points can be saved to it. */
  readonly file?: string | undefined;
}

/** The parts of a server that a new configuration changes. */
export interface ReloaderOptions extends StartOptions {
  readonly settings: LiveSettings;
  readonly points: PublishingPoints;
  readonly pulls: PointPulls;
  readonly multicasts: Multicasts;
  readonly access: AccessControl;
  readonly logins: LoginMemory;
  readonly admission: Admission;
  readonly tls: TlsWatch | undefined;
  readonly onWarning: (message: string) => void;
  readonly onReload: (report: ReloadReport) => void;
}

type PointFields = ServerConfig['points'][number];

/** Takes over new configurations, one after the other. */
export class Reloader {
  readonly #options: ReloaderOptions;
  readonly #startedWith: ServerConfig;
  /** Points that were made or changed while the server runs, and that the file does not have, by path. */
  readonly unsaved = new Map<string, PointFields>();
  #turn: Promise<void> = Promise.resolve();

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#startedWith = options.settings.config;
  }

  /** True if there is a configuration to read. */
  get possible(): boolean {
    return this.#options.load !== undefined;
  }

  /**
   * Reads the configuration again and takes over what has changed; with a mistake in it, nothing.
   *
   * @throws WmError WM_CONFIG with all mistakes; WM_USAGE if there is no configuration to read
   */
  reload(): Promise<ReloadReport> {
    const { load } = this.#options;
    if (!load) return Promise.reject(new WmError('WM_USAGE', 'The server was started without a configuration file.'));
    return this.#inTurn(async () => this.#apply(this.#withUnsaved(await load())));
  }

  /**
   * Adds or changes a point, or removes it, as a reload would.
   *
   * @throws WmError WM_CONFIG if the point contradicts the rest of the configuration
   */
  changePoint(path: string, point: PointFields | undefined): Promise<ReloadReport> {
    return this.#inTurn(async () => {
      const { config } = this.#options.settings;
      const isKnown = config.points.some((each) => each.path === path);
      const kept = config.points.flatMap((each) => (each.path === path ? (point ?? []) : each));
      const report = await this.#apply({ ...config, points: isKnown || !point ? kept : [...kept, point] });
      if (point) this.unsaved.set(path, point);
      else this.unsaved.delete(path);
      return report;
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.then(ignore, ignore);
    return done;
  }

  /** Keeps points that were made while the server runs; where the file has a point, the file counts. */
  #withUnsaved(config: ServerConfig): ServerConfig {
    for (const { path } of config.points) this.unsaved.delete(path);
    return { ...config, points: [...config.points, ...this.unsaved.values()] };
  }

  /** Starts or stops a point, with its sources. */
  async switchPoint(path: string, on: boolean): Promise<void> {
    const { points, pulls, settings } = this.#options;
    const point = points.get(path);
    if (!point || point.stopped !== on) return;
    if (on) {
      point.start();
      const configured = settings.config.points.find((each) => each.path === path);
      if (configured) pulls.set(configured);
    } else {
      await pulls.stop(path);
      await point.stop();
    }
  }

  async #apply(config: ServerConfig): Promise<ReloadReport> {
    const { settings, tls, access, logins, admission, onWarning, onReload } = this.#options;
    checkConfig(config);
    const changes = changesBetween(settings.config, config);
    const has = (name: string) => changes.fields.some((field) => field === name || field.startsWith(`${name}.`));
    // Everything that can fail comes first.
    const needsUsers = ['users', 'realm', 'authentication', 'basicWithoutTls'].some((name) => has(name));
    const users = needsUsers
      ? await openUsers({ ...config, schemes: config.authentication }, onWarning, logins)
      : undefined;
    const files = has('tls.cert') || has('tls.key') ? config.tls : undefined;
    const identity = files && (await readTls(files, onWarning));
    await warnOfPlaces(config, [...changes.added, ...changes.changed.map(({ after }) => after)], onWarning);
    settings.update(config);
    if (files && identity) tls?.use(files, identity);
    if (users) access.configure(users);
    const { connections, connectionsPerAddress: perAddress } = config.limits;
    admission.limit({ connections, perAddress });
    await this.#applyPoints(changes, has('content'));
    const { restart } = reportOf(changesBetween(this.#startedWith, config));
    const report = { ...reportOf(changes), restart };
    onReload(report);
    return report;
  }

  async #applyPoints({ added, removed, changed }: Changes, withContent: boolean): Promise<void> {
    const { settings, points, pulls, multicasts } = this.#options;
    for (const { path } of removed) {
      await pulls.stop(path);
      multicasts.remove(path);
      await points.unconfigure(path);
    }
    const isNew = new Set(added);
    const fieldsOf = new Map(changed.map(({ after, fields }) => [after, fields]));
    for (const point of settings.config.points) {
      const fields = fieldsOf.get(point) ?? [];
      const has = (...names: string[]) => isNew.has(point) || names.some((name) => fields.includes(name));
      if (fields.length > 0 || isNew.has(point)) points.configure(point.path, settingsOf(point));
      if (fields.includes('enabled')) await this.switchPoint(point.path, point.enabled !== false);
      if (has('multicast')) {
        multicasts.remove(point.path);
        if (point.multicast) multicasts.add(points.get(point.path)!, point.multicast);
      }
      // Paths of files and playlists are relative to the content folder.
      if (has('source', 'filler', 'onDemand', 'multicast') || (withContent && playsFiles(point))) pulls.set(point);
      else pulls.readLists(point);
    }
  }
}

/** Warns of folders that cannot be written to: broadcasting matters more than an archive, so that is no failure. */
export async function warnOfPlaces(
  config: ServerConfig,
  points: readonly PointFields[],
  onWarning: (message: string) => void,
): Promise<void> {
  for (const { path, message } of await unusablePlaces(config)) {
    const point = path[0] === 'points' ? config.points[Number(path[1])] : undefined;
    if (point && points.includes(point)) onWarning(`${point.path}: ${String(path[2])}: ${message}.`);
  }
}

function playsFiles({ source = [] }: PointFields): boolean {
  return [source].flat().some((written) => 'programme' in sourceSpec(written));
}

function ignore(): void {}
