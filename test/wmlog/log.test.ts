import fc from 'fast-check';
import { WmError } from '../../src/errors.js';
import { LINE_FIELDS, type LogField, type LogValues } from '../../src/wmlog/fields.js';
import {
  buildLine,
  buildValidationPage,
  buildWebLog,
  isValidationPage,
  parseLine,
  parseWebLog,
} from '../../src/wmlog/line.js';
import { buildXmlLog, parseLog, type WmLog } from '../../src/wmlog/log.js';
import { slowness } from '../support/patience.js';

/** The first example of MS-WMLOG 3.1, as a client sends it: one line. */
const LEGACY_44 =
  '0.0.0.0 2003-09-27 00:27:24 - http://10.194.20.175/mcast1200K 0 42 1 200 {3300AD50-2C39-46c0-AE0A-B4C904C7848E} ' +
  '9.0.0.2980 en-US WMFSDK/9.0.0.2980_WMPlayer/9.0.0.3008 - wmplayer.exe 9.0.0.2980 Windows_XP 5.1.0.2600 Pentium 1801 ' +
  '268885194 1255347 http TCP Windows_Media_Audio_9 Windows_Media_Video_9 - - 6321233 - 4496 0 0 0 0 0 0 1 0 100 - - - -';
const MORE_47 = 'http://10.194.20.175/mcast1200K?WMBitrate=6000000 30MinTV_1200k_1s_1s_0Q.wmv -';
/** The example of MS-WMLOG 3.4. */
const RENDERING_52 =
  '0.0.0.0 2006-05-01 21:34:01 - http://server.example.com/content.wmv 4 0 1 200 {3300AD50-2C39-46c0-AE0A-3E0B6EFB86DC} ' +
  '10.0.0.3802 en-US Mozilla/4.0_(compatible;_MSIE_6.0;_Windows_NT_5.1)_(WMFSDK/10.0.0.3802)_WMPlayer/10.0.0.4019 ' +
  'http://bar.microsoft.com iexplore.exe 6.0.2900.2180 Windows_XP 5.1.0.2600 Pentium 130 638066 - Cache - ' +
  'Windows_Media_Audio_9 Windows_Media_Video_9 - - 0 - - - - - - - - - - 100 - - - - - - - ' +
  'http://server.example.com/content.wmv - - - 0';
/** The log of a real player, from a captured session. */
const CONNECT_TIME =
  '<XML><Summary></Summary><c-dns>-</c-dns><c-ip>0.0.0.0</c-ip><c-os>Windows_XP</c-os><c-osversion>5.1.0.2600</c-osversion>' +
  '<date>2026-02-24</date><time>20:29:33</time><c-cpu>Pentium</c-cpu><transport>UDP</transport></XML>';

const changed = (line: string, field: LogField, value: string) => {
  const values = line.split(' ');
  const fields = LINE_FIELDS[values.length as 44 | 47 | 52];
  values[fields.indexOf(field)] = value;
  return values.join(' ');
};
const xml = (summary: string, rest = '') => `<XML>\r\n<Summary>${summary}</Summary>\r\n${rest}</XML>`;

