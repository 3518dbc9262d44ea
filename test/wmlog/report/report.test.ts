import type { LogValues } from '../../../src/wmlog/fields.js';
import { LOG_GROUPINGS, LogReport, type LogReportOptions } from '../../../src/wmlog/report/report.js';
import { buildFileHead, buildFileLine } from '../../../src/wmlog/w3c.js';

const DATE = new Date('2026-11-30T00:00:00Z');
const HEAD = buildFileHead({
  started: DATE,
  ended: DATE,
  serverName: 'media',
  serverAddresses: ['192.0.2.1', '2001:db8::1'],
  software: 'Windows Media Services',
  version: '9.5.6001.18281',
});
const seconds = (text: string) => Date.parse(text) / 1000;

function line(time: string, values: LogValues = {}): string {
  const [date, clock] = `2026-11-30 ${time}`.split(' ').slice(-2) as [string, string];
  return buildFileLine({ 'c-ip': '198.51.100.1', date, time: clock, 'cs-uri-stem': '/live', ...values });
}

function read(
  text: string | Buffer | ReadonlyArray<string | Buffer>,
  options: Partial<LogReportOptions> = {},
): LogReport {
  const report = new LogReport({ by: LOG_GROUPINGS, ...options });
  for (const file of [text].flat()) {
    const bytes = Buffer.from(file as string);
    // In pieces, as a file is read.
    for (let at = 0; at < bytes.length; at += 777) report.push(bytes.subarray(at, at + 777));
    report.endFile();
  }
  return report;
}

const sessions = (report: LogReport, grouping: (typeof LOG_GROUPINGS)[number]) =>
  Object.fromEntries(
    report.groups
      .get(grouping)!
      .sorted()
      .map(([name, figures]) => [name, figures.sessions]),
  );

