import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from '@hono/zod-openapi';
import { jest } from '@jest/globals';
import { listenTcp } from '../../src/http/listen.js';
import { AdminClient, AdminError } from '../../src/library/admin-client.js';
import type {
  AdminArchive,
  AdminLogLine,
  AdminLogTail,
  AdminPoint,
  AdminSession,
  AdminSessionLog,
  AdminStatus,
} from '../../src/library/admin-types.js';
import type * as schemas from '../../src/server/admin/schemas.js';
import { parseConfig, readConfig } from '../../src/server/config-file.js';
import { ServerStation } from '../server/station.js';
import { removeUsers, usersFile } from '../server/users.js';
import { until } from '../support/until.js';

/** Fails to compile if the client and the OpenAPI description disagree. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;
type Mutable<T> = T extends readonly (infer E)[]
  ? Mutable<E>[]
  : T extends object
    ? { -readonly [K in keyof T]: Mutable<T[K]> }
    : T;
const agreed: [
  Same<Mutable<AdminStatus>, z.output<typeof schemas.status>>,
  Same<Mutable<AdminPoint>, z.output<typeof schemas.point>>,
  Same<Mutable<AdminSession>, z.output<typeof schemas.sessions>['sessions'][number]>,
  Same<Mutable<AdminArchive>, z.output<typeof schemas.archives>['archives'][number]>,
  Same<Mutable<AdminLogLine>, z.output<typeof schemas.log>['lines'][number]>,
  Same<Mutable<AdminSessionLog>, z.output<typeof schemas.sessionLogs>['files'][number]>,
  Same<Mutable<AdminLogTail>, z.output<typeof schemas.sessionLogTail>>,
] = [true, true, true, true, true, true, true];

let folder: string;
let file: string;
const open: { close(): unknown }[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wmcast-client-'));
  file = join(folder, 'serve.yaml');
});
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
  await rm(folder, { recursive: true });
});
afterAll(removeUsers);

async function serving(text: string) {
  await writeFile(file, text);
  const here = { host: '127.0.0.1', httpPort: 0, admin: { host: '127.0.0.1', port: 0 } };
  const load = async () => ({ ...(await readConfig(file)), ...here });
  const station = await ServerStation.open(await load(), {}, { load, file });
  open.push(station);
  return { station, url: `http://127.0.0.1:${station.server.ports.admin}/` };
}

async function refused(request: Promise<unknown>): Promise<[number, string]> {
  const error: unknown = await request.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof AdminError)) throw new Error(`The request was not refused: ${error}`);
  return [error.status, error.message];
}

const idle = { answering: () => new AbortController().signal };

describe('the client of the administration', () => {
  it('has a method for each request of the API, which answers as it is described', async () => {
    expect(agreed).toHaveLength(7);
    const { station, url } = await serving(`points: [{ path: /live, archive: ${folder}/archive }]`);
    const asked = jest.spyOn(globalThis, 'fetch');
    const client = new AdminClient(url);
    const encoder = await station.push('/live');
    encoder.key();
    await until('the point to be live', async () => (await client.point('/live')).live);
    expect(await client.status()).toMatchObject({ publishers: 1, playersPeak: 0, host: '127.0.0.1' });
    expect((await client.points()).map(({ path }) => path)).toEqual(['/live']);
    expect((await client.publishers()).map(({ point }) => point)).toEqual(['/live']);
    expect(await client.multicasts()).toEqual([]);
    const sessions: AdminSession[] = [];
    for await (const session of client.sessions()) sessions.push(session);
    for await (const session of client.sessions({ role: 'player' })) sessions.push(session);
    expect(sessions).toMatchObject([{ role: 'publisher', path: '/live' }]);
    await until('a recording', async () => (await client.archives()).total === 1);
    const [{ name } = { name: '' }] = (await client.archives({ path: '/live' })).archives;
    const bytes = async (from?: number) =>
      new Response(await client.openArchive('/live', name, from === undefined ? {} : { from })).arrayBuffer();
    const whole = Buffer.from(await bytes());
    expect(Buffer.from(await bytes(16)).subarray(0, 34)).toEqual(whole.subarray(16, 50));
    expect(await refused(client.deleteArchive('/live', name))).toEqual([409, `${name} is still being recorded.`]);
    expect((await refused(client.still('/live')))[0]).toBe(404);
    expect((await refused(client.inject('/live', 'x.wmv')))[0]).toBe(400);
    expect((await refused(client.sendCommand('/live', 'TEXT', 'Hello')))[0]).toBe(409);
    const gone = new AbortController();
    for await (const { name: event, data } of client.events(gone.signal)) {
      expect([event, data]).toEqual(['stats', expect.objectContaining({ publishers: 1 })]);
      gone.abort();
    }
    await client.acceptPlayers('/live', false);
    expect((await client.point('/live')).acceptsPlayers).toBe(false);
    await client.acceptPlayers('/live', true);
    await client.endSession(sessions[0]!.id);
    await until('no encoder', async () => (await client.publishers()).length === 0);
    expect((await refused(client.disconnectEncoder('/live')))[0]).toBe(409);
    await client.stopPoint('/live');
    expect((await client.point('/live')).stopped).toBe(true);
    await client.startPoint('/live');
    expect(await client.sessionLogs()).toEqual([]);
    expect(await client.sessionLogTail()).toMatchObject({ file: null, lines: [] });
    expect((await refused(client.openSessionLog('WMS_20260101.log')))[0]).toBe(404);
    expect((await client.log(1))[0]).toMatchObject({ name: 'point', data: { point: '/live' } });
    expect(await client.createPoint({ path: '/new' })).toMatchObject({ path: '/new', configured: true });
    await client.changePoint('/new', { title: 'New' });
    expect(await client.pointSettings('/new')).toEqual({ saved: false, point: { path: '/new', title: 'New' } });
    await client.savePoint('/new');
    await client.removePoint('/new', { saved: true });
    expect(await client.reload()).toEqual({ changed: [], added: [], removed: [], restart: [] });
    for (const request of [client.nodes(), client.drain('other'), client.drain('other', false)]) {
      expect((await refused(request))[0]).toBe(404);
    }
    // The program of a worker is not where the sources are.
    expect((await refused(client.upgrade()))[0]).toBe(409);
    expect(await client.processes()).toMatchObject([{ number: 0, pid: process.pid, state: 'serving' }]);
    expect(await client.config()).toMatchObject({ host: '127.0.0.1' });
    expect(await client.metrics()).toContain('wmcast_points 1');
    const used = new Set(asked.mock.calls.map(([place, init]) => `${init?.method} ${new URL(String(place)).pathname}`));
    asked.mockRestore();
    const { paths } = (await (await fetch(`${url}api/openapi.json`)).json()) as { paths: Record<string, object> };
    const missed = Object.entries(paths).flatMap(([path, methods]) => {
      const pattern = new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`);
      const isUsed = (method: string) => [...used].some((each) => pattern.test(each.replace(`${method} `, '')));
      return Object.keys(methods).filter((method) => !isUsed(method.toUpperCase()));
    });
    expect(missed).toEqual([]);
  });

  it('logs in, and says why it was refused', async () => {
    const users = await usersFile({ root: ['admin'], anna: [] });
    const { url } = await serving(`users: ${users}\naccess: { admin: { groups: [admin] } }`);
    expect(await new AdminClient(url, { user: 'root', password: 'root-secret' }).points()).toEqual([]);
    expect((await refused(new AdminClient(url).points()))[0]).toBe(401);
    const [status, message] = await refused(new AdminClient(url, { user: 'anna', password: 'anna-secret' }).points());
    expect([status, message]).toEqual([403, expect.stringContaining('anna')]);
    expect(() => new AdminClient('nowhere')).toThrow('nowhere is not a URL.');
  });

  it('gives up a server that does not answer, and one that is not there', async () => {
    const silent = createServer(() => idle.answering());
    const port = await listenTcp(silent, { port: 0, host: '127.0.0.1' });
    const client = new AdminClient(`http://127.0.0.1:${port}`, { timeout: 200 });
    await expect(client.status()).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
    silent.closeAllConnections();
    await new Promise((resolve) => silent.close(resolve));
    await expect(client.status()).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
  });
});

describe('points that are made by the API', () => {
  const COMMENTED =
    '# The stations\nhost: 127.0.0.1\npoints:\n  # The first\n  - path: /one # always on\n    title: One\n    archive: records\n';

  it('are created, changed and removed while the server runs, and players stay', async () => {
    const { station, url } = await serving('points: []');
    const client = new AdminClient(url);
    await client.createPoint({ path: '/radio', title: 'Radio', maxPlayers: 5 });
    expect(await refused(client.createPoint({ path: '/radio' }))).toEqual([
      409,
      '/radio is in the configuration already.',
    ]);
    const encoder = await station.push('/radio');
    await until('the point to be live', async () => (await client.point('/radio')).live);
    const player = await station.peer();
    player.request('GET /radio.asf HTTP/1.0', 'Host: 127.0.0.1');
    await until('a player', () => {
      encoder.key();
      return station.server.stats().players === 1;
    });
    await client.changePoint('/radio', { title: null, maxPlayers: 1 });
    expect(await client.pointSettings('/radio')).toEqual({ saved: false, point: { path: '/radio', maxPlayers: 1 } });
    expect(station.server.stats().players).toBe(1);
    expect((await station.ask('GET /radio.asf HTTP/1.0', 'Host: 127.0.0.1')).status).toBe(503);
    await client.removePoint('/radio');
    await until('no player', () => station.server.stats().players === 0);
    expect((await refused(client.point('/radio')))[0]).toBe(404);
    expect((await refused(client.changePoint('/radio', {})))[0]).toBe(404);
  });

  it('survive a reload, and a restart only when they are saved', async () => {
    const { url } = await serving('points: []');
    const client = new AdminClient(url);
    await client.createPoint({ path: '/radio', title: 'Radio' });
    await client.reload();
    expect((await client.points()).map(({ path }) => path)).toEqual(['/radio']);
    expect(parseConfig(await readFile(file, 'utf8'), file).points).toEqual([]);
    await client.savePoint('/radio');
    expect(await readFile(file, 'utf8')).toBe('points:\n  - path: /radio\n    title: Radio\n');
    expect(await client.pointSettings('/radio')).toMatchObject({ saved: true });
    expect(await client.reload()).toEqual({ changed: [], added: [], removed: [], restart: [] });
  });

  it('are saved into a file whose comments and relative paths stay', async () => {
    const { url } = await serving(COMMENTED);
    const client = new AdminClient(url);
    await client.changePoint('/one', { title: 'The first', burst: 5 });
    await client.savePoint('/one');
    expect(await readFile(file, 'utf8')).toBe(
      '# The stations\nhost: 127.0.0.1\npoints:\n  # The first\n  - path: /one # always on\n    title: The first\n    archive: records\n    burst: 5\n',
    );
    expect(await refused(client.removePoint('/one'))).toEqual([409, expect.stringContaining('saved=true')]);
    await client.removePoint('/one', { saved: true });
    expect(parseConfig(await readFile(file, 'utf8'), file).points).toEqual([]);
    expect(await client.points()).toEqual([]);
  });

  it('are as the file says after a reload, if the file has them', async () => {
    const { url } = await serving(COMMENTED);
    const client = new AdminClient(url);
    await client.changePoint('/one', { title: 'Another' });
    await client.reload();
    expect(await client.pointSettings('/one')).toMatchObject({ saved: true, point: { title: 'One' } });
  });

  it.each([
    [{ path: 'live' }, 'path: must be a path such as /live'],
    [{ path: '/x', titel: 'x' }, 'titel'],
    [{ path: '/x', archive: 'records' }, 'archive: must be an absolute path.'],
    [{ path: '/x', source: { encode: '!rm -rf /' } }, 'a command can only be written into the configuration file'],
    [{ path: '/x', source: { encode: '/x.mp3', packager: 'rm -rf /' } }, 'a command can only be written'],
    [{ path: '/x', source: { encode: 'rm -rf /' } }, 'a command can only be written into the configuration file'],
    [{ path: '/x', source: 'http://host/live?token=***' }, '*** hides a password'],
    [{ path: '/x', source: { encode: 'rtsp://***@host/live' } }, '*** hides a password'],
    [{ path: '/x', source: 'http://***@host/x' }, 'write the password itself'],
    [{ path: '/x', source: 'music/' }, 'is relative to the content folder'],
    [{ path: '/x', access: { play: { users: ['anna'] } } }, 'requires users'],
  ])('are refused with mistakes: %j', async (fields, sentence) => {
    const { url } = await serving('points: []');
    const client = new AdminClient(url);
    expect(await refused(client.createPoint(fields))).toEqual([400, expect.stringContaining(sentence)]);
    expect(await client.points()).toEqual([]);
  });

  it('are not saved without a file, or into one that has mistakes by now', async () => {
    const { url } = await serving('points: []');
    const client = new AdminClient(url);
    await client.createPoint({ path: '/x', source: 'http://me:plant3d@127.0.0.1:9/x', onDemand: true });
    expect(JSON.stringify(await client.pointSettings('/x'))).not.toContain('plant3d');
    await writeFile(file, 'points: [');
    expect(await refused(client.savePoint('/x'))).toEqual([409, expect.stringContaining('was not changed')]);
    expect(await readFile(file, 'utf8')).toBe('points: [');
  });

  it('are refused if the body is not JSON, or too large', async () => {
    const { url } = await serving('points: []');
    const post = (body: string) =>
      fetch(`${url}api/points`, { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
    expect((await post('{')).status).toBe(400);
    expect((await post(`{"path": "/${'x'.repeat(100_000)}"}`)).status).toBe(413);
    expect((await post('[]')).status).toBe(400);
  });
});
