import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { buildWsx, MAX_WSX_SIZE, parseWsx } from '../../src/announce/wsx.js';
import { WmError } from '../../src/errors.js';
import { MAX_PLAYLIST_ENTRIES, Playlist, type PlaylistMedia, type PlaylistNode } from '../../src/media/playlist.js';

const HEAD = '<?wsx version="1.0"?>\n';
const parse = (body: string) => parseWsx(`${HEAD}<smil>${body}</smil>`, 'x.wsx');
const first = (body: string) => parse(body).cursor().current;

/** The error message, without the file name. */
function complaint(text: string | Uint8Array): string {
  try {
    parseWsx(text, 'x.wsx');
  } catch (error) {
    expect(error).toBeInstanceOf(WmError);
    expect(error).toMatchObject({ code: 'WM_CONFIG', message: expect.stringMatching(/^x\.wsx:[^\n]*\.$/) });
    return (error as WmError).message.slice('x.wsx:'.length);
  }
  throw new Error('It was accepted.');
}
const wrong = (body: string) => complaint(`${HEAD}<smil>\n  ${body}</smil>`);

/** The nodes as plain objects without places, so that trees can be compared. */
function plain(nodes: readonly PlaylistNode[]): unknown[] {
  return nodes.map((node) => {
    if (node.kind === 'seq') return { ...node, items: plain(node.items) };
    if (node.kind === 'switch') return { ...node, alternatives: plain(node.alternatives) };
    const { place: _, clientData, ...rest } = node;
    return { ...rest, clientData: Object.fromEntries(clientData) };
  });
}

