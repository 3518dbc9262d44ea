import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../../src/server/config-file.js';
import { ConfigWatch } from '../../src/server/config-watch.js';
import { reloadSentence } from '../../src/server/reload.js';
import { until } from '../support/until.js';
import type { RawPeer } from '../support/wire.js';
import { ServerStation, type TestEncoder } from './station.js';
import { removeUsers, usersFile } from './users.js';

const open: Array<{ close(): unknown }> = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});
afterAll(removeUsers);

/** A server whose configuration a test changes. */
async function station(text: string) {
  let current = text;
  const warnings: string[] = [];
  const load = async () => ({ ...parseConfig(current, 'serve.yaml'), host: '127.0.0.1', httpPort: 0 });
  const made = await ServerStation.open(await load(), { warning: (message) => warnings.push(message) }, { load });
  open.push(made);
  const reload = (next: string) => {
    current = next;
    return made.server.reload();
  };
  return { made, server: made.server, warnings, reload, change: (next: string) => (current = next) };
}

const PLAY = [
  'User-Agent: NSPlayer/12.0',
  'Pragma: xPlayStrm=1',
  'Pragma: stream-switch-count=2',
  'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
];

/** Starts a player of a live point. */
async function player(made: ServerStation, path: string): Promise<RawPeer> {
  await until('the point to be live', () => made.server.points.get(path)?.broadcast.live);
  const peer = await made.peer();
  peer.request(`GET ${path} HTTP/1.0`, 'Host: 127.0.0.1', ...PLAY);
  return peer;
}

const status = async (made: ServerStation, path: string) =>
  (await made.ask(`GET ${path}.asx HTTP/1.0`, 'Host: 127.0.0.1')).status;

/** Sends key frames until a player gets more. */
async function flows(encoder: TestEncoder, peer: RawPeer): Promise<void> {
  const before = peer.received.length;
  await until('more of the stream', () => {
    encoder.key();
    return peer.received.length > before;
  });
}

describe('a new configuration', () => {
  it('counts for the next player, and drops none', async () => {
    const { made, server, reload } = await station('');
    const encoder = await made.push('/live');
    const first = await player(made, '/live');
    await flows(encoder, first);
    const report = await reload('access: { play: { addresses: [192.0.2.1] } }\nlimits: { players: 1 }');
    expect(report).toEqual({ changed: ['access.play', 'limits.players'], added: [], removed: [], restart: [] });
    expect(await status(made, '/live')).toBe(403);
    await flows(encoder, first);
    await reload('limits: { players: 1 }');
    expect((await made.ask('GET /live HTTP/1.0', 'Host: 127.0.0.1', ...PLAY)).status).toBe(503);
    await reload('');
    const second = await player(made, '/live');
    await flows(encoder, second);
    expect(server.stats().players).toBe(2);
    await flows(encoder, first);
  });

  it('drops none of 500 players, and those of a point that changes stay, too', async () => {
    const { made, server, reload } = await station('points: [{ path: /live, title: One }]');
    const encoder = await made.push('/live');
    const players = await Promise.all(Array.from({ length: 500 }, () => player(made, '/live')));
    await flows(encoder, players.at(-1)!);
    expect(server.stats().players).toBe(500);
    const before = players.map(({ received }) => received.length);
    const report = await reload('points: [{ path: /live, title: Two, maxPlayers: 500 }, { path: /new }]\nguide: false');
    expect(report).toMatchObject({ changed: ['guide', '/live: maxPlayers, title'], added: ['/new'] });
    await until('all players to get more', () => {
      encoder.key();
      return players.every(({ received }, index) => received.length > before[index]!);
    });
    expect(server.stats()).toMatchObject({ players: 500, droppedPlayers: 0 });
  });

  it('changes nothing if it has a mistake', async () => {
    const { made, server, reload } = await station(
      'points: [{ path: /a }]\naccess: { play: { addresses: [192.0.2.1] } }',
    );
    for (const bad of ['points: [{ path: a }]', 'access: { play: { users: [anna] } }', 'users: /nonexistent.yaml']) {
      await expect(reload(bad)).rejects.toMatchObject({ code: 'WM_CONFIG' });
      expect([...server.points].map(({ path }) => path)).toEqual(['/a']);
      expect(await status(made, '/a')).toBe(403);
    }
  });

  it('adds, changes and removes points; those that are pushed to stay with their players', async () => {
    const { made, server, reload } = await station('points: [{ path: /a }, { path: /b }, { path: /c, maxPlayers: 9 }]');
    const encoder = await made.push('/b');
    const peer = await player(made, '/b');
    await flows(encoder, peer);
    const kept = server.points.get('/c');
    expect(await reload('points: [{ path: /c, maxPlayers: 1, burst: 5, title: New }, { path: /d }]')).toMatchObject({
      changed: ['/c: burst, maxPlayers, title'],
      added: ['/d'],
      removed: ['/a', '/b'],
    });
    expect([...server.points].map(({ path, configured }) => [path, configured])).toEqual([
      ['/b', false],
      ['/c', true],
      ['/d', true],
    ]);
    expect(server.points.get('/c')).toBe(kept);
    expect(kept?.settings).toMatchObject({ limits: { players: 1 }, texts: { title: 'New' } });
    await flows(encoder, peer);
    await reload('points: [{ path: /b }]');
    expect(server.points.get('/b')?.configured).toBe(true);
    await flows(encoder, peer);
  });

  it('changes the source of a point without an end for its players', async () => {
    const origin = (await station('')).made;
    const [one, two] = [await origin.push('/one', { title: 'one' }), await origin.push('/two', { title: 'two' })];
    const text = (path: string) => `points: [{ path: /x, source: "http://127.0.0.1:${origin.port}${path}" }]`;
    const { server, reload } = await station(text('/one'));
    const point = server.points.get('/x')!;
    let ends = 0;
    point.broadcast.follow({ started: () => {}, packet: () => 0, ended: () => ends++ });
    const title = () => {
      const described = point.broadcast.header?.objects.find(({ type }) => type === 'contentDescription');
      return described?.type === 'contentDescription' ? described.title : undefined;
    };
    const feed = () => {
      one.key();
      two.key();
    };
    await until('the first source', () => {
      feed();
      return title() === 'one';
    });
    expect(await reload(text('/two'))).toMatchObject({ changed: ['/x: source'] });
    await until('the second source', () => {
      feed();
      return title() === 'two';
    });
    expect(ends).toBe(0);
    expect(point.broadcast.live).toBe(true);
    await reload('points: [{ path: /x }]');
    await until('the end', () => ends === 1);
  });

  it('takes another file of users', async () => {
    const users = await usersFile({ anna: [] });
    const { made, reload } = await station('');
    expect(await status(made, '/x')).toBe(404);
    await reload(`users: ${users}\naccess: { play: { users: ["*"] } }`);
    expect(await status(made, '/x')).toBe(401);
  });

  it('names what needs a restart, again each time', async () => {
    const { reload } = await station('');
    expect((await reload('mms: { port: 0 }\nrealm: other')).restart).toEqual(['mms.port']);
    expect(await reload('mms: { port: 0 }\nrealm: other')).toEqual({
      changed: [],
      added: [],
      removed: [],
      restart: ['mms.port'],
    });
    expect((await reload('realm: other')).restart).toEqual([]);
  });

  it('is summed up in a sentence', () => {
    const none = { changed: [], added: [], removed: [], restart: [] };
    expect(reloadSentence(none)).toBe('The configuration was read again; nothing has changed.');
    expect(reloadSentence({ changed: ['realm', '/a: burst'], added: ['/b'], removed: ['/c'], restart: ['host'] })).toBe(
      'The configuration was read again; changed: realm; /a: burst; new points: /b; removed points: /c; needs a restart: host.',
    );
  });
});

