import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AsfReader } from '../../src/asf/reader.js';
import { stopAll } from './support/child.js';
import { Command, newPoint, Server } from './support/commands.js';
import { decodeFile, makeAsf, newFolder, removeFolders } from './support/content.js';
import { namespaces, TwoHosts } from './support/namespaces.js';
import { itNeeds, program } from './support/programs.js';

const SECONDS = 10;
const PORT = 5554;

/** Returns the data packets of a file, as hexadecimal text. */
async function packetsOf(path: string): Promise<string[]> {
  const items = new AsfReader().push(await readFile(path));
  return items.flatMap((item) => (item.type === 'packet' ? [item.packet.bytes.toString('hex')] : []));
}

describe('RTSP URLs in the commands', () => {
  const folder = newFolder();
  let server: Server;
  let port: number;

  beforeAll(async () => {
    await makeAsf('film.wmv', { duration: SECONDS, folder });
    server = await Server.start('--rtsp-port', '0', '--content', folder);
    const { ports } = (await server.event('ready')) as unknown as { ports: { rtsp: number } };
    port = ports.rtsp;
  });

  afterAll(async () => {
    await server.stop();
    await stopAll();
    removeFolders();
  });

  const url = (scheme: string, path: string) => `${scheme}://127.0.0.1:${port}${path}`;

  it.each(['rtsp', 'rtspt', 'rtspu'])('pull records a file by %s://, packet by packet', async (scheme) => {
    const recorded = join(newFolder(), 'recorded.asf');
    const pull = new Command('wmcast', ['pull', url(scheme, '/film.wmv'), '-o', recorded, '--json']);
    const done = await pull.event('done');
    expect(await packetsOf(recorded)).toEqual(await packetsOf(join(folder, 'film.wmv')));
    expect(done).toMatchObject({ reconnects: 0, lostPackets: 0 });
    expect((await pull.ends()).code).toBe(0);
  });

  it('probe describes what is there', async () => {
    const probe = new Command('wmcast', ['probe', url('rtsp', '/film.wmv'), '--json']);
    const found = await probe.event('probe');
    expect(found).toMatchObject({ transport: 'rtsp', live: false, url: url('rtsp', '/film.wmv') });
    expect(found['streams']).toHaveLength(2);
    const missing = new Command('wmcast', ['probe', url('rtsp', '/nothing')]);
    expect((await missing.ends()).code).toBe(66);
  });

  it('relay feeds a point from it, which feeds another server in turn', async () => {
    const point = newPoint();
    // It must not be over before the last in the row has started, however busy the machine.
    await makeAsf('long.wmv', { duration: 60, size: '160x120', folder });
    const relay = new Command('wmcast', [
      'relay',
      url('rtsp', '/long.wmv'),
      server.url(point),
      '--speed',
      '1',
      '--json',
    ]);
    await server.event('point', (event) => event['point'] === point && event['what'] === 'publishing');
    const config = join(newFolder(), 'serve.yaml');
    await writeFile(config, `points: [{ path: /pulled, onDemand: true, source: "${url('rtsp', point)}" }]\n`);
    const other = await Server.start('--config', config);
    const recorded = join(newFolder(), 'recorded.asf');
    const pull = new Command('wmcast', ['pull', other.url('/pulled', 'mmsh'), '-t', '3', '-o', recorded, '--json']);
    expect((await pull.ends()).code).toBe(0);
    const decoded = await decodeFile(recorded);
    expect(decoded.pictures.length).toBeGreaterThan(25);
    await other.stop();
    await relay.stop();
  });

  it('an announcement leads to it', async () => {
    const asx = join(newFolder(), 'film.asx');
    await writeFile(asx, `<asx version="3.0"><entry><ref href="${url('rtspt', '/film.wmv')}"/></entry></asx>`);
    const recorded = join(newFolder(), 'recorded.asf');
    const pull = new Command('wmcast', ['pull', asx, '-o', recorded, '--json']);
    expect((await pull.ends()).code).toBe(0);
    expect(await packetsOf(recorded)).toEqual(await packetsOf(join(folder, 'film.wmv')));
  });
});

describe('RTSP by UDP from one host to another over a link that loses datagrams both ways', () => {
  let hosts: TwoHosts;
  let folder: string;

  beforeAll(async () => {
    folder = newFolder();
    await makeAsf('film.wmv', { duration: SECONDS, folder });
  });

  beforeEach(() => {
    hosts = new TwoHosts();
  });

  afterEach(async () => {
    await stopAll();
    hosts.close();
  });

  afterAll(removeFolders);

  for (const percent of [5, 20]) {
    itNeeds(
      [...namespaces, program('ffmpeg')],
      `what is lost of ${percent} % is asked for again, and comes`,
      async () => {
        const options = ['--http-port', '0', '--rtsp-port', `${PORT}`, '--content', folder, '--json'];
        const serve = hosts.wmcast(hosts.sender, 'serve', ...options);
        await serve.child.until('the ports', () => serve.events.find(({ event }) => event === 'ready'));
        hosts.loseDatagrams(percent);
        const recorded = join(newFolder(), 'recorded.asf');
        const url = `rtspu://${hosts.sender.address}:${PORT}/film.wmv`;
        const pull = hosts.wmcast(hosts.receiver, 'pull', url, '-o', recorded, '--json');
        expect((await pull.child.ends()).code).toBe(0);
        const done = pull.events.find(({ event }) => event === 'done')!;
        const original = await packetsOf(join(folder, 'film.wmv'));
        const got = await packetsOf(recorded);
        expect(hosts.lost).toBeGreaterThan((original.length * percent) / 200);
        expect(done['recoveredPackets']).toBeGreaterThan((original.length * percent) / 200);
        // A packet is asked for until its time is over, some 20 times.
        expect(done['lostPackets']).toBe(0);
        expect(got).toEqual(original);
      },
    );
  }

  itNeeds(
    [...namespaces, program('ffmpeg')],
    'FEC restores one of 30, though nothing can be asked for again',
    async () => {
      const config = join(newFolder(), 'serve.yaml');
      await writeFile(config, `httpPort: 0\nrtsp: { port: ${PORT}, fec: 24 }\ncontent: { folder: ${folder} }\n`);
      const serve = hosts.wmcast(hosts.sender, 'serve', '--config', config, '--json');
      await serve.child.until('the ports', () => serve.events.find(({ event }) => event === 'ready'));
      hosts.loseOneWay(30);
      const recorded = join(newFolder(), 'recorded.asf');
      const url = `rtspu://${hosts.sender.address}:${PORT}/film.wmv`;
      const pull = hosts.wmcast(hosts.receiver, 'pull', url, '-o', recorded, '--json');
      expect((await pull.child.ends()).code).toBe(0);
      const done = pull.events.find(({ event }) => event === 'done')!;
      const original = await packetsOf(join(folder, 'film.wmv'));
      expect(hosts.lost).toBeGreaterThan(original.length / 40);
      // The span in which the film ends is not complete, and so not protected.
      const restored = done['recoveredPackets'] as number;
      expect(restored + (done['lostPackets'] as number)).toBeGreaterThanOrEqual(Math.floor(original.length / 31));
      expect(done['lostPackets']).toBeLessThanOrEqual(1);
      const got = await packetsOf(recorded);
      expect(got.length).toBeGreaterThanOrEqual(original.length - 1);
    },
  );
});
