import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerConfig } from '../../src/server/config.js';
import { defaultConfig } from '../../src/server/config.js';
import { readBack } from '../cli/run.js';
import { Peer } from '../http/peer.js';
import { until } from '../support/until.js';
import { parseResponse, type WireResponse } from '../support/wire.js';
import { ServerStation, TestEncoder } from './station.js';
import { removeUsers, usersFile } from './users.js';

let station: ServerStation;
let warnings: string[];
// As if this host were another one.
const ELSEWHERE = 'X-Forwarded-For: 198.51.100.7';
const basic = (user: string) => `Authorization: Basic ${Buffer.from(`${user}:${user}-secret`).toString('base64')}`;

async function open(config: Partial<ServerConfig> = {}) {
  warnings = [];
  station = await ServerStation.open(config, { warning: (message) => warnings.push(message) });
}

afterEach(() => station.close());
afterAll(removeUsers);

const publishing = (path = '/live') =>
  until(`a push to ${path}`, () => station.server.points.get(path)?.publisher !== undefined);
const template = (path: string, autoDestroy = 0) => ({
  body: `Template-URL: "${path}"\r\nAutoDestroy: ${autoDestroy}\r\n`,
});
const answerTo = async ({ peer }: TestEncoder): Promise<WireResponse> => parseResponse(await peer.untilClosed())!;

describe('a push to a new name', () => {
  it('[WMHTTP-022] creates a point with the settings of its template', async () => {
    await open({
      points: [
        { path: '/base', maxPlayers: 7, burst: 5, title: 'Ours', access: { play: { addresses: ['192.0.2.1'] } } },
      ],
    });
    const encoder = await station.push('/new', { title: 'Theirs' }, template('/base'));
    await publishing('/new');
    encoder.key();
    const point = station.server.points.get('/new')!;
    expect(point.settings).toBe(station.server.points.get('/base')!.settings);
    expect(point.settings).toMatchObject({ limits: { players: 7 }, burst: 5000 });
    const title = point.broadcast.header!.objects.find(({ type }) => type === 'contentDescription');
    expect(title).toMatchObject({ title: 'Ours' });
    expect((await station.ask('GET /new HTTP/1.1', 'Host: x')).status).toBe(403);
    expect(station.server.points.get('/base')!.publisher).toBeUndefined();
  });

  it('[WMHTTP-023] ignores the template if the point exists', async () => {
    await open({ points: [{ path: '/base', maxPlayers: 7 }, { path: '/there' }] });
    expect((await station.setUp('/there', template('/base'))).response.status).toBe(204);
    expect(station.server.points.get('/there')!.settings.limits?.players).toBeUndefined();
    expect((await station.setUp('/there', template('/nothing'))).response.status).toBe(204);
  });

  it('is open to publishers who may push to its template', async () => {
    await open({ points: [{ path: '/base', access: { push: { addresses: ['192.0.2.1'] } } }] });
    expect((await station.setUp('/new', template('/base'))).response.status).toBe(403);
    expect((await station.setUp('/new')).response.status).toBe(204);
  });

  it('removes its point with its session if the template says so', async () => {
    await open({ points: [{ path: '/base', autoDestroy: true }] });
    const encoder = await station.push('/new', {}, template('/base'));
    await publishing('/new');
    encoder.end();
    await until('/new to be removed', () => station.server.points.get('/new') === undefined);
    const again = await station.push('/base');
    await publishing('/base');
    again.end();
    await until('the push to /base to end', () => station.server.points.get('/base')!.publisher === undefined);
  });

  it('without a template may be restricted to this host', async () => {
    await open({ push: { newPoints: 'loopback' }, access: { ...defaultConfig().access, push: {} } });
    expect((await station.setUp('/a')).response.status).toBe(204);
    expect((await station.setUp('/b', { more: [ELSEWHERE] })).response.status).toBe(404);
    expect((await station.setUp('/b', { ...template('/a'), more: [ELSEWHERE] })).response.status).toBe(204);
  });

  it('[WMHTTP-025] keeps its point for later, or not with AutoDestroy', async () => {
    await open();
    for (const [path, stays] of [
      ['/keeps', true],
      ['/goes', false],
    ] as const) {
      const encoder = await station.push(path, {}, stays ? {} : { body: 'AutoDestroy: 1\r\n' });
      await publishing(path);
      encoder.end();
      await until('no publishers', () => station.server.stats().publishers === 0);
      expect(station.server.points.get(path) !== undefined).toBe(stays);
    }
  });

  it('cannot take a name of the administration', async () => {
    await open();
    expect((await station.setUp('/api/points')).response.status).toBe(404);
  });
});