describe('log lines', () => {
  it('[WMLOG-070] [WMLOG-072] have 44 values in the order of the specification', () => {
    const { length, values, invalid } = parseLine(LEGACY_44);
    expect(length).toBe(44);
    expect(invalid).toEqual([]);
    expect(values).toMatchObject({
      'c-ip': '0.0.0.0',
      date: '2003-09-27',
      'cs-uri-stem': 'http://10.194.20.175/mcast1200K',
      'c-starttime': '0',
      'x-duration': '42',
      'c-playerid': '{3300AD50-2C39-46c0-AE0A-B4C904C7848E}',
      'cs-User-Agent': 'WMFSDK/9.0.0.2980_WMPlayer/9.0.0.3008',
      filesize: '268885194',
      videocodec: 'Windows_Media_Video_9',
      'c-bytes': '6321233',
      'c-pkts-received': '4496',
      'c-buffercount': '1',
      'c-quality': '100',
    });
    expect(Object.keys(values)).not.toContain('c-dns');
    expect(buildLine(values, 44)).toBe(LEGACY_44);
  });

  it('[WMLOG-073] [WMLOG-071] may have the three optional values, but only together', () => {
    const { length, values } = parseLine(`${LEGACY_44} ${MORE_47}`);
    expect(length).toBe(47);
    expect(values).toMatchObject({
      'cs-url': 'http://10.194.20.175/mcast1200K?WMBitrate=6000000',
      'cs-media-name': '30MinTV_1200k_1s_1s_0Q.wmv',
    });
    expect(buildLine(values, 47)).toBe(`${LEGACY_44} ${MORE_47}`);
  });

  it('[WMLOG-074] may have 52 values, with cs-url in another place', () => {
    const { length, values } = parseLine(RENDERING_52);
    expect(length).toBe(52);
    expect(values).toMatchObject({ 'cs-url': 'http://server.example.com/content.wmv', 's-proxied': '0' });
    expect(buildLine(values, 52)).toBe(RENDERING_52);
  });

  it.each([0, 1, 43, 45, 46, 48, 51, 53, 500])('[WMLOG-066] are rejected with %i values', (count) => {
    expect(() => parseLine(Array(count).fill('-').join(' '))).toThrow(WmError);
  });

  it('[WMLOG-066] [WMLOG-068] tolerate line breaks and runs of blanks, and an empty value if all others are present', () => {
    expect(parseLine(` ${LEGACY_44.replaceAll(' ', ' \r\n ')}\r\n`).values).toEqual(parseLine(LEGACY_44).values);
    const emptied = LEGACY_44.replace(' 42 ', '  ');
    expect(parseLine(emptied).values['x-duration']).toBeUndefined();
    expect(parseLine(emptied).values['c-rate']).toBe('1');
  });

  it('survive a round trip, whatever they contain', () => {
    const value = fc.constantFrom('-', '0', '17', 'x', 'TCP', '2024-01-02');
    fc.assert(
      fc.property(fc.array(value, { minLength: 52, maxLength: 52 }), (parts) => {
        const { values } = parseLine(parts.join(' '));
        expect(parseLine(buildLine(values, 52)).values).toEqual(values);
      }),
    );
  });
});

