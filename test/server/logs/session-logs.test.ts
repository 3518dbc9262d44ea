import { addressList } from '../../../src/http/address-list.js';
import { type RunningSession, type SessionCounts, SessionRegistry } from '../../../src/playback/registry.js';
import { SessionLogs, type SessionLogsOptions } from '../../../src/server/logs/session-logs.js';
import { type ClientLogFields, clientLogXml, connectTimeLogXml } from '../../../src/wmlog/client-log.js';
import type { LogField } from '../../../src/wmlog/fields.js';
import { parseLog } from '../../../src/wmlog/log.js';
import type { SubmittedLog } from '../../../src/wmlog/submitted.js';
import { FILE_FIELDS } from '../../../src/wmlog/w3c.js';
import { fileHeader } from '../../wmsp/client-support.js';

const REPORT: ClientLogFields = {
  now: new Date('2001-01-01T01:01:01Z'),
  usedUrl: 'http://media/live',
  requestedUrl: 'mms://media/live?x=1',
  startTime: 0,
  duration: 9_000,
  receiving: 10_000,
  rate: 1,
  reconnected: false,
  playerId: '{3300AD50-2C39-46c0-AE0A-B4C904C7848E}',
  playerVersion: '9.0.0.2980',
  userAgent: 'NSPlayer/9.0.0.2980',
  fileLength: 0,
  fileSize: 0,
  averageBandwidth: 300_000,
  audioCodecs: ['WMA 2'],
  videoCodecs: ['WMV3'],
  bytes: 4_000,
  packets: 40,
  descriptions: [],
};

/** Sessions of a registry whose logs are written to a list, on a clock that the test moves. */
class Bench {
  readonly lines: Array<Record<LogField, string>> = [];
  readonly warnings: string[] = [];
  now = 1_000_000;
  readonly logs: SessionLogs;
  readonly registry: SessionRegistry;

  constructor(options: Partial<SessionLogsOptions> = {}) {
    this.logs = new SessionLogs({
      write: (line) => {
        expect(line).toMatch(/^[^\r\n]*\r\n$/);
        const values = line.trimEnd().split(' ');
        expect(values).toHaveLength(52);
        const named = FILE_FIELDS.map((field, index) => [field, values[index]] as const);
        this.lines.push(Object.fromEntries(named) as Record<LogField, string>);
      },
      host: {
        values: () => ({ 's-ip': '192.0.2.1', 's-dns': 'media', 's-totalclients': '7', 's-cpu-util': '5' }),
      },
      players: () => 7,
      proxies: addressList([]),
      onWarning: (message) => this.warnings.push(message),
      now: () => this.now,
      date: () => new Date('2026-11-30T12:00:00Z'),
      grace: 2_000,
      ...options,
    });
    this.registry = new SessionRegistry({
      now: () => this.now,
      onBegin: (info, session) => this.logs.began(info, session),
      onEnd: (_, session) => this.logs.stopped(session),
    });
  }

  /** Begins a session. @returns what ends it, and its figures, which the test may change */
  play(session: Partial<RunningSession> = {}) {
    const counts: { -readonly [Name in keyof SessionCounts]: SessionCounts[Name] } = { bytes: 0, packets: 0, lost: 0 };
    const peer = session.peer ?? {};
    const stop = this.registry.begin({
      role: 'player',
      protocol: 'WMSP',
      transport: 'tcp',
      path: '/live',
      client: 'NSPlayer/9.0.0.2980',
      remoteAddress: '203.0.113.5',
      counts: () => ({ ...counts }),
      stop: () => {},
      peer,
      ...session,
    });
    return { stop, counts, peer };
  }

  submit(text: string, more: Partial<SubmittedLog> = {}): void {
    const common = { protocol: 'WMSP', path: '/live', remoteAddress: '203.0.113.5', client: 'x', form: 'xml' } as const;
    let log: SubmittedLog['log'];
    try {
      log = parseLog(text);
    } catch {
      log = undefined;
    }
    this.logs.submitted({ ...common, text, log, ...more });
  }

  pass(milliseconds: number): void {
    this.now += milliseconds;
    this.logs.sweep();
  }
}

