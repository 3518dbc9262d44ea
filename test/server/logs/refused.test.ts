import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HttpError } from '../../../src/http/message.js';
import type { Attempt } from '../../../src/playback/entrance.js';
import { Refusal } from '../../../src/refusal.js';
import { parseConfig } from '../../../src/server/config-file.js';
import { RefusedSessions } from '../../../src/server/logs/refused.js';
import { openSourceUrl } from '../../../src/sources/table.js';
import { FILE_FIELDS } from '../../../src/wmlog/w3c.js';
import { until } from '../../support/until.js';
import { madeFile } from '../../wmsp/content.js';
import { NEW } from '../../wmsp/station.js';
import { ServerStation } from '../station.js';
import { askAs, removeUsers, usersFile } from '../users.js';

afterAll(removeUsers);

const login = new Refusal('unauthorized', 'Log in.', { challenges: [{ scheme: 'NTLM' }] });

function bench() {
  const written: Array<[path: string, status: number]> = [];
  const dropped: string[] = [];
  const clock = { now: 1_000 };
  const sessions = new RefusedSessions({
    write: ({ path }, status) => written.push([path, status]),
    onDropped: (address) => dropped.push(address),
    now: () => clock.now,
  });
  const end = (error: unknown, path = '/a', remoteAddress = '192.0.2.1') => {
    const visitor = { protocol: 'WMSP', transport: 'tcp', client: 'NSPlayer/9.0' };
    sessions.ended({ visitor, path, remoteAddress, user: undefined, error } satisfies Attempt);
  };
  return { sessions, end, written, dropped, clock };
}

describe('clients that are refused', () => {
  it.each([
    [new Refusal('not-found', 'x'), 404],
    [new Refusal('forbidden', 'x'), 403],
    [new Refusal('offline', 'x'), 503],
    [new Refusal('busy', 'x'), 503],
    [new Refusal('throttled', 'x'), 429],
    [new HttpError(410, 'x'), 410],
    [new Error('x'), 500],
  ])('by %p get a line with the status %i at once', (error, status) => {
    const { end, written } = bench();
    end(error);
    expect(written).toEqual([['/a', status]]);
  });

  it('by a challenge get one unless they log in, whatever steps that takes', () => {
    const { sessions, end, written, clock } = bench();
    for (let step = 0; step < 3; step++) end(login);
    end(undefined);
    end(login, '/b');
    sessions.began('::ffff:192.0.2.1', '/b', 'WMSP');
    end(login, '/c');
    clock.now += 4_999;
    sessions.sweep();
    expect(written).toEqual([]);
    clock.now += 1;
    sessions.sweep();
    expect(written).toEqual([['/c', 401]]);
    end(login, '/d');
    sessions.close();
    expect(written).toEqual([
      ['/c', 401],
      ['/d', 401],
    ]);
  });

  it('cannot fill the disk or the memory', () => {
    const { sessions, end, written, dropped, clock } = bench();
    for (let attempt = 0; attempt < 1_000; attempt++) end(new Refusal('not-found', 'x'), `/${attempt}`);
    expect([written.length, dropped.length]).toEqual([60, 940]);
    clock.now += 2_000;
    end(new Refusal('not-found', 'x'), '/later');
    expect(written.at(-1)).toEqual(['/later', 404]);
    for (let attempt = 0; attempt < 10_050; attempt++) end(login, '/a', `10.${attempt >> 8}.${attempt & 255}.1`);
    expect(written.length).toBe(61 + 50);
    sessions.close();
  });
});

describe('the log file of a server', () => {
  let folder: string;
  let station: ServerStation;
  const lines = async (): Promise<Array<Record<string, string>>> => {
    const names = (await readdir(join(folder, 'logs'))).sort();
    const texts = await Promise.all(names.map((name) => readFile(join(folder, 'logs', name), 'utf8')));
    return texts
      .join('')
      .split('\r\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => Object.fromEntries(line.split(' ').map((value, index) => [FILE_FIELDS[index], value])));
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wmcast-refused-'));
    await writeFile(join(folder, 'clip.wmv'), madeFile({ seconds: 1 }));
    const users = await usersFile({ anna: [] });
    const config = parseConfig(
      `content: { folder: ${folder} }
logs: { folder: ${join(folder, 'logs')} }
users: ${users}
basicWithoutTls: true
mms: { port: 0 }
rtsp: { port: 0 }
points: [{ path: /closed, access: { play: { users: [anna] } } }, { path: /empty }]`,
      'serve.yaml',
    );
    station = await ServerStation.open({ ...config, host: '127.0.0.1', httpPort: 0 });
  });
  afterEach(async () => {
    await station.close();
    await rm(folder, { recursive: true });
  });

  it('has a line for each session that was refused, over every protocol', async () => {
    const { mms, rtsp } = station.server.ports;
    const describe = (path: string) => station.ask(`GET ${path} HTTP/1.1`, NEW, 'Host: x');
    expect((await describe('/nothing%20here')).status).toBe(404);
    expect((await describe('/empty')).status).toBe(503);
    expect((await station.ask('GET /no.wmv HTTP/1.1', 'Host: x', 'User-Agent: VLC/3.0.20 LibVLC/3.0.20')).status).toBe(
      404,
    );
    const browser = ['Host: x', 'User-Agent: Mozilla/5.0', 'Accept: text/html,*/*'];
    expect((await station.ask('GET /page HTTP/1.1', ...browser)).status).toBe(404);
    for (const url of [`mmst://127.0.0.1:${mms}/not-there`, `rtspt://127.0.0.1:${rtsp}/not-there`]) {
      const source = await openSourceUrl(url, {});
      await expect(source[Symbol.asyncIterator]().next()).rejects.toBeDefined();
      await source.close();
    }
    await until('the lines', async () => (await lines()).length >= 5);
    const all = (await lines()).map((line) => [line['protocol'], line['cs-uri-stem'], line['c-status']].join(' '));
    expect(all).toEqual([
      'http /nothing%20here 404',
      'http /empty 503',
      'http /no.wmv 404',
      'mms /not-there 404',
      'rtsp /not-there 404',
    ]);
    expect((await lines())[2]).toMatchObject({
      'c-ip': '127.0.0.1',
      'cs-User-Agent': 'VLC/3.0.20_LibVLC/3.0.20',
      'sc-bytes': '0',
      's-pkts-sent': '0',
      'x-duration': '0',
      's-proxied': '0',
    });
  });

  it('has one with 401 for a player that does not log in, and none for the steps of one that does', async () => {
    const ask = ['GET /closed HTTP/1.1', NEW, 'Host: x'];
    const { response } = await askAs(await station.peer(), 'anna', ['ntlm'], ask);
    // It has logged in, and nobody feeds the point.
    expect(response.status).toBe(503);
    expect((await station.ask(...ask)).status).toBe(401);
    await until('the lines', async () => (await lines()).length === 2);
    expect((await lines()).map((line) => [line['c-status'], line['cs-user-name']])).toEqual([
      ['503', 'anna'],
      ['401', '-'],
    ]);
  }, 20_000);
});
