import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../../src/server/config-file.js';
import { until } from '../support/until.js';
import { ServerStation } from './station.js';

let folder: string;
let made: ServerStation;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wmcast-archives-'));
  const text = `points:\n  - { path: /live, archive: ${folder} }\n  - { path: /other, archive: ${folder} }\n  - { path: /none }`;
  const config = { ...parseConfig(text, 'serve.yaml'), host: '127.0.0.1', httpPort: 0 };
  made = await ServerStation.open({ ...config, admin: { host: '127.0.0.1', port: 0 } });
});
afterEach(async () => {
  await made.close();
  await rm(folder, { recursive: true });
});

const get = (path: string, init: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${made.server.ports.admin}/${path}`, { ...init, signal: AbortSignal.timeout(20_000) });
const archives = async (path = 'api/archives') =>
  (await (await get(path)).json()) as {
    total: number;
    archives: { name: string; href: string; recording: boolean; removed: boolean }[];
  };
const remove = async (href: string) =>
  (await get(href, { method: 'DELETE', headers: { 'X-Requested-With': 'test' } })).status;

/** Records a short session. */
async function record(path: string): Promise<void> {
  const encoder = await made.push(path);
  encoder.key();
  await until('a recording', async () => (await archives()).archives.some(({ recording }) => recording));
  encoder.key();
  encoder.end();
  await until('its end', async () => (await archives()).archives.every(({ recording }) => !recording));
}

describe('the archives in the API', () => {
  it('lists recordings of all points or of one, the newest first, and says which are growing', async () => {
    expect(await archives()).toEqual({ total: 0, archives: [] });
    await record('/live');
    await record('/other');
    await writeFile(join(folder, 'private.asf'), 'not an archive');
    const { total, archives: all } = await archives();
    expect([total, all.map(({ name }) => name.split('-')[0])]).toEqual([2, ['other', 'live']]);
    expect(all[0]).toMatchObject({ point: '/other', bytes: expect.any(Number), recording: false });
    expect((await archives('api/points/live/archives')).archives.map(({ name }) => name)).toEqual([all[1]!.name]);
    expect((await archives('api/archives?limit=1')).archives).toHaveLength(1);
    expect(await archives('api/points/none/archives')).toEqual({ total: 0, archives: [] });
    expect((await get('api/points/nothing/archives')).status).toBe(404);
  });

  it('gives a recording, and ranges of its bytes', async () => {
    await record('/live');
    const { href, name } = (await archives()).archives[0]!;
    const bytes = await readFile(join(folder, name));
    const whole = await get(href);
    expect(Object.fromEntries(whole.headers)).toMatchObject({
      'content-length': String(bytes.length),
      'accept-ranges': 'bytes',
      'content-disposition': `attachment; filename="${name}"`,
    });
    expect(Buffer.from(await whole.arrayBuffer())).toEqual(bytes);
    for (const [range, start, end] of [
      ['bytes=10-19', 10, 20],
      ['bytes=-5', bytes.length - 5, bytes.length],
    ] as const) {
      const part = await get(href, { headers: { Range: range } });
      expect([part.status, part.headers.get('Content-Range')]).toEqual([
        206,
        `bytes ${start}-${end - 1}/${bytes.length}`,
      ]);
      expect(Buffer.from(await part.arrayBuffer())).toEqual(bytes.subarray(start, end));
    }
    expect((await get(href, { headers: { Range: `bytes=${bytes.length}-` } })).status).toBe(416);
    const head = await get(href, { method: 'HEAD' });
    expect([head.status, head.headers.get('Content-Length')]).toEqual([200, String(bytes.length)]);
  });

  it('deletes a recording, but none that is growing', async () => {
    const encoder = await made.push('/live');
    encoder.key();
    await until('a recording', async () => (await archives()).archives.length === 1);
    const { href } = (await archives()).archives[0]!;
    expect(await remove(href)).toBe(409);
    encoder.end();
    await until('its end', async () => (await archives()).archives.every(({ recording }) => !recording));
    expect([await remove(href), await remove(href), await readdir(folder)]).toEqual([204, 404, []]);
  });

  it('gives and deletes nothing but recordings of the point', async () => {
    await record('/other');
    await writeFile(join(folder, 'private.asf'), 'private');
    await symlink('/etc/passwd', join(folder, 'live-2026-01-01T00-00-00.000Z.txt'));
    const { name } = (await archives()).archives[0]!;
    for (const file of [name, 'private.asf', '../../etc/passwd', '/etc/passwd', 'live-2026-01-01T00-00-00.000Z.txt']) {
      const href = `api/points/live/archives/${encodeURIComponent(file)}`;
      expect([file, (await get(href)).status, await remove(href)]).toEqual([file, 404, 404]);
    }
    expect(await readdir(folder)).toHaveLength(3);
  });
});

describe('the archives of points that are gone', () => {
  const drop = async (path: string) => {
    const point = made.server.points.get(path)!;
    await made.server.points.unconfigure(path);
    expect(made.server.points.get(path)).toBeUndefined();
    return point;
  };

  it('are listed, given and deleted', async () => {
    await record('/live');
    await record('/other');
    await drop('/live');
    const { total, archives: all } = await archives();
    expect([total, all]).toMatchObject([
      2,
      [
        { point: '/other', removed: false },
        { point: '/live', removed: true },
      ],
    ]);
    expect((await archives('api/points/live/archives')).archives).toEqual([all[1]]);
    const { href, name } = all[1]!;
    expect(Buffer.from(await (await get(href)).arrayBuffer())).toEqual(await readFile(join(folder, name)));
    // Not under another name.
    expect((await get(href.replace('points/live', 'points/other'))).status).toBe(404);
    expect([await remove(href), await remove(href), (await archives()).total]).toEqual([204, 404, 1]);
    // Nor is there anything of the point any more.
    expect((await get('api/points/live/archives')).status).toBe(404);
  });

  it('are found after a restart by their names, where other points record to', async () => {
    await writeFile(join(folder, 'old%20news-2026-01-02T03-04-05.678Z.asf'), 'earlier');
    await writeFile(join(folder, 'private.asf'), 'not an archive');
    const { archives: all } = await archives();
    expect(all).toMatchObject([{ point: '/old news', bytes: 7, removed: true }]);
    expect(await (await get(all[0]!.href)).text()).toBe('earlier');
    expect((await get(`api/points/private/archives/private.asf`)).status).toBe(404);
  });
});

describe('the log in the API', () => {
  it('tells what happened before, the newest first', async () => {
    await record('/live');
    const { lines } = (await (await get('api/log?limit=2')).json()) as { lines: { name: string; at: string }[] };
    expect(lines).toMatchObject([
      { name: 'point', data: { point: '/live', what: 'unpublished' } },
      { name: 'point', data: { point: '/live', what: 'publishing' } },
    ]);
    expect(Date.parse(lines[0]!.at)).toBeGreaterThanOrEqual(Date.parse(lines[1]!.at));
    expect((await get('api/log?limit=x')).status).toBe(400);
  });
});
