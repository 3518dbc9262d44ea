import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../../../src/server/config-file.js';
import { until } from '../../support/until.js';
import { ServerStation } from '../station.js';

describe('the hooks of a server', () => {
  let folder: string;
  let station: ServerStation;
  const warnings: string[] = [];
  const events = async () =>
    (await readFile(join(folder, 'events'), 'utf8').catch(() => ''))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const open = async (yaml: string) => {
    const { hooks, points } = parseConfig(yaml.replaceAll('$FOLDER', folder), 'serve.yaml');
    station = await ServerStation.open({ hooks, points }, { warning: (message) => warnings.push(message) });
  };
  const appends = `run: [sh, -c, 'cat >> $FOLDER/events']`;

  beforeEach(async () => {
    warnings.length = 0;
    folder = await mkdtemp(join(tmpdir(), 'wmcast-hook-'));
  });
  afterEach(async () => {
    await station.close();
    await rm(folder, { recursive: true });
  });

  it('learn about encoders, players and archives, in order', async () => {
    await open(`hooks: [{ on: [publish, unpublish, play, stop, archive], ${appends} }]
points: [{ path: /live, archive: $FOLDER }]`);
    const encoder = await station.push('/live');
    encoder.key();
    await until('the point to be live', () => station.server.points.get('/live')?.broadcast.live);
    const player = await station.peer();
    player.request('GET /live.asf HTTP/1.1', 'Host: 127.0.0.1', 'User-Agent: test/1');
    await player.until((bytes) => bytes.includes('\r\n\r\n') || undefined);
    await until('a player', () => station.server.stats().players === 1);
    player.close();
    await until('no player', () => station.server.stats().players === 0);
    encoder.end();
    encoder.peer.close();
    const all = await until('five events', async () => {
      const told = await events();
      return told.length >= 5 && told;
    });
    expect(all.slice(0, 3)).toMatchObject([
      { event: 'publish', path: '/live', address: '127.0.0.1', protocol: 'WMHTTP', time: expect.stringMatching(/Z$/) },
      { event: 'play', path: '/live', address: '127.0.0.1', protocol: 'HTTP', client: 'test/1' },
      { event: 'stop', path: '/live', bytes: expect.any(Number), seconds: expect.any(Number) },
    ]);
    expect(
      all
        .slice(3)
        .map(({ event }) => event)
        .sort(),
    ).toEqual(['archive', 'unpublish']);
    const archived = all.find(({ event }) => event === 'archive');
    expect((await readFile(String(archived!['file']))).length).toBeGreaterThan(500);
    expect(warnings).toEqual([]);
  });

  it('may refuse encoders and players by path, address and user, whatever their protocol', async () => {
    await open(
      `hooks: [{ on: [publish, play], decides: true, run: [sh, -c, 'tee -a $FOLDER/events | grep -q /good'] }]`,
    );
    expect((await station.setUp('/bad')).response.status).toBe(403);
    const encoder = await station.push('/good');
    encoder.key();
    await until('the point to be live', () => station.server.points.get('/good')?.broadcast.live);
    const described = await station.ask('GET /good HTTP/1.0', 'User-Agent: NSPlayer/4.1.0.3856');
    expect(described.status).toBe(200);
    const { status } = await station.ask('HEAD /good.asf HTTP/1.1', 'Host: 127.0.0.1');
    expect(status).toBe(200);
    expect(await events()).toMatchObject([
      { event: 'publish', path: '/bad', address: '127.0.0.1' },
      { event: 'publish', path: '/good' },
      { event: 'play', path: '/good', address: '127.0.0.1' },
    ]);
  });

  it('keep players away with 403 if they refuse, and with 500 and a warning if they are broken', async () => {
    await open(`hooks: [{ on: [play], decides: true, run: [sh, -c, 'grep -q /live && exit 1; exit 127'] }]`);
    for (const path of ['/live', '/other']) {
      const encoder = await station.push(path);
      encoder.key();
      await until('the point to be live', () => station.server.points.get(path)?.broadcast.live);
    }
    for (const agent of ['curl/8', 'NSPlayer/4.1.0.3856']) {
      const play = ['Pragma: xPlayStrm=1', 'Pragma: stream-switch-count=1', 'Pragma: stream-switch-entry=ffff:1:0'];
      const ask = (path: string) => station.ask(`GET ${path} HTTP/1.0`, `User-Agent: ${agent}`, ...play);
      expect((await ask('/live.asf')).status).toBe(403);
      expect((await ask('/other.asf')).status).toBeGreaterThanOrEqual(500);
    }
    expect(warnings).toEqual([expect.stringMatching(/^The hook sh failed: Command failed with exit code 127/)]);
    expect(station.server.stats().players).toBe(0);
  });

  it('learn about a source that fails', async () => {
    await open(`hooks: [{ on: [source-lost], ${appends} }]
points: [{ path: /edge, source: "http://me:secret@127.0.0.1:1/x" }]`);
    const [lost] = await until('an event', async () => {
      const told = await events();
      return told.length > 0 && told;
    });
    expect(lost).toMatchObject({
      event: 'source-lost',
      path: '/edge',
      source: expect.stringContaining('127.0.0.1:1/x'),
    });
    expect(JSON.stringify(lost)).not.toContain('secret');
  });

  it.each([
    ['run: ""', /must be a URL, a program/],
    ['run: "http://"', /must be a URL, a program/],
    ['run: x, on: []', /hooks\[0\]/],
    ['run: x, timeout: 0', /hooks\[0\]\.timeout/],
    ['run: x, decides: true, on: [stop]', /can only decide about publish and play/],
  ])('refuse %s in the configuration', async (fields, message) => {
    await open('points: []');
    const text = `hooks: [{ ${fields.includes('on:') ? '' : 'on: [play], '}${fields} }]`;
    expect(() => parseConfig(text, 'serve.yaml')).toThrow(message);
  });
});
