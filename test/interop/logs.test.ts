import { fork } from 'node:child_process';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FILE_FIELDS } from '../../src/wmlog/w3c.js';
import { until } from '../support/until.js';
import { Child, PATIENCE, stopAll } from './support/child.js';
import { Command, newPoint, Server } from './support/commands.js';
import { makeAsf, newContentFolder, newFolder, removeFolders } from './support/content.js';
import { FfmpegPlayer, MpvPlayer, PLAYERS, VlcPlayer } from './support/players.js';
import { itNeeds, program } from './support/programs.js';

type Line = Readonly<Record<(typeof FILE_FIELDS)[number], string>>;

/** The lines of all log files in a folder; checks that each is whole. */
async function linesIn(folder: string): Promise<Line[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.flatMap((text) => {
    const lines = text.split('\r\n');
    expect(lines.pop()).toBe('');
    return lines
      .filter((line) => !line.startsWith('#'))
      .map((line) => {
        const values = line.split(' ');
        expect(values).toHaveLength(FILE_FIELDS.length);
        return Object.fromEntries(FILE_FIELDS.map((field, index) => [field, values[index]])) as Line;
      });
  });
}

/** A new name for a recording. */
const out = () => join(newFolder(), 'out.wmv');

/** How often a process is killed; KILLS sets it. */
const ROUNDS = Number(process.env['KILLS'] ?? 8);

afterAll(async () => {
  await stopAll();
  removeFolders();
});

