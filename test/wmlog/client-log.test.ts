import fc from 'fast-check';
import {
  anonymousPlayerId,
  type ClientLogFields,
  clientLogForWeb,
  clientLogXml,
  connectTimeLogXml,
  legacyLogLine,
} from '../../src/wmlog/client-log.js';

const LOG: ClientLogFields = {
  now: new Date('2003-09-27T00:27:24.5Z'),
  usedUrl: 'http://srv/mcast1200K?WMBitrate=6000000',
  requestedUrl: 'mms://srv/mcast1200K?WMBitrate=6000000',
  startTime: 3.7,
  duration: 41_200,
  receiving: 8_100,
  rate: 1,
  reconnected: false,
  playerId: '{3300AD50-2C39-46c0-AE0A-B4C904C7848E}',
  playerVersion: '9.0.0.2980',
  userAgent: 'Some Player/1.0 (x; y)',
  fileLength: 1801.5,
  fileSize: 268_885_194,
  averageBandwidth: 1_255_347.6,
  audioCodecs: ['Windows Media Audio 9', 'Windows Media Audio 9'],
  videoCodecs: [],
  bytes: 6_321_233,
  packets: 4_496,
  descriptions: [],
};

const NAMES =
  'c-ip date time c-dns cs-uri-stem c-starttime x-duration c-rate c-status c-playerid c-playerversion c-playerlanguage ' +
  'cs-User-Agent cs-Referer c-hostexe c-hostexever c-os c-osversion c-cpu filelength filesize avgbandwidth protocol ' +
  'transport audiocodec videocodec c-channelURL sc-bytes c-bytes s-pkts-sent c-pkts-received c-pkts-lost-client ' +
  'c-pkts-lost-net c-pkts-lost-cont-net c-resendreqs c-pkts-recovered-ECC c-pkts-recovered-resent c-buffercount ' +
  'c-totalbuffertime c-quality s-ip s-dns s-totalclients s-cpu-util cs-url cs-media-name cs-media-role';

function fieldsOf(log: Partial<ClientLogFields> = {}): Record<string, string> {
  const values = legacyLogLine({ ...LOG, ...log }).split(' ');
  return Object.fromEntries(NAMES.split(' ').map((name, index) => [name, values[index]!]));
}

