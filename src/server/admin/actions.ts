import type { Command } from '../../asf/command.js';
import { messageOf, WmError } from '../../errors.js';
import { HttpError } from '../../http/message.js';
import type { SessionInfo, SessionRegistry, SessionRole } from '../../playback/registry.js';
import { Refusal } from '../../refusal.js';
import { YamlError } from '../../yaml-file.js';
import type { PublishingPoint, PublishingPoints } from '../points/points.js';
import type { ReloadReport } from '../reload.js';
import type { ServerStats } from '../stats.js';

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
  /** Returns the figures of the server; `uptime` in seconds. */
  readonly status: () => ServerStats & { readonly uptime: number };
  /**
   * Plays something next on a point with a programme.
   *
   * @throws WmError WM_USAGE, WM_NO_INPUT
   */
  readonly inject: (path: string, source: string) => Promise<void>;
  /** Starts or stops a point. */
  readonly switchPoint: (path: string, on: boolean) => Promise<void>;
  /** Reads the configuration again; undefined if there is no file to read. */
  readonly reload?: (() => Promise<ReloadReport>) | undefined;
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

  status(): ServerStats & { readonly uptime: number } {
    return this.#host.status();
  }

  points(): PointView[] {
    return [...this.#host.points].map((point) => this.#view(point));
  }

  /** @throws HttpError 404, as all that take a path */
  point(path: string): PointView {
    return this.#view(this.#point(path));
  }

  /** Disconnects the encoder. @throws HttpError 409 without one */
  disconnect(path: string): void {
    const { publisher } = this.#point(path);
    if (!publisher) throw new HttpError(409, `No encoder is publishing to ${path}.`);
    publisher.disconnect(SENT_AWAY);
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

  async switch(path: string, on: boolean): Promise<void> {
    this.#point(path);
    await this.#host.switchPoint(path, on);
  }

  accept(path: string, accepts: boolean): void {
    this.#point(path).acceptsPlayers = accepts;
  }

  /** Ends the broadcast and removes the point. @throws HttpError 409 if it is part of the configuration */
  remove(path: string): void {
    const point = this.#point(path);
    if (point.configured) throw new HttpError(409, `${point.path} is part of the configuration.`);
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

  /** @throws HttpError 409 without a configuration file; ReloadRefused if it has mistakes */
  async reload(): Promise<ReloadReport> {
    const { reload } = this.#host;
    if (!reload) throw new HttpError(409, 'The server was started without a configuration file.');
    try {
      return await reload();
    } catch (error) {
      throw error instanceof WmError ? new ReloadRefused(error) : error;
    }
  }

  #view(point: PublishingPoint): PointView {
    return pointView(point, this.#host.playersElsewhere?.(point.path) ?? 0);
  }

  #point(path: string): PublishingPoint {
    const point = this.#host.points.get(path);
    if (!point) throw new HttpError(404, `There is no point ${path}.`);
    return point;
  }
}

/** A session as the API shows it. */
export type SessionView = ReturnType<typeof sessionView>;
/** A point as the API shows it. */
export type PointView = ReturnType<typeof pointView>;
/** An encoder, and the point that it publishes to. */
export type PublisherView = { readonly point: string } & NonNullable<ReturnType<typeof publisherView>>;

/** Returns a session as the API shows it. */
export function sessionView({ since, user, entry, ...info }: SessionInfo) {
  return { ...info, user: user ?? null, entry: entry ?? null, since: time(since) };
}

function pointView(point: PublishingPoint, playersElsewhere: number) {
  const { path, configured, broadcast } = point;
  return {
    path,
    configured,
    live: broadcast.live,
    stopped: point.stopped,
    acceptsPlayers: point.acceptsPlayers,
    players: broadcast.players + playersElsewhere,
    publisher: publisherView(point) ?? null,
    ...broadcast.counters,
  };
}

function publisherView({ publisher, publishingSince }: PublishingPoint) {
  if (!publisher) return undefined;
  const { remoteAddress, user, lost } = publisher;
  return { remoteAddress, user: user ?? null, lost, since: time(publishingSince) };
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
