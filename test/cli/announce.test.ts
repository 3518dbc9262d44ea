import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readMetafile } from '../../src/announce/asx-read.js';
import { buildNsc, parseNsc } from '../../src/announce/nsc.js';
import { announceCommand } from '../../src/cli/announce.js';
import { MsbTransmission } from '../../src/msb/server/transmission.js';
import { liveAudio } from '../msb/support.js';
import { runCommand } from './run.js';

describe('wmcast announce', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wmcast-announce-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  it('writes files that lead players to points, the protocol itself first', async () => {
    const [asx, m3u] = [join(folder, 'a.asx'), join(folder, 'a.m3u')];
    const points = ['http://server:8080/live', 'https://server/a%20b', 'mms://other/film.wmv'];
    const more = ['--title', 'Tom & "J"', '--log-url', 'http://logs/x', '--asx', asx, '--m3u', m3u];
    const { error } = await runCommand(announceCommand(), ...points, ...more);
    expect(error).toBeUndefined();
    const { entries } = readMetafile(await readFile(asx, 'utf8'))!;
    expect(entries.map(({ refs }) => refs)).toEqual([
      ['mms://server:8080/live', 'http://server:8080/live?MSWMExt=.asf'],
      ['https://server/a%20b?MSWMExt=.asf'],
      ['mms://other/film.wmv'],
    ]);
    expect(entries[0]).toMatchObject({ title: 'Tom & "J"', logUrls: ['http://logs/x'] });
    expect(await readFile(m3u, 'utf8')).toContain('#EXTINF:-1,Tom & "J"\r\nmms://server:8080/live\r\n');
  });

  it('rewrites an .nsc file, with additional properties', async () => {
    const transmission = new MsbTransmission();
    transmission.header(liveAudio('one'));
    const from = join(folder, 'from.nsc');
    const to = join(folder, 'to.nsc');
    await writeFile(from, buildNsc({ address: '239.1.2.3', port: 5000, formats: transmission.formats }));
    const more = ['--nsc', to, '--unicast-url', 'mms://h/x', '--title', 'Süd'];
    expect((await runCommand(announceCommand(), from, ...more)).error).toBeUndefined();
    const text = await readFile(to, 'latin1');
    expect(parseNsc(text)).toMatchObject({ name: 'Süd', unicastUrl: 'mms://h/x', formats: transmission.formats });
  });

  it('rejects what it cannot do', async () => {
    const run = async (...args: string[]) => (await runCommand(announceCommand(), ...args)).error;
    expect(await run('live')).toMatchObject({ code: 'WM_USAGE' });
    expect(await run('http://me:secret@h/x')).toMatchObject({ code: 'WM_USAGE' });
    expect(await run('http://h/a', 'http://h/b', '--nsc', 'x.nsc')).toMatchObject({ code: 'WM_USAGE' });
    expect(await run('mms://h/a', '--nsc', 'x.nsc')).toMatchObject({ code: 'WM_USAGE' });
    expect(await run(join(folder, 'none.nsc'), '--nsc', 'x.nsc')).toMatchObject({ code: 'WM_NO_INPUT' });
    expect(await run('http://h/a', '--asx', join(folder, 'none', 'a.asx'))).toMatchObject({ code: 'WM_DISK' });
  });
});
