import performanceHooks from 'node:perf_hooks';
import { jest } from '@jest/globals';
import { parseConfig } from '../../src/server/config-file.js';
import { until } from '../support/until.js';
import { ServerStation } from './station.js';
import { removeUsers, usersFile } from './users.js';

const open: Array<{ close(): unknown }> = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});
afterAll(removeUsers);

async function station(text = '') {
  const load = async () => ({
    ...parseConfig(text, 'serve.yaml'),
    host: '127.0.0.1',
    httpPort: 0,
    admin: { host: '127.0.0.1', port: 0 },
  });
  const warnings: string[] = [];
  const opened = await ServerStation.open(await load(), { warning: (message) => warnings.push(message) }, { load });
  const made = Object.assign(opened, { warnings });
  open.push(made);
  const base = `http://127.0.0.1:${made.server.ports.admin}`;
  const get = (path: string, init: RequestInit = {}) =>
    fetch(base + path, { ...init, signal: AbortSignal.timeout(20_000) });
  const change = (method: string, path: string, body?: string) =>
    get(path, {
      method,
      headers: { 'X-Requested-With': 'test', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      ...(body === undefined ? {} : { body }),
    });
  return { made, server: made.server, base, get, change };
}

const json = async (answer: Promise<Response>) => (await answer).json() as Promise<Record<string, unknown>>;

async function publishing(made: ServerStation, path: string) {
  const encoder = await made.push(path);
  await until('the point to be live', () => made.server.points.get(path)?.broadcast.live);
  return encoder;
}

describe('the administration on its own port', () => {
  it('answers the requests of the other port, with the same answers', async () => {
    const { made, get } = await station('points: [{ path: /a/b }]');
    await publishing(made, '/live');
    for (const path of [
      '/api/points',
      '/api/points/live',
      '/api/points/a%2Fb',
      '/api/publishers',
      '/api/sessions',
      '/api/multicasts',
    ]) {
      const other = await made.ask(`GET ${path} HTTP/1.0`, 'Host: 127.0.0.1');
      expect([path, await json(get(path))]).toEqual([path, JSON.parse(other.body.toString())]);
    }
    expect(await json(get('/api/status'))).toMatchObject({ publishers: 1, points: 2, uptime: expect.any(Number) });
    expect((await get('/api/points/nothing')).status).toBe(404);
    expect((await get('/api/nothing')).status).toBe(404);
  });

  it('changes points, ends sessions and reloads', async () => {
    const { made, server, change, get } = await station('points: [{ path: /a }]');
    await publishing(made, '/a');
    expect((await change('POST', '/api/points/a/deny')).status).toBe(204);
    expect(await json(get('/api/points/a'))).toMatchObject({ acceptsPlayers: false });
    expect((await change('POST', '/api/points/a/open')).status).toBe(204);
    const { sessions } = (await json(get('/api/sessions'))) as { sessions: { id: string }[] };
    expect((await change('DELETE', `/api/sessions/${sessions[0]!.id}`)).status).toBe(204);
    await until('no encoder', () => server.stats().publishers === 0);
    expect((await change('DELETE', '/api/sessions/0.0.99')).status).toBe(404);
    expect((await change('POST', '/api/points/a/stop')).status).toBe(204);
    expect(server.points.get('/a')?.stopped).toBe(true);
    expect((await change('POST', '/api/points/a/start')).status).toBe(204);
    expect((await change('POST', '/api/points/a/disconnect')).status).toBe(409);
    expect((await change('DELETE', '/api/points/a')).status).toBe(409);
    expect((await change('POST', '/api/points/a/inject', '{"source": ""}')).status).toBe(400);
    expect((await change('POST', '/api/points/a/inject', '{"source": "x.wmv"}')).status).toBe(400);
    const reloaded = await change('POST', '/api/reload');
    expect([reloaded.status, await reloaded.json()]).toEqual([
      200,
      { changed: [], added: [], removed: [], restart: [] },
    ]);
    expect((await get('/api/sessions?limit=x')).status).toBe(400);
  });

  it('refuses changes that a web page can make a browser send, and names that are not its own', async () => {
    const { get, base } = await station('points: [{ path: /a }]');
    expect((await get('/api/points/a/stop', { method: 'POST' })).status).toBe(403);
    const foreign = await get('/api/points', { headers: { Origin: 'http://evil.example' } });
    expect(foreign.status).toBe(403);
    const { port } = new URL(base);
    const { request } = await import('node:http');
    const status = await new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port, path: '/api/points', headers: { Host: 'evil.example' } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });

  it('asks for a login where the rule needs one, but not for its health', async () => {
    const users = await usersFile({ root: ['admin'], anna: [] });
    const { get } = await station(`users: ${users}\naccess: { admin: { groups: [admin] } }`);
    const answer = await get('/api/status');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('WWW-Authenticate')).toMatch(/Digest .*Basic /);
    const as = (user: string) => ({
      headers: { Authorization: `Basic ${Buffer.from(`${user}:${user}-secret`).toString('base64')}` },
    });
    expect((await get('/api/status', as('root'))).status).toBe(200);
    expect((await get('/api/status', as('anna'))).status).toBe(403);
    expect((await get('/metrics')).status).toBe(401);
    expect((await get('/')).status).toBe(401);
    expect(await json(get('/health'))).toEqual({ status: 'ok' });
    expect(await json(get('/ready'))).toEqual({ status: 'ready' });
  });

  it('describes itself by OpenAPI 3.1', async () => {
    const { get } = await station();
    const description = (await json(get('/api/openapi.json'))) as {
      openapi: string;
      paths: Record<string, Record<string, { summary?: string; responses: Record<string, unknown> }>>;
      components: { schemas: Record<string, unknown> };
    };
    expect(description.openapi).toBe('3.1.0');
    expect(Object.keys(description.paths)).toEqual(
      expect.arrayContaining(['/api/status', '/api/points/{name}', '/api/sessions/{id}', '/api/reload']),
    );
    for (const methods of Object.values(description.paths)) {
      for (const { summary, responses } of Object.values(methods)) {
        expect(summary).toMatch(/\.$/);
        expect(Object.keys(responses).some((status) => status.startsWith('2'))).toBe(true);
      }
    }
    expect(Object.keys(description.components.schemas)).toEqual(
      expect.arrayContaining(['Failure', 'Status', 'Point', 'Session', 'Reload']),
    );
  });

  it('shows the configuration without passwords', async () => {
    const { get } = await station('redirects: [{ path: /x, to: "http://me:hunter2@host/x" }]');
    const text = await (await get('/api/config')).text();
    expect(text).toContain('***@host');
    expect(text).not.toContain('hunter2');
  });

  it('shows no password anywhere: not of sources, not of logins, not in warnings', async () => {
    const { made, get, server, change } = await station(
      'points:\n  - { path: /x, source: "http://me:plant3d-one@127.0.0.1:9/x", onDemand: true }\nredirects: [{ path: /y, to: "http://me:plant3d-two@host/y" }]\nhooks: [{ on: [stop], run: "http://me:plant3d-four@127.0.0.1:9/hook" }]',
    );
    await made.ask(
      'GET /x?MSWMExt=.asf HTTP/1.0',
      'Host: 127.0.0.1',
      `Authorization: Basic ${btoa('me:plant3d-three')}`,
    );
    expect(server.points.get('/x')).toBeDefined();
    const source = { url: 'http://me:plant3d-five@127.0.0.1:9/z' };
    const point = JSON.stringify({ path: '/z', source, filler: '/plant/none.wmv', onDemand: true });
    const answers = [
      await change('POST', '/api/points', point),
      await change('POST', '/api/points', point),
      await change('PATCH', '/api/points/z', '{"source": ["http://me:plant3d-six@host:x/"]}'),
      await change('POST', '/api/points/z/save'),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 409, 400, 409]);
    for (const answer of answers) expect(await answer.text()).not.toContain('plant3d');
    const pages = [
      '/',
      '/metrics',
      '/health',
      '/api/config',
      '/api/status',
      '/api/points',
      '/api/sessions',
      '/api/publishers',
      '/api/log',
      '/api/archives',
      '/api/points/x',
      '/api/points/x/settings',
      '/api/points/z/settings',
      '/api/points/x/still',
      '/api/openapi.json',
    ];
    for (const page of pages) {
      const text = await (await get(page)).text();
      expect([page, text.includes('plant3d')]).toEqual([page, false]);
    }
    expect(made.warnings.join('\n')).toContain('/x cannot be pulled');
    expect(made.warnings.join('\n')).not.toContain('plant3d');
  });

  it('sends figures and events as they happen', async () => {
    const { made, base } = await station();
    const stop = new AbortController();
    const answer = await fetch(`${base}/api/events`, { signal: stop.signal });
    expect(answer.headers.get('Content-Type')).toContain('text/event-stream');
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const sent = async (part: string) => {
      for (let reads = 0; !text.includes(part) && reads < 50; reads++) text += (await reader.read()).value ?? '';
      expect(text).toContain(part);
    };
    await sent('event: stats\ndata: {');
    await sent('"players":0');
    await publishing(made, '/live');
    await sent('event: point\ndata: {"point":"/live","what":"created"');
    await sent('"what":"publishing"');
    stop.abort();
  });

  it('watches the process, which costs a hundred wake-ups a second, only for those who ask for metrics', async () => {
    const watched = jest.spyOn(performanceHooks, 'monitorEventLoopDelay');
    try {
      const { get } = await station();
      expect((await get('/api/status')).status).toBe(200);
      expect(watched).not.toHaveBeenCalled();
      for (let count = 0; count < 2; count++) await (await get('/metrics')).text();
      expect(watched.mock.calls).toEqual([[{ resolution: 100 }]]);
    } finally {
      watched.mockRestore();
    }
  });

  it('has metrics for Prometheus, with a bounded number of labels', async () => {
    const { made, server, get } = await station();
    const encoder = await publishing(made, '/live');
    const peer = await made.peer();
    peer.request('GET /live.asf HTTP/1.0', 'Host: 127.0.0.1');
    await until('a player', () => {
      encoder.key();
      return server.stats().players === 1;
    });
    const answer = await get('/metrics');
    expect(answer.headers.get('Content-Type')).toContain('text/plain');
    const text = await answer.text();
    for (const line of [
      'wmcast_players{protocol="HTTP"} 1',
      'wmcast_players_started_total{protocol="HTTP"} 1',
      'wmcast_players_peak 1',
      'wmcast_publishers 1',
      'wmcast_point_live{point="/live"} 1',
      'wmcast_point_players{point="/live"} 1',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
    expect(text).toMatch(/^wmcast_received_bytes_total [1-9]/m);
    expect(text).toMatch(/^wmcast_process_resident_memory_bytes \d/m);
    const again = await (await get('/metrics')).text();
    expect(again.match(/^wmcast_players\{/gm)).toHaveLength(1);
  });

  it('shows a status page that needs nothing from elsewhere', async () => {
    const { get } = await station();
    const answer = await get('/');
    expect(answer.headers.get('Content-Type')).toContain('text/html');
    expect(answer.headers.get('Content-Security-Policy')).toMatch(/default-src 'self';(?!.*unsafe)/);
    const page = await answer.text();
    const files = new Map([['', page]]);
    const references = (text: string) => text.matchAll(/(?:(?:src|href)="|from '\.\/)([\w.-]+\.(?:js|css|svg))/g);
    for (const text of files.values()) {
      for (const [, name] of references(text)) {
        if (!files.has(name!)) files.set(name!, await (await get(`/${name}`)).text());
      }
    }
    expect([...files.keys()]).toEqual(expect.arrayContaining(['uplot.js', 'status.css', 'status.js', 'points.js']));
    expect([...files.values()].reduce((sum, { length }) => sum + length, 0)).toBeLessThan(150_000);
    for (const [name, text] of files) {
      if (name !== 'uplot.js')
        expect([name, text.replace(/"http:\/\/www\.w3\.org\/[^"]*"|`https?:\/\/\$/g, '')]).toEqual([
          name,
          expect.not.stringMatching(/https?:\/\//),
        ]);
      // Every element that the script fills is there.
      for (const [, id] of text.matchAll(/\$\('([\w-]+)'\)/g)) expect(page).toContain(`id="${id}"`);
    }
  });

  it('is on no port unless it is told to', async () => {
    const made = await ServerStation.open();
    open.push(made);
    expect(made.server.ports.admin).toBeUndefined();
  });
});