describe('the legacy log as a line', () => {
  it('[WMLOG-066] [WMLOG-070] [WMLOG-071] [WMLOG-072] [WMLOG-073] has 47 values in order', () => {
    const values = legacyLogLine(LOG).split(' ');
    expect(values).toHaveLength(47);
    expect(fieldsOf()).toMatchObject({
      'c-ip': '0.0.0.0',
      date: '2003-09-27',
      time: '00:27:24',
      'c-dns': '-',
      'cs-uri-stem': 'http://srv/mcast1200K',
      'c-starttime': '3',
      'x-duration': '42',
      'c-rate': '1',
      'c-status': '200',
      'c-playerid': '{3300AD50-2C39-46c0-AE0A-B4C904C7848E}',
      'c-playerversion': '9.0.0.2980',
      'cs-Referer': '-',
      filelength: '1801',
      filesize: '268885194',
      avgbandwidth: '1255347',
      protocol: 'http',
      transport: 'TCP',
      'c-channelURL': '-',
      'c-bytes': '6321233',
      'c-pkts-received': '4496',
      'c-quality': '100',
      'cs-url': 'mms://srv/mcast1200K?WMBitrate=6000000',
    });
  });

  it('[WMLOG-065] [WMLOG-041] [WMLOG-039] rounds the duration up and cuts the query off the used URL only', () => {
    expect(fieldsOf({ duration: 41_000 })['x-duration']).toBe('41');
    expect(fieldsOf({ duration: 41_001 })['x-duration']).toBe('42');
  });

  it('[WMLOG-031] [WMLOG-004] [WMLOG-047] [WMLOG-030] reports a reconnection, an empty reception, and a live broadcast', () => {
    expect(fieldsOf({ reconnected: true })['c-status']).toBe('210');
    expect(fieldsOf({ averageBandwidth: undefined })['avgbandwidth']).toBe('-');
    expect(fieldsOf({ startTime: 0, fileLength: 0, fileSize: 0 })).toMatchObject({
      'c-starttime': '0',
      filelength: '0',
      filesize: '0',
    });
  });

  it('[WMLOG-069] [WMLOG-042] [WMLOG-003] [WMLOG-002] writes underscores for blanks, and each codec once', () => {
    expect(fieldsOf()['cs-User-Agent']).toBe('Some_Player/1.0_(x;_y)');
    expect(fieldsOf()['audiocodec']).toBe('Windows_Media_Audio_9');
    expect(fieldsOf()['videocodec']).toBe('-');
    expect(fieldsOf({ videoCodecs: ['x'.repeat(300)] })['videocodec']).toBe('-');
    expect(fieldsOf({ videoCodecs: ['WMV2', 'WMV3'] })['videocodec']).toBe('WMV2;WMV3');
  });

  it('[WMLOG-003] limits codecs to 256 encoded characters, with as many whole names as fit', () => {
    const name = (length: number, char = 'x') => char.repeat(length);
    expect(fieldsOf({ audioCodecs: [name(256)] })['audiocodec']).toBe(name(256));
    expect(fieldsOf({ audioCodecs: [name(257)] })['audiocodec']).toBe('-');
    expect(fieldsOf({ audioCodecs: [name(127, 'a'), name(128, 'b')] })['audiocodec']).toHaveLength(256);
    expect(fieldsOf({ videoCodecs: [name(128, 'a'), name(128, 'b'), 'c'] })['videocodec']).toBe(`${name(128, 'a')};c`);
    // Three bytes as UTF-8, nine characters when percent-encoded.
    expect(fieldsOf({ audioCodecs: [name(29, '\u20ac')] })['audiocodec']).toBe('-');
    expect(fieldsOf({ audioCodecs: [name(28, '\u20ac')] })['audiocodec']).toHaveLength(252);
    expect(fieldsOf({ audioCodecs: ['WMA', 'WMA', 'WMA'] })['audiocodec']).toBe('WMA');
  });

  it('[WMLOG-046] gives its date and time in UTC, in any time zone', () => {
    // The tests run in another time zone, where this is another hour and another day.
    const now = new Date('2024-03-01T01:02:03.999Z');
    expect(now.getTimezoneOffset()).not.toBe(0);
    expect(now.getDate()).not.toBe(1);
    expect(fieldsOf({ now })).toMatchObject({ date: '2024-03-01', time: '01:02:03' });
    expect(clientLogXml('legacy', { ...LOG, now })).toContain('<date>2024-03-01</date>\r\n<time>01:02:03</time>');
  });

  it('[WMLOG-035] [WMLOG-036] names the playlist entry as the server did', () => {
    const descriptions = [
      { name: 'WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_URL', value: 'C:\\My Ad.wmv' },
      { name: 'WMS_CONTENT_DESCRIPTION_ROLE', value: 'ADVERTISEMENT' },
    ];
    expect(fieldsOf({ descriptions })).toMatchObject({
      'cs-media-name': 'C:\\My_Ad.wmv',
      'cs-media-role': 'ADVERTISEMENT',
    });
    expect(fieldsOf()).toMatchObject({ 'cs-media-name': '-', 'cs-media-role': '-' });
  });

  it('[WMLOG-067] [WMLOG-068] always has the same number of values, and fits in a header field', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.double(), fc.string(), (text, number, codec) => {
        const line = legacyLogLine({ ...LOG, usedUrl: text, userAgent: text, duration: number, audioCodecs: [codec] });
        expect(line).toMatch(/^[\x21-\x7e]+(?: [\x21-\x7e]+){46}$/);
      }),
    );
  });
});

