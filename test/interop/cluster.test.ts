import { fileURLToPath } from 'node:url';
import { slowness } from '../support/patience.js';
import { until } from '../support/until.js';
import { Child } from './support/child.js';
import { newPoint, type Server } from './support/commands.js';
import { newContentFolder } from './support/content.js';
import { MarkedPlayer } from './support/marked-player.js';
import { known, NatsServer, pushTo, SYNTHETIC, startNode } from './support/nats.js';
import { FfmpegPlayer } from './support/players.js';
import { itNeeds, program } from './support/programs.js';

const needs = [program('nats-server')];

describe('two nodes of a cluster', () => {
  itNeeds(needs, 'hand over what comes to the wrong one: WMSP, RTSP, MMSP and PushStart', async () => {
    const script = fileURLToPath(new URL('../../bench/rounds.mjs', import.meta.url));
    const rounds = new Child(process.execPath, [script, '--rounds', '2', '--cluster']);
    await rounds.ends();
    expect(JSON.parse(rounds.output[0] ?? '{}')).toMatchObject({ rounds: 2, nodes: 2, failed: 0, failures: [] });
  });
});

describe('three nodes of a cluster', () => {
  const folder = newContentFolder();
  let nats: NatsServer;
  let nodes: Server[];
  let a: Server;
  let b: Server;
  let c: Server;

  beforeEach(async () => {
    if (!needs[0]!.present()) return;
    nats = await NatsServer.start();
    nodes = await Promise.all(['a', 'b', 'c'].map((name) => startNode(nats, name, folder)));
    [a, b, c] = nodes as [Server, Server, Server];
  });

  afterEach(async () => {
    if (!needs[0]!.present()) return;
    await Promise.all(nodes.map((node) => node.stop()));
    await nats.stop();
  });

  itNeeds([...needs, program('ffmpeg')], 'play a push to any of them, with the players of each', async () => {
    const point = newPoint();
    await a.publish(point);
    await Promise.all([b, c].map((node) => known(node, point)));
    const players = nodes.map((node) => new FfmpegPlayer(node.url(point, 'mmsh')));
    for (const player of players) await player.decodes(25, 1);
    for (const player of players) await player.stop();
  });

  itNeeds(needs, 'keep their players when the owner of a point is killed, and play nothing twice', async () => {
    const point = newPoint();
    const push = await pushTo(point, a, c);
    await Promise.all([b, c].map((node) => known(node, point)));
    const players = await Promise.all([b, c].map((node) => MarkedPlayer.play(node.port, point)));
    for (const player of players) await player.plays(50);
    await a.stop('SIGKILL');
    const killed = performance.now();
    await c.event('point', ({ point: path, what }) => path === point && what === 'publishing');
    expect(performance.now() - killed).toBeLessThan(8_000 * slowness());
    for (const player of players) await player.plays(150);
    const seen = players.map(({ ended, headers, twice }) => ({ ended, headers, twice }));
    expect(seen).toEqual(players.map(() => ({ ended: false, headers: 1, twice: [] })));
    for (const player of players) player.close();
    await push.stop();
  });

  itNeeds(needs, 'refuse a second encoder on another node, and go on without NATS', async () => {
    const point = newPoint();
    await a.publish(point, ...SYNTHETIC);
    await Promise.all([b, c].map((node) => known(node, point)));
    const second = b.push(point, '-i', 'synthetic:seed=8');
    expect((await second.ends()).code).not.toBe(0);
    expect(second.describe('')).toContain('409');
    const [local, remote] = [await MarkedPlayer.play(a.port, point), await MarkedPlayer.play(b.port, point)];
    for (const player of [local, remote]) await player.plays(50);
    await nats.kill();
    await local.plays(100);
    await nats.restart();
    for (const player of [local, remote]) await player.plays(100);
    expect([local.twice, remote.twice]).toEqual([[], []]);
    for (const player of [local, remote]) player.close();
  });

  itNeeds(needs, 'give their points back when they stop', async () => {
    const point = newPoint();
    await a.publish(point, ...SYNTHETIC);
    await known(b, point);
    const player = await MarkedPlayer.play(b.port, point);
    await player.plays(30);
    const stopped = performance.now();
    await a.stop();
    await b.publish(point, ...SYNTHETIC);
    await player.plays(30);
    expect(performance.now() - stopped).toBeLessThan(5_000 * slowness());
    await until('the player to stay', () => !player.ended);
    player.close();
  });
});
