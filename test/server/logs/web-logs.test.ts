import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseNsc } from '../../../src/announce/nsc.js';
import { openSourceUrl } from '../../../src/sources/table.js';
import { type ClientLogFields, clientLogForWeb, clientLogXml } from '../../../src/wmlog/client-log.js';
import { isValidationPage } from '../../../src/wmlog/line.js';
import type { SubmittedLog } from '../../../src/wmlog/submitted.js';
import { until } from '../../support/until.js';
import { ServerStation } from '../station.js';

const REPORT: ClientLogFields = {
  now: new Date('2001-01-01T01:01:01Z'),
  usedUrl: 'asfm://239.1.2.3:9000',
  requestedUrl: 'asfm://239.1.2.3:9000',
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
  multicast: { channelUrl: 'http://media/live.nsc', address: '239.1.2.3' },
};

describe('the logging URL of a server', () => {
  let folder: string;
  let station: ServerStation;
  const logs: SubmittedLog[] = [];
  const logsOf = (more = {}) => ({ folder, maxSize: 100, proxies: [], submissions: true, ...more });
  /** The lines of the log files, without their heads. */
  const lines = async () => {
    const texts = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
    return texts
      .join('')
      .split('\r\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
  };
  const post = async (target: string, body: string | Buffer, ...more: string[]) => {
    const peer = await station.peer();
    peer.request(`POST ${target} HTTP/1.1`, 'Host: media', `Content-Length: ${body.length}`, ...more);
    peer.send(body);
    return peer.until((bytes) =>
      bytes.includes('\r\n\r\n') ? Number(bytes.toString('latin1').split(' ')[1]) : undefined,
    );
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wmcast-logs-'));
    logs.length = 0;
    station = await ServerStation.open({ logs: logsOf() }, { log: (log) => logs.push(log) });
  });
  afterEach(async () => {
    await station.close();
    await rm(folder, { recursive: true });
  });

  it.each(['/nsiislog.dll', '/scripts/NSIISLog.dll', '/wmsiislog.dll?x=1'])(
    '[WMLOG-075] [WMLOG-077] is %s, and answers that it takes logs, also to players',
    async (target) => {
      for (const agent of ['NSPlayer/12.0.7601', 'curl/8']) {
        const { status, body } = await station.ask(`GET ${target} HTTP/1.1`, 'Host: media', `User-Agent: ${agent}`);
        expect(status).toBe(200);
        expect(isValidationPage(body.toString())).toBe(true);
        expect(body.toString()).toMatch(/<body><h1>WMS ISAPI Log Dll\/\d{1,4}(\.\d{1,4}){3}<\/h1>/);
      }
      const { status } = await station.ask(`GET ${target} HTTP/1.0`);
      expect(status).toBe(200);
    },
  );

  it('[WMLOG-075] [WMLOG-082] takes logs by POST, with the address that they came from', async () => {
    const body = clientLogForWeb('legacy', REPORT);
    expect(await post('/wmsiislog.dll', body, 'User-Agent: NSPlayer/9.0', 'X-Unknown: yes')).toBe(200);
    expect(await post('/wmsiislog.dll', `first line\r\n${body}\r\nlast line`)).toBe(200);
    expect(await post('/wmsiislog.dll', clientLogXml('rendering', REPORT))).toBe(200);
    await until('three lines', async () => (await lines()).length === 3);
    const [first] = await lines();
    expect(first).toMatch(
      /^127\.0\.0\.1 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d - asfm:\/\/239\.1\.2\.3:9000 0 9 1 200 \{3300AD50/,
    );
    expect(first).toMatch(
      / asfm UDP WMA_2 WMV3 http:\/\/media\/live\.nsc - 4000 - 40 .* 239\.1\.2\.3 \S+ \d+ \d+ - - - asfm:/,
    );
    expect(logs.map(({ protocol, form }) => [protocol, form])).toEqual([
      ['HTTP', 'log-line'],
      ['HTTP', 'log-line'],
      ['HTTP', 'xml'],
    ]);
  });

  it.each([
    ['nothing', ''],
    ['no log', 'hello'],
    ['a million fields', `MX_STATS_LogLine: \t${'1 '.repeat(30_000)}`],
    ['controls', Buffer.from(`MX_STATS_LogLine: \t${'\u0001'.repeat(44)}`)],
  ])('refuses %s, and writes nothing', async (_, body) => {
    expect(await post('/nsiislog.dll', body)).toBe(400);
    expect(await lines()).toEqual([]);
  });

  it('refuses a body that is too large, and other methods', async () => {
    expect(await post('/nsiislog.dll', 'x'.repeat(70_000))).toBe(413);
    expect((await station.ask('PUT /nsiislog.dll HTTP/1.1', 'Host: media')).status).toBe(405);
  });

  it('keeps out of the file what a log must not hold, such as the sessions of others', async () => {
    const values = clientLogForWeb('legacy', REPORT).slice('MX_STATS_LogLine: \t'.length).split(' ');
    values[6] = 'DROP';
    values[9] = '{not-a-guid}';
    values[27] = '99';
    values[29] = '99';
    expect(await post('/nsiislog.dll', `MX_STATS_LogLine: \t${values.join(' ')}`)).toBe(200);
    await until('a line', async () => (await lines()).length === 1);
    const [line] = await lines();
    const written = line!.split(' ');
    expect([written[6], written[9], written[27], written[29], written[45]]).toEqual(['-', '-', '-', '-', '-']);
  });

  it('is named in the .nsc file of a multicast point that names no other, and takes the log of its client', async () => {
    await station.close();
    const multicast = { group: '239.255.77.130', port: 31_130, ttl: 0, interface: '127.0.0.1', fec: 0 };
    station = await ServerStation.open({ logs: logsOf(), points: [{ path: '/live', multicast }] });
    const encoder = await station.push('/live');
    encoder.key();
    const nsc = await until('an .nsc file', async () => {
      const { status, body } = await station.ask('GET /live.nsc HTTP/1.1', 'Host: media:81');
      return status === 200 && body;
    });
    expect(parseNsc(nsc.toString('latin1')).logUrl).toBe('http://media:81/wmsiislog.dll');
    const client = openSourceUrl(`http://127.0.0.1:${station.port}/live.nsc`, { interface: '127.0.0.1' });
    let packets = 0;
    const done = (async () => {
      for await (const event of client) if (event.type === 'packet') packets++;
    })();
    await until('packets', () => {
      encoder.key();
      return packets > 3;
    });
    await client.close();
    await done;
    await until('a line', async () => (await lines()).length === 1);
    expect((await lines())[0]).toMatch(/ asfm:\/\/239\.255\.77\.130:31130 .* asfm UDP /);
  });

  it('is not there if the configuration says so, or without log files', async () => {
    await station.close();
    station = await ServerStation.open({ logs: logsOf({ submissions: false }) });
    expect((await station.ask('GET /nsiislog.dll HTTP/1.1', 'Host: media')).status).toBe(404);
    await station.close();
    station = await ServerStation.open();
    expect((await station.ask('GET /nsiislog.dll HTTP/1.1', 'Host: media')).status).toBe(404);
  });
});