describe('values', () => {
  const FIELDS: ReadonlyArray<readonly [string, LogField, readonly string[], readonly string[]]> = [
    ['[WMLOG-005]', 'c-buffercount', ['0', '4294967295'], ['4294967296', '-1', '1.5', '0x1', '99999999999']],
    ['[WMLOG-006]', 'c-cpu', ['Pentium', 'x'.repeat(64)], ['x'.repeat(65)]],
    ['[WMLOG-007] [WMLOG-008]', 'c-dns', ['wmt.test.com'], ['wmt test', 'a/b', 'x'.repeat(256)]],
    ['[WMLOG-009]', 'c-hostexe', ['wmplayer.exe', 'x'.repeat(255)], ['x'.repeat(256)]],
    [
      '[WMLOG-010]',
      'c-hostexever',
      ['6.2.5.323', '10.0', '7.0.1024'],
      ['6', '123.0', '1.2.3.12345', 'v1.0', '1.2.3.4.5'],
    ],
    ['[WMLOG-010]', 'c-osversion', ['5.1.0.2600'], ['5', 'XP']],
    ['[WMLOG-010]', 'c-playerversion', ['9.0.0.2980'], ['9.0.0.29800', '']],
    [
      '[WMLOG-008]',
      'c-ip',
      ['157.100.100.100', '3ffe:2900:d005:f28b:0:5efe:9d37:918e'],
      ['1.2.3', '1.2.3.256', 'host'],
    ],
    ['[WMLOG-014]', 'c-os', ['Windows_XP', 'Windows'], ['x'.repeat(65)]],
    [
      '[WMLOG-021] [WMLOG-022]',
      'c-playerid',
      ['{c579d042-cecc-11d1-bb31-00a0c9603954}', '{3300AD50-2C39-46c0-AE0A-70b64f321a80}'],
      ['c579d042-cecc-11d1-bb31-00a0c9603954', '{c579d042}', '{x}'],
    ],
    ['[WMLOG-025]', 'c-playerlanguage', ['en-US', 'de', 'zh-Hant-TW'], ['en_US', '1', 'english language']],
    ['[WMLOG-026]', 'c-quality', ['0', '89', '100'], ['101', '-1', '99.5']],
    ['[WMLOG-027]', 'c-rate', ['1', '-5', '99'], ['100', '1.5', '+1', '--1']],
    ['[WMLOG-031]', 'c-status', ['200', '210'], ['20', '2000', 'ok']],
    ['[WMLOG-046]', 'date', ['1997-10-09', '2024-12-31'], ['1997-13-01', '1997-10-32', '97-10-09', '1997/10/09']],
    ['[WMLOG-046]', 'time', ['15:30:30', '24:00:00', '23:59:60'], ['25:00:00', '15:60:00', '15:30', '1:2:3']],
    ['[WMLOG-050]', 's-cpu-util', ['0', '100'], ['101']],
    ['[WMLOG-052]', 's-dns', ['wmt.adventure-works.com'], ['a b']],
    ['[WMLOG-058]', 's-proxied', ['0', '1'], ['2', 'yes']],
    ['[WMLOG-061]', 'transport', ['UDP', 'TCP'], ['udp', 'SCTP']],
    ['[WMLOG-003]', 'audiocodec', ['A;B', 'x'.repeat(256)], ['x'.repeat(257)]],
    ['[WMLOG-048]', 'protocol', ['http', 'rtsp', 'asfm', 'Cache', 'mms'], ['h t', '1x', 'x'.repeat(17)]],
  ];

  it.each(FIELDS)('%s of %s are %j and not %j', (_, field, good, bad) => {
    for (const value of good) {
      const { values, invalid } = parseLine(changed(RENDERING_52, field, value));
      expect([values[field], invalid]).toEqual([value, []]);
    }
    for (const value of bad.filter((each) => each !== '' && !each.includes(' '))) {
      const { values, invalid } = parseLine(changed(RENDERING_52, field, value));
      expect([value, values[field], invalid]).toEqual([value, undefined, [field]]);
    }
  });

  it('[WMLOG-105] have no control characters, and no text in place of a number', () => {
    const odd = changed(changed(LEGACY_44, 'cs-User-Agent', 'a\u0007b'), 'filesize', "1';DROP");
    const { values, invalid } = parseLine(odd);
    expect(invalid).toEqual(['cs-User-Agent', 'filesize']);
    expect(values).not.toHaveProperty('filesize');
    expect(buildLine(values, 44).split(' ')[12]).toBe('-');
    // In XML, too, where entities may hide them.
    const log = parseLog(xml('', '<c-os>a&#27;b</c-os><c-cpu>x&#x202e;y</c-cpu><c-bytes>many</c-bytes>'), 'legacy');
    expect(log.values['c-os']).toBeUndefined();
    expect(log.invalid).toEqual(['c-os', 'c-cpu', 'c-bytes']);
  });

  it('[WMLOG-067] may be in any script', () => {
    expect(parseLine(changed(LEGACY_44, 'audiocodec', 'Кодек')).values.audiocodec).toBe('Кодек');
  });
});

describe('logs for web servers', () => {
  it('[WMLOG-081] are a line after its prefix, a blank and a tab', () => {
    const { values } = parseLine(LEGACY_44);
    expect(buildWebLog(values, 44)).toBe(`MX_STATS_LogLine: \t${LEGACY_44}`);
    expect(parseWebLog(`MX_STATS_LogLine: \t${LEGACY_44}`)).toMatchObject({ length: 44, values });
  });

  it('[WMLOG-082] are found among other lines of the body, with other white space', () => {
    const { values } = parseLine(LEGACY_44);
    for (const body of [
      `MX_STATS_LogLine: ${LEGACY_44}`,
      `MX_STATS_LogLine:\t\t${LEGACY_44}\r\n\r\nMore: x\r\n`,
      `X-Other: y\r\nMX_STATS_LogLine: \t${LEGACY_44}\r\n`,
      `MX_STATS_LogLine: \t${LEGACY_44.replace(' 42 ', '\r\n42 ')}`,
    ]) {
      expect(parseWebLog(body).values).toEqual(values);
      expect(parseLog(body).kind).toBe('legacy');
    }
    for (const body of ['', LEGACY_44, 'MX_STATS_LogLine: \t- - -']) expect(() => parseWebLog(body)).toThrow(WmError);
  });

  it('[WMLOG-077] [WMLOG-078] are sent to a server that identifies itself as a logging server', () => {
    expect(buildValidationPage('9.00.00.3372')).toContain('<body><h1>WMS ISAPI Log Dll/9.00.00.3372</h1></body>');
    for (const page of [
      buildValidationPage('9.0.0.1'),
      '<html><head><title>x</title></head><body><h1>NetShow ISAPI Log Dll</h1> more </body>',
      '<BODY><H1>WMS ISAPI Log Dll/9.00.00.3372 and more</H1></BODY>',
    ]) {
      expect(isValidationPage(page)).toBe(true);
    }
    for (const page of [
      '',
      '<body>Hello</body>',
      '<h1>WMS ISAPI Log Dll/9.00.00.3372</h1>',
      '<body><h1>WMS ISAPI Log Dll/9.00</h1></body>',
      '<body><h1>No WMS ISAPI Log Dll/9.00.00.3372</h1></body>',
      '<body><h1>WMS ISAPI Log Dll</h1></body>',
    ]) {
      expect(isValidationPage(page)).toBe(false);
    }
  });
});

