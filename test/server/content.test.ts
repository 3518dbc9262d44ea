import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, realpath, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { WmError } from '../../src/errors.js';
import type { Playlist } from '../../src/media/playlist.js';
import { type ContentItem, ContentRoot, type ContentSource } from '../../src/server/content/content.js';

let base: string;
let folder: string;
let root: ContentRoot;

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'wmcast-content-')));
  folder = join(base, 'content');
  await mkdir(folder);
  root = new ContentRoot(folder);
});

afterEach(() => rm(base, { recursive: true, force: true }));

/** Writes files, with their folders; their default modification time is long ago. */
async function put(files: Record<string, string>, changed = 1_000): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const file = join(folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    await utimes(file, changed, changed);
  }
}

const itUnlessRoot = process.getuid?.() === 0 ? it.skip : it; // Root can read every file.
const wsx = (body: string, attributes = '') => `<?wsx version="1.0"?>\n<smil${attributes}>${body}</smil>`;
const media = (...sources: string[]) => sources.map((src) => `<media src="${src}"/>`).join('');

function nameOf(source: ContentSource): string {
  return source.kind === 'url' ? source.url : `${source.kind === 'point' ? 'point ' : ''}${source.path}`;
}

function namesOf(playlist: Playlist<ContentSource>, limit = 30): string[] {
  const names: string[] = [];
  const cursor = playlist.cursor();
  for (let entry = cursor.current; entry && names.length < limit; entry = cursor.next())
    names.push(entry.sources.map(nameOf).join(' | '));
  return names;
}

async function playlistAt(path: string, from = root): Promise<Playlist<ContentSource>> {
  const item = await from.resolve(path);
  if (item?.kind !== 'playlist') throw new Error(`${path} is no playlist.`);
  return item.playlist;
}

const playedAt = async (path: string, from = root) => namesOf(await playlistAt(path, from));

describe('files of the content folder', () => {
  it('are cached for a while, if so configured, but missing ones are looked up each time', async () => {
    const forgetful = new ContentRoot(folder);
    const mindful = new ContentRoot(folder, { remember: 60_000 });
    for (const each of [forgetful, mindful]) expect(await each.resolve('/a.wmv')).toBeUndefined();
    await put({ 'a.wmv': '' });
    for (const each of [forgetful, mindful]) expect(await each.resolve('/a.wmv')).toMatchObject({ kind: 'file' });
    await rm(join(folder, 'a.wmv'));
    expect(await forgetful.resolve('/a.wmv')).toBeUndefined();
    expect(await mindful.resolve('/a.wmv')).toMatchObject({ kind: 'file' });
  });

  it('are found by name, in folders, too', async () => {
    await put({ 'a.wmv': '', 'B.WMA': '', 'sub folder/é.asf': '' });
    for (const name of ['a.wmv', 'B.WMA', 'sub folder/é.asf']) {
      expect(await root.resolve(`/${name}`)).toEqual({ kind: 'file', path: `/${name}`, file: join(folder, name) });
      expect(await root.file(`/${name}`)).toBe(join(folder, name));
    }
  });

  it('do not exist if they are missing or not media', async () => {
    await put({ 'a.wmv': '', 'notes.txt': '', 'a.wmv.bak': '', 'empty/x.txt': '' });
    for (const path of [
      '/b.wmv',
      '/notes.txt',
      '/a.wmv.bak',
      '/a.wmv/',
      '/a.wmv/b.wmv',
      '/empty',
      '/empty/',
      '/no/*',
      '/',
    ]) {
      if (path === '/') await rm(join(folder, 'a.wmv'));
      expect([path, await root.resolve(path)]).toEqual([path, undefined]);
    }
    for (const path of ['/b.wmv', '/notes.txt', '/empty'])
      await expect(root.file(path)).rejects.toMatchObject({ name: 'Refusal', kind: 'not-found' });
  });

  it('may appear after the server has started', async () => {
    const later = new ContentRoot(join(base, 'later'));
    await expect(later.resolve('/a.wmv')).rejects.toMatchObject({ code: 'WM_NO_INPUT' });
    await mkdir(join(base, 'later'));
    await writeFile(join(base, 'later', 'a.wmv'), '');
    expect(await later.resolve('/a.wmv')).toMatchObject({ kind: 'file' });
  });

  itUnlessRoot('are refused if they cannot be read', async () => {
    await put({ 'a.wmv': '' });
    await chmod(join(folder, 'a.wmv'), 0);
    await expect(root.resolve('/a.wmv')).rejects.toMatchObject({ kind: 'forbidden' });
  });
});