describe('what a client reports about itself', () => {
  it('[WMLOG-006] [WMLOG-014] names its processor, system and program in visible characters', () => {
    const fields = fieldsOf();
    for (const name of ['c-cpu', 'c-os', 'c-hostexe']) expect(fields[name]).toMatch(/^[\x21-\x7e]{1,64}$/);
    expect(fields['c-os']).toBe(
      { win32: 'Windows', darwin: 'macOS', linux: 'Linux' }[process.platform as string] ?? process.platform,
    );
  });

  it('[WMLOG-009] [WMLOG-010] names its program rather than a library, and versions of two or four numbers', () => {
    const fields = fieldsOf();
    expect(fields['c-hostexe']).toBe('wmcast');
    for (const name of ['c-hostexever', 'c-osversion', 'c-playerversion']) {
      expect(fields[name]).toMatch(/^\d{1,2}\.\d{1,2}(?:\.\d{1,4}\.\d{1,4})?$/);
    }
  });

  it('[WMLOG-007] [WMLOG-051] gives neither its own name nor names and figures of the server', () => {
    expect(fieldsOf()).toMatchObject({ 'c-dns': '-', 's-dns': '-' });
  });

  it('[WMLOG-049] [WMLOG-059] leaves fields that only proxies know to them', () => {
    expect(fieldsOf()).toMatchObject({ 's-cpu-util': '-', 's-totalclients': '-' });
  });

  it('[WMLOG-025] [WMLOG-037] gives its language and where it came from', () => {
    expect(fieldsOf()).toMatchObject({ 'c-playerlanguage': 'en-US' });
    expect(fieldsOf({ language: 'de-DE', referer: 'http://web/a page' })).toMatchObject({
      'c-playerlanguage': 'de-DE',
      'cs-Referer': 'http://web/a_page',
    });
  });

  it('[WMLOG-038] has a dash if there is no page', () => {
    expect(fieldsOf()['cs-Referer']).toBe('-');
  });

  it('[WMLOG-027] [WMLOG-028] has the rate in one or two digits', () => {
    expect(fieldsOf({ rate: -5 })['c-rate']).toBe('-5');
    expect(fieldsOf({ rate: 2.9 })['c-rate']).toBe('2');
    expect(fieldsOf({ rate: 1_000 })['c-rate']).toBe('99');
  });

  it('[WMLOG-005] [WMLOG-032] counts how often and how long it waited for data', () => {
    expect(fieldsOf()).toMatchObject({ 'c-buffercount': '0', 'c-totalbuffertime': '0' });
    expect(fieldsOf({ buffering: { count: 3, milliseconds: 4_200 } })).toMatchObject({
      'c-buffercount': '3',
      'c-totalbuffertime': '5',
    });
  });

  it('[WMLOG-019] [WMLOG-029] counts recovered packets, and resend requests where the protocol has them', () => {
    expect(fieldsOf()['c-resendreqs']).toBe('-');
    const losses = { lost: 2, longestGap: 4, recovered: 3, resent: 6, resendRequests: 7 };
    expect(fieldsOf({ losses, packets: 89 })).toMatchObject({
      'c-pkts-received': '89',
      'c-pkts-lost-client': '2',
      'c-pkts-lost-net': '5',
      'c-pkts-lost-cont-net': '4',
      'c-resendreqs': '7',
      'c-pkts-recovered-ECC': '3',
      'c-pkts-recovered-resent': '6',
      'c-quality': '98',
    });
  });

  it('[WMLOG-048] [WMLOG-061] names the protocol and the transport that were used', () => {
    expect(fieldsOf()).toMatchObject({ protocol: 'http', transport: 'TCP' });
    expect(fieldsOf({ protocol: 'rtsp', transport: 'UDP' })).toMatchObject({ protocol: 'rtsp', transport: 'UDP' });
    const multicast = { channelUrl: 'http://web/a.nsc', address: '239.1.2.3' };
    expect(fieldsOf({ multicast })).toMatchObject({ protocol: 'asfm', transport: 'UDP' });
  });

  it('[WMLOG-033] names the .nsc file that led to the content', () => {
    expect(fieldsOf({ multicast: { channelUrl: 'http://web/a.nsc', address: '239.1.2.3' } })['c-channelURL']).toBe(
      'http://web/a.nsc',
    );
    expect(fieldsOf({ multicast: { channelUrl: undefined, address: '239.1.2.3' } })['c-channelURL']).toBe('-');
  });

  it('[WMLOG-062] lists the video codecs with semicolons and without blanks', () => {
    expect(fieldsOf({ videoCodecs: ['Windows Media Video 9', 'MPEG-4'] })['videocodec']).toBe(
      'Windows_Media_Video_9;MPEG-4',
    );
  });

  it('[WMLOG-021] [WMLOG-022] has the same player id in all logs of a session', () => {
    const id = anonymousPlayerId('70b64f321a80');
    expect(id).toBe('{3300AD50-2C39-46c0-AE0A-70b64f321a80}');
    for (const kind of ['legacy', 'streaming', 'rendering'] as const) {
      expect(clientLogXml(kind, { ...LOG, playerId: id })).toContain(`<c-playerid>${id}</c-playerid>`);
    }
  });
});

