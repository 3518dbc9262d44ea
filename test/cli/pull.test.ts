import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { AsfReader } from '../../src/asf/reader.js';
import { defaultFileName } from '../../src/cli/file-name.js';
import { pullCommand } from '../../src/cli/pull.js';
import { StdoutSink } from '../../src/cli/stdout-sink.js';
import { until } from '../support/until.js';
import {
  CLIENT_ID,
  COUGAR,
  dataPackets,
  described,
  ENTRY,
  HEADER,
  head,
  METADATA,
  media,
  ordinary,
  packets,
  playing,
  ScriptedServer,
} from '../wmsp/client-support.js';
import { newFolder, readBack, removeFolders, runCommand } from './run.js';

const SENT = media(20);
let server: ScriptedServer;

afterEach(() => server?.close());
afterAll(removeFolders);

/** Serves a file; `parts` states what the nth Play gets, and whether its connection stays open. */
async function serve(play: (count: number) => { packets: Buffer[]; from?: number; end?: number; open?: boolean }) {
  server = await ScriptedServer.listen(
    ordinary((reply) => {
      const { packets: list, from = 0, end, open = false } = play(server.of('Play').length);
      reply.send(playing(COUGAR, CLIENT_ID), ENTRY, dataPackets(list, from));
      if (end !== undefined) reply.send(packets.E(end));
      if (!open) reply.end();
    }),
  );
}

const whole = () => ({ packets: SENT, end: 0 });

