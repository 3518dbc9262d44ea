import fc from 'fast-check';
import { buildAsx } from '../../src/announce/asx.js';
import { looksLikeMetafile, MAX_METAFILE_SIZE, readMetafile } from '../../src/announce/asx-read.js';

describe('readMetafile', () => {
  it('reads the files that we write', () => {
    const refs = ['mms://h/a?b=1&c=<2>', 'http://h/a'];
    const text = buildAsx([{ title: 'Tom & "Jerry"', refs }, { refs: ['mms://h/b'] }]);
    expect(readMetafile(text)).toMatchObject({
      title: '',
      entries: [
        { title: 'Tom & "Jerry"', refs },
        { title: '', refs: ['mms://h/b'] },
      ],
      entryRefs: [],
    });
  });

  it('reads files from the wild: any case, bare ampersands, open tags, attributes without quotes', () => {
    const text = `\ufeff<?xml version="1.0"?>\n<!-- made by hand --><ASX Version="3.0">
      <Title>The list</Title><PARAM NAME="x" VALUE="y">
      <ENTRY><TITLE>One & two</TITLE><Ref HREF="mms://h/a?b&c=1"><REF Href = 'http://h/a'/>
      <ENTRY><REF HREF=mms://h/b />
      <ENTRYREF HREF="more.asx"/></ASX>`;
    expect(readMetafile(text)).toMatchObject({
      title: 'The list',
      entries: [
        { title: 'One & two', refs: ['mms://h/a?b&c=1', 'http://h/a'] },
        { title: '', refs: ['mms://h/b'] },
      ],
      entryRefs: ['more.asx'],
    });
  });

  it('reads the references of old servers', () => {
    expect(readMetafile('[Reference]\r\nRef1=http://h/x?MSWMExt=.asf\r\nref2 = mms://h/y \r\n')!.entries).toEqual([
      { title: '', refs: ['http://h/x?MSWMExt=.asf', 'mms://h/y'] },
    ]);
    expect(readMetafile('ASF http://h/x.asf\r\n')!.entries).toEqual([{ title: '', refs: ['http://h/x.asf'] }]);
  });

  it.each([
    ['a DOCTYPE', '<!DOCTYPE asx SYSTEM "asx.dtd">\n'],
    [
      'warnings of PHP',
      '<br />\n<b>Warning</b>:  date() [<a href="x">f</a>] in <b>/a.php</b> on line <b>3</b><br />\n',
    ],
    ['text', 'Notice: undefined index\r\n'],
    ['comments', '<!-- <asx> <html> -->\n<!-- another -->'],
    ['a byte order mark and blank lines', '\ufeff\r\n\r\n'],
  ])('reads an announcement after %s', (_, before) => {
    const entries = [{ title: '', refs: ['mms://h/a b.wmv'] }];
    expect(readMetafile(`${before}<asx><entry><ref href="mms://h/a b.wmv"/></entry></asx>`)!.entries).toEqual(entries);
    expect(readMetafile(`${before}\n[Reference]\nRef1=mms://h/a b.wmv \n`)!.entries).toEqual(entries);
    expect(readMetafile(`${before}\nASF mms://h/a b.wmv\n`)!.entries).toEqual(entries);
  });

  it('leaves out references that are longer than a URL may be', () => {
    const long = `mms://h/${'a'.repeat(100_000)}`;
    expect(readMetafile(`<asx><entry><ref href="${long}"/><ref href="x"/></entry></asx>`)!.entries[0]!.refs).toEqual([
      'x',
    ]);
    expect(readMetafile(`[reference]\nref1=${long}\nref2=x`)!.entries[0]!.refs).toEqual(['x']);
  });

  it('rejects everything else', () => {
    for (const text of [
      '',
      'http://h/',
      '<html><asx>',
      '<!DOCTYPE html>\n<HTML><body><asx>',
      '<asxy>',
      '$H',
      '<!-- <asx> -->',
      'x [reference]',
    ]) {
      expect(looksLikeMetafile(text)).toBe(false);
      expect(readMetafile(text)).toBeUndefined();
    }
    expect(readMetafile(`<asx>${' '.repeat(MAX_METAFILE_SIZE)}`)).toBeUndefined();
  });

  it('has limits, and is fast even with input made to be slow', () => {
    const many = readMetafile(`<asx>${'<entry><ref href="x"/></entry>'.repeat(5000)}</asx>`)!;
    expect(many.entries.length).toBeLessThanOrEqual(1000);
    const slow = [
      `<asx>${'<a>'.repeat(40_000)}${'</b>'.repeat(30_000)}`,
      `${'<!-- -->'.repeat(20_000)}<asx`,
      `[reference]${'\n'.repeat(200_000)}`,
      `<asx>${'&'.repeat(200_000)}`,
      `<asx ${'a="'.repeat(60_000)}`,
    ];
    // Quadratic work would take minutes; the test times out after five seconds.
    for (const text of slow) expect(() => readMetafile(text)).not.toThrow();
  });

  it('never throws', () => {
    const parts = fc.constantFrom(
      '<asx>',
      '<entry>',
      '</entry>',
      '<ref href="',
      '"/>',
      '<title>',
      '&',
      '<',
      '>',
      '<![CDATA[',
      '<!--',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(parts, fc.string())), (text) => {
        const metafile = readMetafile(`<asx>${text.join('')}`)!;
        for (const { refs } of metafile.entries) expect(refs.every((ref) => ref !== '')).toBe(true);
      }),
    );
  });
});
