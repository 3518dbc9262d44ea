import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { logsCommand } from '../../src/cli/logs.js';
import { runCommand, runProgram } from './run.js';

/** A file as Windows Media Services 9 write it, with a blank at the end of each line. */
const TEXT = [
  '#StartDate: 2003-01-30 01:03:05',
  '#EndDate: 2003-01-30 23:59:59',
  '#TimeFormat: UTC',
  '#EncodingFormat: UTF-8',
  '#ServerName: WMS',
  '#ServerIP: 192.0.2.1',
  '#Software: Windows Media Services',
  '#Version: 9.00.00.3372',
  '#Fields: c-ip date time c-dns cs-uri-stem c-starttime x-duration c-rate c-status c-playerid cs(User-Agent) protocol sc-bytes c-buffercount s-session-id',
  '198.51.100.1 2003-01-30 10:00:30 - /news.wmv 0 30 1 200 {A} NSPlayer/9.0.0.2980 http 3000 1 1 ',
  '198.51.100.2 2003-01-30 10:00:40 - /news.wmv 0 30 1 200 {B} NSPlayer/9.0.0.2980 rtsp 5000 0 2 ',
  '198.51.100.2 2003-01-30 12:00:00 - /caf%E9.wmv 0 60 1 408 - VLC/3.0.18_LibVLC/3.0.18 http 2000 0 3 ',
  '',
].join('\r\n');

describe('wmcast logs', () => {
  let folder: string;
  const file = async (name: string, content: string | Buffer) => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wmcast-logs-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('prints a summary, a chart of the viewers over time, and tables by content and by client', async () => {
    const { output, exitCode } = await runProgram(logsCommand(), await file('a.log', TEXT));
    const text = Buffer.from(output, 'latin1').toString('utf8');
    expect(exitCode).toBe(0);
    expect(text).toContain('Period      2003-01-30 10:00:30 to 2003-01-30 12:00:00 UTC; 3 lines of 1 file');
    expect(text).toMatch(/Sessions {4}3; 1 without a log of the client\n/);
    expect(text).toMatch(/Viewed {6}0:02:00, 10\.0 kB/);
    expect(text).toMatch(/Viewers .* 2 at most, at 2003-01-30 10:00:1\d/);
    expect(text).toMatch(/█/);
    expect(text).toMatch(/content +sessions +viewed .*\n\/news\.wmv +2 +0:01:00 +8\.00 kB +1 /);
    expect(text).toMatch(/client +sessions .*\n198\.51\.100\.2 +2 /);
  });

  it('prints events with --json, and the tables asked for', async () => {
    const { events } = await runProgram(logsCommand(), '--json', '--by', 'player, hour', await file('a.log', TEXT));
    expect(events[0]).toMatchObject({
      event: 'summary',
      files: 1,
      from: '2003-01-30T10:00:30Z',
      to: '2003-01-30T12:00:00Z',
      sessions: 3,
      seconds: 120,
      bytes: 10_000,
      rebuffers: 1,
      unreported: 1,
      peakViewers: 2,
      malformedLines: 0,
    });
    expect(events.filter(({ event }) => event === 'viewers').length).toBeGreaterThan(100);
    expect(events.filter(({ event }) => event === 'player')).toMatchObject([
      { player: 'NSPlayer/9.0', sessions: 2 },
      { player: 'VLC/3.0', sessions: 1 },
    ]);
    expect(events.filter(({ event }) => event === 'hour')).toMatchObject([
      { hour: '2003-01-30 10:00', sessions: 2 },
      { hour: '2003-01-30 12:00', sessions: 1 },
    ]);
  });

  it('reads several files, compressed ones and UTF-16', async () => {
    const files = [
      await file('a.log', TEXT),
      await file('b.log.gz', gzipSync(TEXT)),
      await file('c.log', Buffer.from(`\ufeff${TEXT}`, 'utf16le')),
    ];
    const { events } = await runProgram(logsCommand(), '--json', '--no-chart', ...files);
    expect(events[0]).toMatchObject({ files: 3, lines: 9 });
  });

  it('reads the log files of a folder in order', async () => {
    await file('b.log', TEXT.split('\r\n').slice(-3).join('\r\n'));
    await file('a.LOG.gz', gzipSync(TEXT));
    await file('notes.txt', 'no log');
    const { events } = await runProgram(logsCommand(), '--json', folder);
    // The second file has no #Fields, and its lines no standard number of values.
    expect(events.filter(({ event }) => event === 'summary')).toMatchObject([
      { files: 2, lines: 3, malformedLines: 2 },
    ]);
  });

  it('leaves out what is outside --from and --to', async () => {
    const path = await file('a.log', TEXT);
    const { events } = await runProgram(logsCommand(), '--json', '--from', '2003-01-30T11:00', path);
    expect(events[0]).toMatchObject({ lines: 1, linesLeftOut: 2 });
    const { events: early } = await runProgram(logsCommand(), '--json', '--to', '2003-01-30T10:00:40Z', path);
    expect(early[0]).toMatchObject({ lines: 1 });
    const { output } = await runProgram(logsCommand(), '--from', '2030-01-01', path);
    expect(output).toContain('no lines of that period');
  });

  it('says how many others there are beyond --top', async () => {
    const { output } = await runProgram(logsCommand(), '--top', '1', '--by', 'content', await file('a.log', TEXT));
    expect(output).toMatch(/\(1 others\) +1 /);
  });

  it('prints nothing that moves the cursor of a terminal', async () => {
    const evil = TEXT.replaceAll('/news.wmv', '/\u001b[2J\u202eevil');
    const { output } = await runProgram(logsCommand(), await file('a.log', evil));
    const text = Buffer.from(output, 'latin1').toString('utf8');
    expect(text).toContain('/?[2J?evil');
    for (const char of ['\u001b', '\u202e']) expect(text).not.toContain(char);
  });

  it('warns of lines that it cannot read', async () => {
    const { log, exitCode } = await runProgram(logsCommand(), await file('a.log', `${TEXT}torn line\n`));
    expect(log).toContain('1 lines could not be read');
    expect(exitCode).toBe(0);
  });

  it.each([
    ['no such file', async () => join(folder, 'none.log'), 66, /none\.log cannot be read: no such file/],
    ['a folder without log files', async () => folder, 66, /has no files that end in \.log or \.log\.gz/],
    ['what is no log', () => file('x', 'hello\nworld\n'), 65, /no line is one of a Windows Media server's log/],
    [
      'damaged gzip',
      () => file('x.gz', Buffer.concat([gzipSync(TEXT).subarray(0, 60), Buffer.alloc(9)])),
      65,
      /is damaged/,
    ],
  ])('fails for %s', async (_, path, code, message) => {
    const { log, exitCode } = await runProgram(logsCommand(), await path());
    expect(log).toMatch(message);
    expect(exitCode).toBe(code);
  });

  it.each([
    ['--by', 'colour'],
    ['--from', 'yesterday'],
    ['--top', '0'],
  ])('refuses %s %s', async (option, value) => {
    const { error } = await runCommand(logsCommand(), option, value, await file('a.log', TEXT));
    expect(error).toMatchObject({ code: 'commander.invalidArgument' });
  });
});
