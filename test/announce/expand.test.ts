import { buildAsx } from '../../src/announce/asx.js';
import { readMetafile } from '../../src/announce/asx-read.js';
import { expandMetafile } from '../../src/announce/expand.js';
import { buildM3u, readM3u } from '../../src/announce/m3u.js';

const BASE = 'http://h/lists/first.asx';

describe('expandMetafile', () => {
  const files: Record<string, string> = {
    'http://h/lists/second.asx': buildAsx([{ title: 'B', refs: ['b.wmv'] }, { entryRef: '../third.asx' }]),
    'http://h/third.asx': buildAsx([
      { title: 'C', refs: ['mms://s/c'] },
      { entryRef: 'lists/first.asx' },
      { entryRef: 'third.asx' },
    ]),
  };
  const load = async (url: string) => readMetafile(files[url] ?? '');

  it('inserts the entries of nested announcements in place, with absolute URLs', async () => {
    const first = readMetafile(
      buildAsx([{ title: 'A', refs: ['a.wmv'] }, { entryRef: 'second.asx' }, { title: 'D', refs: ['d.wmv'] }]),
    )!;
    const entries = await expandMetafile(first, { base: BASE, load });
    expect(entries.map(({ title, refs }) => [title, ...refs])).toEqual([
      ['A', 'http://h/lists/a.wmv'],
      ['B', 'http://h/lists/b.wmv'],
      ['C', 'mms://s/c'],
      ['D', 'http://h/lists/d.wmv'],
    ]);
  });

  it('leaves out references that lead back to themselves, too deep or to too many', async () => {
    const self = readMetafile(buildAsx([{ entryRef: 'first.asx' }, { title: 'A', refs: ['mms://h/a'] }]))!;
    expect(await expandMetafile(self, { base: BASE, load: async () => self })).toHaveLength(1);
    let loads = 0;
    const endless = async (url: string) => {
      loads++;
      return readMetafile(
        buildAsx([{ refs: [url] }, { entryRef: `x${url.length}.asx` }, { entryRef: `y${url.length}.asx` }]),
      );
    };
    const some = await expandMetafile((await endless(BASE))!, { base: BASE, load: endless });
    expect(some.length).toBeLessThanOrEqual(33);
    expect(loads).toBeLessThanOrEqual(33);
    const many = readMetafile(buildAsx(Array.from({ length: 4000 }, () => ({ refs: ['mms://h/a'] }))))!;
    expect(await expandMetafile(many, { base: BASE, load, maxEntries: 10 })).toHaveLength(10);
  });
});

describe('the contents of an .asx file', () => {
  it('are read as written: texts, times, logs, events', () => {
    const text = buildAsx(
      [
        {
          title: 'One',
          author: 'A',
          copyright: '© 2026',
          refs: ['mms://h/1', 'http://h/1'],
          startTime: 3661.25,
          duration: 90,
          logUrls: ['http://l/1'],
        },
        { entryRef: 'more.asx' },
        { title: 'Two', refs: ['mms://h/2'] },
      ],
      {
        title: 'All',
        author: 'B & C',
        logUrls: ['http://l/?a=1&b=2'],
        events: [{ name: 'ad', whenDone: 'resume', items: [{ refs: ['mms://h/ad'] }] }],
      },
    );
    expect(text.split('\r\n')).toContain('    <starttime value="01:01:01.25"/>');
    const metafile = readMetafile(text)!;
    expect(metafile).toMatchObject({
      title: 'All',
      author: 'B & C',
      logUrls: ['http://l/?a=1&b=2'],
      entryRefs: ['more.asx'],
      events: [{ name: 'ad', whenDone: 'resume', entries: [{ refs: ['mms://h/ad'] }] }],
    });
    expect(metafile.items).toEqual([
      {
        title: 'One',
        author: 'A',
        copyright: '© 2026',
        refs: ['mms://h/1', 'http://h/1'],
        startTime: 3661.25,
        duration: 90,
        logUrls: ['http://l/1'],
      },
      'more.asx',
      { title: 'Two', refs: ['mms://h/2'] },
    ]);
  });

  it('are rejected with entity declarations, and limited when there are 10,000 entries', () => {
    const bomb = `<?xml version="1.0"?><!-- --><asx><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><entry><title>&b;</title><ref href="x"/></entry></asx>`;
    expect(readMetafile(bomb)).toBeUndefined();
    const many = readMetafile(`<asx>${'<entry><ref href="a"/></entry>'.repeat(8000)}</asx>`)!;
    expect(many.entries.length).toBe(1000);
    expect(readMetafile(`<asx>${'<entry><ref href="a"/></entry>'.repeat(10_000)}</asx>`)).toBeUndefined();
  });
});

describe('.m3u playlists', () => {
  it('are read as written', () => {
    const entries = [
      { url: 'mms://h/live', title: 'Live, now' },
      { url: 'film.wmv', title: 'Film', duration: 90 },
      { url: 'http://h/x' },
    ];
    const text = buildM3u(entries);
    expect(text).toBe(
      '#EXTM3U\r\n#EXTINF:-1,Live, now\r\nmms://h/live\r\n#EXTINF:90,Film\r\nfilm.wmv\r\n#EXTINF:-1,\r\nhttp://h/x\r\n',
    );
    expect(readM3u(text)).toEqual(entries);
  });

  it('are read without titles, with comments, and up to a limit', () => {
    expect(readM3u('\ufeff# a comment\nmms://h/a\n\n#EXTINF:12.5 x="y",T\nb.wma')).toEqual([
      { url: 'mms://h/a' },
      { url: 'b.wma', title: 'T', duration: 12.5 },
    ]);
    expect(readM3u('a\n'.repeat(50_000)).length).toBe(10_000);
    expect(readM3u('')).toEqual([]);
    expect(buildM3u([{ url: 'a\r\nb', title: 'x\ny' }])).toBe('#EXTM3U\r\n#EXTINF:-1,x y\r\na b\r\n');
  });
});
