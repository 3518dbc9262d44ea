import { newPoint, Server } from './support/commands.js';
import { PLAYERS } from './support/players.js';
import { Together } from './support/together.js';

/** One for each encoder, and the lowest rate. */
const PROFILES = ['av20', 'wmp7', 'netshow', 'adpcm', 'mp3'] as const;
const SOUND_ONLY: readonly string[] = ['adpcm', 'mp3'];

describe('what a profile makes', () => {
  const together = new Together();
  const points = new Map<string, string>();
  let server: Server;

  beforeAll(async () => {
    server = await Server.start();
    for (const profile of PROFILES) {
      const point = newPoint();
      points.set(profile, point);
      await server.publish(point, '--profile', profile);
    }
    together.start();
  });

  for (const profile of PROFILES) {
    for (const id of ['ffmpeg', 'mpv', 'mplayer', 'vlc', 'libmms', 'xine'] as const) {
      // In this harness xine writes no sound of a stream without a picture.
      if (id === 'xine' && SOUND_ONLY.includes(profile)) continue;
      const { name, needs, start } = PLAYERS[id]!;
      together.it(needs, `${name} plays ${profile}`, async () => {
        const player = start(server.url(points.get(profile)!));
        await player.decodes(SOUND_ONLY.includes(profile) ? 0 : 20, 2);
        expect(player.problems).toEqual([]);
        await player.stop();
      });
    }
  }
});
