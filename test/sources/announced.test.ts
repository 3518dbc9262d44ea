import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArchiveSink } from '../../src/media/archive.js';
import { pump } from '../../src/media/pump.js';
import type { SourceOptions } from '../../src/sources/source.js';
import { describeSourceUrl, isSourceUrl, openSourceUrl } from '../../src/sources/table.js';
import { testHeader, testPacket } from '../support/stream.js';

const folder = mkdtempSync(join(tmpdir(), 'wmcast-asx-'));
const files = new Map<string, Buffer>();
let server: Server;
let base: string;

beforeAll(async () => {
  for (const [name, count] of [
    ['one film.asf', 3],
    ['two.asf', 5],
  ] as const) {
    const archive = new ArchiveSink(join(folder, name));
    await archive.write({ type: 'header', header: testHeader() });
    for (let index = 0; index < count; index++) {
      await archive.write({ type: 'packet', packet: testPacket(index * 1000, { key: true }) });
    }
    await archive.close();
  }
  server = createServer(({ url }, response) => {
    const body = files.get(url!);
    response.writeHead(body ? 200 : 404).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  rmSync(folder, { recursive: true });
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

async function local(name: string, text: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

/** H for a header, the number of packets, E for an end, and M for an end with more to come. */
async function received(url: string, options: SourceOptions = {}): Promise<{ shape: string; notes: string[] }> {
  const shape: Array<string | number> = [];
  const notes: string[] = [];
  const source = openSourceUrl(url, { onNote: (text) => notes.push(text), ...options });
  const sink = {
    write: (event: { type: string; moreEntries?: boolean }) => {
      const last = shape.at(-1);
      if (event.type === 'packet') typeof last === 'number' ? shape.splice(-1, 1, last + 1) : shape.push(1);
      else shape.push(event.type === 'header' ? 'H' : event.moreEntries ? 'M' : 'E');
    },
    close: () => Promise.resolve(),
  };
  await pump(source, [sink]);
  return { shape: shape.join(' '), notes };
}

const entry = (...refs: string[]) => `<Entry>${refs.map((ref) => `<REF HREF="${ref}">`).join('')}</Entry>`;

describe('an announcement as a source', () => {
  it('yields its entries in order, each by its first reference that works', async () => {
    const path = await local(
      'list.asx',
      `\ufeff<ASX>${entry('none.asf', 'one film.asf')}\r\n${entry('\r\n\ttwo.asf ')}</ASX>`,
    );
    const { shape, notes } = await received(path);
    expect(shape).toBe('H 3 M H 5 E');
    expect(notes).toEqual([expect.stringMatching(/none\.asf does not work: .* does not exist\.$/)]);
    expect(await describeSourceUrl(path)).toMatchObject({ transport: 'file', url: join(folder, 'one film.asf') });
  });

  it('skips an entry without a working reference, and limits an entry to its duration', async () => {
    const short = '<entry><ref href="two.asf"/><duration value="2"/></entry>';
    const path = await local(
      'short.asx',
      `<asx version="3.0">${entry('none.asf')}${short}${entry('one film.asf')}</asx>`,
    );
    const { shape, notes } = await received(path);
    expect(shape).toBe('H 2 M H 3 E');
    expect(notes.at(-1)).toMatch(/^Entry 1 is skipped/);
  });

  it('inserts the entries of other announcements in place, also in UTF-16, and follows references to them', async () => {
    await local('inner.asx', Buffer.from(`\ufeff<asx version="3.0">${entry('two.asf')}</asx>`, 'utf16le'));
    const path = await local(
      'outer.asx',
      `<asx><entryref href="inner.asx"/>${entry('inner.asx')}<entryref href="outer.asx"/></asx>`,
    );
    expect((await received(path)).shape).toBe('H 5 M H 5 E');
  });

  it('reads .m3u files', async () => {
    const path = await local('list.m3u', '#EXTM3U\r\n#EXTINF:1,One\r\none film.asf\r\n# nothing\r\ntwo.asf\r\n');
    expect((await received(path)).shape).toBe('H 3 M H 5 E');
    await expect(received(await local('hls.m3u', '#EXTM3U\n#EXT-X-VERSION:3\na.ts\n'))).rejects.toMatchObject({
      code: 'WM_BAD_INPUT',
    });
  });

  it('is followed on a web server, whose announcements may not name files of this host', async () => {
    const here = `file://${folder}/two.asf`;
    files.set('/a/list.asx', Buffer.from(`<asx>${entry(here, `${base}/a/nothing.asx`, '../film.asf?a=1&b=2')}</asx>`));
    files.set('/film.asf?a=1&b=2', await readFile(join(folder, 'two.asf')));
    const { shape, notes } = await received(`${base}/a/list.asx`);
    expect(shape).toBe('H 5 E');
    expect(notes[0]).toContain('which a server may not name');
    files.set('/drive.asx', Buffer.from(`<asx>${entry('c:/list.asx', '../film.asf?a=1&b=2')}</asx>`));
    expect((await received(`${base}/drive.asx`)).notes[0]).toContain('which a server may not name');
    files.set('/only.asx', Buffer.from(`<asx>${entry(here)}</asx>`));
    await expect(received(`${base}/only.asx`)).rejects.toMatchObject({ code: 'WM_BAD_INPUT' });
  });

  it('stops at a reference to itself, and at one that is not an announcement', async () => {
    await expect(received(await local('self.asx', `<asx>${entry('self.asx')}</asx>`))).rejects.toMatchObject({
      code: 'WM_PROTOCOL',
    });
    const itself = await local('itself.asx', '<asx><entryref href="itself.asx"/></asx>');
    await expect(received(itself)).rejects.toMatchObject({ code: 'WM_BAD_INPUT' });
    const bomb = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><asx><title>&b;</title></asx>';
    for (const text of [bomb, 'GIF89a', '', '<asx>'.repeat(50_000), `<asx>${entry('x').repeat(10_000)}</asx>`]) {
      await expect(received(await local('bad.asx', text))).rejects.toMatchObject({ code: 'WM_BAD_INPUT' });
    }
    await expect(received(join(folder, 'absent.asx'))).rejects.toMatchObject({ code: 'WM_NO_INPUT' });
    await expect(received(`${base}/absent.asx`)).rejects.toMatchObject({ code: 'WM_NO_INPUT' });
  });

  it.each(['list.asx', 'http://h/a.WAX?x', 'a/b.m3u', ' https://h/x.wvx'])('is known by its extension: %s', (text) => {
    expect(isSourceUrl(text)).toBe(true);
  });
});
