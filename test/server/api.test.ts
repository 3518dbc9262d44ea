import type { ServerConfig } from '../../src/server/config.js';
import { until } from '../support/until.js';
import { parseResponse } from '../support/wire.js';
import { ServerStation } from './station.js';
import { askAs, removeUsers, usersFile } from './users.js';

let station: ServerStation;

afterEach(() => station.close());
afterAll(removeUsers);

async function open(config: Partial<ServerConfig> = {}) {
  station = await ServerStation.open(config);
}

const HOST = 'Host: localhost';
const CHANGE = 'X-Requested-With: test';

async function api(line: string, ...more: string[]) {
  const [method, path] = line.split(' ');
  const lines = [`${method} /api${path} HTTP/1.1`, ...(more.some((each) => each.startsWith('Host')) ? [] : [HOST])];
  const { status, field, body } = await station.ask(...lines, ...more);
  return {
    status,
    field,
    json: body.length > 0 ? (JSON.parse(body.toString()) as Record<string, unknown>) : undefined,
  };
}

const publishing = (path: string) =>
  until(`a push to ${path}`, () => station.server.points.get(path)?.publisher !== undefined);

describe('the administration', () => {
  it('reports on the server, its points, publishers and players', async () => {
    await open({ points: [{ path: '/waits' }] });
    const encoder = await station.push('/a/b');
    await publishing('/a/b');
    encoder.key();
    const player = await station.peer();
    const streams = ['Pragma: stream-switch-count=1', 'Pragma: stream-switch-entry=ffff:1:0'];
    player.request('GET /a/b HTTP/1.0', 'User-Agent: NSPlayer/7.1', 'Pragma: xPlayStrm=1', ...streams);
    await player.until((bytes) => (bytes.includes('$D') ? true : undefined));

    const status = await api('GET /status');
    expect(status.field('Content-Type')).toBe('application/json');
    expect(status.field('Cache-Control')).toBe('no-store');
    expect(status.json).toMatchObject({ uptime: 0, points: 2, publishers: 1, players: 1, packetsIn: 1 });

    const { json: points } = await api('GET /points');
    expect(points).toMatchObject({
      points: [
        { path: '/waits', configured: true, live: false, publisher: null },
        {
          path: '/a/b',
          configured: false,
          live: true,
          players: 1,
          publisher: { remoteAddress: '127.0.0.1', user: null },
        },
      ],
    });
    expect((await api('GET /points/a%2Fb')).json).toMatchObject({ path: '/a/b' });
    expect((await api('GET /publishers')).json).toMatchObject({ publishers: [{ point: '/a/b', lost: false }] });
    const { json: players } = await api('GET /players');
    expect(players).toMatchObject({
      total: 1,
      players: [{ path: '/a/b', client: 'NSPlayer/7.1', remoteAddress: '127.0.0.1' }],
    });
    expect((await api('GET /players?limit=0')).json).toEqual({ total: 1, players: [] });
    player.close();
    await until('no players', () => station.server.stats().players === 0);
    expect((await api('GET /players')).json).toEqual({ total: 0, players: [] });
  });

  it('reports on players over plain HTTP, too, until they or the broadcast are gone', async () => {
    await open();
    const encoder = await station.push('/live');
    await publishing('/live');
    encoder.key();
    const players = await Promise.all([station.peer(), station.peer()]);
    for (const player of players) {
      player.request('GET /live.asf HTTP/1.0', 'User-Agent: radio/1');
      await player.until((bytes) => (bytes.length > 500 ? true : undefined));
    }
    const who = { path: '/live', client: 'radio/1', remoteAddress: '127.0.0.1' };
    expect((await api('GET /players')).json).toMatchObject({ total: 2, players: [who, who] });
    players[0]!.close();
    await until('a player', () => station.server.stats().players === 1);
    expect((await api('GET /players')).json).toMatchObject({ total: 1 });
    await api('DELETE /points/live', CHANGE);
    await until('no players', () => station.server.stats().players === 0);
    expect((await api('GET /players')).json).toEqual({ total: 0, players: [] });
  });

  it('[WMHTTP-081] disconnects a publisher, which learns of it at once, in the middle of its body', async () => {
    await open();
    const encoder = await station.push('/live', {}, { body: 'AutoDestroy: 1\r\n' });
    await publishing('/live');
    expect((await api('POST /points/live/disconnect', CHANGE)).status).toBe(204);
    expect(parseResponse(await encoder.peer.untilClosed())?.status).toBe(403);
    await until('/live to be removed', () => station.server.points.get('/live') === undefined);
    expect((await api('POST /points/live/disconnect', CHANGE)).status).toBe(404);
  });

  it('removes points, but not those of the configuration', async () => {
    await open({ points: [{ path: '/stays' }] });
    const encoder = await station.push('/live');
    await publishing('/live');
    encoder.key();
    expect((await api('DELETE /points/live', 'Content-Type: application/json')).status).toBe(204);
    await encoder.peer.untilClosed();
    expect((await api('GET /points/live')).status).toBe(404);
    expect((await api('DELETE /points/stays', CHANGE)).status).toBe(409);
    expect((await api('POST /points/stays/disconnect', CHANGE)).json).toEqual({
      error: 'No encoder is publishing to /stays.',
    });
  });

  it('explains what does not exist and what is not supported', async () => {
    await open();
    expect((await api('GET /')).status).toBe(404);
    expect((await api('GET /nothing')).json).toEqual({ error: 'There is nothing at /api/nothing.' });
    const wrong = await api('PUT /status', CHANGE);
    expect([wrong.status, wrong.field('Allow')]).toEqual([405, 'GET']);
    expect((await api('GET /points/%zz')).status).toBe(400);
    expect((await api('GET /players?limit=many')).status).toBe(400);
  });

  it('changes nothing for the pages of other sites', async () => {
    await open();
    await station.push('/live');
    await publishing('/live');
    expect((await api('POST /points/live/disconnect')).status).toBe(403);
    expect((await api('POST /points/live/disconnect', 'Content-Type: text/plain')).status).toBe(403);
    expect((await api('POST /points/live/disconnect', CHANGE, 'Origin: http://evil.example')).status).toBe(403);
    expect((await api('GET /status', 'Origin: http://evil.example')).status).toBe(403);
    expect((await api('GET /status', 'Host: evil.example')).status).toBe(403);
    expect((await api('GET /status', 'Host: [::1]:80')).status).toBe(200);
    expect(station.server.stats().publishers).toBe(1);
  });

  it('is open to this host, and elsewhere to the group admin', async () => {
    await open({ users: await usersFile({ root: ['admin'], anna: [] }) });
    const lines = ['GET /api/status HTTP/1.1', 'Host: server', 'X-Forwarded-For: 198.51.100.7'];
    expect((await station.ask(...lines)).status).toBe(401);
    expect((await askAs(await station.peer(), 'anna', ['digest'], lines)).response.status).toBe(403);
    expect((await askAs(await station.peer(), 'root', ['digest'], lines)).response.status).toBe(200);
  });

  it('is open to this host only if there are no users', async () => {
    await open();
    expect((await api('GET /status', 'X-Forwarded-For: 198.51.100.7')).status).toBe(403);
  });
});
