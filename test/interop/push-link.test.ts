import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileSource } from '../../src/media/file-source.js';
import { Cutter } from '../support/cutter.js';
import { renewedTls, testTls } from '../support/tls.js';
import { Child } from './support/child.js';
import { Command, newPoint, Server } from './support/commands.js';
import { newFolder } from './support/content.js';
import { FfmpegPlayer } from './support/players.js';
import { itNeeds, missing, program } from './support/programs.js';
import { onFreePort } from './support/vlc-server.js';
import { marksOf, wirePlayer } from './support/wire.js';

/** In seconds: how long the connection is cut repeatedly; more when run by hand. */
const SECONDS = Number(process.env['WMCAST_CUT_SECONDS'] ?? 20);

let folder: string;
let server: Server;

async function startServer(): Promise<void> {
  folder = newFolder();
  const config = join(folder, 'serve.yaml');
  const archived = newPointSettings.map((path) => `  - { path: ${path}, archive: ${folder} }`).join('\n');
  const tls = `tls: { cert: ${folder}/cert.pem, key: ${folder}/key.pem, port: 0 }`;
  writeFileSync(join(folder, 'cert.pem'), testTls.cert);
  writeFileSync(join(folder, 'key.pem'), testTls.key, { mode: 0o600 });
  writeFileSync(join(folder, 'other.pem'), renewedTls.cert);
  // Connections through a proxy do not come from this host.
  const access = 'access: { push: {} }';
  writeFileSync(config, `points:\n${archived}\n${tls}\n${access}\n`);
  server = await Server.start('--config', config);
}

const newPointSettings = [newPoint(), newPoint()];

/** The payloads of all packets of a file, as one string each. */
async function packetsIn(path: string): Promise<string[]> {
  const packets: string[] = [];
  for await (const event of fileSource({ path })) {
    if (event.type !== 'packet') continue;
    const { bytes, payloads } = event.packet;
    packets.push(
      payloads.map(({ dataStart, dataLength }) => bytes.toString('base64', dataStart, dataStart + dataLength)).join(),
    );
  }
  return packets;
}

async function archiveOf(path: string): Promise<string> {
  const name = path.slice(1);
  const files = () => readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.includes(name));
  const found = files();
  if (found.length !== 1) throw new Error(`There are these archives: ${found.join(', ')}`);
  return join(folder, found[0]!);
}

beforeAll(startServer);

it('[WMHTTP-111] a push that is cut every few seconds loses nothing, and players continue', async () => {
  const [point] = newPointSettings as [string, string];
  const cutter = await Cutter.listen(server.port);
  const local = join(folder, 'local.asf');
  const args = ['--retry', 'forever', '--archive', local, '--json', '-t', String(SECONDS + 6)];
  const push = new Command('wmpush', [`http://127.0.0.1:${cutter.port}${point}`, ...args]);
  await server.event('point', ({ point: path, what }) => path === point && what === 'publishing');
  const wire = await wirePlayer(server.port, point);
  const player = new FfmpegPlayer(server.url(point, 'mmsh'));
  await player.decodes(25, 1);
  const until = performance.now() + SECONDS * 1000;
  let cuts = 0;
  let gap = 0;
  while (performance.now() < until) {
    await sleep(1_500 + (cuts % 4) * 500);
    const before = player.frames;
    if (cuts % 3 === 2) {
      cutter.refusing = true;
      await sleep(1_000);
      cutter.refusing = false;
    } else cutter.cut();
    cuts++;
    const cutAt = performance.now();
    await player.decodes(before + 50, 1);
    gap = Math.max(gap, performance.now() - cutAt);
  }
  expect(await push.ends()).toEqual({ code: 0, signal: null });
  const done = push.events.at(-1) as unknown as { packets: number; sent: number; dropped: number; waiting: number };
  expect(done).toMatchObject({ event: 'done', dropped: 0, waiting: 0, sent: done.packets });
  const resumed = push.events.filter(({ event }) => event === 'resumed');
  expect(resumed.length).toBeGreaterThanOrEqual(cuts);
  for (const report of resumed) expect(report).toMatchObject({ resumed: true, unconfirmed: 0 });
  await server.event('point', ({ point: path, what }) => path === point && what === 'unpublished');
  await player.ends();
  expect(marksOf(await wire.untilClosed())).toBe('HE');
  const sent = await packetsIn(local);
  const received = await packetsIn(await archiveOf(point));
  expect(sent.length).toBe(done.packets);
  expect(received).toEqual(sent);
  await cutter.close();
  process.stdout.write(
    `  ${cuts} cuts in ${SECONDS} s: ${sent.length} packets sent and archived, 0 dropped; 50 more frames at the latest after ${Math.round(gap)} ms\n`,
  );
});

