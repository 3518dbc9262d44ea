import type { IncomingMessage } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import { createRoute, OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { AccessControl, Rule } from '../../auth/access.js';
import { callerOf, finishFields, type HeaderRequest, headerRefusal } from '../../auth/header-dialog.js';
import { messageOf } from '../../errors.js';
import { isLoopback } from '../../http/addresses.js';
import { HeaderFields, HttpError } from '../../http/message.js';
import { refuseWebPages } from '../web/pages.js';
import { type AdminActions, DEFAULT_LIMIT, ReloadRefused } from './actions.js';
import type { AdminFeed } from './feed.js';
import type { Metrics } from './metrics.js';
import * as schemas from './schemas.js';

/** The administration on its own port. */
export interface AdminAppOptions {
  readonly actions: AdminActions;
  readonly access: AccessControl;
  readonly rule: Rule;
  readonly names: ReadonlySet<string>;
  readonly feed: AdminFeed;
  readonly metrics: Metrics;
  /** Returns the configuration in effect, without passwords. */
  readonly config: () => object;
  /** True once the server listens, and until it closes. */
  readonly ready: () => boolean;
  readonly version: string;
  readonly page: string;
  readonly onError: (error: unknown) => void;
}

type Bindings = { Bindings: HttpBindings };

/** How often watchers get the figures of the server, in ms. */
const STATS_INTERVAL = 2_000;
/** Open to everyone who reaches the port: they say nothing but whether the server works. */
const OPEN = new Set(['/health', '/ready']);

/** Builds the application: the API with its OpenAPI description, server-sent events, metrics, health and the status page. */
export function adminApp(options: AdminAppOptions): OpenAPIHono<Bindings> {
  const { actions, feed, metrics, onError } = options;
  const app = new OpenAPIHono<Bindings>({
    defaultHook: (result, c) => {
      if (result.success) return undefined;
      const [issue] = result.error.issues;
      return c.json({ error: `${issue?.path.join('.')}: ${issue?.message}.` }, 400);
    },
  });
  app.onError((error, c) => {
    if (error instanceof ReloadRefused) return c.json(error.body, 422);
    const refusal = headerRefusal(error, requestOf(c).request);
    if (!refusal) onError(error);
    for (const [name, value] of refusal?.fields ?? []) c.header(name, value, { append: true });
    const status = refusal?.status ?? 500;
    return c.json({ error: refusal ? messageOf(error) : 'An internal error occurred.' }, status as 500);
  });
  app.notFound((c) => c.json({ error: `There is nothing at ${c.req.path}.` }, 404));
  app.use(async (c, next) => {
    c.header('Cache-Control', 'no-store');
    c.header('X-Content-Type-Options', 'nosniff');
    if (!OPEN.has(c.req.path)) await admit(c, options);
    await next();
  });
  for (const { route, handle } of routes(actions)) {
    app.openapi(createRoute(route), async (c) => {
      const body = await handle(c);
      return body === undefined ? c.body(null, 204) : c.json(body as object, 200);
    });
  }
  app.get('/api/config', (c) => c.json(options.config()));
  app.get('/api/events', (c) =>
    streamSSE(c, async (stream) => {
      const gone = new AbortController();
      stream.onAbort(() => gone.abort());
      const send = (event: string, data: object) => stream.writeSSE({ event, data: JSON.stringify(data) });
      await send('stats', actions.status());
      const timer = setInterval(() => void send('stats', actions.status()), STATS_INTERVAL);
      try {
        for await (const { name, data } of feed.watch(gone.signal)) await send(name, data);
      } finally {
        clearInterval(timer);
      }
    }),
  );
  app.get('/metrics', async (c) => c.text(await metrics.text(), 200, { 'Content-Type': metrics.contentType }));
  app.get('/health', (c) => c.json({ status: 'ok' }));
  app.get('/ready', (c) => (options.ready() ? c.json({ status: 'ready' }) : c.json({ status: 'not ready' }, 503)));
  app.doc31('/api/openapi.json', {
    openapi: '3.1.0',
    info: { title: 'wmcast', version: options.version, description: 'The administration of wmcast serve.' },
  });
  app.get('/', (c) => {
    c.header('Content-Security-Policy', "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'");
    return c.html(options.page);
  });
  return app;
}

/** A route as the API describes it, and what it does; a result of undefined is answered with 204. */
interface Described {
  readonly route: RouteConfig;
  readonly handle: (c: Context<Bindings>) => unknown;
}

function routes(actions: AdminActions): Described[] {
  const json = (schema: z.ZodType) => ({ content: { 'application/json': { schema } }, description: 'Done.' });
  const failure = (description: string) => ({
    content: { 'application/json': { schema: schemas.failure } },
    description,
  });
  const name = z
    .string()
    .openapi({ description: 'The path of the point without its first slash; other slashes as %2F.', example: 'live' });
  const pathOf = (c: Context<Bindings>) => `/${c.req.param('name')}`;
  const get = (
    path: string,
    summary: string,
    schema: z.ZodType,
    handle: Described['handle'],
    more: object = {},
  ): Described => ({
    route: { method: 'get', path, summary, responses: { 200: json(schema) }, ...more },
    handle,
  });
  const point = (action: string, summary: string, run: (path: string) => unknown): Described => ({
    route: {
      method: 'post',
      path: `/api/points/{name}/${action}`,
      summary,
      request: { params: z.object({ name }) },
      responses: {
        204: { description: 'Done.' },
        404: failure('There is no such point.'),
        409: failure('Not possible.'),
      },
    },
    handle: (c) => run(pathOf(c)),
  });
  const query = z.object({
    limit: z.coerce.number().int().min(0).default(DEFAULT_LIMIT).openapi({ description: 'The most sessions to list.' }),
    after: z.string().optional().openapi({ description: 'The id of the session to continue after.' }),
  });
  const listed = async (c: Context<Bindings>, role?: 'player') => {
    const { limit, after } = query.parse(c.req.query());
    return actions.sessions({ role, limit, after });
  };
  return [
    get('/api/status', 'Figures of the server.', schemas.status, () => actions.status()),
    get('/api/points', 'All publishing points.', schemas.points, () => ({ points: actions.points() })),
    get('/api/points/{name}', 'One publishing point.', schemas.point, (c) => actions.point(pathOf(c)), {
      request: { params: z.object({ name }) },
    }),
    {
      route: {
        method: 'delete',
        path: '/api/points/{name}',
        summary: 'End the broadcast and remove a point that is not in the configuration.',
        request: { params: z.object({ name }) },
        responses: {
          204: { description: 'Done.' },
          404: failure('There is no such point.'),
          409: failure('Configured.'),
        },
      },
      handle: (c) => actions.remove(pathOf(c)),
    },
    point('disconnect', 'Disconnect the encoder.', (path) => actions.disconnect(path)),
    point('start', 'Accept pushes and players again.', (path) => actions.switch(path, true)),
    point('stop', 'End the broadcast, and refuse pushes and players.', (path) => actions.switch(path, false)),
    point('open', 'Accept new players again.', (path) => actions.accept(path, true)),
    point('deny', 'Refuse new players; those that play stay.', (path) => actions.accept(path, false)),
    {
      route: {
        method: 'post',
        path: '/api/points/{name}/inject',
        summary: 'Play something next on a point with a programme.',
        request: {
          params: z.object({ name }),
          body: { content: { 'application/json': { schema: schemas.injection } }, required: true },
        },
        responses: { 204: { description: 'Done.' }, 400: failure('It cannot be played.'), 404: failure('Not found.') },
      },
      handle: async (c) => actions.inject(pathOf(c), schemas.injection.parse(await c.req.json()).source),
    },
    {
      route: {
        method: 'post',
        path: '/api/points/{name}/command',
        summary: 'Send the players of a point a script command.',
        request: {
          params: z.object({ name }),
          body: { content: { 'application/json': { schema: schemas.command } }, required: true },
        },
        responses: { 204: { description: 'Done.' }, 404: failure('Not found.'), 409: failure('It takes none.') },
      },
      handle: async (c) => actions.command(pathOf(c), schemas.command.parse(await c.req.json())),
    },
    get('/api/publishers', 'Encoders that publish.', schemas.publishers, () => ({ publishers: actions.publishers() })),
    get('/api/multicasts', 'Points that are multicast.', schemas.multicasts, () => ({
      multicasts: actions.multicasts(),
    })),
    get('/api/sessions', 'Players and publishers of all protocols.', schemas.sessions, (c) => listed(c), {
      request: { query },
    }),
    get(
      '/api/players',
      'Players of all protocols.',
      schemas.players,
      async (c) => {
        const { total, sessions } = await listed(c, 'player');
        return { total, players: sessions };
      },
      { request: { query } },
    ),
    {
      route: {
        method: 'delete',
        path: '/api/sessions/{id}',
        summary: 'End a session.',
        request: { params: z.object({ id: z.string().openapi({ example: '0.0.17' }) }) },
        responses: { 204: { description: 'Done.' }, 404: failure('There is no such session.') },
      },
      handle: (c) => actions.end(c.req.param('id') ?? ''),
    },
    {
      route: {
        method: 'post',
        path: '/api/reload',
        summary: 'Read the configuration again, and take over what has changed.',
        responses: { 200: json(schemas.reload), 409: failure('There is no file.'), 422: failure('It has mistakes.') },
      },
      handle: () => actions.reload(),
    },
  ];
}

/** Checks who asks, as on the port of the players. @throws Refusal */
async function admit(c: Context<Bindings>, { access, rule, names }: AdminAppOptions): Promise<void> {
  const from = requestOf(c);
  const verdict = await access.check(callerOf(from), rule, 'use the administration');
  for (const [name, value] of finishFields(verdict.finish, from.request)) c.header(name, value, { append: true });
  if (!verdict.granted) throw verdict.refusal;
  refuseWebPages(from, { trusted: verdict.user === undefined }, names);
  const { method, headers } = from.request;
  if (method === 'GET' || method === 'HEAD') return;
  // A web page can make a browser submit a form without asking, but not a request with one of these headers.
  const isJson = /^application\/json(?:;|$)/i.test(headers.get('Content-Type') ?? '');
  if (!isJson && headers.get('X-Requested-With') === undefined) {
    throw new HttpError(403, 'A change needs the header Content-Type: application/json, or X-Requested-With.');
  }
}

function requestOf(c: Context<Bindings>): HeaderRequest & { readonly host: string } {
  const incoming: IncomingMessage = c.env.incoming;
  const { socket, rawHeaders, method = 'GET', url = '/', headers } = incoming;
  const entries = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [[name, rawHeaders[index + 1] ?? ''] as const] : [],
  );
  const remoteAddress = socket.remoteAddress ?? '';
  return {
    request: { method, target: url, minorVersion: 1, headers: new HeaderFields(entries) },
    connection: socket,
    remoteAddress,
    local: isLoopback(remoteAddress),
    secure: false,
    host: headers.host ?? '',
  };
}
