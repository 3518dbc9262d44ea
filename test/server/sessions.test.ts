import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SessionReport } from '../../src/playback/registry.js';
import type { ServerConfig } from '../../src/server/config.js';
import { connectRequest, wireMessages } from '../msbd/support.js';
import { until } from '../support/until.js';
import { parseResponse, parseWholeResponse, RawPeer, wirePackets } from '../support/wire.js';
import { madeFile } from '../wmsp/content.js';
import { ServerStation, type TestEncoder } from './station.js';

let station: ServerStation;
let folder: string;
let played: SessionReport[];

const PLAYER = 'User-Agent: NSPlayer/12.0.7680.0';
const PLAY = ['Pragma: xPlayStrm=1', 'Pragma: stream-switch-count=2', 'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0'];

beforeEach(async () => {
  played = [];
  folder = await mkdtemp(join(tmpdir(), 'wmcast-sessions-'));
  await writeFile(join(folder, 'a.wmv'), madeFile({ seconds: 60 }));
});

afterEach(async () => {
  await station.close();
  await rm(folder, { recursive: true });
});

async function open(config: Partial<ServerConfig> = {}): Promise<TestEncoder> {
  station = await ServerStation.open({ content: { folder }, ...config }, { played: (report) => played.push(report) });
  const encoder = await station.push('/live');
  await until('the point to be live', () => station.server.points.get('/live')?.broadcast.live);
  encoder.key();
  return encoder;
}

async function api(line: string): Promise<{ status: number; json: Record<string, unknown> }> {
  const [method, path] = line.split(' ');
  const lines = [`${method} /api${path} HTTP/1.1`, 'Host: localhost', 'X-Requested-With: test'];
  const { status, body } = await station.ask(...lines);
  return { status, json: body.length > 0 ? JSON.parse(body.toString()) : {} };
}

type View = { id: string; protocol: string; path: string; bytes: number; role: string };
const listed = async (what = 'players') => (await api(`GET /${what}`)).json[what] as View[];

async function play(...lines: string[]): Promise<RawPeer> {
  const peer = await station.peer();
  peer.request(...lines);
  await peer.until((bytes) => (parseResponse(bytes)?.body.length ?? 0) > 300 || undefined);
  return peer;
}

async function receive(): Promise<RawPeer> {
  const peer = await RawPeer.connect(station.server.ports.msbd!);
  peer.send(connectRequest(1, 'live\0'));
  await peer.until((bytes) => wireMessages(bytes).length > 1 || undefined);
  return peer;
}

/** One player of each kind. */
async function everybody(): Promise<Record<string, RawPeer>> {
  return {
    'WMSP /live': await play('GET /live HTTP/1.0', PLAYER, ...PLAY),
    'WMSP /a.wmv': await play('GET /a.wmv HTTP/1.0', PLAYER, ...PLAY),
    'HTTP /live': await play('GET /live.asf HTTP/1.0', 'User-Agent: radio/1'),
    'HTTP /a.wmv': await play('GET /a.wmv HTTP/1.0', 'User-Agent: radio/1'),
    'MSBD /live': await receive(),
  };
}

