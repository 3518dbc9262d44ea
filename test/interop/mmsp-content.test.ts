import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stopAll } from './support/child.js';
import { Command, Server } from './support/commands.js';
import {
  type ContentOptions,
  decodeFile,
  makeAsf,
  newFolder,
  removeFolders,
  withSinglePayloads,
} from './support/content.js';
import { FfmpegPlayer } from './support/players.js';
import { itNeeds, program } from './support/programs.js';

const SECONDS = 4;

/** Unusual files, by name. */
const CONTENT: Readonly<Record<string, Omit<ContentOptions, 'duration' | 'folder'>>> = {
  'packets of 577 bytes': { packetSize: 577 },
  'packets of 16000 bytes': { packetSize: 16_000, videoBitrate: 1_500_000 },
  'packets of 60000 bytes': { packetSize: 60_000, videoBitrate: 3_000_000 },
  'two videos': { secondVideo: true },
  'sound only': { video: 'none' },
  'pictures only': { audio: 'none' },
};

describe('unusual content over MMSP', () => {
  const folder = newFolder();
  let server: Server;
  let port: number;

  beforeAll(async () => {
    server = await Server.start('--mms-port', '0', '--content', folder);
    const { ports } = (await server.event('ready')) as unknown as { ports: { mms: number } };
    port = ports.mms;
  });

  afterAll(async () => {
    await server.stop();
    await stopAll();
    removeFolders();
  });

  async function check(file: string, name: string): Promise<void> {
    const original = await decodeFile(file);
    for (const scheme of ['mmst', 'mmsu']) {
      const copy = join(newFolder(), 'copy.wmv');
      const pull = new Command('wmcast', ['pull', `${scheme}://127.0.0.1:${port}/${name}`, '-o', copy, '--json']);
      expect([scheme, (await pull.ends()).code]).toEqual([scheme, 0]);
      const { pictures, sounds } = await decodeFile(copy);
      expect(pictures).toEqual(original.pictures);
      expect(sounds).toEqual(original.sounds);
    }
    const player = new FfmpegPlayer(`mmst://127.0.0.1:${port}/${name}`);
    await player.decodes(original.pictures.length === 0 ? 0 : 60, original.sounds.length === 0 ? 0 : 2);
    await player.stop();
    expect(player.crc.pictures.slice(0, 60)).toEqual(original.pictures.slice(0, 60));
  }

  for (const [name, options] of Object.entries(CONTENT)) {
    itNeeds([program('ffmpeg')], `is received as it is: ${name}`, async () => {
      const file = `${name.replaceAll(' ', '-')}.wmv`;
      await makeAsf(file, { ...options, duration: SECONDS, folder });
      await check(join(folder, file), file);
    });
  }

  itNeeds([program('ffmpeg')], 'is received as it is: one payload a packet', async () => {
    const made = await withSinglePayloads(await makeAsf('media.asf', { duration: SECONDS }));
    await copyFile(made, join(folder, 'single.wmv'));
    await check(join(folder, 'single.wmv'), 'single.wmv');
  });
});