describe('the log files of a server', () => {
  const folder = newFolder();
  const content = newContentFolder();
  const point = newPoint();
  let server: Server;
  let push: Command;
  let ports: { mms: number; rtsp: number; msbd: number; http: number };

  beforeAll(async () => {
    await makeAsf('film.wmv', { duration: 4, folder: content });
    server = await Server.start(
      ...['--mms-port', '0', '--rtsp-port', '0', '--msbd-port', '0'],
      ...['--content', content, '--log-dir', folder],
    );
    ({ ports } = (await server.event('ready')) as unknown as { ports: typeof ports });
    push = await server.publish(point);
  });

  afterAll(async () => {
    await push.stop();
    await server.stop();
  });

  /** Waits for lines of sessions that have ended since `before`. */
  const more = async (before: readonly Line[], count = 1) =>
    until(
      `${count} more lines`,
      async () => {
        const lines = await linesIn(folder);
        return lines.length >= before.length + count && lines.slice(before.length);
      },
      PATIENCE,
    );

  const WAYS = {
    mmsh: ['http', 'TCP', () => ports.http],
    mmst: ['mms', 'TCP', () => ports.mms],
    rtspt: ['rtsp', 'TCP', () => ports.rtsp],
  } as const;
  for (const [scheme, [protocol, transport, port]] of Object.entries(WAYS)) {
    for (const what of ['film', 'live'] as const) {
      itNeeds([], `have a line for ffmpeg, which sends no log: ${what} by ${scheme}`, async () => {
        const before = await linesIn(folder);
        const path = what === 'film' ? '/film.wmv' : point;
        const url = `${scheme === 'rtspt' ? 'rtsp' : scheme}://127.0.0.1:${port()}${path}`;
        const player = new FfmpegPlayer(url, scheme === 'rtspt' ? ['-rtsp_transport', 'tcp'] : []);
        await player.decodes(20, 1);
        await player.stop();
        const [line] = await more(before);
        expect(line).toMatchObject({
          'c-ip': '127.0.0.1',
          'cs-uri-stem': path,
          'c-status': '408',
          'c-starttime': '0',
          protocol,
          transport,
          'c-playerid': '-',
          videocodec: 'WMV2',
          's-content-path': what === 'film' ? expect.stringMatching(/^file:\/\/.*\/film\.wmv$/) : '-',
          'cs-User-Agent': expect.stringMatching(/NSPlayer|Lavf/),
        });
        expect(Number(line!['sc-bytes'])).toBeGreaterThan(10_000);
        expect(Number(line!['s-pkts-sent'])).toBeGreaterThan(2);
      });
    }
  }

  itNeeds(PLAYERS['mpv']!.needs, 'have a line for mpv', async () => {
    const before = await linesIn(folder);
    const player = new MpvPlayer('mpv', server.url('/film.wmv', 'mms'));
    await player.decodes(20, 1);
    await player.stop();
    expect((await more(before))[0]).toMatchObject({
      'cs-uri-stem': '/film.wmv',
      filelength: expect.stringMatching(/^[45]$/),
    });
  });

  itNeeds([...PLAYERS['vlc']!.needs], 'have a line for VLC by mmsu', async () => {
    const before = await linesIn(folder);
    const player = new VlcPlayer(`mmsu://127.0.0.1:${ports.mms}${point}`);
    await player.decodes(20, 1);
    await player.stop();
    const lines = await more(before);
    expect(lines.at(-1)).toMatchObject({ protocol: 'mms', transport: 'UDP', 'cs-uri-stem': point });
  });

  it('have a line for a download over plain HTTP, and for MSBD', async () => {
    let before = await linesIn(folder);
    const { length } = Buffer.from(await (await fetch(server.url('/film.wmv'))).arrayBuffer());
    const [line] = await more(before);
    expect(line).toMatchObject({ protocol: 'http', 'c-status': '200', 'cs-uri-stem': '/film.wmv' });
    expect(Number(line!['sc-bytes'])).toBeGreaterThanOrEqual(length);
    before = await linesIn(folder);
    const pull = new Command('wmcast', ['pull', `msbd://127.0.0.1:${ports.msbd}${point}`, '-t', '1', '-o', out()]);
    expect((await pull.exited).code).toBe(0);
    expect((await more(before))[0]).toMatchObject({ protocol: 'msbd', 'c-status': '200', 'cs-uri-stem': point });
  });

  const PULLS = ['mmsh', 'mmst', 'mmsu', 'rtspt', 'rtspu'] as const;
  it.each(PULLS)('have what wmcast pull reports by %s, live and on demand', async (scheme) => {
    const port = { mmsh: ports.http, mmst: ports.mms, mmsu: ports.mms, rtspt: ports.rtsp, rtspu: ports.rtsp }[scheme];
    for (const path of [point, '/film.wmv']) {
      const before = await linesIn(folder);
      const url = `${scheme}://127.0.0.1:${port}${path}?a=b`;
      const pull = new Command('wmcast', ['pull', url, '-t', '2', '-o', out(), '-q']);
      expect((await pull.exited).code).toBe(0);
      const lines = await more(before);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatchObject({
        'c-status': '200',
        'c-playerid': expect.stringMatching(/^\{3300AD50-/),
        'c-hostexe': 'wmcast',
        'cs-uri-stem': path,
        'cs-url': expect.stringContaining(`${path}?a=b`),
        transport: scheme.endsWith('u') ? 'UDP' : 'TCP',
      });
      expect(Number(lines[0]!['c-bytes'])).toBeGreaterThan(1_000);
      expect(Number(lines[0]!['c-quality'])).toBeGreaterThan(80);
      expect(Number(lines[0]!['c-pkts-received'])).toBeLessThanOrEqual(Number(lines[0]!['s-pkts-sent']));
    }
  });

  it('have what a point that pulls reports, and wmcast relay', async () => {
    const before = await linesIn(folder);
    const configuration = join(newFolder(), 'edge.yaml');
    await writeFile(configuration, `points: [{ path: /edge, source: "${server.url(point, 'mmsh')}" }]\n`);
    const edge = await Server.start('--config', configuration);
    await edge.event('stats', ({ packetsIn }) => Number(packetsIn) > 0);
    await edge.stop();
    const relay = new Command('wmcast', ['relay', server.url('/film.wmv', 'mmsh'), out(), '-q']);
    expect((await relay.exited).code).toBe(0);
    const lines = await more(before, 2);
    expect(lines).toMatchObject([
      { 'cs-uri-stem': point, 'c-status': '200', 'cs-User-Agent': expect.stringMatching(/^NS/) },
      { 'cs-uri-stem': '/film.wmv', 'c-status': '200' },
    ]);
  });

  it('are read by wmcast logs', async () => {
    const lines = await linesIn(folder);
    const names = (await readdir(folder)).map((name) => join(folder, name));
    const report = new Command('wmcast', ['logs', '--json', '--by', 'content,client,player', ...names]);
    expect((await report.exited).code).toBe(0);
    expect(report.events[0]).toMatchObject({ event: 'summary', lines: lines.length, malformedLines: 0, errors: 0 });
    const contents = report.events.filter(({ event }) => event === 'content').map(({ content: name }) => name);
    expect(contents.sort()).toEqual(['/film.wmv', point].sort());
    expect(report.events.filter(({ event }) => event === 'client')).toMatchObject([{ client: '127.0.0.1' }]);
  });
});

describe('a server of several processes', () => {
  it('writes one line for each session, whether its client sends a log or not', async () => {
    const content = newContentFolder();
    await makeAsf('film.wmv', { duration: 2, folder: content });
    const folder = newFolder();
    const server = await Server.start('--workers', '2', '--content', content, '--log-dir', folder);
    for (let session = 0; session < 3; session++) {
      const pull = new Command('wmcast', ['pull', server.url('/film.wmv', 'mmsh'), '-o', out(), '-q']);
      expect((await pull.exited).code).toBe(0);
      await (await fetch(server.url('/film.wmv'))).arrayBuffer();
    }
    await until('six lines', async () => (await linesIn(folder)).length >= 6, PATIENCE);
    await server.stop();
    const lines = await linesIn(folder);
    expect(lines).toHaveLength(6);
    expect(new Set(lines.map((line) => line['s-session-id'])).size).toBe(6);
    expect(lines.filter((line) => line['c-hostexe'] === 'wmcast')).toHaveLength(3);
  });
});

describe('the log of what happens', () => {
  it('goes to a file, by parts and levels, and moves on at SIGUSR1', async () => {
    const content = newContentFolder();
    await makeAsf('film.wmv', { duration: 1, folder: content });
    const folder = newFolder();
    const file = join(folder, 'serve.log');
    const options = ['--log-file', file, '--log-format', 'json', '--log-level', 'warn,players=info'];
    const server = await Server.start('--content', content, ...options);
    const messages = async (name: string) =>
      (await readFile(join(folder, name), 'utf8').catch(() => ''))
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as { readonly room: string; readonly msg: string });
    await (await fetch(server.url('/film.wmv'))).arrayBuffer();
    await until('two lines', async () => (await messages('serve.log')).length === 2, PATIENCE);
    await rename(file, join(folder, 'old.log'));
    process.kill(server.pid!, 'SIGUSR1');
    await until('the file to be there again', async () => (await readdir(folder)).includes('serve.log'), PATIENCE);
    await (await fetch(server.url('/film.wmv'))).arrayBuffer();
    await until('two more lines', async () => (await messages('serve.log')).length === 2, PATIENCE);
    for (const name of ['old.log', 'serve.log']) {
      expect(await messages(name)).toMatchObject([
        { room: 'players', msg: expect.stringMatching(/ plays \/film\.wmv /) },
        { room: 'players', msg: expect.stringMatching(/ played \/film\.wmv /) },
      ]);
    }
    expect(server.log.filter((line) => line.includes('/film.wmv'))).toEqual([]);
    await server.stop();
  });
});

