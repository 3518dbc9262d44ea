import { Readable } from 'node:stream';
import type { HttpBindings } from '@hono/node-server';
import { type RouteConfig, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { parseRange } from '../content/plain-file.js';
import { type AdminActions, DEFAULT_LIMIT } from './actions.js';
import type { OpenedFile } from './archives.js';
import * as schemas from './schemas.js';

/** What the requests of the administration come with. */
export type AdminBindings = { Bindings: HttpBindings };

/** A request as the API describes it, and what it does; a result of undefined is answered with 204. */
export interface Described {
  readonly route: RouteConfig;
  readonly handle: (c: Context<AdminBindings>) => unknown;
}

/** Returns the requests of the API. */
export function adminRoutes(actions: AdminActions): Described[] {
  const json = (schema: z.ZodType) => ({ content: { 'application/json': { schema } }, description: 'Done.' });
  const failure = (description: string) => ({
    content: { 'application/json': { schema: schemas.failure } },
    description,
  });
  const name = z
    .string()
    .openapi({ description: 'The path of the point without its first slash; other slashes as %2F.', example: 'live' });
  const pathOf = (c: Context<AdminBindings>) => `/${c.req.param('name')}`;
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
  const node = (action: string, summary: string, draining: boolean): Described => ({
    route: {
      method: 'post',
      path: `/api/nodes/{node}/${action}`,
      summary,
      request: { params: z.object({ node: z.string().openapi({ example: 'node-1' }) }) },
      responses: { 204: { description: 'Done.' }, 404: failure('There is no such host, or no cluster.') },
    },
    handle: (c) => actions.drain(c.req.param('node') ?? '', draining),
  });
  const query = z.object({
    limit: z.coerce.number().int().min(0).default(DEFAULT_LIMIT).openapi({ description: 'The most sessions to list.' }),
    after: z.string().optional().openapi({ description: 'The id of the session to continue after.' }),
  });
  const first = z.object({
    limit: z.coerce.number().int().min(0).default(100).openapi({ description: 'The most to list.' }),
  });
  const tail = first.extend({
    after: z.string().optional().openapi({ description: 'The cursor of an earlier answer.' }),
  });
  const file = z
    .string()
    .openapi({ description: 'The name of the recording; slashes as %2F.', example: 'live-2026.asf' });
  const binary = (type: string, description: string) => ({
    content: { [type]: { schema: z.string().openapi({ format: 'binary' }) } },
    description,
  });
  const listed = async (c: Context<AdminBindings>, role?: 'player') => {
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
        summary: 'End the broadcast and remove the point.',
        request: {
          params: z.object({ name }),
          query: z.object({
            saved: z.enum(['true', 'false']).default('false').openapi({
              description: 'True to remove it from the configuration file, too.',
            }),
          }),
        },
        responses: {
          204: { description: 'Done.' },
          404: failure('There is no such point.'),
          409: failure('The configuration file has it.'),
        },
      },
      handle: (c) => actions.remove(pathOf(c), c.req.query('saved') === 'true'),
    },
    {
      route: {
        method: 'post',
        path: '/api/points',
        summary: 'Add a point to the configuration that is in effect.',
        request: { body: { content: { 'application/json': { schema: schemas.newPoint } }, required: true } },
        responses: {
          201: json(schemas.point),
          400: failure('The fields have mistakes.'),
          409: failure('There is one already.'),
        },
      },
      handle: async (c) => c.json(await actions.create(await c.req.json()), 201),
    },
    {
      route: {
        method: 'patch',
        path: '/api/points/{name}',
        summary: 'Change fields of a point of the configuration; null removes one. Players stay.',
        request: {
          params: z.object({ name }),
          body: { content: { 'application/json': { schema: schemas.changedPoint } }, required: true },
        },
        responses: {
          200: json(schemas.point),
          400: failure('The fields have mistakes.'),
          404: failure('The configuration has no such point.'),
        },
      },
      handle: async (c) => actions.change(pathOf(c), await c.req.json()),
    },
    get(
      '/api/points/{name}/settings',
      'The fields of a point in the configuration, without passwords.',
      schemas.pointSettings,
      (c) => actions.settings(pathOf(c)),
      { request: { params: z.object({ name }) } },
    ),
    point('save', 'Write the point to the configuration file, whose comments stay.', (path) => actions.save(path)),
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
    {
      route: {
        method: 'get',
        path: '/api/points/{name}/still',
        summary: 'A picture of what is on air, not older than five seconds.',
        request: { params: z.object({ name }) },
        responses: { 200: binary('image/jpeg', 'The picture.'), 404: failure('There is no picture.') },
      },
      handle: async (c) => {
        const picture = await actions.still(pathOf(c));
        return c.body(new Uint8Array(picture), 200, { 'Content-Type': 'image/jpeg' });
      },
    },
    get(
      '/api/archives',
      'Recordings of all points, the newest first.',
      schemas.archives,
      (c) => actions.archives(first.parse(c.req.query()).limit),
      { request: { query: first } },
    ),
    get(
      '/api/points/{name}/archives',
      'Recordings of a point, the newest first.',
      schemas.archives,
      (c) => actions.archives(first.parse(c.req.query()).limit, pathOf(c)),
      { request: { params: z.object({ name }), query: first } },
    ),
    {
      route: {
        method: 'get',
        path: '/api/points/{name}/archives/{file}',
        summary: 'Download a recording, or a range of its bytes.',
        request: { params: z.object({ name, file }) },
        responses: {
          200: binary('video/x-ms-asf', 'The file.'),
          206: binary('video/x-ms-asf', 'The range.'),
          404: failure('There is no such recording.'),
          416: { description: 'The range is beyond its end.' },
        },
      },
      handle: async (c) => download(c, await actions.openArchive(pathOf(c), c.req.param('file') ?? '')),
    },
    {
      route: {
        method: 'delete',
        path: '/api/points/{name}/archives/{file}',
        summary: 'Delete a recording.',
        request: { params: z.object({ name, file }) },
        responses: {
          204: { description: 'Done.' },
          404: failure('There is no such recording.'),
          409: failure('It is still being recorded.'),
        },
      },
      handle: (c) => actions.deleteArchive(pathOf(c), c.req.param('file') ?? ''),
    },
    get(
      '/api/session-logs',
      'The files of session logs (W3C, MS-WMLOG), the newest first.',
      schemas.sessionLogs,
      (c) => actions.sessionLogs(first.parse(c.req.query()).limit),
      { request: { query: first } },
    ),
    get(
      '/api/session-logs/tail',
      'The last lines of the session logs, or those that follow a cursor.',
      schemas.sessionLogTail,
      (c) => {
        const { limit, after } = tail.parse(c.req.query());
        return actions.sessionLogTail(limit, after);
      },
      { request: { query: tail } },
    ),
    {
      route: {
        method: 'get',
        path: '/api/session-logs/{file}',
        summary: 'Download a file of session logs, or a range of its bytes.',
        request: { params: z.object({ file: z.string().openapi({ example: 'WMS_20261130.log' }) }) },
        responses: {
          200: binary('text/plain', 'The file.'),
          206: binary('text/plain', 'The range.'),
          404: failure('There is no such file.'),
          416: { description: 'The range is beyond its end.' },
        },
      },
      handle: async (c) =>
        download(c, await actions.openSessionLog(c.req.param('file') ?? ''), 'text/plain; charset=utf-8'),
    },
    get(
      '/api/log',
      'What has happened, the newest first.',
      schemas.log,
      (c) => ({ lines: actions.log(first.parse(c.req.query()).limit) }),
      { request: { query: first } },
    ),
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
    get('/api/processes', 'The processes of the server, the main one first.', schemas.processes, () => ({
      processes: actions.processes(),
    })),
    {
      route: {
        method: 'post',
        path: '/api/upgrade',
        summary:
          'Start new processes for players, with the code that is on the disk now. Those that play stay where they are.',
        responses: {
          200: json(schemas.processes),
          409: failure('They did not start, or another upgrade is under way; nothing has changed.'),
          422: failure('The configuration has mistakes; nothing has changed.'),
        },
      },
      handle: async () => ({ processes: await actions.upgrade() }),
    },
    get('/api/nodes', 'The hosts of the cluster.', schemas.nodes, () => ({ nodes: actions.nodes() })),
    node('drain', 'Take no new sessions on a host of the cluster; its encoders move to others.', true),
    node('resume', 'Take new sessions on a host again.', false),
  ];
}