describe('the line of a client that sends a log', () => {
  it('has what the client says, and what only the server knows', () => {
    const bench = new Bench();
    const { stop, counts, peer } = bench.play({ user: 'anna', path: '/the news' });
    Object.assign(counts, { bytes: 5_000, packets: 44 });
    bench.now += 10_000;
    stop();
    bench.submit(clientLogXml('legacy', REPORT), { peer, path: '/the news' });
    bench.pass(10_000);
    expect(bench.lines).toHaveLength(1);
    expect(bench.lines[0]).toMatchObject({
      'c-ip': '203.0.113.5',
      date: '2026-11-30',
      time: '12:00:00',
      'cs-uri-stem': '/the%20news',
      'x-duration': '9',
      'c-status': '200',
      'c-playerid': REPORT.playerId,
      'c-bytes': '4000',
      'sc-bytes': '5000',
      's-pkts-sent': '44',
      's-ip': '192.0.2.1',
      's-dns': 'media',
      's-totalclients': '7',
      's-cpu-util': '5',
      'cs-user-name': 'anna',
      's-session-id': expect.stringMatching(/\d$/),
      'cs-url': 'mms://media/live?x=1',
      's-proxied': '0',
    });
  });

  it('may count the padding of packets, which the server does not send', () => {
    const bench = new Bench();
    const { counts, peer } = bench.play({ content: () => ({ header: fileHeader(10) }) });
    const { packetSize } = fileHeader(10);
    Object.assign(counts, { bytes: 1_000, packets: 10 });
    bench.submit(clientLogXml('legacy', { ...REPORT, bytes: 10 * packetSize, packets: 10 }), { peer });
    bench.submit(clientLogXml('legacy', { ...REPORT, bytes: 10 * packetSize + 1, packets: 10 }), { peer });
    expect(bench.lines.map((line) => line['c-bytes'])).toEqual([String(10 * packetSize), '-']);
  });

  it('is one for each log, with what was sent since the one before', () => {
    const bench = new Bench();
    const { stop, counts, peer } = bench.play();
    for (const bytes of [5_000, 7_000]) {
      Object.assign(counts, { bytes, packets: bytes / 100 });
      bench.now += 10_000;
      bench.submit(clientLogXml('legacy', { ...REPORT, bytes: 100, packets: 1 }), { peer });
    }
    stop();
    bench.pass(10_000);
    expect(bench.lines.map((line) => line['sc-bytes'])).toEqual(['5000', '2000']);
    expect(new Set(bench.lines.map((line) => line['s-session-id'])).size).toBe(1);
  });

  it('is written for Streaming and Rendering Logs alike', () => {
    const bench = new Bench();
    const { stop, counts, peer } = bench.play();
    Object.assign(counts, { bytes: 5_000, packets: 44 });
    bench.now += 10_000;
    bench.submit(clientLogXml('rendering', REPORT), { peer });
    bench.submit(clientLogXml('streaming', REPORT), { peer });
    stop();
    bench.pass(10_000);
    expect(bench.lines.map((line) => [line.protocol, line['c-bytes'], line.audiocodec])).toEqual([
      ['Cache', '0', 'WMA_2'],
      ['http', '4000', '-'],
    ]);
  });

  it('has the session of the first line if the log comes late', () => {
    const bench = new Bench();
    const { stop, counts, peer } = bench.play();
    Object.assign(counts, { bytes: 5_000, packets: 44 });
    stop();
    bench.pass(3_000);
    bench.submit(clientLogXml('legacy', REPORT), { peer });
    expect(bench.lines.map((line) => [line['c-status'], line['sc-bytes']])).toEqual([
      ['408', '5000'],
      ['200', '0'],
    ]);
    expect(bench.lines[0]!['s-session-id']).toBe(bench.lines[1]!['s-session-id']);
  });

  it('names the client of a proxy, if that proxy is listed', () => {
    const xml = clientLogXml('legacy', REPORT)
      .replace('<Summary>0.0.0.0', '<Summary>198.51.100.7')
      .replace(/<Summary>(.*?)<\/Summary>/s, (_, line: string) => {
        const values = parseLog(line).values;
        const all = { ...values, 'c-ip': '198.51.100.7', 's-proxied': '1' };
        return `<Summary>${FILE_FIELDS.map((field) => all[field] ?? '-').join(' ')}</Summary>`;
      });
    for (const [listed, address] of [
      [['203.0.113.5'], '198.51.100.7'],
      [[], '203.0.113.5'],
    ] as const) {
      const bench = new Bench({ proxies: addressList(listed) });
      const { peer } = bench.play();
      bench.submit(xml, { peer });
      expect(bench.lines[0]).toMatchObject({ 'c-ip': address, 's-proxied': '1' });
    }
  });

  it('keeps what a Connect-Time Log said about a client that sends no other', () => {
    const bench = new Bench();
    const { stop, peer } = bench.play();
    bench.submit(connectTimeLogXml(new Date(), 'TCP'), { peer });
    expect(bench.lines).toEqual([]);
    stop();
    bench.pass(3_000);
    expect(bench.lines[0]!['c-cpu']).not.toBe('-');
    expect(bench.lines[0]!['c-status']).toBe('408');
  });
});