describe('a server that is killed', () => {
  it('has lost at most the last line, and torn none', async () => {
    const content = newContentFolder();
    await makeAsf('film.wmv', { duration: 1, folder: content });
    const folder = newFolder();
    for (let round = 0; round < Math.min(ROUNDS, 20); round++) {
      const before = (await linesIn(folder)).length;
      const server = await Server.start('--content', content, '--log-dir', folder);
      const sessions = 1 + ((round * 7) % 12);
      for (let session = 0; session < sessions; session++) {
        await until(
          'the lines of the sessions before',
          async () => (await linesIn(folder)).length === before + session,
        );
        await (await fetch(server.url('/film.wmv'))).arrayBuffer();
      }
      process.kill(server.pid!, 'SIGKILL');
      await server.exited;
      const written = (await linesIn(folder)).length - before;
      expect(written).toBeGreaterThanOrEqual(sessions - 1);
      expect(written).toBeLessThanOrEqual(sessions);
    }
  });

  it('has every line that was written, at whatever moment it is killed', async () => {
    const folder = newFolder();
    const dist = new URL('../../dist/server/logs/log-writer.js', import.meta.url).href;
    const source = `
      import { LogWriter } from ${JSON.stringify(dist)};
      const log = new LogWriter({ folder: ${JSON.stringify(folder)}, maxSize: 4000, head: () => '#head\\n', onWarning: console.error });
      for (let line = 1; ; line++) {
        log.write('line ' + line + ' ' + 'x'.repeat(line % 90) + ' end\\n');
        await log.settled();
        process.send(line);
        await new Promise((resolve) => setImmediate(resolve));
      }`;
    const writer = join(folder, 'writer.mjs');
    await writeFile(writer, source);
    for (let round = 0; round < ROUNDS; round++) {
      const before = new Set(await readdir(folder));
      const child = fork(writer);
      const exited = new Promise((resolve) => child.once('exit', resolve));
      let confirmed = 0;
      child.on('message', (line) => {
        confirmed = Number(line);
      });
      const enough = 1 + ((round * 37) % 150);
      await until('lines to be written', () => confirmed >= enough, PATIENCE);
      child.kill('SIGKILL');
      await exited;
      const files = (await readdir(folder)).filter((name) => name.endsWith('.log') && !before.has(name)).sort();
      const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
      const lines = texts
        .join('')
        .split('\n')
        .filter((line) => line !== '#head');
      expect(lines.pop()).toBe('');
      const numbers = lines.map((line) => Number(/^line (\d+) x* end$/.exec(line)?.[1]));
      expect(numbers).toEqual(lines.map((_, index) => index + 1));
      expect(lines.length).toBeGreaterThanOrEqual(confirmed);
    }
  });
});

