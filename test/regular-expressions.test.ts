import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from '@swc/core';
import { analyse } from 'scslre';
import { MAX_METAFILE_SIZE } from '../src/announce/asx-read.js';
import { readM3u } from '../src/announce/m3u.js';
import { readPls } from '../src/announce/pls.js';
import { readAnnouncement } from '../src/announce/read.js';
import { withoutNuls } from '../src/asf/codec.js';
import { EncoderLog } from '../src/capture/log.js';
import { hidePasswords, printable } from '../src/errors.js';
import { takeCredentials } from '../src/http/credentials.js';
import { HeaderFields } from '../src/http/message.js';
import { parseStartupProfile } from '../src/wms/startup-profile.js';
import { parseServerProduct } from '../src/wmsp/client/product.js';
import { PragmaTokens } from '../src/wmsp/messages/pragma.js';

const SOURCES = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));

/** All regular expressions that are written in a file. */
function expressionsOf(file: string): Array<{ source: string; flags: string }> {
  const found: Array<{ source: string; flags: string }> = [];
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    if ('type' in node && node.type === 'RegExpLiteral') {
      const { pattern, flags } = node as unknown as { pattern: string; flags: string };
      found.push({ source: pattern, flags });
    }
    for (const value of Object.values(node)) walk(value);
  };
  walk(parseSync(readFileSync(join('src', file), 'utf8'), { syntax: 'typescript', target: 'es2022' }));
  return found;
}

describe('regular expressions', () => {
  it('take time that grows with the text, not with its square', () => {
    const slow = SOURCES.flatMap((file) =>
      expressionsOf(file)
        .filter((expression) => analyse(expression).reports.length > 0)
        .map(({ source, flags }) => `${file}: /${source}/${flags}`),
    );
    expect(slow).toEqual([]);
  });

  it('are looked for in all of the source', () => {
    expect(SOURCES.flatMap(expressionsOf).length).toBeGreaterThan(300);
    expect(analyse({ source: 'a+$', flags: '' }).reports).not.toEqual([]);
  });
});

function milliseconds(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

describe('text of a peer', () => {
  const within = (text: string) => readAnnouncement(Buffer.from(text.slice(0, MAX_METAFILE_SIZE)));
  const repeated = (part: string, size: number) => part.repeat(Math.ceil(size / part.length)).slice(0, size);
  // Eight times the text may take eight times as long, not 64 times; the factor leaves room for a busy machine. Quadratic
  // expressions take many seconds at the larger size, so those that take less than one pass at once.
  const [SMALL, LARGE, MOST, LITTLE] = [16_000, 128_000, 40, 1_000];
  const READERS: ReadonlyArray<readonly [name: string, read: (text: string) => unknown, parts: readonly string[]]> = [
    // An @ that no URL reaches.
    [
      'hidePasswords',
      (text) => hidePasswords(`@ ${text}`),
      [
        'a',
        'a:',
        'a://',
        'a://:',
        'a://b:',
        'http://a',
        'a:b(',
        '(a:',
        '(',
        'a@',
        '@',
        'a.b%',
        '%+',
        ' a:',
        '?key=',
        '&token=:',
        '?keykey',
      ],
    ],
    ['printable', (text) => printable(text), ['\0', 'a']],
    ['takeCredentials', (text) => takeCredentials(`http://${text}`), ['a', ':', '@', 'a:b@', '%']],
    [
      'readAnnouncement',
      within,
      ['<', '<!--', '<!-- -->', '<asx ', '<asx>', '<br>', '\n', ' ', '[', 'ref1=', 'asf ', '&', '<a b="'],
    ],
    [
      'readAnnouncement, of each form',
      (text) =>
        ['<asx>', '[Reference]\n', '#EXTM3U\n', '[playlist]\n', '[Address]\n', 'mms://a'].map((start) =>
          within(start + text),
        ),
      ['<ref href="', 'Ref1= ', 'File1=', '#EXTINF:', ' ', '\t', '\n', '=', '<title>', '&#', ',', '\r'],
    ],
    ['readM3u', readM3u, ['#EXTINF:1', '#EXTINF: ', ' ', ',', '\r', 'a']],
    ['readPls', readPls, ['File1=', 'File1 ', '[', ' ']],
    ['withoutNuls', withoutNuls, ['\0', '\0a']],
    ['list fields', (text) => new HeaderFields([['X', text]]).tokens('X'), ['"', ',', '"a,', '\\"', ' ']],
    ['Pragma', (text) => new PragmaTokens([text]).number('client-id'), ['"', ',', ' ', 'a=', '"a', ' "']],
    ['X-StartupProfile', parseStartupProfile, ['a', 'a=1', '1,', ';', ' ']],
    ['Server', (text) => parseServerProduct(text, true), [' ', 'Cougar', '1.']],
    ['lines of ffmpeg', (text) => new EncoderLog().push(`${text}\n`), ['[', '[a', ' @ ', ']', '[a @ ', 'a']],
  ];

  it.each(READERS)('costs what its length says: %s', (_, read, parts) => {
    for (const part of parts) {
      for (const end of ['', '!', 'x@y']) {
        const most = milliseconds(() => read(repeated(part, LARGE) + end));
        const isLinear = most < LITTLE || most / milliseconds(() => read(repeated(part, SMALL) + end)) < MOST;
        expect([part, end, isLinear]).toEqual([part, end, true]);
      }
    }
  });
});