describe('the line of a client that sends no log', () => {
  it('has the figures of the server, once it is clear that none comes', () => {
    const bench = new Bench();
    const { stop, counts } = bench.play({ protocol: 'RTSP', transport: 'udp', client: 'VLC/3.0.18' });
    Object.assign(counts, { bytes: 50_000, packets: 44 });
    bench.now += 9_100;
    stop();
    bench.pass(1_900);
    expect(bench.lines).toEqual([]);
    bench.pass(200);
    expect(bench.lines[0]).toMatchObject({
      'cs-uri-stem': '/live',
      'x-duration': '10',
      'c-status': '408',
      protocol: 'rtsp',
      transport: 'UDP',
      avgbandwidth: '43956',
      'sc-bytes': '50000',
      'c-bytes': '-',
      's-pkts-sent': '44',
      'cs-User-Agent': 'VLC/3.0.18',
      'c-playerversion': '3.0.18',
    });
  });

  it('has where in its file it began', () => {
    const bench = new Bench();
    let startedAt = 90_500;
    const content = () => ({
      header: fileHeader(10),
      file: { path: '/srv/a film.wmv', size: 1_000, durationMs: 120_400 },
      startedAt,
    });
    const { stop, counts } = bench.play({ content });
    counts.packets = 1;
    startedAt = 100_000;
    stop();
    bench.pass(3_000);
    expect(bench.lines[0]).toMatchObject({
      'c-starttime': '90',
      filelength: '121',
      filesize: '1000',
      's-content-path': 'file:///srv/a_film.wmv',
    });
  });

  it.each(['HTTP', 'MSBD'])('is written at once for %s, which knows no logs', (protocol) => {
    const bench = new Bench();
    const { stop, counts } = bench.play({ protocol });
    counts.bytes = 10;
    stop();
    expect(bench.lines[0]).toMatchObject({ 'c-status': '200', 'sc-bytes': '10' });
  });

  it('waits for the log of a client that stays connected, but not for ever', () => {
    const bench = new Bench();
    let isConnected = true;
    const first = bench.play({ protocol: 'MMSP', connected: () => isConnected });
    Object.assign(first.counts, { bytes: 5_000, packets: 44 });
    first.stop();
    bench.pass(30_000);
    expect(bench.lines).toEqual([]);
    bench.submit(clientLogXml('legacy', REPORT), { peer: first.peer });
    bench.pass(5_000);
    expect(bench.lines).toMatchObject([{ 'c-status': '200', 'sc-bytes': '5000' }]);
    bench.play({ connected: () => isConnected }).stop();
    for (let second = 0; second < 59; second++) bench.pass(1_000);
    expect(bench.lines).toHaveLength(1);
    for (let second = 0; second < 5; second++) bench.pass(1_000);
    expect(bench.lines).toHaveLength(2);
    bench.play({ connected: () => isConnected }).stop();
    isConnected = false;
    bench.pass(3_000);
    expect(bench.lines).toHaveLength(3);
  });

  it('is one for a player that pauses and goes on', () => {
    const bench = new Bench();
    const first = bench.play();
    Object.assign(first.counts, { bytes: 1_000, packets: 10 });
    bench.now += 5_000;
    first.stop();
    bench.pass(1_000);
    const second = bench.play({ peer: first.peer });
    Object.assign(second.counts, { bytes: 500, packets: 5 });
    bench.pass(5_000);
    second.stop();
    bench.pass(3_000);
    expect(bench.lines).toHaveLength(1);
    expect(bench.lines[0]).toMatchObject({ 'sc-bytes': '1500', 's-pkts-sent': '15', 'x-duration': '10' });
  });

  it('is written for every session when the server ends', () => {
    const bench = new Bench();
    for (let player = 0; player < 3; player++) bench.play().stop();
    bench.logs.close();
    expect(bench.lines).toHaveLength(3);
  });
});

