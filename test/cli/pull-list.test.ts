import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pullCommand } from '../../src/cli/pull.js';
import { parseList, parseManifest } from '../../src/cli/pull-list.js';
import { defaultConfig } from '../../src/server/config.js';
import { MediaServer } from '../../src/server/server.js';
import { makeFile } from '../media/support.js';
import { newFolder, readBack, removeFolders, runCommand } from './run.js';

afterAll(removeFolders);

describe('wmcast pull --list', () => {
  let server: MediaServer;
  let content: string;

  beforeAll(async () => {
    content = newFolder();
    await makeFile(join(content, 'one.wmv'), { seconds: 1 });
    await makeFile(join(content, 'two.wmv'), { seconds: 2 });
    server = await MediaServer.start({
      ...defaultConfig(),
      ...{ host: '127.0.0.1', httpPort: 0, content: { folder: content } },
    });
  });

  afterAll(() => server?.close());

  /** Receives a list and returns the events by name. */
  async function received(list: string, folder: string, ...args: string[]) {
    const ran = await runCommand(pullCommand(), '--json', '--list', list, '-o', folder, ...args);
    const items = ran.events.filter(({ event }) => event === 'item');
    return { ...ran, items, done: ran.events.at(-1) };
  }

  it('receives all of a list, names failures at the end, and goes on where it was', async () => {
    const folder = newFolder();
    const list = join(folder, 'list.txt');
    const [one, two, three] = ['one.wmv', 'two.wmv', 'three.wmv'].map((name) => `${server.baseUrl}/${name}`);
    writeFileSync(list, `# films\n${one}\n${two} second.wmv\n${three}\n${one}\n`);
    const first = await received(list, join(folder, 'out'), '--jobs', '2');
    expect(first.error).toBeUndefined();
    expect(first.exitCode).toBe(66);
    expect(first.done).toMatchObject({ event: 'done', done: 2, skipped: 0, failed: 1 });
    expect(first.done?.['failures']).toEqual([{ url: three, message: expect.stringContaining('404') }]);
    expect(readdirSync(join(folder, 'out')).sort()).toEqual(['one.wmv', 'second.wmv']);
    expect(await readBack(join(folder, 'out', 'second.wmv'))).toMatchObject({ warnings: [], live: false });

    const before = statSync(join(folder, 'out', 'one.wmv')).mtimeMs;
    rmSync(join(folder, 'out', 'second.wmv'));
    await makeFile(join(content, 'three.wmv'), { seconds: 1 });
    const second = await received(list, join(folder, 'out'));
    rmSync(join(content, 'three.wmv'));
    expect(second.exitCode).toBe(0);
    expect(second.done).toMatchObject({ done: 2, skipped: 1, failed: 0 });
    expect(second.items.map(({ url, status }) => `${String(url)} ${String(status)}`).sort()).toEqual(
      [`${one} skipped`, `${two} done`, `${three} done`].sort(),
    );
    expect(statSync(join(folder, 'out', 'one.wmv')).mtimeMs).toBe(before);
  });

  it('replaces no file, and keeps the passwords of its list out of the manifest', async () => {
    const folder = newFolder();
    const [list, manifest] = [join(folder, 'list.m3u'), join(folder, 'state')];
    writeFileSync(join(folder, 'one.wmv'), 'kept');
    const url = `${server.baseUrl}/one.wmv`.replace('://', '://me:secret@');
    writeFileSync(list, `#EXTM3U\n#EXTINF:1,One\n${url}\n`);
    const { done, log, output } = await received(list, folder, '--manifest', manifest);
    expect(done).toMatchObject({ done: 1, failed: 0 });
    expect(readFileSync(join(folder, 'one.wmv'), 'utf8')).toBe('kept');
    expect(existsSync(join(folder, 'one-2.wmv'))).toBe(true);
    const [line] = readFileSync(manifest, 'utf8').split('\n');
    expect(JSON.parse(line!)).toMatchObject({ status: 'done', output: join(folder, 'one-2.wmv') });
    expect(readFileSync(manifest, 'utf8') + log + output).not.toContain('secret');
  });

  it.each([
    [[], 'A URL is missing, or a list of them (--list).'],
    [['http://127.0.0.1:1/x', '--list', 'x'], 'Give either a URL or --list.'],
    [['--list', '/nowhere'], 'The list /nowhere cannot be read'],
    [['--list', 'x', '-o', '-'], '-o - does not go with --list.'],
    [['--list', 'x', '--archive-size', '1G'], '--archive-size does not go with --list.'],
  ])('does not go with %j', async (args, message) => {
    const { error } = await runCommand(pullCommand(), ...args);
    expect(error).toMatchObject({ message: expect.stringContaining(message) });
  });

  it('reads lists with names, and manifests that end in the middle of a line', () => {
    expect(parseList('a://b c d.wmv\r\n\n#x\ne://f\n')).toEqual([
      { url: 'a://b', name: 'c d.wmv' },
      { url: 'e://f', name: undefined },
    ]);
    expect(() => parseList('a://b ../c')).toThrow('Entry 1 of the list: "../c" is no name of a file.');
    const lines = ['{"url":"a","status":"failed"}', '{"url":"a","status":"done"}', '{"url":"b","sta'];
    expect([...parseManifest(lines.join('\n'))]).toEqual([['a', { url: 'a', status: 'done' }]]);
  });
});
