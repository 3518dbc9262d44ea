import { stopAll } from './support/child.js';
import { type Command, newPoint, Server } from './support/commands.js';
import { decodeFile, makeAsf, newFolder, removeFolders } from './support/content.js';
import { FfmpegPlayer, LibmmsPlayer, MplayerPlayer, PLAYERS, VlcPlayer } from './support/players.js';
import { itNeeds } from './support/programs.js';

const SECONDS = 6;
const FRAMES = 100;

describe('players that speak MMSP', () => {
  const folder = newFolder();
  let server: Server;
  let push: Command;
  let point: string;
  let port: number;

  beforeAll(async () => {
    await makeAsf('film.wmv', { duration: SECONDS, folder });
    server = await Server.start('--mms-port', '0', '--content', folder);
    const { ports } = (await server.event('ready')) as unknown as { ports: { mms: number } };
    port = ports.mms;
    point = newPoint();
    push = await server.publish(point);
  });

  afterAll(async () => {
    await push.stop();
    await server.stop();
    await stopAll();
    removeFolders();
  });

  const url = (scheme: string, path: string) => `${scheme}://127.0.0.1:${port}${path}`;

  itNeeds(PLAYERS['ffmpeg']!.needs, 'ffmpeg decodes exactly the pictures of a file by mmst', async () => {
    const player = new FfmpegPlayer(url('mmst', '/film.wmv'));
    await player.decodes(FRAMES, 3);
    await player.stop();
    const file = await decodeFile(`${folder}/film.wmv`);
    expect(player.crc.pictures.slice(0, FRAMES)).toEqual(file.pictures.slice(0, FRAMES));
  });

  itNeeds(PLAYERS['ffmpeg']!.needs, 'ffmpeg decodes a live stream by mmst', async () => {
    const player = new FfmpegPlayer(url('mmst', point));
    await player.decodes(FRAMES, 3);
    await player.stop();
  });

  for (const scheme of ['mmst', 'mmsu']) {
    for (const path of ['film', 'live'] as const) {
      itNeeds(PLAYERS['vlc']!.needs, `VLC decodes ${path} by ${scheme}`, async () => {
        const player = new VlcPlayer(url(scheme, path === 'film' ? '/film.wmv' : point));
        await player.decodes(FRAMES, 3);
        await player.stop();
      });
    }
  }

  itNeeds(PLAYERS['mplayer']!.needs, 'MPlayer decodes a live stream by mmst', async () => {
    const player = new MplayerPlayer(url('mmst', point));
    await player.decodes(FRAMES, 3);
    await player.stop();
  });

  itNeeds(PLAYERS['libmms']!.needs, 'libmms receives a live stream by mmst', async () => {
    const player = new LibmmsPlayer(url('mmst', point));
    await player.decodes(FRAMES, 3);
    await player.stop();
  });
});
