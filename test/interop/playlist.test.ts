import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Server } from './support/commands.js';
import { decodeFile, makeAsf, newContentFolder } from './support/content.js';
import type { FrameCrc } from './support/frame-crc.js';
import { MpvRemote } from './support/mpv-remote.js';
import { FfmpegPlayer, LibmmsPlayer } from './support/players.js';
import { library, program } from './support/programs.js';
import { Together } from './support/together.js';

const SECONDS = 5;
function playlist(attributes: string, ...sources: string[]): string {
  const entries = sources.map((source) => `  <media src="${source}"/>`);
  return ['<?wsx version="1.0"?>', `<smil${attributes}>`, ...entries, '</smil>', ''].join('\n');
}

describe('playlists and folders on demand', () => {
  const folder = newContentFolder();
  const together = new Together();
  let server: Server;
  let first: FrameCrc;
  let second: FrameCrc;

  const url = (path: string) => server.url(path, 'mmsh');

  beforeAll(async () => {
    const show = join(folder, 'show');
    await mkdir(show);
    const inverted = { duration: SECONDS, filter: 'negate' };
    await Promise.all([
      makeAsf('first.wmv', { duration: SECONDS, folder }),
      makeAsf('second.wmv', { ...inverted, folder }),
      makeAsf('other.wmv', { duration: SECONDS, folder, video: 'wmv1', size: '480x272' }),
      // In natural order, which differs from alphabetical order.
      makeAsf('10.wmv', { ...inverted, folder: show }),
      makeAsf('2.wmv', { duration: SECONDS, folder: show }),
      writeFile(join(folder, 'same.wsx'), playlist('', 'first.wmv', 'second.wmv')),
      writeFile(join(folder, 'mixed.wsx'), playlist('', 'first.wmv', 'second.wmv', 'other.wmv')),
      writeFile(join(folder, 'gaps.wsx'), playlist('', 'gone.wmv', 'first.wmv', '/nobody-pushes-here', 'second.wmv')),
      writeFile(join(folder, 'round.wsx'), playlist(' repeatCount="indefinite"', 'first.wmv')),
    ]);
    [first, second] = await Promise.all([
      decodeFile(join(folder, 'first.wmv')),
      decodeFile(join(folder, 'second.wmv')),
    ]);
    server = await Server.start('--content', folder);
    together.start();
  });

  for (const [path, title] of [
    ['/same.wsx', 'a playlist of two files of one format'],
    ['/show', 'a folder, in natural order'],
    ['/gaps.wsx', 'a playlist with unplayable entries, which are skipped'],
  ] as const) {
    together.it([], `ffmpeg plays ${title}`, async () => {
      const player = new FfmpegPlayer(url(path));
      expect((await player.ends()).code).toBe(0);
      expect(player.crc.pictures).toEqual([...first.pictures, ...second.pictures]);
      expect(player.soundSeconds).toBeGreaterThan(2 * SECONDS - 0.4);
      process.stdout.write(`  ${title}: ${player.summary}\n`);
    });
  }

  together.it([], 'ffmpeg plays up to an entry of another format and ends with the playlist', async () => {
    const player = new FfmpegPlayer(url('/mixed.wsx'));
    expect((await player.ends()).code).toBe(0);
    // How it decodes the last entry with the decoder of the previous ones does not matter.
    const pictures = [...first.pictures, ...second.pictures];
    expect(player.crc.pictures.slice(0, pictures.length)).toEqual(pictures);
  });

  together.it([], 'ffmpeg plays an endlessly repeated playlist for as long as it likes', async () => {
    const player = new FfmpegPlayer(url('/round.wsx'));
    // Its times start over with each round, so ffmpeg holds the pictures back after the sound until it is stopped.
    await player.decodes(1, 3 * SECONDS + 2);
    await player.stop();
    const rounds = [...first.pictures, ...first.pictures, ...first.pictures];
    expect(player.crc.pictures.slice(0, rounds.length)).toEqual(rounds);
  });

  together.it([program('python3'), library('libmms.so.0')], 'libmms plays to the end', async () => {
    const player = new LibmmsPlayer(url('/same.wsx'));
    expect((await player.ends()).code).toBe(0);
    expect(player.crc.pictures).toEqual([...first.pictures, ...second.pictures]);
  });

  together.it([program('mpv')], 'mpv plays to the end', async () => {
    const player = new MpvRemote(url('/same.wsx'), ['--untimed', '--no-audio']);
    expect((await player.ends()).code).toBe(0);
    expect(player.endReason).toBe('eof');
    expect(player.pictures).toEqual([...first.pictures, ...second.pictures]);
  });
});