describe('who may push without a configuration', () => {
  it('is anyone on this host, and no other host', async () => {
    await open();
    expect((await station.setUp('/live')).response.status).toBe(204);
    expect((await station.setUp('/live', { more: [ELSEWHERE] })).response.status).toBe(403);
  });

  it('is any user from elsewhere, if there are users', async () => {
    await open({ users: await usersFile({ anna: [] }), basicWithoutTls: true });
    expect((await station.setUp('/live')).response.status).toBe(204);
    expect((await station.setUp('/live', { more: [ELSEWHERE] })).response.status).toBe(401);
    expect((await station.setUp('/live', { more: [ELSEWHERE, basic('anna')] })).response.status).toBe(204);
  });
});

describe('the one publisher of a point', () => {
  it('is not displaced by a stranger, who gets 409', async () => {
    await open();
    const first = await station.push('/live');
    await publishing();
    expect((await answerTo(await station.push('/live'))).status).toBe(409);
    first.key();
    await until('a packet', () => station.server.stats().packetsIn === 1);
  });

  it('makes the server refuse a stranger before the stranger sends anything', async () => {
    await open();
    const first = await station.push('/live');
    await publishing();
    expect((await station.setUp('/live')).response.status).toBe(409);
    // Its own session may be set up once more, to go on over another connection.
    expect((await station.setUp('/live', { id: `${first.id}; push-id=0` })).response.status).toBe(204);
  });

  it('is the one of two that were set up which starts first', async () => {
    await open();
    const [first, second] = await Promise.all([station.setUp('/live'), station.setUp('/live')]);
    new TestEncoder(first.peer, first.response).start('/live');
    await publishing();
    const late = new TestEncoder(second.peer, second.response);
    late.start('/live');
    expect((await answerTo(late)).status).toBe(409);
  });

  it('takes over from itself if it knows the push-id, even if the old session is alive', async () => {
    await open();
    const first = await station.push('/live');
    await publishing();
    const before = station.server.points.get('/live')!.publisher;
    const second = await station.push('/live', {}, { id: `${first.id}; push-id=0` });
    expect((await answerTo(first)).status).toBe(409);
    expect(station.server.points.get('/live')!.publisher).not.toBe(before);
    second.key();
    await until('a packet', () => station.server.stats().packetsIn === 1);
  });

  it('does not take over with a guessed push-id', async () => {
    await open();
    await station.push('/live');
    await publishing();
    const stranger = await station.push('/live', {}, { id: '123456789012345678; push-id=0' });
    expect((await answerTo(stranger)).status).toBe(409);
  });

  it('takes over from itself as the same user at the same address, but another user does not', async () => {
    await open({
      users: await usersFile({ anna: [], bert: [] }),
      access: { ...defaultConfig().access, push: { users: ['*'] } },
    });
    const first = await station.push('/live', {}, { more: [basic('anna')] });
    await publishing();
    expect((await answerTo(await station.push('/live', {}, { more: [basic('bert')] }))).status).toBe(409);
    const second = await station.push('/live', {}, { more: [basic('anna')] });
    expect((await answerTo(first)).status).toBe(409);
    second.key();
    await until('a packet', () => station.server.stats().packetsIn === 1);
    expect(station.server.points.get('/live')!.publisher!.user).toBe('anna');
  });
});

