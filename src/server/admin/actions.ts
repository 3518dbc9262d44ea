import type { Command } from '../../asf/command.js';
import { describeStreams } from '../../asf/describe.js';
import type { AsfHeader } from '../../asf/header.js';
import { messageOf, WmError } from '../../errors.js';
import { HttpError } from '../../http/message.js';
import type { SessionInfo, SessionRegistry, SessionRole } from '../../playback/registry.js';
import { Refusal } from '../../refusal.js';
import { describeContent } from '../../wms/content-description.js';
import { YamlError } from '../../yaml-file.js';
import type { NodeView, ServerCluster } from '../cluster/cluster.js';
import { maskedPoint } from '../config-file.js';
import type { PointEditor } from '../point-editor.js';
import type { PublishingPoint, PublishingPoints } from '../points/points.js';
import type { ReloadReport } from '../reload.js';
import type { ServerStats } from '../stats.js';
import type { Stills } from '../stills.js';
import type { ProcessView } from '../workers/fleet.js';
import { type ArchiveList, deleteArchive, listArchives, type OpenedFile, openArchive } from './archives.js';
import type { AdminEvent, LoggedEvent } from './feed.js';
import { listSessionLogs, openSessionLog, type SessionLogTail, tailSessionLogs } from './session-logs.js';

/** The parts of a server that its administration shows and changes. */
export interface AdminHost {
  readonly points: PublishingPoints;
  /** All sessions of players and publishers. */
  readonly registry: SessionRegistry;
  /** The points that are multicast. */
  readonly multicasts: () => Iterable<object>;
  /** Returns the number of a point's players in other processes. */
  readonly playersElsewhere?: ((path: string) => number) | undefined;
  /** Sends a script command to the players of a point. @throws WmError WM_USAGE; AsfError */
  readonly command: (path: string, command: Command) => void;
  readonly status: () => ServerStatus;
  /** Pictures of what is on air. */
  readonly stills: Stills;
  /** Returns the newest events, the newest first. */
  readonly recent: (limit: number) => readonly LoggedEvent[];
  /**
   * Plays something next on a point with a programme.
   *
   * @throws WmError WM_USAGE, WM_NO_INPUT
   */
  readonly inject: (path: string, source: string) => Promise<void>;
  /** Starts or stops a point. */
  readonly switchPoint: (path: string, on: boolean) => Promise<void>;
  /** Changes configured points. */
  readonly editor: PointEditor;
  /** Reads the configuration again; undefined if there is no file to read. */
  readonly reload?: (() => Promise<ReloadReport>) | undefined;
  /** Replaces the processes that serve players; undefined where only the main process can. */
  readonly upgrade?: (() => Promise<void>) | undefined;
  readonly processes: () => readonly ProcessView[];
  /** The other hosts of a cluster. */
  readonly cluster?: AdminCluster | undefined;
  /** The folder of the session logs; undefined if there are none. */
  readonly logFolder?: string | undefined;
}

/** The parts of a cluster that an administrator sees and changes. */
export type AdminCluster = Pick<
  ServerCluster,
  'node' | 'nodes' | 'ownerName' | 'drain' | 'reloadOthers' | 'disconnectElsewhere'
>;

/** The figures of the server, and how to reach it. */
export interface ServerStatus extends ServerStats {
  /** Seconds since the start. */
  readonly uptime: number;
  /** The most players at a time since the start. */
  readonly playersPeak: number;
  readonly version: string;
  /** The name or address of the server in the URLs of players. */
  readonly host: string;
  /** Ports by protocol. */
  readonly ports: Readonly<Record<string, number | undefined>>;
}

/** A configuration with mistakes: the answer lists them. */
export class ReloadRefused extends Error {
  readonly body: { readonly error: string; readonly problems?: YamlError['problems'] };

  constructor(error: WmError) {
    super(error.message, { cause: error });
    this.name = 'ReloadRefused';
    this.body = { error: messageOf(error), ...(error instanceof YamlError ? { problems: error.problems } : {}) };
  }
}

/** Sessions in a list that sets no limit. */
export const DEFAULT_LIMIT = 1_000;
const MAX_LIMIT = 100_000;
// The reason for an encoder that is disconnected by hand: one after which it does not retry.
const SENT_AWAY = 'forbidden';

/** What an administrator can see and do, whatever way the request came. Paths of points begin with a slash. */
export class AdminActions {
  readonly #host: AdminHost;

  constructor(host: AdminHost) {
    this.#host = host;
  }

  status(): ServerStatus {
    return this.#host.status();
  }

