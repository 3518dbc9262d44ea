import { stopAll } from './support/child.js';
import { decodeFile, removeFolders } from './support/content.js';
import { FfmpegPlayer, GstPlayer, MpvPlayer, PLAYERS } from './support/players.js';
import { gstElement, itNeeds } from './support/programs.js';
import { UnicastServer } from './support/unicast.js';

const SECONDS = 6;
/** Not sent at once: GStreamer drops what it has not played when it learns of the end. */
const LONG_SECONDS = 20;
const FRAMES = 100;

describe('players that speak RTSP', () => {
  let streams: UnicastServer;
  const url = (path: string) => streams.url('rtsp', path);

  beforeAll(async () => {
    streams = await UnicastServer.start('rtsp', { 'film.wmv': SECONDS, 'long.wmv': LONG_SECONDS });
  });

  afterAll(async () => {
    await streams.stop();
    await stopAll();
    removeFolders();
  });

  const ffmpeg = (path: string, transport: string) => new FfmpegPlayer(url(path), ['-rtsp_transport', transport]);

  for (const transport of ['tcp', 'udp']) {
    itNeeds(
      PLAYERS['ffmpeg']!.needs,
      `ffmpeg decodes exactly the pictures of a file by ${transport}, and ends`,
      async () => {
        const player = ffmpeg('/film.wmv', transport);
        await player.ends();
        const file = await decodeFile(`${streams.folder}/film.wmv`);
        expect(player.crc.pictures).toEqual(file.pictures);
      },
    );

    itNeeds(PLAYERS['ffmpeg']!.needs, `ffmpeg decodes a live stream by ${transport}`, async () => {
      const player = ffmpeg(streams.point, transport);
      await player.decodes(FRAMES, 3);
      await player.stop();
    });
  }

  // By UDP its demuxer keeps the start of a packet that the seek cut off, and appends the next one to it.
  itNeeds(PLAYERS['ffmpeg']!.needs, 'ffmpeg seeks in a file by tcp', async () => {
    const player = new FfmpegPlayer(url('/long.wmv'), ['-rtsp_transport', 'tcp', '-ss', '3']);
    await player.decodes(FRAMES, 3);
    await player.stop();
  });

  for (const path of ['film', 'live'] as const) {
    const location = () => url(path === 'film' ? '/long.wmv' : streams.point);

    itNeeds(PLAYERS['mpv']!.needs, `mpv decodes ${path}`, async () => {
      const player = new MpvPlayer('mpv', location());
      await player.decodes(FRAMES, 3);
      await player.stop();
    });

    for (const transport of ['tcp', 'udp']) {
      const needs = [...PLAYERS['gstHttp']!.needs, gstElement('rtspsrc'), gstElement('rtspwms')];
      itNeeds(needs, `GStreamer decodes ${path} by ${transport}`, async () => {
        // It fills the buffers of all streams of a file before it plays, but all packets come on the first one.
        const source = ['rtspsrc', `location=${location()}`, `protocols=${transport}`, 'buffer-mode=slave'];
        const player = new GstPlayer('GStreamer', [...source, '!', 'rtpasfdepay']);
        await player.decodes(FRAMES, 3);
        await player.stop();
      });
    }
  }
});