describe('logs for a web server', () => {
  const valuesOf = (kind: 'legacy' | 'streaming' | 'rendering', log: Partial<ClientLogFields> = {}) =>
    /^MX_STATS_LogLine: \t(.*)$/.exec(clientLogForWeb(kind, { ...LOG, ...log }))![1]!.split(' ');

  it('[WMLOG-093] [WMLOG-055] name the server that the content came from in a Legacy Log', () => {
    const values = valuesOf('legacy', { serverAddress: '192.0.2.1' });
    expect(values).toHaveLength(47);
    expect(values[40]).toBe('192.0.2.1');
    expect(valuesOf('legacy')[40]).toBe('-');
  });

  it('[WMLOG-097] [WMLOG-094] do so in a Streaming Log, which has no codecs', () => {
    const values = valuesOf('streaming', { serverAddress: '192.0.2.1', videoCodecs: ['V'] });
    expect(values).toHaveLength(47);
    expect([values[0], values[24], values[25], values[40], values[41], values[43]]).toEqual([
      '0.0.0.0',
      '-',
      '-',
      '192.0.2.1',
      '-',
      '-',
    ]);
  });

  it('[WMLOG-102] [WMLOG-056] have 47 values in a Rendering Log, too, and no server', () => {
    const values = valuesOf('rendering', { serverAddress: '192.0.2.1' });
    expect(values).toHaveLength(47);
    expect([values[0], values[22], values[23], values[40]]).toEqual(['-', 'Cache', '-', '-']);
  });
});

describe('the connect-time log', () => {
  it('[WMLOG-103] [WMLOG-104] has an empty Summary and eight elements in order', () => {
    const xml = connectTimeLogXml(new Date('2006-08-30T13:18:44Z'), 'TCP');
    const lines = xml.split('\r\n');
    expect(lines.slice(0, 4)).toEqual(['<XML>', '<Summary></Summary>', '<c-dns>-</c-dns>', '<c-ip>0.0.0.0</c-ip>']);
    expect(lines.map((line) => /^<([\w-]+)>/.exec(line)?.[1])).toEqual([
      ...['XML', 'Summary', 'c-dns', 'c-ip', 'c-os', 'c-osversion', 'date', 'time', 'c-cpu', 'transport'],
      ...[undefined, undefined],
    ]);
    expect(xml).toContain('<date>2006-08-30</date>\r\n<time>13:18:44</time>');
    expect(xml).toContain('<transport>TCP</transport>');
    expect(connectTimeLogXml(new Date(0), 'UDP')).toContain('<transport>UDP</transport>');
  });
});

describe('the legacy log as XML', () => {
  it('[WMLOG-089] [WMLOG-091] has no address and no server', () => {
    const { line, elements } = read(clientLogXml('legacy', { ...LOG, serverAddress: '192.0.2.1' }), NAMES);
    for (const values of [line, elements]) {
      expect(values).toMatchObject({ 'c-ip': '0.0.0.0', 's-ip': '-', 's-dns': '-', 's-cpu-util': '-' });
    }
  });

  it('[WMLOG-090] [WMLOG-092] has the three optional values in its line', () => {
    const { line } = read(clientLogXml('legacy', LOG), NAMES);
    expect(Object.keys(line)).toHaveLength(47);
    expect(line['cs-url']).toBe('mms://srv/mcast1200K?WMBitrate=6000000');
  });

  it('[WMLOG-083] [WMLOG-046] contains the line, and an element for each value', () => {
    const xml = clientLogXml('legacy', LOG);
    expect(xml.startsWith('<XML>\r\n<Summary>0.0.0.0 2003-09-27 00:27:24 - ')).toBe(true);
    const elements = [...xml.matchAll(/^<([\w-]+)>([^<]*)<\/\1>/gm)].map(([, name]) => name);
    expect(elements).toEqual(['Summary', ...NAMES.split(' ').slice(0, -2)]);
    expect(xml.trimEnd().endsWith('</XML>')).toBe(true);
    expect(xml).not.toContain('ContentDescription');
  });

  it('[WMLOG-085] [WMLOG-086] returns the content description, escaped', () => {
    const descriptions = [
      { name: 'title', value: 'a <b> & "c"\u0007' },
      { name: 'not a name', value: 'x' },
    ];
    expect(clientLogXml('legacy', { ...LOG, descriptions })).toContain(
      '<ContentDescription>\r\n<title>a &lt;b&gt; &amp; &quot;c&quot;</title>\r\n</ContentDescription>',
    );
  });
});

/** Returns names and values of a log's elements, and the values of its line by the names they should have. */
function read(xml: string, names: string): { line: Record<string, string>; elements: Record<string, string> } {
  const all = [...xml.matchAll(/<([\w-]+)>([^<]*)<\/\1>/g)].map(([, name = '', value = '']) => [name, value] as const);
  const values = all[0]![1].split(' ');
  expect(values).toHaveLength(names.split(' ').length);
  const line = Object.fromEntries(names.split(' ').map((name, index) => [name, values[index]!]));
  return { line, elements: Object.fromEntries(all.slice(1)) };
}

