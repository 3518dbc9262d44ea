import type { Command } from '../../asf/command.js';
import type { AccessControl, Rule } from '../../auth/access.js';
import { callerOf, finishFields, headerRefusal } from '../../auth/header-dialog.js';
import { messageOf } from '../../errors.js';
import type { Exchange } from '../../http/exchange.js';
import { type Field, HttpError } from '../../http/message.js';
import { rawPathOf } from '../../http/target.js';
import type { SessionRole } from '../../playback/registry.js';
import { SERVER_NAME } from '../../wmsp/messages/responses.js';
import { queryOf } from '../content/paths.js';
import { refuseWebPages } from '../web/pages.js';
import { type AdminActions, DEFAULT_LIMIT, ReloadRefused } from './actions.js';

/** The administration on the port of the players. */
export interface AdminApiOptions {
  readonly actions: AdminActions;
  readonly access: AccessControl;
  readonly rule: () => Rule;
  /** Returns the names under which the server may be addressed; see {@link refuseWebPages}. */
  readonly names: () => ReadonlySet<string>;
  readonly onError: (error: unknown) => void;
}

interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly fields?: readonly Field[];
}

/** Returns the body of the answer; nothing for 204. */
type Handler = (parameters: readonly string[], exchange: Exchange) => unknown;

/** `:` matches one percent-encoded segment of the path. */
type Route = readonly [method: 'GET' | 'POST' | 'DELETE', path: string, handler: Handler];

const PREFIX = '/api';
/** The maximum size of a request's body, in bytes. */
const MAX_BODY = 8 * 1024;

/**
 * The administration API: JSON over HTTP (docs/server.md lists the requests). Requests that change something need a
 * header that no web page can make a browser send to another site without asking: `Content-Type: application/json` or
 * `X-Requested-With`.
 */
export class AdminApi {
  readonly #options: AdminApiOptions;
  readonly #routes: readonly Route[] = [
    ['GET', '/status', () => this.#actions.status()],
    ['GET', '/points', () => ({ points: this.#actions.points() })],
    ['GET', '/points/:', ([name]) => this.#actions.point(pathOf(name))],
    ['DELETE', '/points/:', ([name]) => this.#actions.remove(pathOf(name))],
    ['POST', '/points/:/disconnect', ([name]) => this.#actions.disconnect(pathOf(name))],
    [
      'POST',
      '/points/:/inject',
      async ([name], exchange) => this.#actions.inject(pathOf(name), sourceIn(await exchange.readBody(MAX_BODY))),
    ],
    ['POST', '/points/:/start', ([name]) => this.#actions.switch(pathOf(name), true)],
    ['POST', '/points/:/stop', ([name]) => this.#actions.switch(pathOf(name), false)],
    ['POST', '/points/:/open', ([name]) => this.#actions.accept(pathOf(name), true)],
    ['POST', '/points/:/deny', ([name]) => this.#actions.accept(pathOf(name), false)],
    [
      'POST',
      '/points/:/command',
      async ([name], exchange) => this.#actions.command(pathOf(name), commandIn(await exchange.readBody(MAX_BODY))),
    ],
    ['GET', '/publishers', () => ({ publishers: this.#actions.publishers() })],
    ['GET', '/multicasts', () => ({ multicasts: this.#actions.multicasts() })],
    ['GET', '/players', (_, exchange) => this.#list(exchange, 'players', 'player')],
    ['GET', '/sessions', (_, exchange) => this.#list(exchange, 'sessions')],
    ['DELETE', '/sessions/:', ([id = '']) => this.#actions.end(id)],
    ['POST', '/reload', () => this.#actions.reload()],
    ['GET', '/processes', () => ({ processes: this.#actions.processes() })],
    ['POST', '/upgrade', async () => ({ processes: await this.#actions.upgrade() })],
    ['GET', '/nodes', () => ({ nodes: this.#actions.nodes() })],
    ['POST', '/nodes/:/drain', ([name = '']) => this.#actions.drain(name, true)],
    ['POST', '/nodes/:/resume', ([name = '']) => this.#actions.drain(name, false)],
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
        if (error instanceof ReloadRefused) {
          respond(exchange, { status: 422, body: error.body });
          return;
        }
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
    const verdict = await access.check(callerOf(exchange), rule(), 'use the administration');
    const finish = finishFields(verdict.finish, exchange.request);
    if (!verdict.granted) throw verdict.refusal;
    refuseWebPages(exchange, { trusted: verdict.user === undefined }, names());
    refuseForms(exchange);
    const { method } = exchange.request;
    const found = this.#routes.flatMap(([allowed, pattern, handler]) => {
      const parameters = matched(pattern, path);
      return parameters ? [{ allowed, handler, parameters }] : [];
    });
    const route = found.find(({ allowed }) => allowed === method || (allowed === 'GET' && method === 'HEAD'));
    if (route) {
      const body = await route.handler(route.parameters, exchange);
      return { status: body === undefined ? 204 : 200, body, fields: finish };
    }
    if (found.length === 0) throw new HttpError(404, `There is nothing at ${PREFIX}${path}.`);
    const methods = found.map(({ allowed }) => allowed).join(', ');
    return {
      status: 405,
      body: { error: `${method} is not supported here; allowed: ${methods}.` },
      fields: [['Allow', methods]],
    };
  }

  get #actions(): AdminActions {
    return this.#options.actions;
  }

  async #list(exchange: Exchange, name: string, role?: SessionRole): Promise<object> {
    const query = queryOf(exchange.request.target);
    const limit = Number(query.get('limit') ?? DEFAULT_LIMIT);
    if (!Number.isInteger(limit) || limit < 0) throw new HttpError(400, 'The limit is not a number.');
    const { total, sessions } = await this.#actions.sessions({ role, limit, after: query.get('after') ?? undefined });
    return { total, [name]: sessions };
  }
}

function pathOf(name = ''): string {
  return `/${name}`;
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