describe('wmcast pull', () => {
  it('warns if a protocol has no choice of streams', async () => {
    const file = join(newFolder(), 'none.asf');
    const { log, error } = await runCommand(pullCommand(), 'msbd://127.0.0.1:1', '-o', file, '--streams', '1');
    expect(error).toMatchObject({ code: 'WM_UNREACHABLE' });
    expect(log).toContain('--streams and --bandwidth have no effect here');
  });

  it('records a finished, seekable file and says so', async () => {
    await serve(whole);
    const file = join(newFolder(), 'a.asf');
    const { events, error, exitCode } = await runCommand(pullCommand(), server.url(), '-o', file, '--json');
    expect([error, exitCode]).toEqual([undefined, 0]);
    expect(events.map(({ event }) => event)).toEqual(['ready', 'done']);
    expect(events[0]).toMatchObject({
      url: server.url(),
      server: 'Cougar/9.6.7600.16385',
      live: false,
      output: file,
      packetSize: 400,
      bitsPerSecond: 364_000,
      streams: [{ type: 'video' }, { type: 'audio' }],
    });
    expect(events[1]).toMatchObject({
      packets: 20,
      mediaSeconds: 1.9,
      reconnects: 0,
      files: [{ path: file, packets: 20 }],
    });
    expect(await readBack(file)).toEqual({ shape: 'H 20 E0', warnings: [], live: false });
  });

  it('pipes plain ASF to standard output, and everything else to standard error', async () => {
    await serve(whole);
    const { output, log, error } = await runCommand(pullCommand(), server.url(), '-o', '-');
    expect(error).toBeUndefined();
    const reader = new AsfReader();
    const items = [...reader.push(Buffer.from(output, 'latin1')), ...reader.end()];
    expect(items.map(({ type }) => type)).toEqual(['header', ...Array<string>(20).fill('packet')]);
    expect(reader.truncated).toBe(false);
    expect(log).toContain('Receiving video WMV2 + audio WMA 2 (364 kbit/s)');
    expect(log).toContain('Received 0:00:01, 20 packets');
  });

  it('ends after the given number of seconds of the stream', async () => {
    await serve(whole);
    const file = join(newFolder(), 'a.asf');
    const { error } = await runCommand(pullCommand(), server.url(), '-o', file, '-t', '1');
    expect(error).toBeUndefined();
    expect(await readBack(file)).toMatchObject({ shape: 'H 10 E0', warnings: [] });
    expect(server.of('Play')[0]!.pragma).toContain('max-duration=1000');
  });

  it('requests what the options state', async () => {
    await serve(whole);
    const options = ['--streams', '2', '--start', '1:30', '--user-agent', 'NSPlayer/9.0.0.2833', '--no-log'];
    await runCommand(pullCommand(), server.url(), '-o', '-', ...options);
    const [play] = server.of('Play');
    expect(play!.field('User-Agent')).toBe('NSPlayer/9.0.0.2833');
    expect(play!.pragma).toEqual(
      expect.arrayContaining(['stream-time=90000', 'stream-switch-entry=ffff:1:2 ffff:2:0']),
    );
    expect(server.of('Log')).toEqual([]);
    await runCommand(pullCommand(), server.url(), '-o', '-', '--as-server', '--bandwidth', 'measure');
    expect(server.of('Describe')[1]!.field('User-Agent')).toMatch(/^NSServer\/9\./);
    expect(server.of('Describe')[1]!.pragma).toContain('packet-pair-experiment=1');
  });

  it('warns if the content ends before the requested start', async () => {
    await serve(whole);
    const { error, log } = await runCommand(pullCommand(), server.url(), '-o', '-', '--start', '1:30');
    expect(error).toBeUndefined();
    expect(log).toMatch(/Warning: The content ends after 0:00:0\d, before --start;/);
    expect((await runCommand(pullCommand(), server.url(), '-o', '-', '--start', '1')).log).not.toContain('Warning');
  });

  it.each([
    ['ENOSPC', { code: 'WM_DISK', exitCode: 1, message: expect.stringContaining('the disk is full') }],
    ['EPIPE', undefined],
  ])('reports standard output that cannot be written, but not a reader that is gone: %s', async (code, told) => {
    const broken = new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error(code), { code })) });
    const sink = new StdoutSink(broken);
    const all = async () => {
      await sink.write({ type: 'header', header: HEADER });
      await sink.close();
    };
    await expect(
      all().then(
        () => undefined,
        (error: unknown) => error,
      ),
    ).resolves.toEqual(told && expect.objectContaining(told));
  });

  it('records everything despite a broken connection', async () => {
    await serve((count) => (count === 1 ? { packets: SENT.slice(0, 8) } : { packets: SENT.slice(8), from: 8, end: 0 }));
    const file = join(newFolder(), 'a.asf');
    const { events, error } = await runCommand(pullCommand(), server.url(), '-o', file, '--json');
    expect(error).toBeUndefined();
    expect(events.map(({ event }) => event)).toEqual(expect.arrayContaining(['ready', 'reconnect', 'done']));
    expect(events.find(({ event }) => event === 'reconnect')).toMatchObject({ attempt: 1, code: 'WM_SERVER_GONE' });
    expect(await readBack(file)).toMatchObject({ shape: 'H 20 E0', warnings: [] });
  });

  it('leaves a finished file when the connection is finally lost', async () => {
    await serve(() => ({ packets: SENT.slice(0, 8) }));
    const file = join(newFolder(), 'a.asf');
    const { error, log } = await runCommand(pullCommand(), server.url(), '-o', file, '--retry', '0');
    expect(error).toMatchObject({ code: 'WM_SERVER_GONE' });
    expect(log).toContain(`8 packets, 3.20 kB in ${file}`);
    expect(await readBack(file)).toMatchObject({ shape: 'H 8 E0', warnings: [] });
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('finishes the file at %s and ends with %d', async (signal, code) => {
    await serve(() => ({ packets: SENT, open: true }));
    const file = join(newFolder(), 'a.asf');
    const running = runCommand(pullCommand(), server.url(), '-o', file);
    await server.request('Play');
    const size = async () => (existsSync(file) ? (await readBack(file).catch(() => undefined))?.shape : undefined);
    await until('20 packets in the file', async () => (await size())?.startsWith('H 20'));
    process.emit(signal);
    const { error, exitCode } = await running;
    expect([error, exitCode]).toEqual([undefined, code]);
    expect(await readBack(file)).toEqual({ shape: 'H 20 E0', warnings: [], live: false });
    expect(server.of('Log')).toHaveLength(1);
  });

  it('records each playlist entry to a file of its own', async () => {
    await serve(whole);
    await server.close();
    server = await ScriptedServer.listen((request, reply) => {
      if (request.type === 'Describe') reply.send(described(ENTRY, COUGAR, CLIENT_ID)).end();
      else if (request.type !== 'Play') reply.send(head('HTTP/1.0 200 OK', COUGAR, 'Content-Length: 0')).end();
      else {
        const second = Buffer.concat([packets.M(METADATA), ENTRY.subarray(packets.M(METADATA).length)]);
        reply.send(playing(COUGAR), ENTRY, dataPackets(SENT), packets.E(1), packets.C(), second);
        reply.send(dataPackets(SENT.slice(0, 3)), packets.E(0)).end();
      }
    });
    const folder = newFolder();
    const { events } = await runCommand(pullCommand(), server.url(), '-o', join(folder, 'a.asf'), '--json');
    expect(events.at(-1)).toMatchObject({
      files: [
        { path: join(folder, 'a.asf'), packets: 20 },
        { path: join(folder, 'a-2.asf'), packets: 3 },
      ],
    });
  });

  it('reports a full disk, and a file that cannot be created', async () => {
    await serve(whole);
    const full = await runCommand(pullCommand(), server.url(), '-o', '/dev/full');
    expect(full.error).toMatchObject({ code: 'WM_DISK', message: expect.stringContaining('ENOSPC') });
    const nowhere = await runCommand(pullCommand(), server.url(), '-o', join(newFolder(), 'no', 'a.asf'));
    expect(nowhere.error).toMatchObject({ code: 'WM_DISK' });
  });

  it('creates no file when nothing can be received', async () => {
    server = await ScriptedServer.listen((_, reply) => reply.send(head('HTTP/1.0 404 No', COUGAR)).end());
    const file = join(newFolder(), 'a.asf');
    const { error } = await runCommand(pullCommand(), server.url(), '-o', file);
    expect(error).toMatchObject({ code: 'WM_NO_INPUT', exitCode: 66 });
    expect(existsSync(file)).toBe(false);
  });

  it.each([
    [['film.asf']],
    [['gopher://h/x']],
    [['http://h/x', '-o', '-', '--json']],
    [['http://h/x', '--user-agent', 'curl/8']],
    [['http://h/x', '--streams', '0']],
    [['http://h/x', '--retry', 'often']],
    [['http://h/x', '--bandwidth', 'much']],
    [['http://h/x', '--proxy', 'ftp://p']],
    [[]],
  ])('refuses %j', async (args) => {
    server = await ScriptedServer.listen(() => {});
    const { error } = await runCommand(pullCommand(), ...args);
    expect(error).toMatchObject({ code: expect.stringMatching(/^(?:WM_USAGE|commander\..*)$/) });
    expect(server.connections).toBe(0);
  });

  it('does not replace a file without --force, named or not', async () => {
    await serve(whole);
    const folder = newFolder();
    const before = process.cwd();
    process.chdir(folder);
    try {
      writeFileSync('x.asf', 'mine');
      const { error } = await runCommand(pullCommand(), server.url('/x'));
      const message = 'x.asf exists already: name another file, or add --force to replace it.';
      expect(error).toMatchObject({ code: 'WM_USAGE', message });
      expect((await runCommand(pullCommand(), server.url('/y'), '-o', 'x.asf')).error).toMatchObject({ message });
      expect(readFileSync('x.asf', 'latin1')).toBe('mine');
      expect((await runCommand(pullCommand(), server.url('/x'), '--force')).error).toBeUndefined();
      expect(readFileSync('x.asf').length).toBeGreaterThan(1000);
      expect((await runCommand(pullCommand(), server.url('/y'))).error).toBeUndefined();
      expect(existsSync('y.asf')).toBe(true);
    } finally {
      process.chdir(before);
    }
  });
});

describe('defaultFileName', () => {
  it.each([
    ['mmsh://h/live', 'live.asf'],
    ['http://h:80/a/film.WMV?x=1', 'film.WMV'],
    ['http://radio.example:8000/', 'radio.example.asf'],
    ['mms://h/list.asx', 'list.asf'],
    ['lists/the list.M3U', 'the list.asf'],
    ['show.nsc', 'show.asf'],
    ['msbd://encoder:7007', 'encoder.asf'],
    ['http://h/%C3%A4%2F..%2Fetc', 'ä_.._etc.asf'],
    ['http://h/..%2f', '_.asf'],
    ['http://h/%ZZ', '_ZZ.asf'],
    ['http://h/.hidden', 'hidden.asf'],
  ])('%s is %s', (url, name) => {
    expect(defaultFileName(url)).toBe(name);
  });
});
