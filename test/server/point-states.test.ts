import { parseConfig } from '../../src/server/config-file.js';
import { until } from '../support/until.js';
import type { RawPeer } from '../support/wire.js';
import { ServerStation } from './station.js';

const open: Array<{ close(): unknown }> = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function station(text: string): Promise<ServerStation> {
  const made = await ServerStation.open({ ...parseConfig(text, 'serve.yaml'), host: '127.0.0.1', httpPort: 0 });
  open.push(made);
  return made;
}

const PLAY = [
  'User-Agent: NSPlayer/12.0',
  'Pragma: xPlayStrm=1',
  'Pragma: stream-switch-count=2',
  'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
];

async function post(made: ServerStation, path: string): Promise<number> {
  const lines = [`POST ${path} HTTP/1.0`, 'Host: 127.0.0.1', 'X-Requested-With: test', 'Content-Length: 0'];
  return (await made.ask(...lines)).status;
}

const play = async (made: ServerStation, path: string) =>
  (await made.ask(`GET ${path} HTTP/1.0`, 'Host: 127.0.0.1', ...PLAY)).status;

async function publishing(made: ServerStation, path: string) {
  const encoder = await made.push(path);
  await until('the point to be live', () => made.server.points.get(path)?.broadcast.live);
  return encoder;
}

async function player(made: ServerStation, path: string): Promise<RawPeer> {
  const peer = await made.peer();
  peer.request(`GET ${path} HTTP/1.0`, 'Host: 127.0.0.1', ...PLAY);
  await until('the player', () => made.server.stats().players > 0);
  return peer;
}

describe('a point', () => {
  it('that is stopped ends its encoder and its players, and refuses both until it is started', async () => {
    const made = await station('points: [{ path: /a }]');
    const encoder = await publishing(made, '/a');
    await player(made, '/a');
    expect(await post(made, '/api/points/a/stop')).toBe(204);
    await until('nobody', () => made.server.stats().players === 0 && made.server.stats().publishers === 0);
    expect((await encoder.peer.until((bytes) => bytes.toString('latin1'))).includes('403')).toBe(true);
    expect((await made.setUp('/a')).response.status).toBe(503);
    expect(await play(made, '/a')).toBe(503);
    expect(await post(made, '/api/points/a/stop')).toBe(204);
    expect(await post(made, '/api/points/a/start')).toBe(204);
    await publishing(made, '/a');
    await player(made, '/a');
  });

  it('can be stopped from the beginning', async () => {
    const made = await station('points: [{ path: /a, enabled: false }]');
    expect((await made.setUp('/a')).response.status).toBe(503);
    const { body } = await made.ask('GET /api/points/a HTTP/1.0', 'Host: 127.0.0.1');
    expect(JSON.parse(body.toString())).toMatchObject({ stopped: true });
    await post(made, '/api/points/a/start');
    expect((await made.setUp('/a')).response.status).toBe(204);
  });

  it('stops and starts what it is pulled from', async () => {
    const origin = await station('');
    const encoder = await publishing(origin, '/live');
    const made = await station(`points: [{ path: /x, source: "http://127.0.0.1:${origin.port}/live" }]`);
    const live = (wanted: boolean) =>
      until('the point to change', () => {
        encoder.key();
        return made.server.points.get('/x')?.broadcast.live === wanted;
      });
    await live(true);
    await post(made, '/api/points/x/stop');
    await live(false);
    expect(made.server.points.get('/x')?.feeder).toBeUndefined();
    await post(made, '/api/points/x/start');
    await live(true);
  });

  it('that accepts no new players keeps those that play', async () => {
    const made = await station('points: [{ path: /a }]');
    const encoder = await publishing(made, '/a');
    const peer = await player(made, '/a');
    expect(await post(made, '/api/points/a/deny')).toBe(204);
    expect(await play(made, '/a')).toBe(503);
    const before = peer.received.length;
    await until('more of the stream', () => {
      encoder.key();
      return peer.received.length > before;
    });
    expect(await post(made, '/api/points/a/open')).toBe(204);
    await player(made, '/a');
  });

  it('refuses a stream with more than a player may have', async () => {
    const made = await station('points: [{ path: /a, maxPlayerBandwidth: 1 }, { path: /b, maxBandwidth: 1 }]');
    await publishing(made, '/a');
    await publishing(made, '/b');
    expect(await play(made, '/a')).toBe(403);
    expect(await play(made, '/b')).toBe(503);
  });
});