describe('logs in XML', () => {
  const ELEMENTS = LINE_FIELDS[44].map((field, index) => `<${field}>${LEGACY_44.split(' ')[index]}</${field}>`);
  const URL_ELEMENT = '<cs-url>http://10.194.20.175/mcast1200K?WMBitrate=6000000</cs-url>';
  const DESCRIPTION = [
    '<ContentDescription>',
    '<WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_URL>30MinTV.wmv</WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_URL>',
    '<title>a &lt;b&gt; &amp; &#x263a;</title>',
    '</ContentDescription>',
  ];
  const VENDOR = [
    '<VendorNameSpace>',
    '<vendor-field1>Value1</vendor-field1>',
    '<vendor-field2>Value2</vendor-field2>',
    '</VendorNameSpace>',
  ];

  it('[WMLOG-083] [WMLOG-092] contain the line, the elements, the content description and vendor data', () => {
    const log = parseLog(
      xml(`${LEGACY_44} ${MORE_47}`, [...ELEMENTS, URL_ELEMENT, ...DESCRIPTION, ...VENDOR].join('\r\n')),
    );
    expect(log.kind).toBe('legacy');
    expect(log.values).toEqual(parseLine(`${LEGACY_44} ${MORE_47}`).values);
    expect(log.description).toEqual([
      { name: 'WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_URL', value: '30MinTV.wmv' },
      { name: 'title', value: 'a <b> & \u263a' },
    ]);
    expect(log.vendors).toEqual([
      {
        name: 'VendorNameSpace',
        pairs: [
          { name: 'vendor-field1', value: 'Value1' },
          { name: 'vendor-field2', value: 'Value2' },
        ],
      },
    ]);
  });

  it('[WMLOG-001] [WMLOG-087] write vendor data after the content description, never among the fields', () => {
    const { values } = parseLine(`${LEGACY_44} ${MORE_47}`);
    const log: WmLog = {
      kind: 'legacy',
      values,
      invalid: [],
      description: [{ name: 'title', value: 'x' }],
      vendors: [
        { name: 'Own', pairs: [{ name: 'one', value: '1 & 2' }] },
        { name: 'not a name', pairs: [{ name: 'one', value: '1' }] },
        { name: 'Empty', pairs: [] },
      ],
    };
    const text = buildXmlLog(log);
    expect(text).toContain('</ContentDescription>\r\n<Own>\r\n<one>1 &amp; 2</one>\r\n</Own>\r\n</XML>\r\n');
    expect(text).not.toContain('not a name');
    expect(text).not.toContain('<Empty>');
    expect(/<Summary>(.*)<\/Summary>/.exec(text)![1]!.split(' ')).toHaveLength(47);
    expect(parseLog(text)).toEqual({ ...log, vendors: [log.vendors[0]] });
    expect(buildXmlLog({ ...log, description: [], vendors: [] })).not.toMatch(/ContentDescription|Own/);
  });

  it('[WMLOG-084] fix the address and the fields of servers in the elements, whatever the line says', () => {
    const values: LogValues = {
      ...parseLine(`${LEGACY_44} ${MORE_47}`).values,
      'c-ip': '192.0.2.7',
      's-ip': '192.0.2.8',
      's-dns': 'h',
      's-totalclients': '5',
      's-cpu-util': '40',
    };
    const text = buildXmlLog({ kind: 'legacy', values, description: [], vendors: [] });
    for (const fixed of [
      '<c-ip>0.0.0.0</c-ip>',
      '<s-ip>-</s-ip>',
      '<s-dns>-</s-dns>',
      '<s-totalclients>-</s-totalclients>',
      '<s-cpu-util>-</s-cpu-util>',
    ]) {
      expect(text).toContain(`\r\n${fixed}\r\n`);
    }
    expect(text).toContain('<Summary>192.0.2.7 ');
    // When reading, the line takes precedence.
    expect(parseLog(text).values).toMatchObject({ 'c-ip': '192.0.2.7', 's-ip': '192.0.2.8', 's-totalclients': '5' });
  });

  it('[WMLOG-088] tolerate white space around every tag', () => {
    const spread = xml(LEGACY_44, ELEMENTS.join('')).replace(/</g, '\r\n\t <').replace(/>/g, '> \r\n');
    expect(parseLog(spread).values).toEqual(parseLine(LEGACY_44).values);
  });

  it('[WMLOG-106] tolerate repeated elements, as Windows servers write them for logs from a proxy', () => {
    const twice =
      '<c-channelURL>http://s/a.nsc</c-channelURL><c-channelURL>-</c-channelURL><cs-media-role>ADV</cs-media-role><cs-media-role>OTHER</cs-media-role>';
    const log = parseLog(xml('', `<cs-uri-stem>http://s/a</cs-uri-stem>${twice}`));
    expect(log.values).toMatchObject({ 'c-channelURL': 'http://s/a.nsc', 'cs-media-role': 'ADV' });
    expect(parseLog(xml(LEGACY_44, `${ELEMENTS.join('')}${twice}`)).values).toMatchObject({ 'cs-media-role': 'ADV' });
  });

  it('tolerate end tags that are missing or have lost their slash, as in the grammar itself, and an unescaped &', () => {
    const log = parseLog(
      xml(
        '',
        '<c-playerid>{3300AD50-2C39-46c0-AE0A-B4C904C7848E}<c-playerid><cs-Referer>http://a/?b&c<cs-Referer><c-os>X<c-cpu>Y</c-cpu><cs-url>http://a/?b=1&amp=2</cs-url>',
      ),
      'legacy',
    );
    expect(log.values).toEqual({
      'c-playerid': '{3300AD50-2C39-46c0-AE0A-B4C904C7848E}',
      'cs-Referer': 'http://a/?b&c',
      'c-os': 'X',
      'c-cpu': 'Y',
      'cs-url': 'http://a/?b=1&amp=2',
    });
  });

  it('[WMLOG-103] [WMLOG-104] report that a client has begun, with an empty Summary', () => {
    const log = parseLog(CONNECT_TIME);
    expect(log).toEqual({
      kind: 'connect-time',
      values: {
        'c-ip': '0.0.0.0',
        'c-os': 'Windows_XP',
        'c-osversion': '5.1.0.2600',
        date: '2026-02-24',
        time: '20:29:33',
        'c-cpu': 'Pentium',
        transport: 'UDP',
      },
      invalid: [],
      description: [],
      vendors: [],
    });
    expect(buildXmlLog(log).replaceAll('\r\n', '')).toBe(CONNECT_TIME);
  });

  it('are classified by their contents, unless the protocol states the kind', () => {
    expect(parseLog(LEGACY_44).kind).toBe('legacy');
    expect(parseLog(RENDERING_52).kind).toBe('rendering');
    const noCodecs = changed(changed(`${LEGACY_44} ${MORE_47}`, 'audiocodec', '-'), 'videocodec', '-');
    expect(parseLog(noCodecs).kind).toBe('streaming');
    expect(parseLog(xml(noCodecs)).kind).toBe('streaming');
    expect(parseLog(noCodecs, 'legacy').kind).toBe('legacy');
    expect(parseLog(changed(noCodecs, 'protocol', 'Cache')).kind).toBe('rendering');
    expect(parseLog(CONNECT_TIME, 'connect-time').kind).toBe('connect-time');
  });

  it('survive a round trip, with any text in the content description', () => {
    const pair = fc.record({
      name: fc.constantFrom('title', 'Author', 'x_1'),
      value: fc.string({ unit: 'grapheme', maxLength: 40 }),
    });
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 5 }), (description) => {
        const { values } = parseLine(`${LEGACY_44} ${MORE_47}`);
        const shown = description.map(({ name, value }) => ({ name, value: value.replace(/\p{Cc}+/gu, ' ').trim() }));
        const { description: read } = parseLog(
          buildXmlLog({ kind: 'legacy', values, description: shown, vendors: [] }),
        );
        expect(read).toEqual(shown);
      }),
    );
  });
});

