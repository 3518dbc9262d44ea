import { copyFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { Child, stopAll } from './support/child.js';
import { Command } from './support/commands.js';
import { type ContentOptions, decodeFile, makeAsf, removeFolders, withSinglePayloads } from './support/content.js';
import { FfmpegPlayer, GstPlayer, MpvPlayer, PLAYERS } from './support/players.js';
import { gstElement, itNeeds, program } from './support/programs.js';
import { UnicastServer } from './support/unicast.js';

const root = { name: 'root', present: () => process.getuid?.() === 0 };
const localIpv6 = {
  name: 'IPv6',
  present: () => Boolean(networkInterfaces()['lo']?.some(({ address }) => address === '::1')),
};

const SECONDS = 6;
/** Not sent at once: GStreamer drops what it has not played when it learns of the end. */
const LONG_SECONDS = 20;
const FRAMES = 100;

/** Files of other shapes; of more than one video stream ffmpeg decodes the first. */
const SHAPES: Readonly<Record<string, Partial<ContentOptions>>> = {
  'p577.wmv': { packetSize: 577 },
  'p16000.wmv': { packetSize: 16_000 },
  'p60000.wmv': { packetSize: 60_000 },
  'two.wmv': { secondVideo: true },
  'sound.wma': { video: 'none' },
};

describe('players that speak RTSP', () => {
  let streams: UnicastServer;
  const url = (path: string) => streams.url('rtsp', path);

  beforeAll(async () => {
    streams = await UnicastServer.start('rtsp', { 'film.wmv': SECONDS, 'long.wmv': LONG_SECONDS });
    const { folder } = streams;
    for (const [name, shape] of Object.entries(SHAPES)) await makeAsf(name, { duration: SECONDS, folder, ...shape });
    await copyFile(await withSinglePayloads(`${folder}/film.wmv`), `${folder}/single.wmv`);
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

  for (const name of [...Object.keys(SHAPES), 'single.wmv']) {
    itNeeds(PLAYERS['ffmpeg']!.needs, `ffmpeg decodes all of ${name} by tcp and udp`, async () => {
      const file = await decodeFile(`${streams.folder}/${name}`);
      for (const transport of ['tcp', 'udp']) {
        const player = ffmpeg(`/${name}`, transport);
        await player.ends();
        expect(player.crc.pictures).toEqual(file.pictures);
        // Of sound, pieces begin elsewhere if pictures are not the first stream.
        expect(player.crc.soundSeconds).toBeCloseTo(file.soundSeconds, 1);
      }
    });
  }

  itNeeds([...PLAYERS['ffmpeg']!.needs, localIpv6], 'ffmpeg decodes a file over IPv6 by tcp and udp', async () => {
    const options = [
      'serve',
      '--host',
      '::1',
      '--http-port',
      '0',
      '--rtsp-port',
      '0',
      '--content',
      streams.folder,
      '--json',
    ];
    const six = new Command('wmcast', options);
    const { ports } = (await six.event('ready')) as unknown as { ports: { rtsp: number } };
    const file = await decodeFile(`${streams.folder}/film.wmv`);
    for (const transport of ['tcp', 'udp']) {
      const player = new FfmpegPlayer(`rtsp://[::1]:${ports.rtsp}/film.wmv`, ['-rtsp_transport', transport]);
      await player.ends();
      expect(player.crc.pictures).toEqual(file.pictures);
    }
    await six.stop();
  });

  itNeeds([program('tshark'), root, ...PLAYERS['ffmpeg']!.needs], 'tshark finds nothing malformed', async () => {
    const { folder, port } = streams;
    const captured = `${folder}/captured.pcapng`;
    const tshark = new Child('tshark', ['-i', 'lo', '-f', `tcp port ${port} or udp`, '-w', captured]);
    await tshark.until('the capture', () => tshark.log.some((line) => line.startsWith('Capturing on')));
    for (const scheme of ['rtspu', 'rtspt']) {
      const options = ['-o', `${folder}/${scheme}.asf`, '--bandwidth', 'measure'];
      const pull = new Command('wmcast', ['pull', url('/film.wmv').replace('rtsp', scheme), ...options]);
      expect((await pull.ends()).code).toBe(0);
    }
    await ffmpeg('/film.wmv', 'udp').ends();
    tshark.signal('SIGINT');
    await tshark.exited;
    const read = async (...options: string[]) => {
      const reader = new Child('tshark', ['-r', captured, '-d', `tcp.port==${port},rtsp`, ...options]);
      await reader.exited;
      return reader.output;
    };
    expect(await read('-Y', '_ws.malformed')).toEqual([]);
    expect((await read('-Y', 'rtp')).length).toBeGreaterThan(200);
    expect((await read('-Y', 'rtsp.method == "PLAY"')).length).toBeGreaterThan(1);
    expect(await read('-Y', 'rtcp && !(rtcp.pt == 205 || rtcp.pt == 201 || rtcp.pt == 202 || rtcp.pt == 203)')).toEqual(
      [],
    );
  });

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
