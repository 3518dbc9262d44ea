import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { errorTable, hidePasswords, messageOf, WmError } from '../src/errors.js';

describe('the table of errors', () => {
  it('is what docs/errors.md lists', async () => {
    const text = await readFile(new URL('../docs/errors.md', import.meta.url), 'utf8');
    const rows = [...text.matchAll(/^\| (WM_\w+) \| (\d+) \| (.*) \| (.*) \|$/gm)].map(
      ([, code, exit, meaning, hint]) => [code, { exitCode: Number(exit), meaning, hint }],
    );
    expect(Object.fromEntries(rows)).toEqual(errorTable);
  });

  it('has only exit codes that the commands promise', () => {
    const promised = new Set([1, 2, 65, 66, 69, 76, 77, 78]);
    expect(Object.values(errorTable).every(({ exitCode }) => promised.has(exitCode))).toBe(true);
  });

  it('gives an error its exit code and hint', () => {
    const error = new WmError('WM_NO_INPUT', 'There is no file x.');
    expect(error).toMatchObject({ exitCode: 66, hint: errorTable.WM_NO_INPUT.hint, message: 'There is no file x.' });
  });

  it('finds words for whatever was thrown', () => {
    expect(messageOf(new Error('a'))).toBe('a');
    expect(messageOf('b')).toBe('b');
  });

  it('never repeats the password of a URL', () => {
    expect(new WmError('WM_NO_INPUT', 'http://me:secret@host/a.wmv does not exist.').message).toBe(
      'http://***@host/a.wmv does not exist.',
    );
    expect(messageOf(new Error('rtsp://me:secret@host/ failed'))).toBe('rtsp://***@host/ failed');
  });

  it.each([
    ['"http://me:sec/ret@host/live"', '"http://***@host/live"'],
    ['"http://me:sec#ret@host/live"', '"http://***@host/live"'],
    ['"me:secret@host:80/live" is no URL', '"***@host:80/live" is no URL'],
    ['http://a:b@x and mmsh://c:d@y', 'http://***@x and mmsh://***@y'],
    ['srt://host:1?passphrase=abc&mode=caller', 'srt://host:1?passphrase=***&mode=caller'],
    ['https://cdn/x.m3u8?a=1&auth_token=q%20', 'https://cdn/x.m3u8?a=1&auth_token=***'],
    ['(see http://host/hook?Token=abc.d.) failed', '(see http://host/hook?Token=***.) failed'],
    ['http://me:pw@host/x?access_token=abc: it is gone', 'http://***@host/x?access_token=***: it is gone'],
  ])('hides the password of %s', (text, hidden) => {
    expect(hidePasswords(text)).toBe(hidden);
  });

  it.each([
    'http://host:8080/folder/name@2x.wmv',
    'http://host/a:b@c',
    'mail to a@b.example',
    'http://[::1]:80/a@b',
    '/folder/a:b@c.wmv',
    'a file with token=x in its name.mp4',
    'http://host/x?track=3&monkey_business=yes',
  ])('leaves %s alone', (text) => {
    expect(hidePasswords(text)).toBe(text);
  });

  it('hides exactly what three expressions say, whose cost grows with the square of the length', () => {
    const expressions = [
      /(\w:\/\/)[^\s/?#"'@]+@/g,
      /(\w:\/\/)[^\s/?#"'@:[]*:(?!\d{1,5}(?:[/?#\s"',;.]|$))[^\s"'@]*@/g,
      /(^|[\s"'(])[\w.%+-]+:[^\s/"'@]+@(?=[\w[])/g,
    ];
    const parts = fc.constantFrom(
      'a',
      'b1',
      '80',
      ':',
      '//',
      '://',
      '/',
      '@',
      ' ',
      '"',
      '(',
      '[',
      '.',
      '#',
      '?',
      'http://',
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 14 }), (text) => {
        const said = expressions.reduce((rest, each) => rest.replace(each, '$1***@'), text.join(''));
        expect(hidePasswords(text.join(''))).toBe(said);
      }),
      { numRuns: 3000 },
    );
  });

  it('repeats no more than some thousand characters of what it is told', () => {
    expect(new WmError('WM_PROTOCOL', 'x'.repeat(100_000)).message.length).toBeLessThan(5_000);
    expect(messageOf(new Error('x'.repeat(100_000))).length).toBeLessThan(5_000);
  });
});