describe('the streaming log', () => {
  it('[WMLOG-094] [WMLOG-095] [WMLOG-096] [WMLOG-064] describes how content was received, but not how it was rendered', () => {
    const { line, elements } = read(clientLogXml('streaming', { ...LOG, videoCodecs: ['WMV3'] }), NAMES);
    const told = {
      'c-ip': '0.0.0.0',
      'x-duration': '9',
      audiocodec: '-',
      videocodec: '-',
      's-ip': '-',
      's-dns': '-',
      's-cpu-util': '-',
      protocol: 'http',
      transport: 'TCP',
      avgbandwidth: '1255347',
      'c-pkts-received': '4496',
      'c-bytes': '6321233',
      'cs-url': 'mms://srv/mcast1200K?WMBitrate=6000000',
    };
    expect(line).toMatchObject({ ...told, 'cs-media-name': '-', 'cs-media-role': '-' });
    expect(elements).toMatchObject(told);
  });
});

describe('the rendering log', () => {
  const NAMES_52 = [
    ...NAMES.split(' ').slice(0, 44),
    ...['cs-user-name', 's-session-id', 's-content-path', 'cs-url', 'cs-media-name', 'c-max-bandwidth'],
    ...['cs-media-role', 's-proxied'],
  ].join(' ');
  const STREAMING = [
    ...['avgbandwidth', 'c-buffercount', 'c-pkts-lost-client', 'c-pkts-lost-cont-net', 'c-pkts-lost-net'],
    ...['c-pkts-received', 'c-pkts-recovered-ECC', 'c-pkts-recovered-resent', 'c-resendreqs', 'c-totalbuffertime'],
  ];

  it('[WMLOG-098] [WMLOG-099] [WMLOG-063] describes how content was rendered, but nothing about the network', () => {
    const { line, elements } = read(clientLogXml('rendering', { ...LOG, videoCodecs: ['WMV3'] }), NAMES_52);
    for (const values of [line, elements]) {
      for (const name of STREAMING) expect([name, values[name]]).toEqual([name, '-']);
      expect(values).toMatchObject({
        'c-quality': '100',
        protocol: 'Cache',
        transport: '-',
        'x-duration': '42',
        videocodec: 'WMV3',
        'c-bytes': '0',
      });
    }
  });

  it('[WMLOG-074] [WMLOG-101] [WMLOG-100] [WMLOG-058] [WMLOG-045] [WMLOG-013] has a line of 52 values', () => {
    const descriptions = [{ name: 'WMS_CONTENT_DESCRIPTION_ROLE', value: 'ADVERTISEMENT' }];
    const { line, elements } = read(clientLogXml('rendering', { ...LOG, descriptions }), NAMES_52);
    expect(line).toMatchObject({
      'cs-user-name': '-',
      's-session-id': '-',
      's-content-path': '-',
      'cs-url': 'mms://srv/mcast1200K?WMBitrate=6000000',
      'cs-media-name': '-',
      'c-max-bandwidth': '-',
      'cs-media-role': 'ADVERTISEMENT',
      's-proxied': '0',
    });
    expect(Object.keys(elements).slice(0, 45)).toEqual(NAMES.split(' ').slice(0, 45));
  });

  it('[WMLOG-011] [WMLOG-084] leaves the address to the receiver in both prescribed ways', () => {
    const { line, elements } = read(clientLogXml('rendering', LOG), NAMES_52);
    expect(line['c-ip']).toBe('-');
    expect(elements['c-ip']).toBe('0.0.0.0');
    expect(elements).toMatchObject({ 's-ip': '-', 's-dns': '-', 's-totalclients': '-', 's-cpu-util': '-' });
  });
});

describe('anonymousPlayerId', () => {
  it('[WMLOG-024] is the only id that clients here have: accounts of one system share no public one', () => {
    const ids = [anonymousPlayerId('70b64f321a80'), anonymousPlayerId('80b64f321a80')];
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^\{3300AD50-2C39-46c0-AE0A-[0-9a-f]{12}\}$/);
  });

  it('[WMLOG-022] has the fixed beginning', () => {
    expect(anonymousPlayerId('B4C904C7848EFF')).toBe('{3300AD50-2C39-46c0-AE0A-B4C904C7848E}');
    expect(anonymousPlayerId('1')).toMatch(/^\{3300AD50-2C39-46c0-AE0A-0{11}1\}$/);
  });
});