describe('reading .wsx', () => {
  it('reads the sample', async () => {
    const sample = await readFile(new URL('../../samples/playlist.wsx', import.meta.url));
    const playlist = parseWsx(sample, 'playlist.wsx');
    expect(playlist.loop).toBe(true);
    const client = { author: 'Example Radio', copyright: 'Example Radio 2026' };
    expect(plain(playlist.items)).toEqual([
      {
        kind: 'media',
        sources: ['ads/welcome.wmv'],
        noSkip: true,
        role: 'advertisement',
        clientData: { title: 'Welcome', bannerURL: 'http://www.example.com/banner.gif' },
      },
      { kind: 'media', sources: ['news.wmv'], begin: 10_000, end: 100_000, noSkip: false, clientData: {} },
      {
        kind: 'switch',
        alternatives: [
          { kind: 'media', sources: ['/live', 'mms://backup.example.com/live'], noSkip: false, clientData: {} },
          { kind: 'media', sources: ['sorry.wmv'], dur: 30_000, noSkip: false, clientData: {} },
        ],
      },
      {
        kind: 'seq',
        repeat: 2,
        items: [
          { kind: 'media', sources: ['jingle.wma'], delay: 2_000, noSkip: false, clientData: client },
          { kind: 'media', sources: ['music/'], noSkip: false, clientData: client },
        ],
      },
    ]);
    expect([...playlist.media()][1]?.place).toBe('playlist.wsx:26:3');
  });

  it.each([
    ['02:30:03', 9_003_000],
    ['2:30:3', 9_003_000],
    ['50:00:10.25', 180_010_250],
    ['02:33', 153_000],
    ['00:10.5', 10_500],
    ['3.2h', 11_520_000],
    ['45min', 2_700_000],
    [' 30s ', 30_000],
    ['5ms', 5],
    ['12.47', 12_470],
    ['+.5min', 30_000],
  ])('takes the time %s for %d ms', (text, ms) => {
    expect(first(`<media src="a" dur="${text}"/>`)?.dur).toBe(ms);
  });

  it('reads when an entry begins, ends and waits', () => {
    expect(first('<media src="a" clipBegin="npt=5s" clipEnd="10" begin="1" end="4" dur="indefinite"/>')).toMatchObject({
      begin: 5_000,
      end: 10_000,
      delay: 1_000,
      dur: 3_000,
      duration: 3_000,
    });
    expect(first('<media src="a" clipBegin="5s" clipEnd="7s" dur="3s"/>')?.duration).toBe(2_000);
    expect(first('<media src="a" begin="0s" clipBegin="0" end="9" dur="2"/>')).toEqual({
      ...first('<media src="a"/>'),
      dur: 2_000,
      duration: 2_000,
    });
  });

  it.each([
    ['2', 2],
    ['2.1', 3],
    ['1', 1],
    ['indefinite', Number.POSITIVE_INFINITY],
  ])('rounds repeatCount %s up', (written, repeat) => {
    expect(parseWsx(`${HEAD}<smil repeatCount="${written}"><media src="a"/></smil>`, 'x').repeat).toBe(repeat);
  });

  it('repeats a single entry, and waits only before the first round', () => {
    expect(plain(parse('<media src="a" repeatCount="3"/>').items)).toMatchObject([{ kind: 'seq', repeat: 3 }]);
    const cursor = parse('<media src="a" begin="1s" repeatCount="3"/>').cursor();
    expect([cursor.current?.delay, cursor.next()?.delay, cursor.next()?.delay, cursor.next()]).toEqual([
      1_000,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('gives outer client data precedence over inner, wherever it appears', () => {
    const playlist = parse(
      '<clientData album="L"/><seq><media src="a"><clientData title="own" genre="G"/></media><media src="b"/>' +
        '<clientData title="all"/></seq><media src="c"><clientData album="M" id="i"/></media>',
    );
    const data = [...playlist.media()].map(({ clientData }) => Object.fromEntries(clientData));
    expect(data).toEqual([{ album: 'L', title: 'all', genre: 'G' }, { album: 'L', title: 'all' }, { album: 'L' }]);
  });

  it('accepts the SMIL names of an entry, and nested switches and sequences', () => {
    const playlist = parse(
      '<ref src="a"/><audio src="b"/><video src="c"/><switch><seq><media src="d"/></seq><switch><img src="e"/></switch></switch>',
    );
    expect([...playlist.media()].map(({ sources }) => sources[0])).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(playlist.items[3]).toMatchObject({ kind: 'switch', alternatives: [{ kind: 'seq' }, { kind: 'media' }] });
  });

  it('reads UTF-8 and UTF-16 with byte order marks, and references', () => {
    const text = `${HEAD}<smil><media src="caf\u00e9 &amp; &#x1F3B5;.wmv"/></smil>`;
    for (const source of [text, Buffer.from(`\ufeff${text}`), Buffer.from(`\ufeff${text}`, 'utf16le')])
      expect(parseWsx(source, 'x').cursor().current?.sources).toEqual(['caf\u00e9 & \u{1f3b5}.wmv']);
  });

  it('allows an XML declaration, an encoding and an empty playlist', () => {
    const text = `<?xml version="1.0"?>\n<?wsx version='1.0' encoding="utf-8"?><smil id="s" xmlns="http://x"/>`;
    expect(parseWsx(text, 'x').cursor().current).toBeUndefined();
  });
});

describe('mistakes in .wsx', () => {
  it.each([
    ['<media/>', '3:3: <media> needs a src.'],
    ['<media src=" "/>', '3:3: <media> needs a src.'],
    ['<Media src="a"/>', '3:3: The element <Media> is not known here (names are case-sensitive).'],
    ['<media Src="a"/>', '3:3: The attribute "Src" of <media> is not known here (names are case-sensitive).'],
    ['<excl/>', '3:3: The element <excl> is not supported.'],
    ['<seq dur="5"/>', '3:3: The attribute "dur" of <seq> is not supported.'],
    ['<media src="a" syncEvent="e"/>', '3:3: The attribute "syncEvent" of <media> is not supported.'],
    ['<media src="a"><media src="b"/></media>', '3:18: <media> is not allowed in <media>.'],
    ['<smil/>', '3:3: The element <smil> is not known here (names are case-sensitive).'],
    ['<clientData><clientData/></clientData>', '3:15: <clientData> is not allowed in <clientData>.'],
    ['<switch/>', '3:3: A <switch> has nothing to choose from.'],
    ['<media src="a" noSkip="True"/>', '3:3: noSkip="True" is neither "true" nor "false".'],
    ['<media src="a" dur="0"/>', '3:3: dur has to be more than 0.'],
    ['<media src="a" clipBegin="5" clipEnd="5"/>', '3:3: clipEnd has to be later than clipBegin.'],
    ['<media src="a" begin="5" end="4"/>', '3:3: end has to be later than begin.'],
    ['<media src="a" end="4" repeatCount="2"/>', '3:3: end and repeatCount cannot be combined; dur is for each round.'],
    ['<media src="a" clipEnd="50d"/>', '3:3: clipEnd="50d" is not a time such as 90s, 1:30 or 0:01:30.5.'],
    ['<media src="a" begin="x.end+3s"/>', '3:3: begin="x.end+3s" is not a time such as 90s, 1:30 or 0:01:30.5.'],
    ['<media src="a" dur="-55"/>', '3:3: dur="-55" is not a time such as 90s, 1:30 or 0:01:30.5.'],
    ['<media src="a" dur="1:60"/>', '3:3: dur="1:60" is not a time such as 90s, 1:30 or 0:01:30.5.'],
    ['<media src="a" dur="2000h"/>', '3:3: dur="2000h" is too long.'],
    ['<seq repeatCount="0"/>', '3:3: repeatCount="0" is neither a number from 1 to 1000000 nor "indefinite".'],
    [
      '<seq repeatCount="Infinity"/>',
      '3:3: repeatCount="Infinity" is neither a number from 1 to 1000000 nor "indefinite".',
    ],
    ['text', '3:3: A playlist holds elements, not text.'],
    ['<media src="a">\r\n\r<foo/>', '5:1: The element <foo> is not known here (names are case-sensitive).'],
    ['<media\n src="a" dur="x"/>', '3:3: dur="x" is not a time such as 90s, 1:30 or 0:01:30.5.'],
    [
      '<switch><media src="a" repeatCount="indefinite"/><media src="b"/></switch>',
      '3:11: Only the last alternative of a switch may repeat for ever.',
    ],
  ])('%s', (body, message) => {
    const found = wrong(body);
    // The place of text is where the parser noticed it.
    if (body === 'text') expect(found).toMatch(/^3:\d+: A playlist holds elements, not text\.$/);
    else expect(found).toBe(message);
  });

  it('are located outside of entries, too', () => {
    expect(complaint('')).toMatch(/^1:1: /);
    expect(complaint('<smil/>')).toBe('1:1: A server-side playlist begins with <?wsx version="1.0"?>.');
    expect(complaint('<?wsx version="2.0"?><smil/>')).toMatch(/^1:\d+: The version of the playlist is not 1\.0\.$/);
    expect(complaint(`${HEAD}<asx/>`)).toBe('2:1: The first element is <asx>, not <smil>.');
    expect(complaint(`${HEAD}<smil>\n<seq>\n</smil>`)).toMatch(/^4:\d+: This is not well-formed XML: /);
    expect(complaint(`${HEAD}<smil>`)).toMatch(/^2:\d+: This is not well-formed XML: /);
    expect(complaint(new Uint8Array([0x3c, 0xff]))).toBe(' The file is not text in UTF-8 or UTF-16.');
  });

  it('include entities and document types of any kind', () => {
    const bomb = '<!DOCTYPE smil [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>';
    expect(complaint(`${HEAD}${bomb}<smil><media src="&b;"/></smil>`)).toMatch(/A playlist has no document type\.$/);
    expect(wrong('<media src="&b;"/>')).toMatch(/not well-formed XML/);
  });

  it('include too much of anything', () => {
    const longText = `${HEAD}<smil><!--${'-x'.repeat(MAX_WSX_SIZE / 2)}--></smil>`;
    expect(complaint(longText)).toMatch(/at most 1048576 bytes/);
    expect(wrong('<seq>'.repeat(100))).toMatch(/nested too deep/);
    expect(wrong('<media src="a"/>'.repeat(MAX_PLAYLIST_ENTRIES + 1))).toMatch(/at most 10000 entries/);
    expect(wrong('<seq/>'.repeat(50_000))).toMatch(/at most 40000 elements/);
    expect(wrong(`<media src="${'a'.repeat(5_000)}"/>`)).toMatch(/"src" is longer than 4096 characters/);
    const values = Array.from({ length: 100 }, (_, index) => `a${index}="x"`).join(' ');
    expect(wrong(`<clientData ${values}/>`)).toMatch(/at most 32 values/);
    expect(wrong('<seq repeatCount="1e6"/>')).toMatch(/neither a number/);
    expect(wrong('<seq repeatCount="1000000"><media src="a" repeatCount="1000000"/></seq>')).toMatch(
      /4294967295 entries/,
    );
  });
});

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((value) => value.trim() === value);
const time = fc.integer({ min: 1, max: 100_000 });
const media: fc.Arbitrary<PlaylistMedia> = fc
  .record(
    {
      kind: fc.constant('media' as const),
      sources: fc.array(text, { minLength: 1, maxLength: 3 }),
      noSkip: fc.boolean(),
      clientData: fc.dictionary(fc.constantFrom('title', 'author', 'x-y'), fc.string({ maxLength: 8 })),
      begin: time,
      end: time.map((value) => value + 100_000),
      dur: time,
      delay: time,
      role: text,
      mediaName: text,
    },
    { requiredKeys: ['kind', 'sources', 'noSkip', 'clientData'] },
  )
  .map(({ clientData, ...rest }) => ({ ...rest, clientData: new Map(Object.entries(clientData)) }));
const tree = fc.letrec<{ node: PlaylistNode }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    media,
    fc.record({
      kind: fc.constant('seq' as const),
      items: fc.array(tie('node'), { minLength: 1, maxLength: 3 }),
      repeat: fc.constantFrom(1, 2, 7),
    }),
    fc.record({
      kind: fc.constant('switch' as const),
      alternatives: fc.array(tie('node'), { minLength: 1, maxLength: 3 }),
    }),
  ),
})).node;

