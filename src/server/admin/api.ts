import type { Command } from '../../asf/command.js';
import type { AccessControl, Rule } from '../../auth/access.js';
import { callerOf, finishFields, headerRefusal } from '../../auth/header-dialog.js';
import { messageOf, WmError } from '../../errors.js';
import type { Exchange } from '../../http/exchange.js';
import { type Field, HttpError } from '../../http/message.js';
import { rawPathOf } from '../../http/target.js';
import type { SessionInfo, SessionRegistry, SessionRole } from '../../playback/registry.js';
import { Refusal } from '../../refusal.js';
import { SERVER_NAME } from '../../wmsp/messages/responses.js';
import { YamlError } from '../../yaml-file.js';
import { queryOf } from '../content/paths.js';
import type { PublishingPoint, PublishingPoints } from '../points/points.js';
import { refuseWebPages } from '../web/pages.js';

/** The parts of a server that its API shows and changes. */
export interface AdminApiOptions {
  readonly points: PublishingPoints;
  /** All sessions of players and publishers. */
  readonly registry: SessionRegistry;
  /** The points that are multicast. */
  readonly multicasts: () => Iterable<object>;
  /** Returns the number of a point's players in other processes. */
  readonly playersElsewhere?: (path: string) => number;
  /** Returns the figures for /api/status. */
  readonly status: () => object;
  readonly access: AccessControl;
  readonly rule: Rule;
  /** The names under which the server may be addressed; see {@link refuseWebPages}. */
  readonly names: ReadonlySet<string>;
  /**
   * Plays something next on a point with a programme.
   *
   * @throws WmError WM_USAGE, WM_NO_INPUT
   */
  readonly inject: (path: string, source: string) => Promise<void>;
  /** Starts or stops a point. */
  readonly switchPoint: (path: string, on: boolean) => Promise<void>;
  /** Reads the configuration again; undefined if there is no file to read. */
  readonly reload?: (() => Promise<object>) | undefined;
  /** Sends a script command to the players of a point. @throws WmError WM_USAGE; AsfError */
  readonly command: (path: string, command: Command) => void;
  readonly onError: (error: unknown) => void;
}

interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly fields?: readonly Field[];
}

type Handler = (parameters: readonly string[], exchange: Exchange) => Reply | Promise<Reply>;

/** `:` matches one percent-encoded segment of the path. */
type Route = readonly [method: 'GET' | 'POST' | 'DELETE', path: string, handler: Handler];

const PREFIX = '/api';
const DEFAULT_LIMIT = 1_000;
const MAX_LIMIT = 100_000;
/** The maximum size of a request's body, in bytes. */
const MAX_BODY = 8 * 1024;
// The reason for an encoder that is disconnected by hand: one after which it does not retry.
const SENT_AWAY = 'forbidden';

/**
 * The administration API: JSON over HTTP (docs/server.md lists the requests). Requests that change something need a
 * header that no web page can make a browser send to another site without asking: `Content-Type: application/json` or
 * `X-Requested-With`.
 */
