import { createSocket } from 'node:dgram';
import { statSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { buildNacks } from '../../src/rtsp/messages/rtcp.js';
import { Peer } from '../rtsp/station.js';
import { until } from '../support/until.js';
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

const GST = [...PLAYERS['gstHttp']!.needs, gstElement('rtspsrc'), gstElement('rtspwms')];

function gst(location: string, transport: string): GstPlayer {
  // It fills the buffers of all streams of a file before it plays, but all packets come on the first one.
  const source = ['rtspsrc', `location=${location}`, `protocols=${transport}`, 'buffer-mode=slave'];
  return new GstPlayer('GStreamer', [...source, '!', 'rtpasfdepay']);
}

/** More than what a file has without packets. */
const MARK_SIZE = 8_000;
const DISCARD = 9;

/** What tshark sees on the loopback interface. */
class Capture {
  readonly #tshark: Child;
  readonly #file: string;
  readonly #port: number;

  private constructor(file: string, port: number) {
    this.#file = file;
    this.#port = port;
    this.#tshark = new Child('tshark', ['-i', 'lo', '-f', `tcp port ${port} or udp`, '-w', file]);
  }

  /** @param port of RTSP */
  static async start(file: string, port: number): Promise<Capture> {
    const capture = new Capture(file, port);
    const { log } = capture.#tshark;
    await capture.#tshark.until('the capture', () => log.some((line) => line.startsWith('Capturing on')));
    await capture.#writes();
    return capture;
  }

  async stop(): Promise<void> {
    await this.#writes();
    this.#tshark.signal('SIGINT');
    await this.#tshark.exited;
  }

  /** It says that it captures before it does, and what it has not written when it is stopped is lost. */
  async #writes(): Promise<void> {
    const size = () => statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
    const before = size();
    const socket = createSocket('udp4');
    await until('a datagram in the file', () => {
      socket.send(Buffer.alloc(MARK_SIZE), DISCARD, '127.0.0.1');
      return size() - before >= MARK_SIZE;
    });
    socket.close();
  }

  /** Returns a line for each packet that a display filter of tshark selects. @param more options of tshark */
  async read(filter: string, ...more: string[]): Promise<string[]> {
    const reader = new Child('tshark', ['-r', this.#file, '-d', `tcp.port==${this.#port},rtsp`, ...more, '-Y', filter]);
    await reader.exited;
    return reader.output;
  }
}

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

  describe('over IPv6, where descriptions offer FEC', () => {
    let six: Command;
    let port: number;
    const url = (path: string) => `rtsp://[::1]:${port}${path}`;

    beforeAll(async () => {
      if (!localIpv6.present()) return;
      const config = `${streams.folder}/six.yaml`;
      const fields = ['httpPort: 0', 'rtsp: { port: 0, fec: 24 }', 'content: { folder: . }'];
      await writeFile(config, `${fields.join('\n')}\n`);
      six = new Command('wmcast', ['serve', '--config', config, '--json']);
      ({ rtsp: port } = ((await six.event('ready')) as unknown as { ports: { rtsp: number } }).ports);
    });

    afterAll(() => six?.stop());

    itNeeds(
      [program('tshark'), root],
      'tshark finds nothing malformed in FEC packets and packets sent again',
      async () => {
        const dump = await Capture.start(`${streams.folder}/fec.pcapng`, port);
        const options = ['-o', `${streams.folder}/fec.asf`];
        const pull = new Command('wmcast', ['pull', url('/film.wmv').replace('rtsp', 'rtspu'), ...options]);
        expect((await pull.ends()).code).toBe(0);
        const peer = await Peer.connect(port);
        const [rtx] = await peer.playUdp('/film.wmv');
        const rtxSsrc = Number.parseInt(/ssrc=([0-9a-f]{8})/.exec(rtx!)![1]!, 16);
        const control = Number(/server_port=\d+-(\d+)/.exec(rtx!)![1]);
        const [first, second] = await peer.packets(20);
        const lost = [first!, second!].map(({ sequence }) => sequence);
        for (const bytes of buildNacks({ mediaSsrc: first!.ssrc, rtxSsrc, sequences: lost }))
          peer.udp!.send(bytes, control, '127.0.0.1');
        const times = (sequence: number) => peer.rtp.filter((packet) => packet.sequence === sequence).length;
        await until('both again', () => lost.every((sequence) => times(sequence) === 2));
        peer.close();
        await dump.stop();
        const asRtcp = ['-d', `udp.port==${control},rtcp`];
        expect(await dump.read('_ws.malformed', ...asRtcp)).toEqual([]);
        expect(await dump.read('rtcp.pt == 205', ...asRtcp)).toHaveLength(1);
        expect((await dump.read('rtp.p_type == 98')).length).toBeGreaterThan(2);
        expect(await dump.read(`rtp.seq == ${first!.sequence} && rtp.ssrc == ${first!.ssrc}`)).toHaveLength(2);
      },
    );

    itNeeds([...PLAYERS['ffmpeg']!.needs, localIpv6], 'ffmpeg decodes a file by tcp and udp', async () => {
      const file = await decodeFile(`${streams.folder}/film.wmv`);
      for (const transport of ['tcp', 'udp']) {
        const player = new FfmpegPlayer(url('/film.wmv'), ['-rtsp_transport', transport]);
        await player.ends();
        expect(player.crc.pictures).toEqual(file.pictures);
      }
    });

    for (const transport of ['tcp', 'udp']) {
      itNeeds([...PLAYERS['mpv']!.needs, localIpv6], `mpv decodes a file by ${transport}`, async () => {
        const player = new MpvPlayer('mpv', url('/long.wmv'), [`--rtsp-transport=${transport}`]);
        await player.decodes(FRAMES, 3);
        await player.stop();
      });

      itNeeds([...GST, localIpv6], `GStreamer decodes a file by ${transport}`, async () => {
        const player = gst(url('/long.wmv'), transport);
        await player.decodes(FRAMES, 3);
        await player.stop();
      });
    }
  });

  itNeeds([program('tshark'), root, ...PLAYERS['ffmpeg']!.needs], 'tshark finds nothing malformed', async () => {
    const { folder, port } = streams;
    const dump = await Capture.start(`${folder}/captured.pcapng`, port);
    for (const scheme of ['rtspu', 'rtspt']) {
      const options = ['-o', `${folder}/${scheme}.asf`, '--bandwidth', 'measure'];
      const pull = new Command('wmcast', ['pull', url('/film.wmv').replace('rtsp', scheme), ...options]);
      expect((await pull.ends()).code).toBe(0);
    }
    await ffmpeg('/film.wmv', 'udp').ends();
    await dump.stop();
    expect(await dump.read('_ws.malformed')).toEqual([]);
    expect((await dump.read('rtp')).length).toBeGreaterThan(200);
    expect((await dump.read('rtsp.method == "PLAY"')).length).toBeGreaterThan(1);
    const known = [205, 201, 202, 203].map((type) => `rtcp.pt == ${type}`).join(' || ');
    expect(await dump.read(`rtcp && !(${known})`)).toEqual([]);
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
      itNeeds(GST, `GStreamer decodes ${path} by ${transport}`, async () => {
        const player = gst(location(), transport);
        await player.decodes(FRAMES, 3);
        await player.stop();
      });
    }
  }
});
