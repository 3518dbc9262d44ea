import { buildAsx } from '../../src/announce/asx.js';

describe('.asx', () => {
  it('lists entries with their references in order', () => {
    const text = buildAsx([
      { title: 'One', author: 'A', copyright: 'C', refs: ['mms://h/a', 'http://h/a'] },
      { refs: ['mms://h/b'] },
    ]);
    expect(text.split('\r\n')).toEqual([
      '<asx version="3.0">',
      '  <entry>',
      '    <title>One</title>',
      '    <author>A</author>',
      '    <copyright>C</copyright>',
      '    <ref href="mms://h/a"/>',
      '    <ref href="http://h/a"/>',
      '  </entry>',
      '  <entry>',
      '    <ref href="mms://h/b"/>',
      '  </entry>',
      '</asx>',
      '',
    ]);
  });

  it('escapes special characters, and drops those that XML cannot represent', () => {
    expect(buildAsx([{ title: `<a & 'b' "c">\u0001`, refs: [] }])).toContain(
      '<title>&lt;a &amp; &apos;b&apos; &quot;c&quot;&gt;</title>',
    );
  });
});
