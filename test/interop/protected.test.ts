import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type HeaderObject, parseHeader } from '../../src/asf/header.js';
import { stopAll } from './support/child.js';
import { Command, Server } from './support/commands.js';
import { makeAsf, newContentFolder, newFolder, removeFolders, withHeaderObjects } from './support/content.js';

afterAll(async () => {
  await stopAll();
  removeFolders();
});

const XML =
  '<WRMHEADER version="2.0.0.0"><DATA><KID>key-7</KID><LAINFO>http://licence.example/2</LAINFO></DATA></WRMHEADER>';

/** One of each kind that a packager writes. */
const PROTECTION: readonly HeaderObject[] = [
  {
    type: 'contentEncryption',
    secretData: Buffer.from('c0ffee', 'hex'),
    protectionType: 'DRM',
    keyId: 'key-7',
    licenseUrl: 'http://licence.example/1',
  },
  { type: 'extendedContentEncryption', data: Buffer.from(`\ufeff${XML}`, 'utf16le') },
  { type: 'digitalSignature', signatureType: 2, data: Buffer.alloc(368, 7) },
  // The protection object of PlayReady, which nothing here knows.
  {
    type: 'unknown',
    guid: '6fb62d9ac4a3cb4f9f5b3e0f1a2b3c4d',
    bytes: Buffer.concat([
      Buffer.from('6fb62d9ac4a3cb4f9f5b3e0f1a2b3c4d', 'hex'),
      Buffer.from([40, 0, 0, 0, 0, 0, 0, 0]),
      Buffer.alloc(16, 9),
    ]),
  },
];

async function protectionIn(file: string): Promise<readonly HeaderObject[]> {
  const { objects } = parseHeader(await readFile(file));
  const kinds = new Set(PROTECTION.map(({ type }) => type));
  return objects.filter(({ type }) => kinds.has(type));
}

describe('protected content', () => {
  it('keeps every object of its protection: pushed through a packager, served, relayed by a proxy, archived', async () => {
    const folder = newContentFolder();
    const plain = await makeAsf('plain.asf', { folder, duration: 8, size: '160x120' });
    const film = await withHeaderObjects(plain, 'film.asf', ...PROTECTION);
    expect(await protectionIn(film)).toEqual(PROTECTION);
    const archive = newFolder();
    const config = join(newFolder(), 'serve.yaml');
    await writeFile(config, `points: [{ path: /live, archive: ${archive} }]\ncontent: { folder: ${folder} }\n`);
    const ports = ['--rtsp-port', '0', '--mms-port', '0', '--msbd-port', 'none'];
    const server = await Server.start('--config', config, ...ports);
    const open = (await server.event('ready')) as unknown as { ports: { rtsp: number; mms: number } };
    const proxy = await Server.start('--proxy-origin', server.url(''), '--msbd-port', 'none', '--admin-port', 'none');
    const push = await server.publish('/live', '-i', film, '--copy', '--loop', '--packager', 'cat', '--duration', '20');
    const live = [
      server.url('/live'),
      `rtsp://127.0.0.1:${open.ports.rtsp}/live`,
      `mmst://127.0.0.1:${open.ports.mms}/live`,
      proxy.url('/live'),
      server.url('/film.asf'),
      proxy.url('/film.asf'),
    ];
    const outputs = newFolder();
    const pulls = live.map(async (url, index) => {
      const file = join(outputs, `${index}.asf`);
      const pull = new Command('wmcast', ['pull', url, '-o', file, '-t', '2', '--json']);
      expect([url, (await pull.ends()).code]).toEqual([url, 0]);
      return [url, await protectionIn(file)];
    });
    expect(await Promise.all(pulls)).toEqual(live.map((url) => [url, PROTECTION]));
    await push.stop();
    await proxy.stop();
    await server.stop();
    const [recording] = await readdir(archive);
    expect(await protectionIn(join(archive, recording!))).toEqual(PROTECTION);
  });

  it('is described by probe, with the URLs of its licences', async () => {
    const plain = await makeAsf('plain.asf', { duration: 1, size: '160x120' });
    const film = await withHeaderObjects(plain, 'film.asf', ...PROTECTION);
    const words = new Command('wmcast', ['probe', film]);
    expect((await words.ends()).code).toBe(0);
    const text = words.output.join('\n');
    expect(text).toMatch(/^Protection +DRM, extended, signed$/m);
    expect(text).toMatch(/^Licence +http:\/\/licence\.example\/1$/m);
    expect(text).toMatch(/^Licence +http:\/\/licence\.example\/2$/m);
    const json = new Command('wmcast', ['probe', '--json', film]);
    expect(await json.event('probe')).toMatchObject({
      protection: {
        licenseUrls: ['http://licence.example/1', 'http://licence.example/2'],
        keyIds: ['key-7'],
        signed: true,
      },
    });
    const open = new Command('wmcast', ['probe', '--json', plain]);
    expect((await open.event('probe'))['protection']).toBeUndefined();
  });

  it('is not pushed when its packager fails, and the message says why', async () => {
    const server = await Server.start('--msbd-port', 'none', '--admin-port', 'none');
    const push = server.push('/live', '--packager', 'echo no key for this stream >&2; exit 3');
    expect((await push.ends()).code).toBe(1);
    expect(await push.event('error')).toMatchObject({
      code: 'WM_PACKAGER_FAILED',
      message: 'The packager echo ended with exit code 3: no key for this stream.',
    });
  });
});
