import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pull } from '../../src/library/pull.js';
import { push } from '../../src/library/push.js';
import { type ServedHandle, serve } from '../../src/library/serve.js';
import { ArchiveSink } from '../../src/media/archive.js';
import { pump } from '../../src/media/pump.js';
import { SyntheticSource } from '../../src/testing/synthetic.js';
import { until } from '../support/until.js';

/** The rates of the videos, which exclude each other, and the streams of these and of the sound. */
const RATES = [100_000, 300_000, 750_000];
const VIDEOS = [1, 3, 4];
const SOUND = 2;
const MEDIA = { seed: 1, video: RATES, gop: 5 };

describe('a puller with a bandwidth', () => {
  let folder: string;
  let server: ServedHandle;
  let encoder: Awaited<ReturnType<typeof push>>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wmcast-bandwidth-'));
    const film = new ArchiveSink(join(folder, 'film.asf'));
    await pump(new SyntheticSource({ ...MEDIA, duration: 8, live: false }), [film]);
    server = await serve({ content: folder });
    encoder = await push(server.url('/live'), { source: new SyntheticSource({ ...MEDIA, pace: true }) });
    await Promise.all([encoder.live, server.live('/live')]);
  });

  afterAll(async () => {
    await encoder?.close();
    await server?.close();
    await rm(folder, { recursive: true });
  });

  const all = ['mmsh', 'rtspt', 'mmst'].flatMap((scheme) =>
    ['live', 'film.asf'].map((path) => [scheme, path] as const),
  );

  it.each(all)('gets the best rate that fits over %s of %s, and no other', async (scheme, path) => {
    const { http, rtsp, mms } = server.ports;
    const port = { mmsh: http, rtspt: rtsp, mmst: mms }[scheme];
    const received = await Promise.all(
      [250_000, 500_000, 5_000_000].map(async (bandwidth) => {
        const streams = new Map<number, number>();
        const pulled = pull(`${scheme}://127.0.0.1:${port}/${path}`, {
          bandwidth,
          onEvent: (event) => {
            if (event.type !== 'packet') return;
            for (const { stream } of event.packet.payloads) streams.set(stream, (streams.get(stream) ?? 0) + 1);
          },
        });
        await until('some seconds of sound and pictures', () =>
          [...streams].some(([stream, count]) => stream !== SOUND && count > 20 && (streams.get(SOUND) ?? 0) > 5),
        );
        await pulled.close();
        return [...streams.keys()].sort();
      }),
    );
    expect(received).toEqual(VIDEOS.map((video) => [video, SOUND].sort()));
  });
});
