import { stopAll } from './support/child.js';
import { newPoint, Server } from './support/commands.js';
import { removeFolders } from './support/content.js';
import { PLAYERS } from './support/players.js';
import { itNeeds } from './support/programs.js';

/** The longest time from the start of a player to its first picture, in ms; the player's own start-up is in it. */
const LIMIT = 1_500;
/** The best of so many counts, since other work on the machine only ever adds to it. */
const TRIES = 3;
/** Media in ms that must have gone by before the first player comes; more than two key-frame intervals. */
const LIVE_FOR = 5_000;

describe('a player that joins a stream that has been live for a while', () => {
  const point = newPoint();
  let server: Server;

  beforeAll(async () => {
    server = await Server.start();
    const push = await server.publish(point);
    await push.event('stats', ({ seconds }) => Number(seconds) * 1000 >= LIVE_FOR);
  });

  afterAll(async () => {
    await stopAll();
    removeFolders();
  });

  for (const id of ['ffmpeg', 'mpv', 'mplayer', 'vlc', 'gstHttp', 'libmms', 'xine'] as const) {
    const { name, needs, start } = PLAYERS[id]!;
    itNeeds(needs, `${name}: first picture within ${LIMIT} ms, and none from half a picture`, async () => {
      const times: number[] = [];
      const problems: string[] = [];
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const player = start(server.url(point));
        times.push(Math.round(await player.firstPicture()));
        await player.decodes(50, 0);
        problems.push(...player.problems);
        await player.stop();
      }
      process.stdout.write(`  ${name}: first picture after ${times.join(', ')} ms\n`);
      expect(Math.min(...times)).toBeLessThanOrEqual(LIMIT);
      expect(problems).toEqual([]);
    });
  }
});
