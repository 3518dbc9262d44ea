import { readM3u } from '../../src/announce/m3u.js';
import { readPls } from '../../src/announce/pls.js';
import { parseConfig } from '../../src/server/config-file.js';
import { type GuideEntry, guidePage, guideQuery } from '../../src/server/web/guide.js';
import { until } from '../support/until.js';
import { ServerStation } from './station.js';

const open: Array<{ close(): unknown }> = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

const entry = (path: string, more: Partial<GuideEntry> = {}): GuideEntry => ({
  path,
  title: '',
  author: '',
  description: '',
  live: true,
  still: false,
  bitRate: 364_000,
  urls: [`mms://host${path}`, `http://host${path}?MSWMExt=.asf`],
  ...more,
});
const ALL = { search: '', page: 1 };
const many = Array.from({ length: 45 }, (_, index) => entry(`/point${index + 1}`));

describe('the guide', () => {
  it('is HTML 3.2 in ASCII, without scripts and style sheets', () => {
    const page = guidePage(
      'On h',
      [entry('/é"<b>&', { title: 'Ärger <script>', author: '日本 \u{1f600}\u0007' })],
      ALL,
    );
    expect(page).toMatch(/^<!DOCTYPE HTML PUBLIC "-\/\/W3C\/\/DTD HTML 3\.2 Final\/\/EN">/);
    expect(page).toMatch(/^[\x20-\x7e\n]*$/);
    expect(page).not.toMatch(/<script|<style|style=|onclick/i);
    expect(page).toContain('&#196;rger &#60;script&#62;');
    expect(page).toContain('&#26085;&#26412; &#128512; ');
    expect(page).toContain('HREF="/%C3%A9%22%3Cb%3E%26.asx"');
  });

  it('shows title, bit rate and links of a point', () => {
    const page = guidePage('On h', [entry('/live', { title: 'News', description: 'Every hour', live: false })], ALL);
    expect(page).toContain('<B>News</B></A><BR>Every hour<BR>starts with the first player, 364 kbit/s</TD>');
    for (const ending of ['asx', 'm3u', 'pls']) expect(page).toContain(`<A HREF="/live.${ending}">`);
    expect(page).toContain('<A HREF="mms://host/live">mms://host/live</A>');
  });

  it('has pages, and finds words in all texts', () => {
    const first = guidePage('On h', many, ALL);
    expect(first).toContain('Page 1 of 3 | <A HREF="/?page=2">Next page</A>');
    expect(first).toContain('>/point20<');
    expect(first).not.toContain('>/point21<');
    expect(guidePage('On h', many, { search: '', page: 9 })).toContain(
      '<A HREF="/?page=2">Previous page</A> | Page 3 of 3',
    );
    const found = guidePage('On h', [...many, entry('/x', { author: 'Anna' })], { search: 'ANNA  x', page: 1 });
    expect(found).toContain('<B>/x</B>');
    expect(found).not.toContain('/point1<');
    expect(guidePage('On h', many, { search: 'a&"', page: 1 })).toMatch(/VALUE="a&#38;&#34;"[\s\S]*Nothing fits\./);
    expect(guidePage('On h', [], ALL)).toContain('Nothing is on at the moment.');
  });

  it.each([
    ['', { search: '', page: 1 }],
    ['q=+news+&page=3', { search: 'news', page: 3 }],
    ['page=-1', { search: '', page: 1 }],
    ['page=x', { search: '', page: 1 }],
    [`q=${'y'.repeat(500)}`, { search: 'y'.repeat(100), page: 1 }],
  ])('reads the query %s', (query, expected) => {
    expect(guideQuery(new URLSearchParams(query))).toEqual(expected);
  });
});

async function station(text: string): Promise<ServerStation> {
  const made = await ServerStation.open({ ...parseConfig(text, 'serve.yaml'), host: '127.0.0.1', httpPort: 0 });
  open.push(made);
  return made;
}

async function publishing(made: ServerStation, path: string, title = '') {
  await made.push(path, { title });
  await until('the point to be live', () => made.server.points.get(path)?.broadcast.live);
}

const browse = async (made: ServerStation, target = '/') => {
  const answer = await made.ask(`GET ${target} HTTP/1.0`, 'Host: media.example', 'Accept: text/html,*/*');
  return { ...answer, text: answer.body.toString('latin1') };
};

describe('a browser at the root', () => {
  it('sees what is on, and never what it may not play', async () => {
    const made = await station(
      'points:\n  - path: /secret\n    access: { play: { addresses: [192.0.2.1] } }\n  - { path: /off }\n  - { path: /denied, acceptPlayers: false }',
    );
    await publishing(made, '/live', 'The news');
    await publishing(made, '/secret', 'The secret');
    await publishing(made, '/denied');
    const { status, text, field } = await browse(made);
    expect([status, field('Content-Type')]).toEqual([200, 'text/html; charset=us-ascii']);
    expect(text).toContain('<B>The news</B>');
    expect(text).toContain('mms://media.example/live');
    for (const hidden of ['secret', 'off', 'denied']) expect(text).not.toContain(hidden);
    expect((await browse(made, '/?q=nothing')).text).toContain('Nothing fits.');
  });

  it('sees nothing where the guide is turned off, and a player is not shown it', async () => {
    expect((await browse(await station('guide: false'))).status).toBe(404);
    const made = await station('');
    expect((await made.ask('GET / HTTP/1.0', 'Host: h', 'Accept: */*')).status).toBe(404);
  });

  it.each([
    'Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)',
    'Mozilla/3.01 (Win95; I)',
    'Links (2.28; Linux 6.1 x86_64; GNU C 12.2; x)',
  ])('sees the guide although it names no HTML: %s', async (agent) => {
    const made = await station('');
    const answer = await made.ask('GET / HTTP/1.0', 'Host: h', `User-Agent: ${agent}`, 'Accept: image/gif, */*');
    expect([answer.status, answer.field('Content-Type')]).toEqual([200, 'text/html; charset=us-ascii']);
  });

  it('gets playlists for players that know no .asx', async () => {
    const made = await station('');
    await publishing(made, '/live', 'The news');
    const expected = [{ url: 'http://media.example/live?MSWMExt=.asf', title: 'The news' }];
    expect(readM3u((await browse(made, '/live.m3u')).text)).toEqual(expected);
    expect(readPls((await browse(made, '/live.pls')).text)).toEqual(expected);
  });
});
