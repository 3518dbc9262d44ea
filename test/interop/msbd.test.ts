import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AsfReader } from '../../src/asf/reader.js';
import { Command, Server } from './support/commands.js';
import { decodeFile, makeAsf, newFolder } from './support/content.js';
import { indexOfRun } from './support/frame-crc.js';
import { FfmpegPlayer } from './support/players.js';
import { itNeeds, program } from './support/programs.js';

const FFMPEG = [program('ffmpeg')];
const LENGTH = 8;

/** Returns the data packets of a file. */
async function packetsOf(path: string): Promise<Buffer[]> {
  const reader = new AsfReader();
  const items = [...reader.push(await readFile(path)), ...reader.end()];
  return items.flatMap((item) => (item.type === 'packet' ? [item.packet.bytes] : []));
}

/**
 * Starts `wmpull-serve` with a file, packet by packet, when the first puller connects. @returns it and its MSBD port
 */
async function encoder(file: string, ...args: string[]): Promise<{ command: Command; port: number }> {
  const options = ['--host', '127.0.0.1', '--http-port', '0', '--msbd-port', '0', '--on-demand', '--json'];
  const command = new Command('wmpull-serve', ['-i', file, '--copy', ...options, ...args]);
  const { ports } = (await command.event('ready')) as unknown as { ports: { msbd: number } };
  return { command, port: ports.msbd };
}

describe('MSBD from end to end', () => {
  let film: string;

  beforeAll(async () => {
    film = await makeAsf('film.asf', { duration: LENGTH });
  });

  // No other program speaks MSBD today, so the file itself and ffmpeg are the reference for the output.
  itNeeds(FFMPEG, 'an encoder gives every packet of a file by TCP, byte for byte, and ends', async () => {
    const { command, port } = await encoder(film);
    const url = `msbd://127.0.0.1:${port}`;
    const recorded = join(newFolder(), 'tcp.asf');
    const pull = new Command('wmcast', ['pull', url, '-o', recorded, '--json']);
    await pull.event('ready');
    const probe = new Command('wmcast', ['probe', `${url}/any`, '--json']);
    expect(await probe.event('probe')).toMatchObject({ transport: 'msbd', live: true, packetSize: 3200 });
    expect((await pull.ends()).code).toBe(0);
    const [original, copy] = [await packetsOf(film), await packetsOf(recorded)];
    expect(copy.length).toBe(original.length);
    expect(copy.findIndex((packet, index) => !packet.equals(original[index]!))).toBe(-1);
    const [before, after] = [await decodeFile(film), await decodeFile(recorded)];
    expect(after.pictures).toEqual(before.pictures);
    expect(await command.stop('SIGTERM')).toMatchObject({ code: 143 });
  });

  itNeeds(FFMPEG, 'an encoder sends to a multicast group, from which two record the same', async () => {
    const group = `239.255.${process.pid % 250}.77:${20_000 + (process.pid % 20_000)}`;
    const { command, port } = await encoder(
      film,
      '--msbd-multicast',
      group,
      '--multicast-interface',
      '127.0.0.1',
      '--multicast-fec',
      '5',
    );
    const url = `msbd://127.0.0.1:${port}/?multicast&interface=127.0.0.1`;
    const files = ['one.asf', 'two.asf'].map((name) => join(newFolder(), name));
    const pulls = files.map((file) => new Command('wmcast', ['pull', url, '-o', file, '--json']));
    for (const pull of pulls) expect((await pull.ends()).code).toBe(0);
    const original = await decodeFile(film);
    for (const file of files) {
      const { pictures } = await decodeFile(file);
      // A player that joins begins with a key frame, of which there is one per second.
      expect(pictures.length).toBeGreaterThanOrEqual((LENGTH - 3) * 25);
      expect(indexOfRun(original.pictures, pictures)).toBeGreaterThanOrEqual(0);
    }
    await command.stop('SIGTERM');
  });

  itNeeds(
    FFMPEG,
    'a server distributes what it pulls by MSBD: to players by WMSP, to another server by MSBD',
    async () => {
      const { command, port } = await encoder(film, '--loop');
      const config = join(newFolder(), 'serve.yaml');
      await writeFile(config, `points:\n  - path: /live\n    source: msbd://127.0.0.1:${port}\n`);
      const first = await Server.start('--config', config, '--msbd-port', '0');
      const { ports } = (await first.event('ready')) as unknown as { ports: { msbd: number } };
      const second = await Server.start('--msbd-port', 'none');
      const from = `msbd://127.0.0.1:${ports.msbd}/live`;
      const relay = new Command('wmcast', ['relay', from, second.url('/copy'), '--retry', 'forever', '--json']);
      await relay.event('ready', undefined);
      const original = await decodeFile(film);
      for (const url of [first.url('/live', 'mmsh'), second.url('/copy', 'mmsh')]) {
        const player = new FfmpegPlayer(url);
        await player.decodes(60, 2);
        expect(player.problems).toEqual([]);
        const shown = player.crc.pictures.slice(0, 20);
        expect(indexOfRun([...original.pictures, ...original.pictures], shown)).toBeGreaterThanOrEqual(0);
        await player.stop();
      }
      await relay.stop('SIGTERM');
      await command.stop('SIGTERM');
    },
  );
});
