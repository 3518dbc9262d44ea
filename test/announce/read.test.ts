import { readAnnouncement } from '../../src/announce/read.js';

const read = (text: string | Buffer, location?: string, type?: string) =>
  readAnnouncement(Buffer.from(text as string), { location, type });
const refs = (text: string | Buffer, location?: string, type?: string) => {
  const found = read(text, location, type);
  return found?.kind === 'list' ? found.metafile.entries.flatMap((entry) => entry.refs) : found?.kind;
};
const LIST = '<asx><entry><ref href="mms://h/a"/></entry></asx>';

describe('readAnnouncement', () => {
  it.each([
    ['UTF-16 with a byte order mark', Buffer.from(`\ufeff${LIST}`, 'utf16le')],
    ['UTF-16 without one', Buffer.from(LIST, 'utf16le')],
    ['UTF-16, big-endian', Buffer.from(`\ufeff${LIST}`, 'utf16le').swap16()],
    ['UTF-16, big-endian, without one', Buffer.from(LIST, 'utf16le').swap16()],
    ['Windows-1252', Buffer.from(LIST.replace('<entry>', '<title>Stück</title><entry>'), 'latin1')],
    ['#EXTM3U', Buffer.from('\ufeff\r\n#EXTM3U\r\n#EXTINF:-1,x\r\nmms://h/a\r\n')],
    ['.pls', Buffer.from('; made by hand\n[playlist]\nNumberOfEntries=1\nTitle1=x\nFile1=mms://h/a\nLength1=-1\n')],
    ['a list of URLs', Buffer.from('# comment\nmms://h/a\n')],
    ['[Reference]', Buffer.from('[Reference]\r\nRef1= mms://h/a \r\n')],
    ['a list without a telling name or type', Buffer.from(LIST)],
  ])('recognizes by its bytes: %s', (_, bytes) => {
    expect(refs(bytes, 'http://h/x.php', 'text/html')).toEqual(['mms://h/a']);
  });

  it('recognizes .nsc files', () => {
    expect(read('[Address]\r\nName=x\r\n', 'http://h/x.php')).toMatchObject({ kind: 'nsc' });
  });

  it('reads .pls playlists in the order of their numbers', () => {
    expect(refs('[playlist]\nFile2=b.asf\nfile1 = a b.asf\nFile10=c.asf')).toEqual(['a b.asf', 'b.asf', 'c.asf']);
  });

  it('takes a list of relative names for a playlist only if it is named like one', () => {
    expect(refs('a.asf\nb.asf', 'http://h/x.m3u')).toEqual(['a.asf', 'b.asf']);
    expect(refs('a.asf\nb.asf', 'http://h/x', 'audio/x-mpegurl; charset=x')).toEqual(['a.asf', 'b.asf']);
    expect(refs('a.asf\nb.asf', 'http://h/x')).toBeUndefined();
  });

  it.each([
    ['entities', '<!DOCTYPE a [<!ENTITY b "c">]><asx></asx>', undefined, 'it declares entities'],
    ['HLS', '#EXTM3U\n#EXT-X-VERSION:3\na.ts', undefined, 'it is a playlist of HLS, which is another protocol'],
    ['its length', `${LIST}${' '.repeat(300_000)}`, undefined, 'it is longer than 262144 characters'],
    ['its form, despite its name', 'hello', 'http://h/x.asx', 'it has none of the forms of an announcement'],
  ])('reports an announcement that cannot be read for %s', (_, text, location, why) => {
    expect(read(text, location)).toEqual({ kind: 'unreadable', why });
  });

  it('rejects everything else', () => {
    const page = '<!DOCTYPE html><html><body><a href="mms://h/a">x</a></body></html>';
    for (const bytes of [page, 'hello', '', 'GIF89a\0', '$H\0\0', '0&\xb2u\x8ef\xcf\x11', 'x'.repeat(300_000)]) {
      expect(read(Buffer.from(bytes, 'latin1'), 'http://h/x', 'text/html')).toBeUndefined();
    }
    expect(read(Buffer.from([0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11]), 'x.asx')).toBeUndefined();
  });
});