/** Sends a file, or the range of it that is asked for (RFC 9110 14). */
async function download(
  c: Context<AdminBindings>,
  { file, bytes, modified, name }: OpenedFile,
  type = 'video/x-ms-asf',
): Promise<Response> {
  const asked = c.req.header('Range');
  const range = asked === undefined ? undefined : parseRange(asked, bytes);
  c.header('Accept-Ranges', 'bytes');
  c.header('Last-Modified', modified.toUTCString());
  if (range === 'unsatisfiable') {
    await file.close();
    return c.body(null, 416, { 'Content-Range': `bytes */${bytes}` });
  }
  const { start, end } = range ?? { start: 0, end: bytes - 1 };
  if (range) c.header('Content-Range', `bytes ${start}-${end}/${bytes}`);
  const fields = {
    'Content-Type': type,
    'Content-Length': String(end - start + 1),
    'Content-Disposition': `attachment; filename="${name.replace(/[^\w.%-]/g, '_')}"`,
  };
  const status = range ? 206 : 200;
  if (end < start || c.req.method === 'HEAD') {
    await file.close();
    return c.body(null, status, fields);
  }
  const stream = file.createReadStream({ start, end });
  return c.body(Readable.toWeb(stream) as ReadableStream<Uint8Array>, status, fields);
}