describe('the report on log files', () => {
  it('adds up sessions, what was viewed and sent, rebuffering and losses, in total and by what is asked for', () => {
    const report = read(
      HEAD +
        line('10:00:10', {
          'x-duration': '10',
          'sc-bytes': '1000',
          'c-bytes': '900',
          'c-buffercount': '2',
          'c-totalbuffertime': '5',
          'c-pkts-received': '95',
          'c-pkts-lost-client': '3',
          'c-pkts-recovered-ECC': '1',
          'c-pkts-recovered-resent': '1',
          'c-quality': '90',
          'c-status': '200',
          protocol: 'http',
          transport: 'TCP',
          's-session-id': '1',
        }) +
        line('10:00:20', {
          'c-ip': '198.51.100.2',
          'cs-uri-stem': 'mms://media:1755/film.wmv',
          'x-duration': '20',
          'c-bytes': '500',
          'c-quality': '100',
          'c-status': '404',
          protocol: 'mms',
          transport: 'UDP',
          's-session-id': '2',
          'cs-user-name': 'anna',
        }) +
        line('11:00:30', { 'x-duration': '30', 'c-status': '408', 'sc-bytes': '7', 's-session-id': '3' }) +
        line('11:00:40', { 'x-duration': '5', 'c-status': '210', 's-session-id': '4' }),
    );
    expect(report.total).toEqual({
      sessions: 4,
      lines: 4,
      seconds: 65,
      bytes: 1507,
      rebuffers: 2,
      bufferingSeconds: 5,
      rebuffered: 1,
      packets: 95,
      lost: 3,
      recovered: 2,
      quality: 190,
      qualities: 2,
      errors: 1,
      unreported: 1,
      reconnects: 1,
    });
    expect(sessions(report, 'content')).toEqual({ '/live': 3, '/film.wmv': 1 });
    expect(sessions(report, 'client')).toEqual({ '198.51.100.1': 3, '198.51.100.2': 1 });
    expect(sessions(report, 'protocol')).toEqual({ '-': 2, 'http TCP': 1, 'mms UDP': 1 });
    expect(sessions(report, 'status')).toEqual({ 200: 1, 404: 1, 408: 1, 210: 1 });
    expect(sessions(report, 'hour')).toEqual({ '2026-11-30 10:00': 2, '2026-11-30 11:00': 2 });
    expect(sessions(report, 'day')).toEqual({ '2026-11-30': 4 });
    expect(sessions(report, 'user')).toEqual({ '-': 3, anna: 1 });
    expect(report.period).toEqual({ from: seconds('2026-11-30T10:00:10Z'), to: seconds('2026-11-30T11:00:40Z') });
  });

  it('counts a session with several lines once, and the time that two of them cover', () => {
    const report = read(
      HEAD +
        line('10:00:30', { 'x-duration': '30', 's-session-id': '7' }) +
        line('10:00:31', { 'x-duration': '25', 's-session-id': '7', protocol: 'Cache' }) +
        line('10:01:00', { 'x-duration': '20', 's-session-id': '7' }) +
        line('10:01:00', { 'x-duration': '20', 's-session-id': '7', 'c-ip': '198.51.100.2' }),
    );
    expect(report.total).toMatchObject({ lines: 4, sessions: 2, seconds: 30 + 1 + 20 + 20 });
    expect(report.timeline.total()).toMatchObject({ peak: 2 });
  });

  it('takes an id that comes back after hours for another session, since servers start to count again', () => {
    const report = read(
      HEAD + line('10:00:30', { 'x-duration': '30', 's-session-id': '7' }) + line('15:00:30', { 's-session-id': '7' }),
    );
    expect(report.total.sessions).toBe(2);
  });

  it('finds fields in any order, under the names of Windows Media Services, and in several #Fields of one file', () => {
    const report = read(
      [
        '#Software: Windows Media Services',
        '#Version: 4.1',
        '#Date: 2000-04-07 03:09:48',
        '#Fields: time cs-uri-stem x-duration cs(User-Agent) c-ip unknown-field c-status ',
        '03:29:52 mms://203.0.113.141/2.asf 7 NSPlayer/4.1.0.3856 203.0.113.9 ? 200 ',
        '03:29:53 - - - 203.0.113.9 - 404 ',
        '#Fields: c-status c-ip date time x-duration cs(User-Agent)',
        '200 203.0.113.10 2000-04-08 04:00:00 3 Mozilla/4.0_(compatible;_MSIE_6.0)_(WMFSDK/10.0.0.3802)_WMPlayer/10.0.0.4019',
        '',
      ].join('\r\n'),
    );
    expect(report.malformedLines).toBe(0);
    expect(report.total).toMatchObject({ lines: 3, seconds: 10, errors: 1 });
    expect(sessions(report, 'player')).toEqual({ '-': 1, 'NSPlayer/4.1': 1, 'WMPlayer/10.0': 1 });
    expect(sessions(report, 'content')).toEqual({ '-': 2, '/2.asf': 1 });
    expect(report.period).toEqual({ from: seconds('2000-04-07T03:29:52Z'), to: seconds('2000-04-08T04:00:00Z') });
  });

  it('reads local times as their file says', () => {
    const text = '#TimeFormat: Local(480)\n#Fields: c-ip date time x-duration\n198.51.100.1 2001-11-30 16:05:03 1\n';
    expect(read(text).period?.from).toBe(seconds('2001-12-01T00:05:03Z'));
    expect(read([text, text.replace('#TimeFormat: Local(480)\n', '')]).period).toEqual({
      from: seconds('2001-11-30T16:05:03Z'),
      to: seconds('2001-12-01T00:05:03Z'),
    });
  });

  it.each([44, 47, 52])('[WMLOG-073] reads lines of %s values without #Fields', (count) => {
    const values = line('10:00:00', { 'x-duration': '5' }).trimEnd().split(' ').slice(0, count);
    expect(read(`${values.join(' ')}\n`).total).toMatchObject({ lines: 1, seconds: 5 });
  });

  it('reads UTF-8 and ANSI, with and without a byte order mark', () => {
    const utf8 = Buffer.from(`\ufeff${HEAD}${line('10:00:00', { 'cs-user-name': 'jörg' })}`, 'utf8');
    const ansi = Buffer.from(`${HEAD}${line('10:00:00', { 'cs-user-name': 'jörg\u0080' })}`, 'latin1');
    expect(sessions(read([utf8, ansi]), 'user')).toEqual({ jörg: 1, 'jörg€': 1 });
  });

  it('leaves out torn, foreign and hostile lines, and says how many', () => {
    const good = line('10:00:00');
    const report = read(
      `${HEAD}${good}not a log line\n${good.slice(0, 60)}\n${'x '.repeat(200)}\n${'y'.repeat(200_000)}\n${line('25:61:00')}${line(
        '2026-13-01 10:00:00',
      )}\n\n${good}${good.slice(0, 100)}`,
    );
    expect(report.total.lines).toBe(2);
    expect(report.malformedLines).toBe(7);
  });

  it('ignores numbers that are none', () => {
    const report = read(
      HEAD + line('10:00:00', { 'x-duration': '-5', 'sc-bytes': '9'.repeat(30), 'c-quality': 'x', 'c-status': '2e2' }),
    );
    expect(report.total).toMatchObject({ lines: 1, seconds: 0, bytes: 0, quality: 0, errors: 0 });
  });

  it('leaves out what is before and after the time asked for', () => {
    const text = HEAD + ['10:00:00', '11:00:00', '12:00:00'].map((time) => line(time)).join('');
    const report = read(text, { from: seconds('2026-11-30T11:00:00Z'), to: seconds('2026-11-30T12:00:00Z') });
    expect(report.total.lines).toBe(1);
    expect(report.leftOut).toBe(2);
  });

  it('keeps as much memory for a million clients as for some', () => {
    const report = new LogReport({ by: ['client', 'content'] });
    report.push(Buffer.from(HEAD));
    for (let client = 0; client < 60_000; client += 100) {
      const lines = Array.from({ length: 100 }, (_, index) =>
        line('10:00:00', { 'c-ip': `10.0.${client}.${index}`, 's-session-id': String(client + index) }),
      );
      report.push(Buffer.from(lines.join('')));
    }
    const { top, rest } = report.groups.get('client')!.top(10);
    expect(top).toHaveLength(10);
    expect(rest.sessions).toBe(59_990);
    expect(report.groups.get('client')!.merged).toBeGreaterThan(30_000);
    expect(report.total.sessions).toBe(60_000);
  });
});