describe('writing .wsx', () => {
  it('writes what it has read', () => {
    const written = [
      '<?wsx version="1.0"?>',
      '<smil repeatCount="indefinite">',
      '  <media src="a &#38; &#60;b&#62;.wmv" begin="1000ms" clipBegin="5000ms" clipEnd="6500ms" dur="1200ms" noSkip="true" role="advertisement" mediaName="n"/>',
      '  <seq repeatCount="2">',
      '    <switch>',
      '      <clientData title="T"/>',
      '      <media src="/live"/>',
      '      <media src="b.wmv"/>',
      '    </switch>',
      '    <media src="c.wmv">',
      '      <clientData title="&#34;C&#34;&#10;"/>',
      '    </media>',
      '  </seq>',
      '</smil>',
      '',
    ].join('\r\n');
    expect(buildWsx(parseWsx(written, 'x'))).toBe(written);
  });

  it('leaves out characters that XML cannot represent, and rejects impossible names', () => {
    const media = (clientData: [string, string][]): PlaylistMedia => ({
      kind: 'media',
      sources: ['a\u0000\ud800b'],
      noSkip: false,
      clientData: new Map(clientData),
    });
    expect(buildWsx(new Playlist([media([])]))).toContain('<media src="ab"/>');
    for (const name of ['a b', '1', 'id', '', 'x="'])
      expect(() => buildWsx(new Playlist([media([[name, 'x']])]))).toThrow(/cannot be the name/);
  });

  it('survives a round trip', () => {
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 3 }), (items) => {
        // Reading joins alternatives, so the first reading is the one to preserve.
        const once = parseWsx(buildWsx(new Playlist(items)), 'x');
        const twice = parseWsx(buildWsx(once), 'x');
        expect(plain(twice.items)).toEqual(plain(once.items));
        const sources = (playlist: Playlist) => [...playlist.media()].flatMap((entry) => entry.sources);
        expect(sources(once)).toEqual(sources(new Playlist(items)));
      }),
      { numRuns: 200 },
    );
  });
});