describe('POST /api/reload', () => {
  const ask = (made: ServerStation) =>
    made.ask('POST /api/reload HTTP/1.0', 'Host: 127.0.0.1', 'X-Requested-With: test', 'Content-Length: 0');

  it('reads the configuration again, and answers with what has changed or with all mistakes', async () => {
    const { made, change } = await station('');
    change('realm: other');
    const done = await ask(made);
    expect([done.status, JSON.parse(done.body.toString())]).toMatchObject([200, { changed: ['realm'] }]);
    change('a: 1\nb: 2\n');
    const refused = await ask(made);
    expect([refused.status, JSON.parse(refused.body.toString())]).toMatchObject([
      422,
      {
        problems: [
          { line: 1, column: 1 },
          { line: 2, column: 1 },
        ],
      },
    ]);
  });

  it('is refused without a configuration file', async () => {
    const made = await ServerStation.open();
    open.push(made);
    expect((await ask(made)).status).toBe(409);
  });
});

describe('the watch on a configuration file', () => {
  it('reports a change once, when the file is complete, and not while it is missing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wmcast-watch-'));
    open.push({ close: () => rm(folder, { recursive: true }) });
    const file = join(folder, 'serve.yaml');
    await writeFile(file, 'a');
    let changes = 0;
    const watch = new ConfigWatch(file, () => changes++, 3_600_000);
    open.push(watch);
    const looks = async (count: number) => {
      for (let look = 0; look < count; look++) await watch.look();
      return changes;
    };
    expect(await looks(3)).toBe(0);
    await writeFile(file, 'ab');
    expect(await looks(1)).toBe(0);
    expect(await looks(3)).toBe(1);
    await rm(file);
    expect(await looks(3)).toBe(1);
    await writeFile(`${file}.new`, 'abc');
    await rename(`${file}.new`, file);
    expect(await looks(3)).toBe(2);
    await writeFile(file, 'abcd');
    watch.seen();
    expect(await looks(3)).toBe(2);
  });
});