describe('a server whose disk is full', () => {
  itNeeds([program('bash')], 'warns once, writes no torn line, and goes on serving', async () => {
    const content = newContentFolder();
    await makeAsf('film.wmv', { duration: 1, folder: content });
    const folder = newFolder();
    const bin = fileURLToPath(new URL('../../bin/wmcast.js', import.meta.url));
    // No file of the process may be larger than 4 KiB, so that writes fail in the middle of a line.
    const command = `ulimit -f 4; exec "$0" "$@"`;
    const options = ['serve', '--host', '127.0.0.1', '--http-port', '0', '--json', '--content', content];
    const server = new Child('bash', ['-c', command, process.execPath, bin, ...options, '--log-dir', folder]);
    const ready = await server.until('ready', () => server.output.find((line) => line.includes('"ready"')));
    const { http } = (JSON.parse(ready) as { ports: { http: number } }).ports;
    for (let session = 0; session < 30; session++) {
      const { status, body } = await fetch(`http://127.0.0.1:${http}/film.wmv`);
      expect(status).toBe(200);
      await body!.cancel();
    }
    const stopped = () => server.log.filter((line) => /Logging to .* has stopped/.test(line));
    await server.until('a warning', () => (stopped().length > 0 ? true : undefined));
    const { status } = await fetch(`http://127.0.0.1:${http}/film.wmv`);
    expect(status).toBe(200);
    expect(stopped()).toHaveLength(1);
    const lines = await linesIn(folder);
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.length).toBeLessThan(30);
    await server.stop();
  });
});