describe('any input', () => {
  const accepted = (source: string | Uint8Array) => {
    try {
      parseWsx(source, 'x');
    } catch (error) {
      expect(error).toBeInstanceOf(WmError);
      expect((error as WmError).code).toBe('WM_CONFIG');
      expect((error as WmError).message).toMatch(/^x:[^\r\n]*$/);
    }
  };

  it('gives a playlist or a WM_CONFIG error: bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), accepted), { numRuns: 300 });
  });

  it('gives a playlist or a WM_CONFIG error: pieces of XML', () => {
    const piece = fc.constantFrom(
      ...[
        '<smil>',
        '</smil>',
        '<seq',
        '<media ',
        'src="a"',
        'dur="',
        '"',
        '>',
        '/>',
        '</seq>',
        '<switch>',
        '<!--',
        '-->',
      ],
      ...[
        '<![CDATA[',
        ']]>',
        '&amp;',
        '&x;',
        '&#0;',
        '<?wsx version="1.0"?>',
        '<!DOCTYPE a [',
        ']>',
        '\r',
        '\n',
        '\ud800',
        '__proto__="1"',
      ],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.boolean(), (pieces, head) =>
        accepted(`${head ? `${HEAD}<smil>` : ''}${pieces.join('')}`),
      ),
      { numRuns: 1_000 },
    );
  });

  it('gives a playlist or a WM_CONFIG error: the sample, changed', async () => {
    const sample = await readFile(new URL('../../samples/playlist.wsx', import.meta.url));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(sample.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        fc.nat(sample.length),
        fc.nat(200),
        (changes, cut, removed) => {
          const bytes = Buffer.from(sample);
          for (const [at, byte] of changes) bytes[at] = byte;
          accepted(bytes);
          accepted(Buffer.concat([sample.subarray(0, cut), sample.subarray(cut + removed)]));
        },
      ),
      { numRuns: 300 },
    );
  });
});
