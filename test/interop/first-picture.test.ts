import { newPoint, Server } from './support/commands.js';
import { makeAsf, newContentFolder } from './support/content.js';
import { PLAYERS } from './support/players.js';
import { itNeeds } from './support/programs.js';

/**
 * In ms: how much longer the first picture of a live stream may take than that of a file from the same server. The
 * start-up of the player is included in both times, so the speed of the machine does not matter.
 */
const EXTRA = 1_000;
/** The best of that many measurements, since other load on the machine only ever adds to them. */
const TRIES = 3;
/** In ms of media that must have passed before the first player joins; more than two key-frame intervals. */
const LIVE_FOR = 5_000;

describe('a player that joins a stream that has been live for a while', () => {
  const point = newPoint();
  let server: Server;

  beforeAll(async () => {
    const folder = newContentFolder();
    await makeAsf('film.asf', { duration: 8, size: '640x360', folder });
    server = await Server.start('--content', folder);
    const push = await server.publish(point);
    await push.event('stats', ({ seconds }) => Number(seconds) * 1000 >= LIVE_FOR);
  });

  for (const id of ['ffmpeg', 'mpv', 'mplayer', 'vlc', 'gstHttp', 'libmms', 'xine'] as const) {
    const { name, needs, start } = PLAYERS[id]!;
    itNeeds(needs, `${name}: first picture about as soon as that of a file, and none from half a picture`, async () => {
      const times = { file: [] as number[], live: [] as number[] };
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const onDemand = start(server.url(id === 'gstHttp' ? '/film' : '/film.asf'));
        times.file.push(Math.round(await onDemand.firstPicture()));
        await onDemand.stop();
        const player = start(server.url(point));
        times.live.push(Math.round(await player.firstPicture()));
        await player.decodes(50, 0);
        expect(player.problems).toEqual([]);
        await player.stop();
      }
      process.stdout.write(
        `  ${name}: first picture after ${times.live.join(', ')} ms, of a file ${times.file.join(', ')} ms\n`,
      );
      const best = Math.min(...times.file);
      expect(Math.min(...times.live)).toBeLessThanOrEqual(1.5 * best + EXTRA);
    });
  }
});