export class AdminApi {
  readonly #options: AdminApiOptions;
  readonly #routes: readonly Route[] = [
    ['GET', '/status', () => ({ status: 200, body: this.#options.status() })],
    [
      'GET',
      '/points',
      () => ({ status: 200, body: { points: [...this.#options.points].map((point) => this.#pointView(point)) } }),
    ],
    ['GET', '/points/:', ([name]) => ({ status: 200, body: this.#pointView(this.#point(name)) })],
    ['DELETE', '/points/:', ([name]) => this.#remove(this.#point(name))],
    ['POST', '/points/:/disconnect', ([name]) => this.#disconnect(this.#point(name))],
    ['POST', '/points/:/inject', ([name], exchange) => this.#inject(this.#point(name), exchange)],
    ['POST', '/points/:/start', ([name]) => this.#switch(this.#point(name), true)],
    ['POST', '/points/:/stop', ([name]) => this.#switch(this.#point(name), false)],
    ['POST', '/points/:/open', ([name]) => this.#accept(this.#point(name), true)],
    ['POST', '/points/:/deny', ([name]) => this.#accept(this.#point(name), false)],
    ['POST', '/points/:/command', ([name], exchange) => this.#command(this.#point(name), exchange)],
    ['GET', '/publishers', () => ({ status: 200, body: { publishers: this.#publishers() } })],
    ['GET', '/multicasts', () => ({ status: 200, body: { multicasts: [...this.#options.multicasts()] } })],
    [
      'GET',
      '/players',
      async (_, exchange) => ({ status: 200, body: await this.#list(exchange, 'players', 'player') }),
    ],
    ['GET', '/sessions', async (_, exchange) => ({ status: 200, body: await this.#list(exchange, 'sessions') })],
    ['DELETE', '/sessions/:', ([id]) => this.#end(id)],
    ['POST', '/reload', () => this.#reload()],
  ];

  constructor(options: AdminApiOptions) {
    this.#options = options;
  }

  /** Answers a request whose path is below /api. @returns false for any other request */
  handle(exchange: Exchange): boolean {
    const path = rawPathOf(exchange.request.target);
    if (path !== PREFIX && !path.startsWith(`${PREFIX}/`)) return false;
    this.#answer(exchange, path.slice(PREFIX.length)).then(
      (reply) => respond(exchange, reply),
      (error: unknown) => {
        const refusal = headerRefusal(error, exchange.request);
        if (!refusal) this.#options.onError(error);
        const body = { error: refusal ? messageOf(error) : 'An internal error occurred.' };
        respond(exchange, { status: 500, ...refusal, body });
      },
    );
    return true;
  }

  async #answer(exchange: Exchange, path: string): Promise<Reply> {
    const { access, rule, names } = this.#options;
    const verdict = await access.check(callerOf(exchange), rule, 'use the administration');
    const finish = finishFields(verdict.finish, exchange.request);
    if (!verdict.granted) throw verdict.refusal;
    refuseWebPages(exchange, { trusted: verdict.user === undefined }, names);
    refuseForms(exchange);
    const { method } = exchange.request;
    const found = this.#routes.flatMap(([allowed, pattern, handler]) => {
      const parameters = matched(pattern, path);
      return parameters ? [{ allowed, handler, parameters }] : [];
    });
    const route = found.find(({ allowed }) => allowed === method || (allowed === 'GET' && method === 'HEAD'));
    if (route) return { ...(await route.handler(route.parameters, exchange)), fields: finish };
    if (found.length === 0) throw new HttpError(404, `There is nothing at ${PREFIX}${path}.`);
    const methods = found.map(({ allowed }) => allowed).join(', ');
    return {
      status: 405,
      body: { error: `${method} is not supported here; allowed: ${methods}.` },
      fields: [['Allow', methods]],
    };
  }

  #point(name = ''): PublishingPoint {
    const point = this.#options.points.get(`/${name}`);
    if (!point) throw new HttpError(404, `There is no point /${name}.`);
    return point;
  }

  async #reload(): Promise<Reply> {
    const { reload } = this.#options;
    if (!reload) throw new HttpError(409, 'The server was started without a configuration file.');
    try {
      return { status: 200, body: await reload() };
    } catch (error) {
      if (!(error instanceof WmError)) throw error;
      return {
        status: 422,
        body: { error: messageOf(error), ...(error instanceof YamlError && { problems: error.problems }) },
      };
    }
  }

  #pointView(point: PublishingPoint): object {
    const { path, configured, broadcast } = point;
    return {
      path,
      configured,
      live: broadcast.live,
      stopped: point.stopped,
      acceptsPlayers: point.acceptsPlayers,
      players: broadcast.players + (this.#options.playersElsewhere?.(path) ?? 0),
      publisher: publisherView(point) ?? null,
      ...broadcast.counters,
    };
  }

  #disconnect({ path, publisher }: PublishingPoint): Reply {
    if (!publisher) throw new HttpError(409, `No encoder is publishing to ${path}.`);
    publisher.disconnect(SENT_AWAY);
    return { status: 204 };
  }

  async #inject({ path }: PublishingPoint, exchange: Exchange): Promise<Reply> {
    const source = sourceIn(await exchange.readBody(MAX_BODY));
    try {
      await this.#options.inject(path, source);
    } catch (error) {
      if (!(error instanceof WmError) || error instanceof Refusal) throw error;
      throw new HttpError(error.code === 'WM_NO_INPUT' ? 404 : 400, error.message);
    }
    return { status: 204 };
  }

  async #switch({ path }: PublishingPoint, on: boolean): Promise<Reply> {
    await this.#options.switchPoint(path, on);
    return { status: 204 };
  }

  #accept(point: PublishingPoint, accepts: boolean): Reply {
    point.acceptsPlayers = accepts;
    return { status: 204 };
  }

  async #command({ path }: PublishingPoint, exchange: Exchange): Promise<Reply> {
    const command = commandIn(await exchange.readBody(MAX_BODY));
    try {
      this.#options.command(path, command);
    } catch (error) {
      if (!(error instanceof WmError) || error instanceof Refusal) throw error;
      throw new HttpError(error.code === 'WM_USAGE' ? 409 : 400, error.message);
    }
    return { status: 204 };
  }

  #remove(point: PublishingPoint): Reply {
    if (point.configured) throw new HttpError(409, `${point.path} is part of the configuration.`);
    point.publisher?.disconnect(SENT_AWAY);
    void point.close();
    this.#options.points.remove(point);
    return { status: 204 };
  }

  #publishers(): object[] {
    return [...this.#options.points].flatMap((point) => {
      const publisher = publisherView(point);
      return publisher ? [{ point: point.path, ...publisher }] : [];
    });
  }

  async #list(exchange: Exchange, name: string, role?: SessionRole): Promise<object> {
    const query = queryOf(exchange.request.target);
    const asked = Number(query.get('limit') ?? DEFAULT_LIMIT);
    if (!Number.isInteger(asked) || asked < 0) throw new HttpError(400, 'The limit is not a number.');
    const after = query.get('after');
    const { total, sessions } = await this.#options.registry.list({
      limit: Math.min(asked, MAX_LIMIT),
      ...(role ? { role } : {}),
      ...(after === null ? {} : { after }),
    });
    return { total, [name]: sessions.map(sessionView) };
  }

  async #end(id = ''): Promise<Reply> {
    if (!(await this.#options.registry.end(id))) throw new HttpError(404, `There is no session ${id}.`);
    return { status: 204 };
  }
}

function sessionView({ since, user, entry, ...info }: SessionInfo): object {
  return { ...info, user: user ?? null, entry: entry ?? null, since: time(since) };
}

function publisherView({ publisher, publishingSince }: PublishingPoint): object | undefined {
  if (!publisher) return undefined;
  const { remoteAddress, user, lost } = publisher;
  return { remoteAddress, user: user ?? null, lost, since: time(publishingSince) };
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/** Returns the source that the JSON body of a request names. @throws HttpError 400 */
const COMMAND_TYPE = /^[A-Z][A-Z0-9_]{0,30}$/;

function jsonIn(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new HttpError(400, 'The body is not JSON.');
  }
}

function commandIn(body: Buffer): Command {
  const given = jsonIn(body);
  const { type, text = '' } = (given instanceof Object ? given : {}) as {
    readonly type?: unknown;
    readonly text?: unknown;
  };
  if (typeof type !== 'string' || typeof text !== 'string' || !COMMAND_TYPE.test(type)) {
    throw new HttpError(
      400,
      'The body must be {"type": "TEXT", "text": "…"}; other types are URL, FILENAME and EVENT.',
    );
  }
  return { type, text };
}

function sourceIn(body: Buffer): string {
  const given = jsonIn(body);
  const source = given instanceof Object && 'source' in given ? given.source : undefined;
  if (typeof source !== 'string' || source.trim() === '') {
    throw new HttpError(400, 'The body must be {"source": "…"}, with a file, a folder, a playlist or a URL.');
  }
  return source;
}

function matched(pattern: string, path: string): string[] | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const fits = wanted.every((segment, index) => segment === ':' || segment === given[index]);
  return fits ? given.filter((_, index) => wanted[index] === ':').map(decoded) : undefined;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new HttpError(400, 'The path is badly escaped.');
  }
}

/** A web page can make a browser submit a form without asking, but not a request with one of these headers. */
function refuseForms({ request: { headers, method } }: Exchange): void {
  if (method === 'GET' || method === 'HEAD') return;
  const json = /^application\/json(?:;|$)/i.test(headers.get('Content-Type') ?? '');
  if (!json && headers.get('X-Requested-With') === undefined) {
    throw new HttpError(403, 'A change needs the header Content-Type: application/json, or X-Requested-With.');
  }
}

function respond(exchange: Exchange, { status, body, fields = [] }: Reply): void {
  const common: Field[] = [
    ['Server', SERVER_NAME],
    ['Cache-Control', 'no-store'],
    ['X-Content-Type-Options', 'nosniff'],
  ];
  if (body === undefined) {
    exchange.respond({ status, fields: [...common, ...fields] });
    return;
  }
  const all: Field[] = [...common, ['Content-Type', 'application/json'], ...fields];
  exchange.respond({ status, fields: all, body: Buffer.from(`${JSON.stringify(body)}\n`) });
}
