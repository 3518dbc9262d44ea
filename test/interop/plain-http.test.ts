import { join } from 'node:path';
import { Child } from './support/child.js';
import { Server } from './support/commands.js';
import { makeAsf, newContentFolder } from './support/content.js';
import type { Player } from './support/player.js';
import { FfmpegPlayer, XinePlayer } from './support/players.js';
import { library, program, type Requirement } from './support/programs.js';
import { Together } from './support/together.js';

const SECONDS = 5;
const PATIENCE = 50_000;
const python = program('python3');
const ffmpeg = program('ffmpeg');
const KINDS: ReadonlyArray<readonly [name: string, needs: readonly Requirement[], play: (place: string) => Player]> = [
  ['ffmpeg', [ffmpeg], (place) => new FfmpegPlayer(place)],
  // It stops at an Accept-Ranges in an HTTP/1.0 answer.
  ['xine', [python, library('libxine.so.2')], (place) => new XinePlayer(place)],
];

describe('plain HTTP', () => {
  const folder = newContentFolder();
  const together = new Together();
  let server: Server;

  beforeAll(async () => {
    await makeAsf('film.wmv', { duration: SECONDS, folder });
    await makeAsf('sound.wma', { duration: SECONDS, folder, video: 'none' });
    server = await Server.start('--content', folder);
    together.start();
  });

  for (const file of ['film.wmv', 'sound.wma']) {
    for (const [name, needs, play] of KINDS) {
      together.it(needs, `${name} decodes all of ${file} by http://`, async () => {
        const [served, fromDisk] = [play(server.url(`/${file}`)), play(join(folder, file))];
        expect(await served.ends(PATIENCE)).toEqual({ code: 0, signal: null });
        await fromDisk.ends(PATIENCE);
        expect(served.problems).toEqual([]);
        expect(served.frames).toBe(fromDisk.frames);
        // The sound that xine writes depends on when its pictures arrive.
        if (name === 'ffmpeg') expect(served.soundSeconds).toBe(fromDisk.soundSeconds);
      });
    }
  }

  for (const [method, more] of [
    ['POST', []],
    ['PUT', ['-method', 'PUT']],
  ] as const) {
    together.it(
      [ffmpeg],
      `ffmpeg that sends a stream by ${method} is in the log, with what to do instead`,
      async () => {
        const url = server.url(`/from-${method}`);
        const sender = new Child('ffmpeg', [
          ...['-v', 'error', '-re', '-i', join(folder, 'film.wmv'), '-c', 'copy', ...more, '-f', 'asf', url],
        ]);
        const told = () => server.log.find((line) => line.includes(`/from-${method} with ${method}`));
        expect(await server.until('a warning', told, 20_000)).toContain(`| wmpush --copy -i - ${url}`);
        await sender.exited;
      },
    );
  }
});
