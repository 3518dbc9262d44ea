import { join } from 'node:path';
import { execa } from 'execa';
import { completeOptions } from '../../src/capture/options.js';
import { CaptureSource } from '../../src/capture/source.js';
import { probeCommand } from '../../src/cli/probe.js';
import { pullCommand } from '../../src/cli/pull.js';
import { pushCommand } from '../../src/cli/push.js';
import { ArchiveSink } from '../../src/media/archive.js';
import { pump } from '../../src/media/pump.js';
import { defaultConfig } from '../../src/server/config.js';
import { MediaServer } from '../../src/server/server.js';
import { runCommand } from '../cli/run.js';
import { collect, ffmpegPath, temporaryFolder } from './support.js';

const folder = temporaryFolder();
const RATES = [400_000, 100_000, 200_000];

describe('a capture with several rates', () => {
  it('has a stream for each, which exclude each other, with the right rates', async () => {
    const capture = new CaptureSource({ rates: RATES, realtime: false, duration: 1, packetSize: 1450 });
    const { events, error } = await collect(capture);
    expect(error).toBeUndefined();
    const [first] = events;
    const header = first?.type === 'header' ? first.header : undefined;
    expect(header?.objects).toContainEqual(
      expect.objectContaining({ type: 'bitrateMutualExclusion', streamNumbers: [1, 2, 3] }),
    );
    const rates = [1, 2, 3, 4].map((number) => header?.streamBitrates.get(number) ?? 0);
    expect(rates.slice(0, 3).map((rate) => Math.round(rate / 107_000))).toEqual([1, 2, 4]);
    // Only one of them is ever sent.
    expect(header?.fileProperties.maximumBitrate).toBe(rates[2]! + rates[3]!);
  });

  it('has key frames at the same times in all of them, at every cut of the film too', async () => {
    const film = join(folder, 'film.mkv');
    const cuts = "geq=lum='if(lt(mod(T\\,1.3)\\,0.65)\\,X\\,255-Y)':cb=128:cr=128";
    await execa(ffmpegPath, [
      ...['-v', 'error', '-f', 'lavfi', '-i', `color=gray:s=160x120:r=25:d=5,${cuts}`, '-c:v', 'ffv1', film],
    ]);
    const path = join(folder, 'rates.asf');
    const capture = new CaptureSource({ input: film, rates: RATES, realtime: false });
    await pump(capture, [new ArchiveSink(path)]);
    const keyFrames = [];
    for (const stream of [0, 1, 2]) {
      const args = ['-v', 'error', '-skip_frame', 'nokey', '-i', path, '-map', `0:${stream}`, '-f', 'framecrc', '-'];
      const { stdout } = await execa(ffmpegPath, args);
      keyFrames.push(stdout.split('\n').flatMap((line) => (line.startsWith('#') ? [] : [line.split(',')[2]?.trim()])));
    }
    expect(keyFrames[0]).toHaveLength(3);
    expect(keyFrames[1]).toEqual(keyFrames[0]);
    expect(keyFrames[2]).toEqual(keyFrames[0]);
  });

  it.each([
    [{ rates: [1] }, /--rate is 1/],
    [{ rates: [100_000, 200_000], videoBitrate: 5000 }, /exclude each other/],
    [{ rates: Array.from({ length: 9 }, (_, index) => 100_000 * (index + 1)) }, /at most 8/],
  ])('refuses %j', (options, message) => {
    expect(() => completeOptions(options)).toThrow(
      expect.objectContaining({ code: 'WM_USAGE', message: expect.stringMatching(message) }),
    );
  });

  it('gives each player the rate for its bandwidth', async () => {
    const server = await MediaServer.start({ ...defaultConfig(), host: '127.0.0.1', httpPort: 0 });
    try {
      const url = `${server.baseUrl}/live`;
      const rates = RATES.flatMap((rate) => ['--rate', String(rate)]);
      const pushing = execa('node', ['bin/wmpush.js', ...rates, '-t', '10', url], { reject: false });
      const point = async () => {
        const found = server.points.find('/live');
        await found?.broadcast.nextHeader(10);
        return found?.broadcast.live ?? false;
      };
      const { until } = await import('../support/until.js');
      await until('the push to be live', point);
      const streams = [];
      for (const bandwidth of ['150k', '320k', '5M']) {
        const { events } = await runCommand(probeCommand(), '--json', '--bandwidth', bandwidth, url);
        const { streams: offered } = events[0] as unknown as {
          streams: Array<{ number: number; type: string; chosen: boolean }>;
        };
        streams.push(offered.filter(({ type, chosen }) => type === 'video' && chosen).map(({ number }) => number));
      }
      expect(streams).toEqual([[1], [2], [3]]);
      const path = join(folder, 'low.asf');
      const { error } = await runCommand(pullCommand(), '-t', '1', '--bandwidth', '150k', '-o', path, url);
      expect(error).toBeUndefined();
      pushing.kill('SIGTERM');
      await pushing;
    } finally {
      await server.close();
    }
  });

  it('refuses both kinds of options', async () => {
    const { error } = await runCommand(
      pushCommand(),
      '--rate',
      '300k',
      '--video-bitrate',
      '300k',
      'http://127.0.0.1:1/x',
    );
    expect(error).toMatchObject({ message: expect.stringMatching(/exclude each other/) });
  });
});