describe('a hostile log', () => {
  it('[WMLOG-105] has what the server knows overwritten, and impossible values left out', () => {
    const bench = new Bench();
    const { counts, peer } = bench.play();
    Object.assign(counts, { bytes: 5_000, packets: 44 });
    bench.now += 10_000;
    const values = parseLog(clientLogXml('rendering', REPORT)).values;
    const claims = {
      ...values,
      'c-ip': '192.0.2.99',
      'cs-uri-stem': 'http://media/other',
      'x-duration': '99999999',
      'c-bytes': '4294967295',
      'c-pkts-received': '1000000',
      'c-totalbuffertime': '99999',
      'sc-bytes': '77',
      's-pkts-sent': '77',
      's-ip': '192.0.2.98',
      's-dns': 'evil',
      's-totalclients': '1000',
      's-cpu-util': '100',
      'cs-user-name': 'admin',
      's-session-id': '1',
      's-content-path': '/etc/passwd',
    };
    bench.submit(FILE_FIELDS.map((field) => claims[field] ?? '-').join(' '), { peer });
    expect(bench.lines[0]).toMatchObject({
      'c-ip': '203.0.113.5',
      'cs-uri-stem': '/live',
      'x-duration': '-',
      'c-bytes': '-',
      'c-pkts-received': '-',
      'c-totalbuffertime': '-',
      'sc-bytes': '5000',
      's-pkts-sent': '44',
      's-ip': '192.0.2.1',
      's-dns': 'media',
      's-totalclients': '7',
      's-cpu-util': '5',
      'cs-user-name': '-',
      's-session-id': expect.not.stringMatching(/^1$/),
      's-content-path': '-',
    });
  });

  it.each([
    ['a million fields', `<XML>${'<a>1</a>'.repeat(1_000_000)}</XML>`],
    ['a million values', '1 '.repeat(1_000_000)],
    ['no end', '<XML><Summary>'.repeat(100)],
    ['nothing', ''],
  ])('with %s is kept out, and its session gets the line of one without a log', (_, text) => {
    const bench = new Bench();
    const { stop, counts, peer } = bench.play();
    counts.bytes = 10;
    bench.submit(text, { peer });
    stop();
    bench.pass(3_000);
    expect(bench.lines).toEqual([expect.objectContaining({ 'c-status': '408', 'sc-bytes': '10' })]);
  });

  it('cannot tear a line: neither values nor product names have blanks or control characters', () => {
    const bench = new Bench();
    const { peer } = bench.play({ client: 'bad\r\nclient name\u0000\u2028x' });
    const xml = clientLogXml('legacy', REPORT).replaceAll('WMV3', 'WM\r\nV3\u0007').replaceAll('en-US', 'a\u2028b');
    bench.submit(xml, { peer });
    bench.submit(`${'x\r\n#Fields: evil'.repeat(3)}`, { peer });
    expect(bench.lines.length).toBeLessThanOrEqual(1);
    bench.logs.close();
    for (const line of bench.lines) expect(Object.values(line).join(' ')).toMatch(/^[\x21-\x7e ]+$/);
  });

  it('is dropped when there are too many: of one session, and of one address without sessions', () => {
    const bench = new Bench();
    const { peer } = bench.play();
    for (let log = 0; log < 500; log++) bench.submit(clientLogXml('legacy', REPORT), { peer });
    expect(bench.lines).toHaveLength(60);
    for (let log = 0; log < 500; log++) bench.submit(clientLogXml('legacy', REPORT), { peer: {} });
    expect(bench.lines).toHaveLength(120);
    expect(bench.warnings).toEqual([expect.stringMatching(/^203\.0\.113\.5 submits logs too often/)]);
    bench.pass(100_000);
    bench.submit(clientLogXml('legacy', REPORT), { peer });
    expect(bench.lines).toHaveLength(121);
  });
});
