import { stopAll } from './support/child.js';
import { decodeFile, removeFolders } from './support/content.js';
import { FfmpegPlayer, LibmmsPlayer, MplayerPlayer, PLAYERS, VlcPlayer } from './support/players.js';
import { itNeeds } from './support/programs.js';
import { UnicastServer } from './support/unicast.js';

const SECONDS = 6;
const FRAMES = 100;

describe('players that speak MMSP', () => {
  let streams: UnicastServer;
  const url = (scheme: string, path: string) => streams.url(scheme, path);

  beforeAll(async () => {
    streams = await UnicastServer.start('mms', { 'film.wmv': SECONDS });
  });

  afterAll(async () => {
    await streams.stop();
    await stopAll();
    removeFolders();
  });

  itNeeds(PLAYERS['ffmpeg']!.needs, 'ffmpeg decodes exactly the pictures of a file by mmst', async () => {
    const player = new FfmpegPlayer(url('mmst', '/film.wmv'));
    await player.decodes(FRAMES, 3);
    await player.stop();
    const file = await decodeFile(`${streams.folder}/film.wmv`);
    expect(player.crc.pictures.slice(0, FRAMES)).toEqual(file.pictures.slice(0, FRAMES));
  });

  itNeeds(PLAYERS['ffmpeg']!.needs, 'ffmpeg decodes a live stream by mmst', async () => {
    const player = new FfmpegPlayer(url('mmst', streams.point));
    await player.decodes(FRAMES, 3);
    await player.stop();
  });

  for (const scheme of ['mmst', 'mmsu']) {
    for (const path of ['film', 'live'] as const) {
      itNeeds(PLAYERS['vlc']!.needs, `VLC decodes ${path} by ${scheme}`, async () => {
        const player = new VlcPlayer(url(scheme, path === 'film' ? '/film.wmv' : streams.point));
        await player.decodes(FRAMES, 3);
        await player.stop();
      });
    }
  }

  itNeeds(PLAYERS['mplayer']!.needs, 'MPlayer decodes a live stream by mmst', async () => {
    const player = new MplayerPlayer(url('mmst', streams.point));
    await player.decodes(FRAMES, 3);
    await player.stop();
  });

  itNeeds(PLAYERS['libmms']!.needs, 'libmms receives a live stream by mmst', async () => {
    const player = new LibmmsPlayer(url('mmst', streams.point));
    await player.decodes(FRAMES, 3);
    await player.stop();
  });
});