  points(): PointView[] {
    return [...this.#host.points].map((point) => this.#view(point));
  }

  /** @throws HttpError 404, as all that take a path */
  point(path: string): PointView {
    return this.#view(this.#point(path));
  }

  /** Disconnects the encoder, on whichever host of a cluster it is. @throws HttpError 409 without one */
  async disconnect(path: string): Promise<void> {
    const { publisher } = this.#point(path);
    publisher?.disconnect(SENT_AWAY);
    if (publisher || (await this.#host.cluster?.disconnectElsewhere(path))) return;
    throw new HttpError(409, `No encoder is publishing to ${path}.`);
  }

  /** How this host is with the others of its cluster; empty without one. */
  clusterHealth(): { readonly cluster?: 'connected' | 'alone' } {
    const { cluster } = this.#host;
    return cluster ? { cluster: cluster.node.connected ? 'connected' : 'alone' } : {};
  }

  /** The hosts of the cluster. @throws HttpError 404 if the server belongs to none */
  nodes(): NodeView[] {
    return this.#cluster.nodes();
  }

  /** Lets a host take no new sessions, or take some again. @throws HttpError 404; Refusal */
  async drain(name: string, draining: boolean): Promise<void> {
    await this.#cluster.drain(name, draining);
  }

  get #cluster(): AdminCluster {
    const { cluster } = this.#host;
    if (!cluster) throw new HttpError(404, 'The server belongs to no cluster.');
    return cluster;
  }

  /** @throws HttpError 404 or 400 if the source cannot be played */
  async inject(path: string, source: string): Promise<void> {
    this.#point(path);
    try {
      await this.#host.inject(path, source);
    } catch (error) {
      if (!(error instanceof WmError) || error instanceof Refusal) throw error;
      throw new HttpError(error.code === 'WM_NO_INPUT' ? 404 : 400, error.message);
    }
  }

  /** Sends a script command. @throws HttpError 409 or 400 if the point takes none, or not this one */
  command(path: string, command: Command): void {
    this.#point(path);
    try {
      this.#host.command(path, command);
    } catch (error) {
      if (!(error instanceof WmError) || error instanceof Refusal) throw error;
      throw new HttpError(error.code === 'WM_USAGE' ? 409 : 400, error.message);
    }
  }

  /** Returns a JPEG picture of what is on air. @throws HttpError 404 without one */
  async still(path: string): Promise<Buffer> {
    const picture = await this.#host.stills.of(this.#point(path));
    if (!picture) throw new HttpError(404, `There is no picture of ${path}.`);
    return picture;
  }

  /** Lists recordings, the newest first. @param path of a point, which may be a removed one; undefined for all */
  async archives(limit = DEFAULT_LIMIT, path?: string): Promise<ArchiveList> {
    const list = await listArchives(this.#host.points, Math.min(limit, MAX_LIMIT), path);
    // A point that was removed has recordings, or it never was.
    if (path !== undefined && list.total === 0) this.#point(path);
    return list;
  }

  /** @throws HttpError 404 */
  openArchive(path: string, name: string): Promise<OpenedFile> {
    return openArchive(this.#host.points, path, name);
  }

  /** @throws HttpError 404, or 409 while it is being recorded */
  deleteArchive(path: string, name: string): Promise<void> {
    return deleteArchive(this.#host.points, path, name);
  }

  /** Returns the newest events, the newest first. */
  log(limit: number): LogLine[] {
    return this.#host.recent(limit).map(({ at, name, data }) => ({ at: time(at), name, data }));
  }

  /** Lists the files of session logs, the newest first. */
  sessionLogs(limit: number): ReturnType<typeof listSessionLogs> {
    return listSessionLogs(this.#host.logFolder, limit);
  }

  /** @throws HttpError 404 */
  openSessionLog(name: string): Promise<OpenedFile> {
    return openSessionLog(this.#host.logFolder, name);
  }

  /** Returns the last lines of the session logs, or those after a cursor. @throws HttpError 400 */
  sessionLogTail(limit: number, after?: string): Promise<SessionLogTail> {
    return tailSessionLogs(this.#host.logFolder, { limit: Math.min(limit, DEFAULT_LIMIT), after });
  }

  async switch(path: string, on: boolean): Promise<void> {
    this.#point(path);
    await this.#host.switchPoint(path, on);
  }

  accept(path: string, accepts: boolean): void {
    this.#point(path).acceptsPlayers = accepts;
  }

  /** Adds a point to the configuration. @throws HttpError 400, 409 as {@link PointEditor.create} */
  async create(given: unknown): Promise<PointView> {
    return this.point(await this.#host.editor.create(given));
  }

  /** Changes a configured point. @throws HttpError 400, 404 as {@link PointEditor.change} */
  async change(path: string, given: unknown): Promise<PointView> {
    await this.#host.editor.change(path, given);
    return this.point(path);
  }

  /** Returns the fields of a configured point, without passwords. */
  settings(path: string): object {
    const { editor } = this.#host;
    return { saved: !editor.isUnsaved(path), point: maskedPoint(editor.fieldsOf(path)) };
  }

  /** Writes a configured point to the file. */
  async save(path: string): Promise<void> {
    await this.#host.editor.save(path);
  }

  /**
   * Ends the broadcast and removes the point.
   *
   * @param saved true to remove it from the configuration file, too
   * @throws HttpError 409 if the file has it and `saved` is false
   */
  async remove(path: string, saved = false): Promise<void> {
    const point = this.#point(path);
    if (point.configured) await this.#host.editor.remove(path, saved);
    point.publisher?.disconnect(SENT_AWAY);
    void point.close();
    this.#host.points.remove(point);
  }

  publishers(): PublisherView[] {
    return [...this.#host.points].flatMap((point) => {
      const publisher = publisherView(point);
      return publisher ? [{ point: point.path, ...publisher }] : [];
    });
  }

  multicasts(): object[] {
    return [...this.#host.multicasts()];
  }

  /** Lists sessions in the order in which they began, after the one with the id `after`. */
  async sessions({
    role,
    limit = DEFAULT_LIMIT,
    after,
  }: {
    readonly role?: SessionRole | undefined;
    readonly limit?: number | undefined;
    readonly after?: string | undefined;
  }): Promise<{ readonly total: number; readonly sessions: SessionView[] }> {
    const { total, sessions } = await this.#host.registry.list({
      limit: Math.min(limit, MAX_LIMIT),
      ...(role ? { role } : {}),
      ...(after === undefined ? {} : { after }),
    });
    return { total, sessions: sessions.map(sessionView) };
  }

  /** Ends a session. @throws HttpError 404 */
  async end(id: string): Promise<void> {
    if (!(await this.#host.registry.end(id))) throw new HttpError(404, `There is no session ${id}.`);
  }

  /**
   * Reads the configuration again, and lets the other hosts of a cluster do so.
   *
   * @throws HttpError 409 without a configuration file; ReloadRefused if it has mistakes
   */
  async reload(): Promise<ReloadReport & { readonly nodes?: object }> {
    const own = await this.#reload();
    const { cluster } = this.#host;
    return cluster ? { ...own, nodes: await cluster.reloadOthers() } : own;
  }

  /** The processes of the server, the main one first. */
  processes(): readonly ProcessView[] {
    return this.#host.processes();
  }

  /**
   * Replaces the processes that serve players.
   *
   * @returns all processes
   * @throws HttpError 409 if that failed; ReloadRefused if the configuration has mistakes
   */
  async upgrade(): Promise<readonly ProcessView[]> {
    try {
      await this.#host.upgrade?.();
    } catch (error) {
      if (!(error instanceof WmError)) throw error;
      throw error.code === 'WM_CONFIG' ? new ReloadRefused(error) : new HttpError(409, messageOf(error));
    }
    return this.processes();
  }

  async #reload(): Promise<ReloadReport> {
    const { reload } = this.#host;
    if (!reload) throw new HttpError(409, 'The server was started without a configuration file.');
    try {
      return await reload();
    } catch (error) {
      throw error instanceof WmError ? new ReloadRefused(error) : error;
    }
  }

  #view(point: PublishingPoint): PointView {
    const { playersElsewhere, stills, cluster } = this.#host;
    const view = pointView(point, {
      playersElsewhere: playersElsewhere?.(point.path) ?? 0,
      still: stills.offers(point),
    });
    return cluster ? { ...view, node: cluster.ownerName(point.path) ?? null } : view;
  }

  #point(path: string): PublishingPoint {
    const point = this.#host.points.get(path);
    if (!point) throw new HttpError(404, `There is no point ${path}.`);
    return point;
  }
}

/** An event of the log. */
export interface LogLine extends AdminEvent {
  readonly at: string;
}

/** A session as the API shows it. */
export type SessionView = ReturnType<typeof sessionView>;
/** A point as the API shows it. */
export type PointView = ReturnType<typeof pointView> & { readonly node?: string | null };
/** An encoder, and the point that it publishes to. */
export type PublisherView = { readonly point: string } & NonNullable<ReturnType<typeof publisherView>>;

/** Returns a session as the API shows it. */
export function sessionView({ since, user, entry, ...info }: SessionInfo) {
  return { ...info, user: user ?? null, entry: entry ?? null, since: time(since) };
}

function pointView(
  point: PublishingPoint,
  { playersElsewhere, still }: { readonly playersElsewhere: number; readonly still: boolean },
) {
  const { path, configured, broadcast } = point;
  return {
    path,
    configured,
    live: broadcast.live,
    stopped: point.stopped,
    acceptsPlayers: point.acceptsPlayers,
    players: broadcast.players + playersElsewhere,
    publisher: publisherView(point) ?? null,
    ...mediaView(broadcast.live ? broadcast.header : undefined),
    still,
    archived: point.settings.archive !== undefined,
    ...broadcast.counters,
  };
}

const OFFLINE = { title: null, bitRate: 0, streams: [] };
/** Headers change rarely, and lists are asked for often. */
const described = new WeakMap<AsfHeader, ReturnType<typeof describeMedia>>();

function mediaView(header: AsfHeader | undefined) {
  if (!header) return OFFLINE;
  const view = described.get(header) ?? describeMedia(header);
  described.set(header, view);
  return view;
}

function describeMedia(header: AsfHeader) {
  const { title = null } = Object.fromEntries(describeContent(header)) as { readonly title?: string };
  return { title, bitRate: header.fileProperties.maximumBitrate, streams: describeStreams(header) };
}

function publisherView({ publisher, publishingSince }: PublishingPoint) {
  if (!publisher) return undefined;
  const { remoteAddress, user, lost } = publisher;
  return { remoteAddress, user: user ?? null, lost, since: time(publishingSince) };
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