const TINYPROXY = [program('tinyproxy')];

describe('through tinyproxy', () => {
  let proxyPort: number;

  beforeAll(async () => {
    if (missing(TINYPROXY).length > 0) return;
    await onFreePort(async (port) => {
      proxyPort = port;
      const config = join(folder, 'tinyproxy.conf');
      const lines = [`Port ${port}`, 'Listen 127.0.0.1', 'Timeout 600', 'Allow 127.0.0.1', 'BasicAuth me secret'];
      writeFileSync(config, `${lines.join('\n')}\n`);
      const proxy = new Child('tinyproxy', ['-d', '-c', config]);
      await proxy.until('the proxy', () =>
        [...proxy.log, ...proxy.output].find((line) => line.includes('Accepting connections')),
      );
    });
  });

  itNeeds(TINYPROXY, '[WMHTTP-045] [WMHTTP-055] [WMHTTP-113] a push arrives whole, in several requests', async () => {
    const [, point] = newPointSettings as [string, string];
    const local = join(folder, 'proxied.asf');
    const proxy = `http://me:secret@127.0.0.1:${proxyPort}`;
    const args = ['--proxy', proxy, '--request-length', '2', '--archive', local, '-t', '8'];
    const push = server.push(point, ...args);
    const gone = server.event('point', ({ point: path, what }) => path === point && what === 'unpublished');
    expect(await push.ends()).toEqual({ code: 0, signal: null });
    expect(await gone).toMatchObject({ clean: true });
    expect(await packetsIn(await archiveOf(point))).toEqual(await packetsIn(local));
    expect(JSON.stringify(push.events) + push.log.join()).not.toContain('secret');
  });

  itNeeds(TINYPROXY, 'a push without the password of the proxy is refused', async () => {
    const push = server.push(newPoint(), '--proxy', `http://me:wrong@127.0.0.1:${proxyPort}`, '-t', '3');
    expect(await push.ends()).toEqual({ code: 77, signal: null });
    expect(push.events.at(-1)).toMatchObject({ event: 'error', code: 'WM_AUTH_REFUSED' });
  });

  itNeeds(TINYPROXY, 'a live stream is pulled, although the proxy keeps one header of a name', async () => {
    const point = newPoint();
    const push = server.push(point, '-t', '15');
    await server.event('point', ({ point: path, what }) => path === point && what === 'publishing');
    const file = join(folder, 'pulled.asf');
    const proxy = ['--proxy', `http://me:secret@127.0.0.1:${proxyPort}`];
    const pull = new Command('wmcast', ['pull', server.url(point, 'mmsh'), '-o', file, '-t', '2', ...proxy]);
    expect(await pull.ends()).toEqual({ code: 0, signal: null });
    expect((await packetsIn(file)).length).toBeGreaterThan(10);
    await push.stop();
  });

  itNeeds(TINYPROXY, 'a push under TLS goes through a tunnel', async () => {
    const { ports } = (await server.event('ready')) as unknown as { ports: { https: number } };
    const url = `https://127.0.0.1:${ports.https}${newPoint()}`;
    const proxy = ['--proxy', `http://me:secret@127.0.0.1:${proxyPort}`, '-t', '3', '--json'];
    const push = new Command('wmpush', [url, ...proxy, '--ca', join(folder, 'cert.pem')]);
    expect(await push.ends()).toEqual({ code: 0, signal: null });
    const distrusting = new Command('wmpush', [url, ...proxy, '--ca', join(folder, 'other.pem')]);
    expect(await distrusting.ends()).toEqual({ code: 76, signal: null });
    expect(distrusting.events.at(-1)).toMatchObject({ event: 'error', code: 'WM_TLS' });
  });
});