describe('paths that leave the content folder', () => {
  beforeEach(async () => {
    await writeFile(join(base, 'secret.wmv'), '');
    await writeFile(join(base, 'secret.wsx'), wsx(media('x.wmv')));
    await mkdir(join(base, 'content2'));
    await writeFile(join(base, 'content2', 'x.wmv'), '');
    await put({ 'a.wmv': '', '.hidden.wmv': '', '.git/x.wmv': '', 'sub/b.wmv': '' });
  });

  it.each([
    '/../secret.wmv',
    '/sub/../../secret.wmv',
    '/sub/..',
    '/..',
    '/a.wmv\0.txt',
    '/\0',
    '/..\\secret.wmv',
    '/sub\\b.wmv',
    '/../content2/x.wmv',
    '/../*',
  ])('are refused: %j', async (path) => {
    await expect(root.resolve(path)).rejects.toMatchObject({ name: 'Refusal', kind: 'forbidden' });
  });

  it.each([
    '/.hidden.wmv',
    '/.git/x.wmv',
    '/.git',
    '/.git/*',
    '/.',
    '/./a.wmv',
    '//a.wmv',
    '/sub//b.wmv',
    'a.wmv',
    '',
    '//',
    `/${'x'.repeat(300)}.wmv`,
    `/${'x/'.repeat(3000)}a.wmv`,
  ])('do not exist: %s', async (path) => {
    expect(await root.resolve(path)).toBeUndefined();
  });

  it('are refused if a symbolic link leads there, but not if it stays inside', async () => {
    await symlink(join(base, 'secret.wmv'), join(folder, 'out.wmv'));
    await symlink('../secret.wsx', join(folder, 'out.wsx'));
    await symlink('../content2', join(folder, 'out'));
    await symlink('sub/b.wmv', join(folder, 'in.wmv'));
    await symlink('loop.wmv', join(folder, 'loop.wmv'));
    for (const path of ['/out.wmv', '/out.wsx', '/out', '/out/x.wmv', '/out/*'])
      await expect(root.resolve(path)).rejects.toMatchObject({ kind: 'forbidden' });
    await expect(root.file('/out.wmv')).rejects.toMatchObject({ kind: 'forbidden' });
    expect(await root.resolve('/in.wmv')).toMatchObject({ file: join(folder, 'sub', 'b.wmv') });
    expect(await root.resolve('/loop.wmv')).toBeUndefined();
  });

  it('are found from a content folder that is a link itself', async () => {
    await symlink('content', join(base, 'link'));
    expect(await new ContentRoot(join(base, 'link')).file('/a.wmv')).toBe(join(folder, 'a.wmv'));
  });

  it('are refused if they name a pipe', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe.wmv')]);
    await expect(root.resolve('/pipe.wmv')).rejects.toMatchObject({ kind: 'forbidden' });
  });

  it('never lead outside, whatever they are', async () => {
    const piece = fc.constantFrom(
      '..',
      '.',
      '',
      'sub',
      'a.wmv',
      'b.wmv',
      '*',
      '*.wmv',
      '.git',
      'secret.wmv',
      '\\',
      '\0',
      ':',
      '~',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), fc.constantFrom('/', '', '//'), async (pieces, start) => {
        let item: ContentItem | undefined;
        try {
          item = await root.resolve(`${start}${pieces.join('/')}`);
        } catch (error) {
          expect(error).toMatchObject({ name: 'Refusal', kind: 'forbidden' });
        }
        const files = item?.kind === 'file' ? [item.file] : [];
        if (item?.kind === 'playlist')
          files.push(...(await Promise.all(namesOf(item.playlist).map((name) => root.file(name)))));
        for (const file of files) expect([join(folder, 'a.wmv'), join(folder, 'sub', 'b.wmv')]).toContain(file);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a folder', () => {
  it('plays its files in natural order, without those in other folders', async () => {
    await put({
      '10.wmv': '',
      '2.wmv': '',
      'b.asf': '',
      'A.wma': '',
      'x.txt': '',
      '.h.wmv': '',
      'p.wsx': '',
      'sub/z.wmv': '',
    });
    const all = ['/2.wmv', '/10.wmv', '/A.wma', '/b.asf'];
    for (const path of ['/', '/*', '/*.*']) expect([path, await playedAt(path)]).toEqual([path, all]);
    expect(await playedAt('/*.WMV')).toEqual(['/2.wmv', '/10.wmv']);
    for (const path of ['/sub', '/sub/', '/sub/*']) expect(await playedAt(path)).toEqual(['/sub/z.wmv']);
    expect(await root.resolve('/')).toMatchObject({ kind: 'playlist', path: '/', origin: 'folder' });
    expect((await playlistAt('/')).loop).toBe(false);
  });

  it('reflects files that come and go', async () => {
    await put({ 'a.wmv': '' });
    await utimes(folder, 1_000, 1_000);
    expect(await playedAt('/')).toEqual(['/a.wmv']);
    await put({ 'b.wmv': '' });
    expect(await playedAt('/')).toEqual(['/a.wmv', '/b.wmv']);
    await rm(join(folder, 'a.wmv'));
    expect(await playedAt('/')).toEqual(['/b.wmv']);
  });
});

describe('a playlist', () => {
  it('names files from its own folder and from the content folder, points and other servers', async () => {
    const sources = [
      'a.wmv',
      './x/../b.wma',
      'deeper\\c.asf',
      '../top.wmv',
      '/top.wmv',
      '/live',
      '/live?WMReconnect=0',
      '/a/b',
    ];
    const remote = ['http://h/p', 'mms://h:1755/p', 'mmsh://h/p?x=1', 'rtspt://h/p'];
    await put({ 'shows/p.wsx': wsx(media(...sources, ...remote)) });
    expect(await playedAt('/shows/p.wsx')).toEqual([
      '/shows/a.wmv',
      '/shows/b.wma',
      '/shows/deeper/c.asf',
      '/top.wmv',
      '/top.wmv',
      'point /live',
      'point /live',
      'point /a/b',
      ...remote,
    ]);
    expect(await root.resolve('/shows/p.wsx')).toMatchObject({ kind: 'playlist', path: '/shows/p.wsx', origin: 'wsx' });
    await expect(root.file('/shows/a.wmv')).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('may contain other playlists and folders', async () => {
    await put({
      'p.wsx': wsx(
        `${media('sub/q.wsx', 'sub', 'sub/*.wma', '/sub/', 'gone.wsx', 'gone')}<switch>${media('/live', 'sub/q.wsx')}</switch>`,
      ),
      'sub/q.wsx': wsx(media('2.wmv'), ' repeatCount="2"'),
      'sub/2.wmv': '',
      'sub/10.wma': '',
    });
    expect(await playedAt('/p.wsx')).toEqual([
      ...['/sub/2.wmv', '/sub/2.wmv', '/sub/2.wmv', '/sub/10.wma', '/sub/10.wma', '/sub/2.wmv', '/sub/10.wma'],
      ...['/gone.wsx', '/gone', 'point /live'],
    ]);
    const cursor = (await playlistAt('/p.wsx')).cursor();
    while (cursor.current?.sources[0]?.kind !== 'point') cursor.next();
    expect([cursor.fail(), cursor.next(), cursor.next()]).toMatchObject([
      { sources: [{ path: '/sub/2.wmv' }] },
      { sources: [{ path: '/sub/2.wmv' }] },
    ]);
  });

  it('applies its attributes for a list to each entry of the list', async () => {
    await put({
      'p.wsx': wsx('<media src="q.wsx" noSkip="true" role="r"><clientData title="T"/></media>'),
      'q.wsx': wsx(
        '<media src="a.wmv" dur="5s" role="own"><clientData title="t" author="A"/></media><media src="b.wmv"/>',
      ),
    });
    const cursor = (await playlistAt('/p.wsx')).cursor();
    expect(cursor.current).toMatchObject({
      noSkip: true,
      role: 'own',
      title: 'T',
      author: 'A',
      dur: 5_000,
      place: '/q.wsx:2:7',
    });
    expect(cursor.next()).toMatchObject({ noSkip: true, role: 'r', title: 'T' });
  });

  it.each([
    ['../../a.wmv', 'src="../../a.wmv" leaves the content folder.'],
    ['/../a.wmv', 'src="/../a.wmv" leaves the content folder.'],
    ['.git/a.wmv', 'src=".git/a.wmv" names a hidden file.'],
    ['c:\\\\wmpub\\\\a.wmv', 'is neither a path below the content folder nor a URL that can be played.'],
    ['\\\\\\\\server\\\\a.wmv', 'is neither a path below the content folder nor a URL that can be played.'],
    ['file:///etc/passwd', 'is neither a path below the content folder nor a URL that can be played.'],
    ['httpd://web/list.asp', 'is neither a path below the content folder nor a URL that can be played.'],
    ['http:///x', 'is neither a path below the content folder nor a URL that can be played.'],
    ['%RequestedURL%', '%RequestedURL% means something only in a wrapper playlist.'],
    ['p.wsx', '/s/p.wsx would play itself.'],
    ['round.wsx', '/s/p.wsx would play itself.'],
  ])('cannot name %s', async (source, message) => {
    await put({ 's/p.wsx': wsx(`\n  ${media(source)}`), 's/round.wsx': wsx(media('p.wsx')) });
    const failure = root.resolve('/s/p.wsx');
    await expect(failure).rejects.toMatchObject({ code: 'WM_CONFIG' });
    const place = source === 'round.wsx' ? '/s/round.wsx:2:7: ' : '/s/p.wsx:3:3: ';
    await expect(failure).rejects.toThrow(place);
    await expect(failure).rejects.toThrow(message);
  });

  it('reports errors without the path of the content folder', async () => {
    await put({
      'bad.wsx': wsx('<foo/>'),
      'holds-bad.wsx': wsx(media('bad.wsx')),
      'empty.wsx': wsx('<media src="none/"/>'),
      'none/x.txt': '',
      'times.wsx': wsx('<media src="empty.wsx" dur="5s"/>'),
      'long.wsx': `${wsx('')}${' '.repeat(1024 * 1024)}`,
    });
    await expect(root.resolve('/bad.wsx')).rejects.toThrow(/^\/bad\.wsx:2:7: The element <foo>/);
    await expect(root.resolve('/holds-bad.wsx')).rejects.toThrow(/^\/bad\.wsx:2:7: The element <foo>/);
    await expect(root.resolve('/empty.wsx')).rejects.toThrow('/empty.wsx: The playlist is empty.');
    await expect(root.resolve('/times.wsx')).rejects.toThrow(/^\/times\.wsx:2:7: Times are for a single file/);
    await expect(root.resolve('/long.wsx')).rejects.toThrow(/^\/long\.wsx: A playlist is at most/);
  });

  it('has limits, however playlists multiply', async () => {
    const files: Record<string, string> = {};
    for (let level = 0; level < 12; level++) files[`${level}.wsx`] = wsx(media(`${level + 1}.wsx`));
    const wide = Array.from({ length: 300 }, () => 'leaf.wsx');
    const many = wsx(media(...Array.from({ length: 200 }, () => 'x.wmv')));
    await put({
      ...files,
      '12.wsx': wsx(media('a.wmv')),
      'wide.wsx': wsx(media(...wide)),
      'leaf.wsx': wsx(media('a.wmv')),
    });
    await put({ 'huge.wsx': wsx(media(...Array.from({ length: 100 }, () => 'many.wsx'))), 'many.wsx': many });
    await expect(root.resolve('/0.wsx')).rejects.toThrow(/Playlists are nested too deep/);
    await expect(root.resolve('/wide.wsx')).rejects.toThrow(/^\/wide\.wsx:2:.*at most 256 playlists and folders/);
    await expect(root.resolve('/huge.wsx')).rejects.toThrow(/at most 10000 entries/);
    expect(await playedAt('/9.wsx')).toEqual(['/a.wmv']);
  });

  it('is read again only when its modification time has changed', async () => {
    await put({ 'p.wsx': wsx(media('a.wmv')) });
    expect(await playedAt('/p.wsx')).toEqual(['/a.wmv']);
    // The change cannot be noticed, so the old one stays: the file was not read again.
    await writeFile(join(folder, 'p.wsx'), wsx(media('b.wmv')));
    await utimes(join(folder, 'p.wsx'), 1_000, 1_000);
    expect(await playedAt('/p.wsx')).toEqual(['/a.wmv']);
    await utimes(join(folder, 'p.wsx'), 2_000, 2_000);
    expect(await playedAt('/p.wsx')).toEqual(['/b.wmv']);
  });

  it('is not cached while it may change within the resolution of the clock', async () => {
    const now = Date.now() / 1000;
    await put({ 'p.wsx': wsx(media('a.wmv')) }, now);
    expect(await playedAt('/p.wsx')).toEqual(['/a.wmv']);
    await put({ 'p.wsx': wsx(media('b.wmv')) }, now);
    expect(await playedAt('/p.wsx')).toEqual(['/b.wmv']);
  });

  it('may be the sample', async () => {
    await put({ 'playlist.wsx': await readFile(new URL('../../samples/playlist.wsx', import.meta.url), 'utf8') });
    await put({ 'music/1.wma': '', 'music/2.wma': '' });
    expect((await playedAt('/playlist.wsx')).slice(0, 9)).toEqual([
      '/ads/welcome.wmv',
      '/news.wmv',
      'point /live | mms://backup.example.com/live',
      ...['/jingle.wma', '/music/1.wma', '/music/2.wma', '/jingle.wma', '/music/1.wma', '/music/2.wma'],
    ]);
  });

  it('yields entries or a WmError, whatever its sources are', async () => {
    const piece = fc.constantFrom(
      '..',
      '.',
      '/',
      '\\',
      'a.wmv',
      'p.wsx',
      '*',
      ':',
      'mms://',
      '%RequestedURL%',
      '.x',
      ' ',
      '?',
      '%2e',
    );
    await put({ 'a.wmv': '' });
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 5 }), async (pieces) => {
        await put({ 's/p.wsx': wsx(media(pieces.join(''))) }, 1_000 + Math.random());
        try {
          for (const { sources } of (await playlistAt('/s/p.wsx')).media())
            for (const source of sources)
              if (source.kind === 'file') expect(source.path).toMatch(/^\/(?!.*(?:^|\/)\.)/);
        } catch (error) {
          expect(error).toBeInstanceOf(WmError);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('a wrapper playlist', () => {
  const options = { wrapper: 'ads/wrapper.wsx' };
  const body =
    '<media src="1.wmv" noSkip="true"/><media src="%RequestedURL%"><clientData author="A"/></media><media src="2.wmv"/>';

  it('surrounds everything that is requested', async () => {
    await put({ 'ads/wrapper.wsx': wsx(body), 'a.wmv': '', 'sub/b.wmv': '', 'p.wsx': wsx(media('a.wmv', '/live')) });
    const wrapped = new ContentRoot(folder, options);
    expect(await playedAt('/a.wmv', wrapped)).toEqual(['/ads/1.wmv', '/a.wmv', '/ads/2.wmv']);
    expect(await wrapped.resolve('/a.wmv')).toMatchObject({ origin: 'wrapper', path: '/a.wmv' });
    expect(await playedAt('/sub', wrapped)).toEqual(['/ads/1.wmv', '/sub/b.wmv', '/ads/2.wmv']);
    expect(await playedAt('/p.wsx', wrapped)).toEqual(['/ads/1.wmv', '/a.wmv', 'point /live', '/ads/2.wmv']);
    const point = await wrapped.wrap({ kind: 'point', path: '/live' });
    expect(namesOf(point!)).toEqual(['/ads/1.wmv', 'point /live', '/ads/2.wmv']);
    expect((await playlistAt('/p.wsx', wrapped)).cursor().next()).toMatchObject({ author: 'A', noSkip: false });
    expect(await wrapped.file('/a.wmv')).toBe(join(folder, 'a.wmv'));
  });

  it('cannot be requested itself, and adds nothing to missing content', async () => {
    await put({ 'ads/wrapper.wsx': wsx(body) });
    const wrapped = new ContentRoot(folder, options);
    expect(await wrapped.resolve('/ads/wrapper.wsx')).toBeUndefined();
    expect(await wrapped.resolve('/none.wmv')).toBeUndefined();
    expect(await root.wrap({ kind: 'point', path: '/live' })).toBeUndefined();
  });

  it('may set times for a file', async () => {
    await put({
      'ads/wrapper.wsx': wsx('<media src="%RequestedURL%" dur="9s"/>'),
      'a.wmv': '',
      'p.wsx': wsx(media('a.wmv')),
    });
    const wrapped = new ContentRoot(folder, options);
    expect((await playlistAt('/a.wmv', wrapped)).cursor().current).toMatchObject({
      dur: 9_000,
      sources: [{ path: '/a.wmv' }],
    });
    await expect(wrapped.resolve('/p.wsx')).rejects.toThrow(/Times are for a single file/);
  });

  it('is reported if it is missing, wrong or without the requested content', async () => {
    await put({ 'a.wmv': '' });
    const wrapped = new ContentRoot(folder, options);
    await expect(wrapped.resolve('/a.wmv')).rejects.toThrow('There is no wrapper playlist /ads/wrapper.wsx.');
    await put({ 'ads/wrapper.wsx': wsx(media('1.wmv')) });
    await expect(wrapped.resolve('/a.wmv')).rejects.toThrow(/^\/ads\/wrapper\.wsx: A wrapper playlist needs an entry/);
    for (const wrapper of ['../w.wsx', 'w.wmv', '/a/../w.wsx', 'c:/w.wsx', '//h/w.wsx', '.w.wsx', 'a\\w.wsx'])
      expect(() => new ContentRoot(folder, { wrapper })).toThrow(WmError);
  });
});
