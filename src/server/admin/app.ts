import type { IncomingMessage } from 'node:http';
import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { HTTPException } from 'hono/http-exception';
import { streamSSE } from 'hono/streaming';
import type { AccessControl, Rule } from '../../auth/access.js';
import { callerOf, finishFields, type HeaderRequest, headerRefusal } from '../../auth/header-dialog.js';
import { messageOf } from '../../errors.js';
import { isLoopback } from '../../http/addresses.js';
import { HeaderFields, HttpError } from '../../http/message.js';
import { refuseWebPages } from '../web/pages.js';
import { type AdminActions, ReloadRefused } from './actions.js';
import { statusAssets } from './assets.js';
import type { AdminFeed } from './feed.js';
import { Metrics, type MetricsOptions } from './metrics.js';
import { type AdminBindings, adminRoutes } from './routes.js';

/** The administration on its own port. */
export interface AdminAppOptions {
  readonly actions: AdminActions;
  readonly access: AccessControl;
  readonly rule: () => Rule;
  readonly names: () => ReadonlySet<string>;
  readonly feed: AdminFeed;
  /** What the metrics are about, besides `actions`. */
  readonly figures: Omit<MetricsOptions, 'actions'>;
  /** Returns the configuration in effect, without passwords. */
  readonly config: () => object;
  /** True once the server listens, and until it closes. */
  readonly ready: () => boolean;
  readonly version: string;
  readonly onError: (error: unknown) => void;
}

/** How often watchers get the figures of the server, in ms. */
const STATS_INTERVAL = 2_000;
/** The maximum size of a request's body, in bytes. */
const MAX_BODY = 64 * 1024;
/** Open to everyone who reaches the port: they say nothing but whether the server works. */
const OPEN = new Set(['/health', '/ready']);

/** The page runs its own scripts only, and shows pictures that it has fetched. */
const PAGE_FIELDS = {
  'Content-Security-Policy':
    "default-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
};

/** Builds the application: the API with its OpenAPI description, server-sent events, metrics, health and the status page. */
export function adminApp(options: AdminAppOptions): OpenAPIHono<AdminBindings> {
  const { actions, feed, figures, onError } = options;
  const metrics = new Metrics({ actions, ...figures });
  const app = new OpenAPIHono<AdminBindings>({
    defaultHook: (result, c) => {
      if (result.success) return undefined;
      const [issue] = result.error.issues;
      return c.json({ error: `${issue?.path.join('.')}: ${issue?.message}.` }, 400);
    },
  });
  app.onError((error, c) => {
    if (error instanceof ReloadRefused) return c.json(error.body, 422);
    // What the framework itself refuses: a body that is not JSON.
    if (error instanceof HTTPException) return c.json({ error: `${error.message}.` }, error.status);
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
  app.use(
    bodyLimit({ maxSize: MAX_BODY, onError: (c) => c.json({ error: `A body may have ${MAX_BODY} bytes.` }, 413) }),
  );
  for (const { route, handle } of adminRoutes(actions)) {
    app.openapi(createRoute(route), async (c) => {
      const body = await handle(c);
      if (body instanceof Response) return body;
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
  app.get('/health', (c) => c.json({ status: 'ok', ...actions.clusterHealth() }));
  app.get('/ready', (c) => (options.ready() ? c.json({ status: 'ready' }) : c.json({ status: 'not ready' }, 503)));
  app.doc31('/api/openapi.json', {
    openapi: '3.1.0',
    info: { title: 'wmcast', version: options.version, description: 'The administration of wmcast serve.' },
  });
  for (const [name, { type, body }] of statusAssets()) {
    app.get(name === 'index.html' ? '/' : `/${name}`, (c) =>
      c.body(body, 200, { ...PAGE_FIELDS, 'Content-Type': type }),
    );
  }
  return app;
}

/** Checks who asks, as on the port of the players. @throws Refusal */
async function admit(c: Context<AdminBindings>, { access, rule, names }: AdminAppOptions): Promise<void> {
  const from = requestOf(c);
  const verdict = await access.check(callerOf(from), rule(), 'use the administration');
  for (const [name, value] of finishFields(verdict.finish, from.request)) c.header(name, value, { append: true });
  if (!verdict.granted) throw verdict.refusal;
  refuseWebPages(from, { trusted: verdict.user === undefined }, names());
  const { method, headers } = from.request;
  if (method === 'GET' || method === 'HEAD') return;
  // A web page can make a browser submit a form without asking, but not a request with one of these headers.
  const isJson = /^application\/json(?:;|$)/i.test(headers.get('Content-Type') ?? '');
  if (!isJson && headers.get('X-Requested-With') === undefined) {
    throw new HttpError(403, 'A change needs the header Content-Type: application/json, or X-Requested-With.');
  }
}

function requestOf(c: Context<AdminBindings>): HeaderRequest & { readonly host: string } {
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