describe('a session whose encoder continues from another address', () => {
  it('is admitted there only if a push from there would be', async () => {
    await open({ points: [{ path: '/live', access: { push: { addresses: ['127.0.0.1'] } } }] });
    const { response } = await station.setUp('/live');
    const elsewhere = connect({ port: station.port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    await once(elsewhere, 'connect');
    const peer = new Peer(elsewhere);
    peer.send(
      'POST /live HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: WMEncoder/12.0\r\nContent-Type: application/x-wms-pushstart\r\n',
      `Cookie: ${response.field('Set-Cookie')}\r\nContent-Length: 1000\r\n\r\n`,
    );
    expect(await peer.head()).toMatch(/^HTTP\/1.1 403 /);
    await peer.ended();
    expect(station.server.stats().publishers).toBe(0);
  });
});

describe('a push that a web page makes a browser send', () => {
  const HOST = (name: string) => [`Host: ${name}`];

  it('is refused if the page is from another site', async () => {
    await open();
    const { response } = await station.setUp('/live', { more: [...HOST('127.0.0.1'), 'Origin: http://evil.example'] });
    expect(response.status).toBe(403);
    const own = await station.setUp('/live', { more: [...HOST('127.0.0.1'), 'Origin: http://127.0.0.1'] });
    expect(own.response.status).toBe(204);
  });

  it('is refused if the name of its site was mapped to the address of the server', async () => {
    await open({ names: ['media.example.com'], host: '127.0.0.1' });
    for (const name of ['evil.example', 'evil.example:8080', 'localhost.evil.example', '127.0.0.1.evil.example']) {
      const { response } = await station.setUp('/live', { more: HOST(name) });
      expect([name, response.status]).toEqual([name, 403]);
    }
    expect(warnings[0]).toMatch(/^A push to \/live from 127\.0\.0\.1 was refused\. Without credentials the server/);
    for (const name of ['127.0.0.1:8080', '[::1]', 'LOCALHOST', 'media.example.com.:80', hostname()]) {
      const { response } = await station.setUp('/live', { more: HOST(name) });
      expect([name, response.status]).toEqual([name, 204]);
    }
  });

  it('may use any name for the server with a password, or where everybody may push', async () => {
    await open({
      users: await usersFile({ anna: [] }),
      access: { ...defaultConfig().access, push: { users: ['anna'] } },
    });
    expect((await station.setUp('/live', { more: [...HOST('any.example'), basic('anna')] })).response.status).toBe(204);
    await station.close();
    await open({ access: { ...defaultConfig().access, push: {} } });
    expect((await station.setUp('/live', { more: HOST('any.example') })).response.status).toBe(204);
  });
});

describe('a push to a point that has moved', () => {
  it('[WMHTTP-084] is redirected with 302, or to a proxy with 305 unless it came through one', async () => {
    await open({
      access: { ...defaultConfig().access, push: {} },
      redirects: [
        { path: '/moved', to: 'http://other:81/live', proxy: false },
        { path: '/live', to: 'http://proxy:3128', proxy: true },
      ],
    });
    const moved = await station.setUp('/moved');
    expect([moved.response.status, moved.response.field('Location')]).toEqual([302, 'http://other:81/live']);
    await moved.peer.untilClosed();
    const proxied = await station.setUp('/live');
    expect([proxied.response.status, proxied.response.field('Location')]).toEqual([305, 'http://proxy:3128']);
    await proxied.peer.untilClosed();
    expect((await station.setUp('/live', { more: ['Via: 1.1 proxy'] })).response.status).toBe(204);
  });
});

describe('players of a point', () => {
  it('are limited in number', async () => {
    await open({ points: [{ path: '/live', maxPlayers: 1 }] });
    const encoder = await station.push('/live');
    await publishing();
    encoder.key();
    const first = await station.peer();
    first.request('GET /live.asf HTTP/1.1', 'Host: x');
    await first.until((bytes) => (bytes.length > 100 ? true : undefined));
    expect((await station.ask('GET /live.asf HTTP/1.1', 'Host: x')).status).toBe(503);
    expect((await station.ask('GET /live HTTP/1.1', 'Host: x')).status).toBe(200);
    first.close();
    await until('no players', () => station.server.stats().players === 0);
    const next = await station.peer();
    next.request('HEAD /live.asf HTTP/1.1', 'Host: x');
    expect((await next.until(parseResponse)).status).toBe(200);
  });
});

describe('the archive of a point', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wmcast-archive-'));
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('contains everything that was pushed, in one file even if the encoder came back', async () => {
    await open({ points: [{ path: '/a b', archive: join(folder, 'deep', 'er') }] });
    const first = await station.push('/a%20b');
    await publishing('/a b');
    first.key();
    first.key();
    await until('two packets', () => station.server.stats().packetsIn === 2);
    first.peer.close();
    await until('the push to be lost', () => station.server.points.get('/a b')!.publisher!.lost);
    const second = await station.push('/a%20b');
    second.key();
    await until('three packets', () => station.server.stats().packetsIn === 3);
    second.end();
    await until('no publishers', () => station.server.stats().publishers === 0);
    await station.server.points.get('/a b')!.close();
    const files = await readdir(join(folder, 'deep', 'er'));
    expect(files).toEqual([expect.stringMatching(/^a%20b-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z\.asf$/)]);
    const { shape, warnings: problems, live } = await readBack(join(folder, 'deep', 'er', files[0]!));
    expect({ shape, problems, live }).toEqual({ shape: 'H 3 E0', problems: [], live: false });
    expect(warnings).toEqual([]);
  });

  it('is reported at the start and once more if it cannot be written, and the broadcast goes on', async () => {
    await writeFile(join(folder, 'file'), '');
    await open({ points: [{ path: '/live', archive: join(folder, 'file') }] });
    const encoder = await station.push('/live');
    await publishing();
    encoder.key();
    encoder.key();
    await until('two packets and a warning', () => station.server.stats().packetsIn === 2 && warnings.length > 1);
    encoder.end();
    await until('no publishers', () => station.server.stats().publishers === 0);
    await station.server.points.get('/live')!.close();
    expect(warnings).toEqual([
      `/live: archive: ${join(folder, 'file')} cannot be written to: ${join(folder, 'file')} is not a folder.`,
      expect.stringMatching(/cannot be created: .*The broadcast goes on without it\.$/),
    ]);
  });
});

describe('a flood', () => {
  it('of PushSetup requests without PushStart leaves a bounded number of sessions and points, and does not affect other encoders', async () => {
    await open({ limits: { connections: 100, points: 50 } });
    const encoder = await station.push('/live');
    await publishing();
    const peer = await station.peer();
    const one = (count: number) =>
      `POST /flood-${count} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: WMEncoder/12.0\r\nContent-Type: application/x-wms-pushsetup\r\nContent-Length: 0\r\n\r\n`;
    let answered = 0;
    peer.socket.on('data', (chunk: Buffer) => {
      answered += chunk.toString('latin1').split('HTTP/1.1 ').length - 1;
    });
    for (let count = 0; count < 10_000; count += 100) {
      peer.send(Array.from({ length: 100 }, (_, index) => one(count + index)).join(''));
      await until('all answers, or the end', () => answered >= count + 100 || peer.ended);
    }
    expect(peer.ended).toBe(false);
    expect(station.server.stats().points).toBeLessThanOrEqual(50);
    expect(station.server.stats().publishers).toBe(1);
    encoder.key();
    await until('a packet', () => station.server.stats().packetsIn === 1);
  });
});
