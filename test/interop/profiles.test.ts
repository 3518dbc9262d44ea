import { newPoint, Server } from './support/commands.js';
import { PLAYERS } from './support/players.js';
import { itNeeds } from './support/programs.js';

/** One for each encoder, and the lowest rate. */
const PROFILES = ['av20', 'wmp7', 'netshow', 'adpcm', 'mp3'] as const;
const SOUND_ONLY: readonly string[] = ['adpcm', 'mp3'];

describe('what a profile makes', () => {
  let server: Server;

  beforeAll(async () => {
    server = await Server.start();
  });

  for (const profile of PROFILES) {
    describe(profile, () => {
      let url: string;

      beforeAll(async () => {
        const point = newPoint();
        await server.publish(point, '--profile', profile);
        url = server.url(point);
      });

      for (const id of ['ffmpeg', 'mpv', 'mplayer', 'vlc'] as const) {
        const { name, needs, start } = PLAYERS[id]!;
        itNeeds(needs, `${name} plays`, async () => {
          const player = start(url);
          await player.decodes(SOUND_ONLY.includes(profile) ? 0 : 20, 2);
          expect(player.problems).toEqual([]);
          await player.stop();
        });
      }
    });
  }
});
