import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { testTls } from '../support/tls.js';
import { until } from '../support/until.js';
import { Command, newPoint, type Server } from './support/commands.js';
import { newContentFolder } from './support/content.js';
import { MarkedPlayer } from './support/marked-player.js';
import { known, NatsServer, pushTo, SYNTHETIC, startNode } from './support/nats.js';
import { itNeeds, program } from './support/programs.js';

const needs = [program('nats-server')];

async function api<T>(node: Server, path: string, method = 'GET'): Promise<{ status: number; body: T }> {
  const response = await fetch(node.url(`/api${path}`), { method, headers: { 'X-Requested-With': 'test' } });
  return { status: response.status, body: (response.status === 204 ? undefined : await response.json()) as T };
}

interface Sessions {
  readonly sessions: readonly { readonly id: string; readonly role: string; readonly path: string }[];
}

describe('the administration of a cluster', () => {
  const folder = newContentFolder();
  let nats: NatsServer;
  let a: Server;
  let b: Server;

  beforeAll(async () => {
    if (!needs[0]!.present()) return;
    nats = await NatsServer.start();
    [a, b] = (await Promise.all(
      ['a', 'b'].map((name) => startNode(nats, name, folder, ['limits: { players: 3 }'])),
    )) as [Server, Server];
  });

  afterAll(async () => {
    if (!needs[0]!.present()) return;
    await Promise.all([a, b].map((node) => node.stop()));
    await nats.stop();
  });

  const playersAt = async (node: Server, point: string) => {
    const { body } = await api<Sessions>(node, '/sessions');
    return body.sessions.filter(({ path, role }) => path === point && role === 'player');
  };

  itNeeds(needs, 'lists, counts and ends the sessions of all nodes, and limits their players together', async () => {
    const point = newPoint();
    const push = await pushTo(point, a);
    await known(b, point);
    const players = [
      await MarkedPlayer.play(a.port, point),
      await MarkedPlayer.play(b.port, point),
      await MarkedPlayer.play(b.port, point),
    ];
    for (const player of players) await player.plays(10);
    for (const node of [a, b]) await until('all sessions', async () => (await playersAt(node, point)).length === 3);
    const ids = (await playersAt(a, point)).map(({ id }) => id);
    expect(new Set(ids.map((id) => id.split('.')[0])).size).toBe(2);
    await until('all players to be counted', async () => {
      const { body } = await api<{ players: number; node: string }>(a, `/points${point}`);
      return body.players === 3 && body.node === 'a';
    });
    await until('the limit to be known', async () => {
      const more = await MarkedPlayer.play(a.port, point);
      await until('the answer', () => more.ended || more.objects.length > 0);
      const refused = more.objects.length === 0;
      more.close();
      return refused;
    });
    const atB = ids.find((id) => id.split('.')[0] !== ids[0]!.split('.')[0])!;
    for (const id of [ids[0]!, atB]) expect((await api(a, `/sessions/${id}`, 'DELETE')).status).toBe(204);
    await until('two players to be gone', () => players.filter(({ ended }) => ended).length === 2);
    expect((await api(a, `/sessions/${atB}`, 'DELETE')).status).toBe(404);
    expect((await api(b, `/points${point}/disconnect`, 'POST')).status).toBe(204);
    expect((await push.ends()).code).not.toBe(0);
    for (const player of players) player.close();
  });

  itNeeds(needs, 'drains a node: encoders move, players stay, new ones are refused', async () => {
    const point = newPoint();
    const push = await pushTo(point, a, b);
    await known(b, point);
    const players = [await MarkedPlayer.play(a.port, point), await MarkedPlayer.play(b.port, point)];
    for (const player of players) await player.plays(30);
    const drain = new Command('wmcast', ['cluster', 'drain', 'a', '--admin', b.url('')]);
    expect(await drain.ends()).toMatchObject({ code: 0 });
    await b.event('point', ({ point: path, what }) => path === point && what === 'publishing');
    for (const player of players) await player.plays(150);
    expect(players.map(({ ended, headers, twice }) => ({ ended, headers, twice }))).toEqual(
      players.map(() => ({ ended: false, headers: 1, twice: [] })),
    );
    const late = await MarkedPlayer.play(a.port, point);
    await until('the refusal', () => late.ended);
    expect(late.objects).toEqual([]);
    const { body } = await api<{ nodes: { name: string; draining: boolean }[] }>(b, '/nodes');
    expect(body.nodes.map(({ name, draining }) => [name, draining])).toEqual(
      expect.arrayContaining([
        ['a', true],
        ['b', false],
      ]),
    );
    const resume = new Command('wmcast', ['cluster', 'resume', '--admin', a.url('')]);
    expect(await resume.ends()).toMatchObject({ code: 0 });
    const again = await MarkedPlayer.play(a.port, point);
    await again.plays(10);
    for (const player of [...players, again]) player.close();
    await push.stop();
  });

  itNeeds(needs, 'reloads all nodes, and says what each has changed', async () => {
    const { status, body } = await api<{ nodes: Record<string, object> }>(a, '/reload', 'POST');
    expect(status).toBe(200);
    expect(body.nodes).toEqual({ b: { changed: [], added: [], removed: [], restart: [] } });
  });
});

describe('a cluster whose nats-server asks for TLS and logins', () => {
  itNeeds(needs, 'needs no more permissions than the documentation gives each node', async () => {
    const folder = newContentFolder();
    const tls = await tlsFiles(folder);
    const user = (name: string) =>
      `{ user: ${name}, password: secret, permissions: { publish: [${allowed('publish', name)}], subscribe: [${allowed('subscribe', name)}] } }`;
    const nats = await NatsServer.start([
      `authorization { users: [ ${['a', 'b'].map(user).join(', ')} ] }`,
      `tls { cert_file: "${tls.cert}", key_file: "${tls.key}" }`,
    ]);
    const start = (name: string) =>
      startNode({ url: `tls://${name}:secret@127.0.0.1:${nats.port}` }, name, folder, [], `, tls: { ca: '${tls.ca}' }`);
    const nodes = await Promise.all(['a', 'b'].map(start));
    const [a, b] = nodes as [Server, Server];
    const point = newPoint();
    const push = new Command('wmpush', [a.url(point), '--json', ...SYNTHETIC]);
    await b.event('point', ({ point: path, what }) => path === point && what === 'created');
    const player = await MarkedPlayer.play(b.port, point);
    await player.plays(50);
    expect((await api<{ nodes: object[] }>(b, '/nodes')).body.nodes).toHaveLength(2);
    expect([...a.log, ...b.log].filter((line) => line.includes('ermission'))).toEqual([]);
    player.close();
    await push.stop();
    await Promise.all(nodes.map((node) => node.stop()));
    await nats.stop();
  });
});

async function tlsFiles(folder: string): Promise<{ cert: string; key: string; ca: string }> {
  const [cert, key] = [join(folder, 'nats-cert.pem'), join(folder, 'nats-key.pem')];
  await Promise.all([writeFile(cert, testTls.cert), writeFile(key, testTls.key)]);
  return { cert, key, ca: cert };
}

/** The subjects that the documentation gives a node, which is named node-1 there. */
function allowed(what: 'publish' | 'subscribe', name: string): string {
  const text = readFileSync(new URL('../../docs/cluster.md', import.meta.url), 'utf8');
  const [, row = ''] = new RegExp(`\\n\\| ${what} \\|(.*)\\|\\n`).exec(text) ?? [];
  return [...row.matchAll(/`([^`]+)`/g)].map(([, subject]) => `"${subject!.replace('node-1', name)}"`).join(', ');
}
