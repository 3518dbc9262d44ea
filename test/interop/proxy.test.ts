import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { parseHeader } from '../../src/asf/header.js';
import { parsePacket } from '../../src/asf/packet.js';
import { restorePadding } from '../../src/asf/padding.js';
import { findHeaderEnd, joinHeader } from '../../src/asf/top-level.js';
import { WmspClient } from '../../src/wmsp/client/client.js';
import { Server } from './support/commands.js';
import { decodeFile, makeAsf, newContentFolder, newFolder } from './support/content.js';
import type { FrameCrc } from './support/frame-crc.js';
import { FfmpegPlayer, LibmmsPlayer } from './support/players.js';
import { itNeeds, program, type Requirement } from './support/programs.js';

interface Status {
  readonly players: number;
  readonly proxy: {
    readonly hits: number;
    readonly fetches: number;
    readonly streams: number;
    readonly checks: number;
  };
}

async function statusOf(server: Server): Promise<Status> {
  const response = await fetch(server.url('/api/status'));
  return (await response.json()) as Status;
}

const started: Server[] = [];
async function start(...args: string[]): Promise<Server> {
  const server = await Server.start(...args);
  started.push(server);
  return server;
}

async function configured(text: string): Promise<string[]> {
  const config = join(newFolder(), 'serve.yaml');
  await writeFile(config, text);
  return ['--config', config];
}

afterEach(async () => {
  for (const server of started.splice(0).reverse()) await server.stop();
});

/** Receives a live stream for some seconds; when each send time arrived, in ms. */
async function arrivals(url: string, milliseconds: number): Promise<ReadonlyMap<number, number>> {
  const client = new WmspClient({ url, log: false });
  const all = new Map<number, number>();
  setTimeout(() => void client.close(), milliseconds);
  for await (const event of client) {
    if (event.type === 'packet') all.set(event.packet.payloads[0]?.presentationTime ?? -1, performance.now());
  }
  return all;
}

describe('a chain of real servers', () => {
  it('plays live in real players, is late by less than 300 ms a hop, and survives a hop that is killed', async () => {
    const origin = await start();
    await origin.publish('/live', '-i', 'test', '--duration', '60', '--video-bitrate', '300k');
    const middleArgs = await configured(`points: [{ path: /live, source: ${origin.url('/live')} }]\n`);
    let middle = await start(...middleArgs);
    const { port } = middle;
    const proxy = await start('--proxy-origin', middle.url('').replace(/\/$/, ''));
    const player = new FfmpegPlayer(proxy.url('/live', 'mmsh'));
    await player.decodes(50, 1);
    const [near, far] = await Promise.all([arrivals(origin.url('/live'), 8_000), arrivals(proxy.url('/live'), 8_000)]);
    const last = [...near.keys()].filter((time) => far.has(time)).slice(-60);
    const delays = last.map((time) => far.get(time)! - near.get(time)!);
    const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
    process.stdout.write(`  ${delays.length} packets, ${Math.round(mean)} ms later after two hops\n`);
    expect(mean).toBeLessThan(600);
    expect((await statusOf(proxy)).proxy).toMatchObject({ streams: 1 });
    expect((await statusOf(origin)).players).toBe(1);
    const before = player.frames;
    await middle.stop('SIGKILL');
    started.splice(started.indexOf(middle), 1);
    middle = await start(...middleArgs, '--http-port', String(port));
    await player.decodes(before + 100, 1);
    await player.stop();
    expect(player.problems).toEqual([]);
  });

  it('plays files in real players from one cache, over every protocol', async () => {
    const folder = newContentFolder();
    await makeAsf('film.wmv', { duration: 8, folder });
    const wanted: FrameCrc = await decodeFile(join(folder, 'film.wmv'));
    const origin = await start('--content', folder);
    const cache = newFolder();
    const args = ['--proxy-origin', origin.url('').replace(/\/$/, ''), '--cache', cache];
    const proxy = await start(...args, '--mms-port', '0', '--rtsp-port', '0');
    const { ports } = (await proxy.event('ready')) as unknown as { ports: { mms: number; rtsp: number } };
    const players = [
      new FfmpegPlayer(proxy.url('/film.wmv', 'mmsh')),
      new LibmmsPlayer(proxy.url('/film.wmv', 'mmsh')),
      new FfmpegPlayer(`mmst://127.0.0.1:${ports.mms}/film.wmv`),
      new FfmpegPlayer(`rtsp://127.0.0.1:${ports.rtsp}/film.wmv`, ['-rtsp_transport', 'tcp']),
    ];
    // FFmpeg does not take the end of a stream over MMS and RTSP for one, and shows the last pictures only then.
    for (const player of players) await player.decodes(wanted.pictures.length - 5, 1);
    for (const player of players) {
      await player.stop();
      const { pictures } = player.crc;
      expect(pictures).toEqual(wanted.pictures.slice(0, pictures.length));
    }
    const { proxy: counters } = await statusOf(proxy);
    expect(counters).toMatchObject({ fetches: 1 });
    await proxy.stop('SIGKILL');
    started.splice(started.indexOf(proxy), 1);
    const again = await start(...args);
    const late = new FfmpegPlayer(again.url('/film.wmv', 'mmsh'));
    await late.ends();
    expect(late.crc.pictures).toEqual(wanted.pictures);
    expect((await statusOf(again)).proxy).toMatchObject({ fetches: 0, hits: 1 });
  });
});

describe('a proxy whose disk is full', () => {
  const small: Requirement = {
    name: 'root that can mount a small file system',
    present: () => {
      const folder = newFolder();
      if (execaSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder], { reject: false }).exitCode !== 0)
        return false;
      return execaSync('umount', [folder], { reject: false }).exitCode === 0;
    },
  };

  itNeeds([program('mount'), small], 'stops filling, and gives its players everything', async () => {
    const folder = newContentFolder();
    await makeAsf('film.wmv', { duration: 30, folder });
    const whole = await contentOf(join(folder, 'film.wmv'));
    const origin = await start('--content', folder);
    const cache = newFolder();
    // Less than the film, and more than its header.
    const size = Math.floor((await stat(join(folder, 'film.wmv'))).size / 2);
    execaSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', cache]);
    try {
      const proxy = await start('--proxy-origin', origin.url('').replace(/\/$/, ''), '--cache', cache);
      for (let player = 0; player < 2; player++) {
        const packets: Buffer[] = [];
        for await (const event of new WmspClient({ url: proxy.url('/film.wmv'), log: false, speed: 100 })) {
          if (event.type === 'packet') packets.push(restorePadding(parsePacket(event.packet.bytes), whole.packetSize));
        }
        expect(whole.file.includes(Buffer.concat(packets))).toBe(true);
        expect(packets.length).toBe(whole.packets);
      }
      expect((await fetch(proxy.url('/api/status'))).status).toBe(200);
      await proxy.stop();
      started.splice(started.indexOf(proxy), 1);
    } finally {
      execaSync('umount', ['-l', cache]);
    }
  });
});

async function contentOf(path: string) {
  const file = await readFile(path);
  const end = findHeaderEnd(file);
  const header = parseHeader(joinHeader(file, 'data' in end ? end.data : 0));
  return { file, packetSize: header.packetSize, packets: Number(header.dataObject.packetCount) };
}
