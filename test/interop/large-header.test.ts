import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type HeaderObject, parseHeader } from '../../src/asf/header.js';
import { PATIENCE } from './support/child.js';
import { Command, newPoint, Server } from './support/commands.js';
import { decodeFile, makeAsf, newContentFolder, newFolder, withHeaderObjects } from './support/content.js';
import type { FrameCrc } from './support/frame-crc.js';
import { PLAYERS } from './support/players.js';
import { Together } from './support/together.js';

const SECONDS = 4;
const FPS = 25;
const MEGABYTE = 1_000_000;

function library(count: number, name: string, size: number): HeaderObject {
  const value = { kind: 'bytes', value: Buffer.alloc(size, 0x5a) } as const;
  const record = { languageIndex: 0, streamNumber: 0, name, value };
  return { type: 'headerExtension', objects: [{ type: 'metadataLibrary', records: Array(count).fill(record) }] };
}

const picture = (size: number): HeaderObject => library(1, 'WM/Picture', size);

/** The reason why the header is too large, by file name. */
const LARGE: ReadonlyArray<readonly [file: string, title: string, object: HeaderObject]> = [
  ['27k.wmv', 'a cover picture of 27 KB', picture(27_000)],
  ['133k.wmv', 'a cover picture of 133 KB', picture(133_000)],
  ['2m.wmv', 'a cover picture of 2 MB', picture(2 * MEGABYTE)],
  ['30m.wmv', 'a cover picture of 30 MB', picture(30 * MEGABYTE)],
  ['padding.wmv', 'padding of 100 KB', { type: 'padding', data: Buffer.alloc(100_000) }],
  ['attributes.wmv', '5000 attributes', library(5000, 'Comment', 40)],
];
const LIVE = ['133k.wmv', '2m.wmv', 'padding.wmv'];
/** The players that stop at a large header; VLC does not. */
const STRICT = ['ffmpeg', 'mpv', 'mplayer', 'xine', 'libmms'] as const;

describe('headers larger than players accept', () => {
  const folder = newContentFolder();
  const together = new Together();
  const points = new Map<string, string>();
  let server: Server;
  let whole: FrameCrc;

  beforeAll(async () => {
    const base = await makeAsf('base.wmv', { duration: SECONDS, folder });
    for (const [file, , object] of LARGE) await withHeaderObjects(base, file, object);
    whole = await decodeFile(base);
    server = await Server.start('--content', folder);
    for (const file of LIVE) {
      const point = newPoint();
      points.set(file, point);
      await server.publish(point, '--input', join(folder, file), '--copy', '--loop');
    }
    together.start();
  });

  for (const [file, title] of LARGE) {
    for (const { name, needs, start } of STRICT.map((each) => PLAYERS[each]!)) {
      together.it(needs, `${title}, on demand: ${name}`, async () => {
        const player = start(server.url(`/${file}`));
        await player.ends();
        expect(player.problems).toEqual([]);
        // MPlayer does not show the last picture.
        expect(player.frames).toBeGreaterThanOrEqual(SECONDS * FPS - 1);
      });
    }
    together.it([], `${title}, on demand: wmcast pull`, async () => {
      const recorded = join(newFolder(), 'pulled.asf');
      const pull = new Command('wmcast', ['pull', server.url(`/${file}`, 'mmsh'), '-o', recorded, '--json']);
      expect((await pull.ends()).code).toBe(0);
      expect((await decodeFile(recorded)).pictures).toEqual(whole.pictures);
    });
    together.it([], `${title}, over plain HTTP: the unchanged file`, async () => {
      const response = await fetch(server.url(`/${file}`), { signal: AbortSignal.timeout(PATIENCE) });
      expect(Buffer.from(await response.arrayBuffer()).equals(await readFile(join(folder, file)))).toBe(true);
    });
  }

  for (const file of LIVE) {
    const title = LARGE.find(([each]) => each === file)![1];
    for (const { name, needs, start } of STRICT.map((each) => PLAYERS[each]!)) {
      together.it(needs, `${title}, live: ${name}`, async () => {
        const player = start(server.url(points.get(file)!));
        await player.decodes(SECONDS * FPS, SECONDS);
        expect(player.problems).toEqual([]);
        await player.stop();
      });
    }
  }

  it('are complete in an archive of a push', async () => {
    const archive = join(newFolder(), 'archive.asf');
    const options = ['--input', join(folder, '133k.wmv'), '--copy', '--archive', archive];
    expect((await server.push(newPoint(), ...options).ends()).code).toBe(0);
    expect(parseHeader(await readFile(archive)).bytes.length).toBeGreaterThan(133_000);
    expect((await decodeFile(archive)).pictures).toEqual(whole.pictures);
  });

  it('do not keep their omitted parts in the memory of a server', async () => {
    const held = await server.memory();
    process.stdout.write(`  the server uses ${Math.round(held / MEGABYTE)} MB\n`);
    expect(held).toBeLessThan(300 * MEGABYTE);
  });
});