describe('the sessions of a server', () => {
  it('are counted with their bytes, whatever is played by whichever protocol', async () => {
    await open({ msbd: { port: 0 } });
    const peers = await everybody();
    const names = Object.keys(peers).filter((name) => name !== 'HTTP /a.wmv');
    const views = await listed();
    expect(views.map(({ protocol, path }) => `${protocol} ${path}`)).toEqual(expect.arrayContaining(names));
    for (const { bytes } of views) expect(bytes).toBeGreaterThan(300);
    const stats = station.server.stats();
    // The file over plain HTTP may be complete meanwhile.
    expect([names.length, names.length + 1]).toContain(stats.players);
    // For each player at least the bytes it has received; for the file over plain HTTP all of them, as it may be
    // complete.
    const received = Object.values(peers).reduce((sum, { received: bytes }) => sum + bytes.length, 0);
    expect(stats.bytesOut).toBeGreaterThan(received - 5 * 1_000);
    for (const peer of Object.values(peers)) peer.close();
    await until('all players to be gone', () => station.server.stats().players === 0);
    expect(played.map(({ protocol, path }) => `${protocol} ${path}`).sort()).toEqual(Object.keys(peers).sort());
    expect(station.server.stats().bytesOut).toBe(played.reduce((sum, { bytes }) => sum + bytes, 0));
  });

  it.each(['WMSP /live', 'WMSP /a.wmv', 'HTTP /live', 'MSBD /live'])(
    'can be ended by id, for example %s',
    async (name) => {
      await open({ msbd: { port: 0 } });
      const peers = await everybody();
      const { id } = (await listed()).find(({ protocol, path }) => `${protocol} ${path}` === name)!;
      expect((await api(`DELETE /sessions/${id}`)).status).toBe(204);
      const bytes = await peers[name]!.untilClosed();
      if (name.startsWith('WMSP')) expect(wirePackets(parseResponse(bytes)!.body).at(-1)?.id).toBe('E');
      await until('the session to be gone', async () => !(await listed()).some((each) => each.id === id));
      expect((await api(`DELETE /sessions/${id}`)).status).toBe(404);
      expect((await listed()).length).toBeGreaterThan(1);
      for (const peer of Object.values(peers)) peer.close();
    },
  );

  it('include those of encoders', async () => {
    const encoder = await open();
    const [session] = await listed('sessions');
    expect(session).toMatchObject({ role: 'publisher', protocol: 'WMHTTP', path: '/live' });
    expect(session!.bytes).toBeGreaterThan(100);
    expect(await listed()).toEqual([]);
    expect((await api(`DELETE /sessions/${session!.id}`)).status).toBe(204);
    expect(parseResponse(await encoder.peer.untilClosed())?.status).toBe(403);
    expect(await listed('sessions')).toEqual([]);
  });

  it('are listed in pages', async () => {
    await open();
    const peers = [];
    for (let i = 0; i < 3; i++) peers.push(await play('GET /live HTTP/1.0', PLAYER, ...PLAY));
    const first = (await api('GET /players?limit=2')).json as { total: number; players: View[] };
    expect([first.total, first.players.length]).toEqual([3, 2]);
    const rest = (await api(`GET /players?after=${first.players[1]!.id}`)).json as { players: View[] };
    expect(rest.players).toHaveLength(1);
    for (const peer of peers) peer.close();
  });

  it('take places that all protocols share, and free them', async () => {
    await open({ msbd: { port: 0 }, limits: { connections: 100, points: 10, players: 2 } });
    const first = await play('GET /live HTTP/1.0', PLAYER, ...PLAY);
    await play('GET /live.asf HTTP/1.0', 'User-Agent: radio/1');
    const refused = await RawPeer.connect(station.server.ports.msbd!);
    refused.send(connectRequest(1, 'live\0'));
    expect(wireMessages(await refused.untilClosed())[0]).toMatchObject({ id: 8, hr: 0xc00d0025 });
    expect((await station.ask('GET /a.wmv HTTP/1.0', 'User-Agent: radio/1')).status).toBe(503);
    first.close();
    await until('a free place', () => station.server.stats().players === 1);
    const receiver = await receive();
    receiver.close();
  });

  it('keep their counters when their point is removed', async () => {
    const encoder = await open();
    await until('a packet', () => station.server.stats().packetsIn === 1);
    encoder.peer.close();
    await until('no publisher', async () => (await api('DELETE /points/live')).status === 404);
    expect(station.server.stats()).toMatchObject({ points: 0, packetsIn: 1 });
  });
});

describe('a request of a player over plain HTTP', () => {
  it('for a whole file is a session that ends with it', async () => {
    await open();
    const { body } = await station.ask('GET /a.wmv HTTP/1.0', 'User-Agent: radio/1');
    await until('a report', () => played.length > 0);
    expect(played).toMatchObject([{ protocol: 'HTTP', path: '/a.wmv', bytes: body.length }]);
    const peer = await station.peer();
    peer.request('HEAD /a.wmv HTTP/1.0', 'User-Agent: radio/1');
    await peer.until(parseWholeResponse).catch(() => {});
    expect(played).toHaveLength(1);
  });
});
