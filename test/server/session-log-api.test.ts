import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until.js';
import { ServerStation } from './station.js';

let folder: string;
let made: ServerStation;

async function open(withLogs = true): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'wmcast-session-logs-'));
  const logs = { folder, maxSize: 100, proxies: [], submissions: true };
  made = await ServerStation.open({ ...(withLogs ? { logs } : {}), admin: { host: '127.0.0.1', port: 0 } });
}
afterEach(async () => {
  await made.close();
  await rm(folder, { recursive: true });
});

const get = (path: string, init: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${made.server.ports.admin}/api/session-logs${path}`, {
    ...init,
    signal: AbortSignal.timeout(20_000),
  });
const json = async <T>(path: string) => (await (await get(path)).json()) as T;
interface Tail {
  file: string | null;
  cursor: string;
  fields: string[];
  lines: string[];
}

describe('the session logs in the API', () => {
  it('are listed, given, and followed while lines are added', async () => {
    await open();
    const before = await json<Tail>('/tail');
    expect(before.fields).toContain('cs-uri-stem');
    expect(before.lines).toEqual([]);
    expect((await made.ask('GET /nothing.asf HTTP/1.0', 'Host: media', 'User-Agent: NSPlayer/9.0')).status).toBe(404);
    let after = before;
    await until('the line of a player that was refused', async () => {
      after = await json<Tail>(`/tail?after=${before.cursor}`);
      return after.lines.length === 1;
    });
    const value = (name: string) => after.lines[0]!.split(' ')[after.fields.indexOf(name)];
    expect([value('cs-uri-stem'), value('c-status')]).toEqual(['/nothing.asf', '404']);
    expect((await json<Tail>(`/tail?after=${after.cursor}`)).lines).toEqual([]);
    const { total, files } = await json<{ total: number; files: { name: string; bytes: number; href: string }[] }>('');
    expect([total, files[0]!.name, files[0]!.href]).toEqual([1, after.file, `api/session-logs/${after.file}`]);
    const whole = await get(`/${after.file}`);
    expect(whole.headers.get('Content-Type')).toBe('text/plain; charset=utf-8');
    const text = await whole.text();
    expect([text.length, text.includes(after.lines[0]!)]).toEqual([files[0]!.bytes, true]);
    const range = { headers: { Range: 'bytes=0-9' } };
    expect(await (await get(`/${after.file}`, range)).text()).toBe('#StartDate');
  });

  it('are followed from file to file, in whole lines, with at most as many as are asked for', async () => {
    await open();
    const head = '#Fields: c-ip x\r\n';
    await writeFile(join(folder, 'WMS_29990101.log'), `${head}a 1\r\nb 2\r\nc`);
    await writeFile(join(folder, 'WMS_29990101_001.log'), `${head}d 4\r\n`);
    await writeFile(join(folder, 'WMS_29990101_0012.txt'), 'another');
    const first = await json<Tail>('/tail?after=WMS_29990101.log:0&limit=1');
    expect(first).toMatchObject({ file: 'WMS_29990101.log', fields: ['c-ip', 'x'], lines: ['a 1'] });
    const second = await json<Tail>(`/tail?after=${first.cursor}`);
    expect(second.lines).toEqual(['b 2']);
    await appendFile(join(folder, 'WMS_29990101.log'), ' 3\r\n');
    const third = await json<Tail>(`/tail?after=${second.cursor}`);
    expect(third.lines).toEqual(['c 3']);
    const fourth = await json<Tail>(`/tail?after=${third.cursor}`);
    expect(fourth).toMatchObject({ lines: [], cursor: 'WMS_29990101_001.log:0' });
    expect((await json<Tail>(`/tail?after=${fourth.cursor}`)).lines).toEqual(['d 4']);
    expect(await json<Tail>('/tail')).toMatchObject({ file: 'WMS_29990101_001.log', lines: ['d 4'] });
  });

  it('are nothing but the files of the log', async () => {
    await open();
    await writeFile(join(folder, 'private.log'), 'private');
    for (const name of ['private.log', '..%2F..%2Fetc%2Fpasswd', 'WMS_20260101.log%2F..', 'WMS_19990101.log'])
      expect([name, (await get(`/${name}`)).status]).toEqual([name, 404]);
    for (const after of ['x', '../WMS_20260101.log:0', 'private.log:0'])
      expect([after, (await get(`/tail?after=${encodeURIComponent(after)}`)).status]).toEqual([after, 400]);
  });

  it('are empty without a folder', async () => {
    await open(false);
    expect(await json('')).toEqual({ total: 0, files: [] });
    expect(await json('/tail')).toEqual({ file: null, cursor: '', fields: [], lines: [] });
    expect((await get('/WMS_20260101.log')).status).toBe(404);
  });
});
