import { once } from 'node:events';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { TlsIdentity } from '../../src/http/server.js';
import { readTls, TlsWatch } from '../../src/server/access/tls-files.js';
import { EncoderServer } from '../../src/server/encoder.js';
import { Peer } from '../http/peer.js';
import { expiredCertificate, renewedTls, testTls } from '../support/tls.js';
import { ServerStation } from './station.js';

let folder: string;
let files: { cert: string; key: string };

async function write({ cert, key }: typeof testTls): Promise<void> {
  await writeFile(files.cert, cert);
  await writeFile(files.key, key);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wmcast-tls-'));
  files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  await write(testTls);
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function secure(port: number): Promise<Peer> {
  const socket = connect({ port, host: '127.0.0.1', ca: testTls.cert });
  await once(socket, 'secureConnect');
  return new Peer(socket);
}

describe('a server with TLS', () => {
  it('accepts pushes and announces its points with https', async () => {
    const station = await ServerStation.open({ tls: { ...files, port: 0 }, httpPort: 'none' });
    try {
      const { ports, baseUrl } = station.server;
      expect(ports.http).toBeUndefined();
      expect(baseUrl).toBe(`https://127.0.0.1:${ports.https}`);
      const encoder = await secure(ports.https!);
      const setup = 'User-Agent: WMEncoder/12.0\r\nContent-Type: application/x-wms-pushsetup\r\nContent-Length: 0\r\n';
      encoder.send(`POST /live HTTP/1.1\r\nHost: 127.0.0.1\r\n${setup}\r\n`);
      expect(await encoder.head()).toMatch(/^HTTP\/1.1 204 /);
      const browser = await secure(ports.https!);
      browser.send(`GET /live HTTP/1.0\r\nHost: media:${ports.https}\r\n\r\n`);
      const answer = (await browser.rest()).toString();
      expect(answer).toContain(`<ref href="https://media:${ports.https}/live?MSWMExt=.asf"/>`);
      expect(answer).not.toContain('mms://');
      encoder.destroy();
    } finally {
      await station.close();
    }
  });

  it('does not start without its files, or without any port', async () => {
    const bad = { tls: { ...files, key: join(folder, 'none.pem'), port: 0 } };
    await expect(ServerStation.open(bad)).rejects.toMatchObject({
      code: 'WM_CONFIG',
      message: expect.stringContaining('none.pem cannot be read'),
    });
    await expect(ServerStation.open({ httpPort: 'none' })).rejects.toMatchObject({ code: 'WM_CONFIG' });
  });

  it('does not start with the key of another certificate', async () => {
    await write({ cert: testTls.cert, key: renewedTls.key });
    await expect(ServerStation.open({ tls: { ...files, port: 0 } })).rejects.toMatchObject({
      code: 'WM_CONFIG',
      message: `The key ${files.key} does not belong to the certificate ${files.cert}.`,
    });
  });

  it('warns of a certificate that has expired', async () => {
    await write({ cert: expiredCertificate, key: testTls.key });
    const warnings: string[] = [];
    await readTls(files, (message) => warnings.push(message));
    expect(warnings).toEqual([`The certificate ${files.cert} has expired on Jan  1 00:00:00 2021 GMT.`]);
  });

  it('serves pullers, too', async () => {
    const server = await EncoderServer.start({
      host: '127.0.0.1',
      httpPort: 0,
      tls: files,
      open: () => Promise.reject(new Error('Nothing is captured.')),
    });
    const peer = await secure(server.ports.http);
    peer.send('GET / HTTP/1.1\r\nUser-Agent: NSServer/9.0\r\n\r\n');
    expect(await peer.head()).toMatch(/^HTTP\/1.1 503 /);
    await server.close();
  });
});

describe('changed files', () => {
  it('are read again, and reported if they are unusable', async () => {
    const renewed: TlsIdentity[] = [];
    const warnings: string[] = [];
    let usable = true;
    const watch = new TlsWatch(
      files,
      (identity) => {
        if (!usable) throw new Error('No good.');
        renewed.push(identity);
      },
      (message) => warnings.push(message),
    );
    await watch.look();
    expect(renewed).toHaveLength(0);
    await write(renewedTls);
    await utimes(files.cert, 1, 1);
    await watch.look();
    await watch.look();
    expect(renewed).toEqual([await readTls(files, (message) => warnings.push(message))]);
    usable = false;
    await utimes(files.cert, 2, 2);
    await watch.look();
    await rm(files.key);
    await watch.look();
    expect(warnings).toEqual([
      'The old certificate stays in use. No good.',
      expect.stringMatching(/^The old certificate stays in use\. The TLS file .*key\.pem cannot be read/),
    ]);
    watch.close();
  });
});