describe('a text sent as a log', () => {
  it.each([
    ['nothing', ''],
    ['a page', '<html><body>x</body></html>'],
    ['a tag that does not end', '<XML><Summary'],
    ['a tag without a name', '<XML><></XML>'],
    ['elements in elements', `<XML>${'<a><b><c><d>'.repeat(3)}`],
    ['a thousand elements', `<XML>${'<a></a>'.repeat(1000)}</XML>`],
    ['a very long text', `<XML>${'<a>x</a>'.repeat(1)}${' '.repeat(200_000)}</XML>`],
    ['a very long line', 'x '.repeat(50_000)],
    ['a malformed line in XML', xml('a b c')],
  ])('is rejected if it is %s', (_, text) => {
    expect(() => parseLog(text)).toThrow(expect.objectContaining({ code: 'WM_PROTOCOL' }));
  });

  it('has limits on what is kept', () => {
    const pairs = Array.from({ length: 200 }, (_, index) => `<p${index}>${'v'.repeat(300)}</p${index}>`).join('');
    const many = parseLog(
      xml('', `<c-os>x</c-os><ContentDescription>${pairs}</ContentDescription><V>${'<p>v</p>'.repeat(100)}</V>`),
      'legacy',
    );
    expect(many.description).toHaveLength(64);
    expect(many.vendors[0]!.pairs).toHaveLength(64);
    const long = parseLog(
      xml('', `<ContentDescription><title>${'v'.repeat(5_000)}</title></ContentDescription>`),
      'legacy',
    );
    expect(long.description[0]!.value).toHaveLength(1_024);
    const vendors = parseLog(
      xml('', Array.from({ length: 30 }, (_, index) => `<V${index}><p>v</p></V${index}>`).join('')),
      'legacy',
    );
    expect(vendors.vendors).toHaveLength(16);
  });

  it('is parsed in linear time', () => {
    const started = performance.now();
    for (const text of [
      `<XML>${'<'.repeat(120_000)}`,
      `<XML>${'&'.repeat(120_000)}</XML>`,
      `<XML><Summary>${' '.repeat(120_000)}</Summary></XML>`,
      `${' '.repeat(120_000)}<XML>`,
      `<XML>${'<a>'.repeat(40_000)}`,
      `MX_STATS_LogLine:${'\n'.repeat(60_000)}`,
      `<body>${' '.repeat(100_000)}`,
    ]) {
      try {
        parseLog(text);
      } catch (error) {
        expect(error).toBeInstanceOf(WmError);
      }
      isValidationPage(text);
    }
    expect(performance.now() - started).toBeLessThan(1_000 * slowness());
  });

  it('yields a log or a WmLogError, whatever it contains', () => {
    const piece = fc.constantFrom(
      '<XML>',
      '</XML>',
      '<Summary>',
      '</Summary>',
      '<c-os>',
      '</c-os>',
      '<a/>',
      '&amp;',
      '&#0;',
      '&#x110000;',
      ' ',
      'x',
      '<',
      '>',
      '<?x?>',
      '<!-- -->',
      'MX_STATS_LogLine:',
      LEGACY_44,
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        try {
          parseLog(pieces.join(''));
        } catch (error) {
          expect(error).toMatchObject({ name: 'WmLogError' });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the names of the fields', () => {
  it('[WMLOG-070] [WMLOG-074] are those of the specification, in its order', () => {
    const text = [
      'c-ip date time c-dns cs-uri-stem c-starttime x-duration c-rate c-status c-playerid c-playerversion c-playerlanguage cs-User-Agent cs-Referer',
      'c-hostexe c-hostexever c-os c-osversion c-cpu filelength filesize avgbandwidth protocol transport audiocodec videocodec c-channelURL sc-bytes c-bytes s-pkts-sent',
      'c-pkts-received c-pkts-lost-client c-pkts-lost-net c-pkts-lost-cont-net c-resendreqs c-pkts-recovered-ECC c-pkts-recovered-resent c-buffercount c-totalbuffertime c-quality s-ip s-dns s-totalclients s-cpu-util',
    ].join(' ');
    expect(LINE_FIELDS[44].join(' ')).toBe(text);
    expect(LINE_FIELDS[47].join(' ')).toBe(`${text} cs-url cs-media-name cs-media-role`);
    expect(LINE_FIELDS[52].join(' ')).toBe(
      `${text} cs-user-name s-session-id s-content-path cs-url cs-media-name c-max-bandwidth cs-media-role s-proxied`,
    );
  });
});
