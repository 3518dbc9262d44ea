import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { type FfmpegInfo, findFfmpeg, inspectFfmpegs, windowsMediaEncoders } from '../../src/capture/find.js';
import { CaptureSource, type CaptureSourceOptions } from '../../src/capture/source.js';
import { WmError } from '../../src/errors.js';
import type { AsfEvent } from '../../src/media/events.js';
import { until } from '../support/until.js';
import { collect, decode, fakeFfmpeg, ffmpegPath, fileOf, script, temporaryFolder } from './support.js';

const folder = temporaryFolder();
const small = { size: { width: 160, height: 120 }, videoBitrate: 100_000, realtime: false, watchdog: 10 };

/** The machine's ffmpeg and the old one of the npm package, as far as they are installed. */
const programs = (await inspectFfmpegs()).filter(({ problem }) => problem === undefined);
const info = async (path: string): Promise<FfmpegInfo> => findFfmpeg({ explicit: path });
const systemFfmpeg = programs.find(({ origin }) => origin === 'PATH');

/** A script in place of ffmpeg. */
async function fake(name: string, run: string): Promise<FfmpegInfo> {
  return info(await script(join(folder, name), fakeFfmpeg({ run })));
}

const header = (events: readonly AsfEvent[]) => {
  const [first] = events;
  if (first?.type !== 'header') throw new Error('The first event is not a header.');
  return first.header;
};

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function failureOf(options: CaptureSourceOptions): Promise<WmError> {
  const { error } = await collect(new CaptureSource({ ...small, duration: 1, ...options }));
  if (error instanceof WmError) return error;
  throw new Error('No WmError was thrown.', { cause: error });
}

describe.each(programs.map((program) => [`${program.origin} ${program.version}`, program.path]))(
  'CaptureSource with ffmpeg of %s',
  (_, path) => {
    it('yields a live header, packets that decode to every frame, and an end', async () => {
      const metadata = { title: 'A title', author: 'Me', copyright: 'None', comment: 'A test' };
      const source = new CaptureSource({ ...small, ffmpeg: await info(path), duration: 2, metadata });
      const { events, error } = await collect(source);
      expect(error).toBeUndefined();
      expect(events.at(-1)).toEqual({ type: 'end', moreEntries: false, reason: 0 });
      expect(events.filter(({ type }) => type !== 'packet')).toHaveLength(2);
      expect(source.pid).toBeUndefined();
      expect(source.command?.[0]).toBe(path);

      const { fileProperties, fileId, streams, broadcast, streamBitrates, objects, packetSize, dataObject } =
        header(events);
      expect(fileProperties).toMatchObject({ flags: 1, playDuration: 0n, sendDuration: 0n, preroll: 3100 });
      expect({ broadcast, packetSize, streams: streams.map(({ type }) => type) }).toEqual({
        broadcast: true,
        packetSize: 1450,
        streams: ['video', 'audio'],
      });
      expect(fileId).not.toMatch(/^0+$/);
      expect(dataObject.fileId).toBe(fileId);
      // Within a day of now, in units of 100 ns since 1601.
      expect(Math.abs(Number(fileProperties.creationDate / 10_000n) - 11_644_473_600_000 - Date.now())).toBeLessThan(
        86_400_000,
      );
      expect(objects.find(({ type }) => type === 'contentDescription')).toMatchObject({
        title: 'A title',
        author: 'Me',
        copyright: 'None',
      });
      expect(streamBitrates.get(1)).toBeGreaterThan(100_000);
      expect(streamBitrates.get(1)).toBeLessThan(115_000);
      expect(streamBitrates.get(2)).toBeGreaterThan(64_000);

      const { frames, complaints } = await decode(fileOf(events));
      expect(complaints).toBe('');
      expect(frames.get(0)).toHaveLength(50);
      expect(frames.get(1)!.length).toBeGreaterThanOrEqual(42);
    });

    it('accepts texts that fill their fields', async () => {
      const full = 'é'.repeat(32_766);
      const metadata = { title: full, author: full, copyright: full, comment: full };
      const { events, error } = await collect(
        new CaptureSource({ ...small, ffmpeg: await info(path), duration: 0.2, metadata }),
      );
      expect(error).toBeUndefined();
      expect(header(events).objects.find(({ type }) => type === 'contentDescription')).toMatchObject({
        title: full,
        author: full,
        copyright: full,
        description: full,
      });
    });

    it('leaves out the texts of an input that ffmpeg cannot write into its header, and says so', async () => {
      const input = join(folder, 'long.mkv');
      const { events: captured } = await collect(new CaptureSource({ ...small, duration: 1 }));
      const tags = ['-metadata', `comment=${'x'.repeat(40_000)}`, '-f', 'matroska', '-y', input];
      await execa(ffmpegPath, ['-v', 'error', '-i', 'pipe:0', '-c', 'copy', ...tags], { input: fileOf(captured) });
      const warnings: string[] = [];
      const { events, error } = await collect(
        new CaptureSource({
          ...small,
          ffmpeg: await info(path),
          input,
          metadata: { title: 'Ours' },
          onWarning: (message) => warnings.push(message),
        }),
      );
      expect(error).toBeUndefined();
      expect(warnings).toEqual([expect.stringContaining('texts of the input')]);
      expect(header(events).objects.find(({ type }) => type === 'contentDescription')).toMatchObject({ title: 'Ours' });
      expect((await decode(fileOf(events))).frames.get(0)!.length).toBeGreaterThanOrEqual(25);
    });

    it('captures audio only in packets that whole frames fill', async () => {
      const { events, error } = await collect(
        new CaptureSource({ ...small, ffmpeg: await info(path), noVideo: true, duration: 2 }),
      );
      expect(error).toBeUndefined();
      expect(header(events).streams.map(({ type }) => type)).toEqual(['audio']);
      const packets = events.filter((event) => event.type === 'packet');
      // All but the last hold two frames.
      expect(packets.slice(0, -1).map(({ packet }) => packet.payloads.length)).toEqual(
        Array(packets.length - 1).fill(2),
      );
    });

    it('says that a text file is not media, whatever its name', async () => {
      for (const name of ['note.txt', 'note', 'note.wmv']) {
        const input = join(folder, name);
        await writeFile(input, 'Dear reader,\nthis is not a film.\n');
        const error = await failureOf({ ffmpeg: await info(path), input });
        expect(error.code).toBe('WM_BAD_INPUT');
        expect(error.message).toMatch(/^The input ".*note.*" is not media.*: it looks like text \("Dear reader,"\)/);
      }
    });

    it('reports an input that is missing or does not answer', async () => {
      const ffmpeg = await info(path);
      const missing = await failureOf({ ffmpeg, input: join(folder, 'missing.mp4') });
      expect(missing).toMatchObject({ code: 'WM_NO_INPUT', exitCode: 66 });
      expect(missing.message).toMatch(/^The input ".*missing.mp4" cannot be opened: No such file or directory\.$/);

      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      await new Promise((resolve) => server.close(resolve));
      const dead = await failureOf({ ffmpeg, input: `http://me:secret@127.0.0.1:${port}/x` });
      expect(dead).toMatchObject({
        code: 'WM_NO_INPUT',
        message: expect.stringContaining('cannot be opened: Connection refused'),
      });
      expect(dead.message).not.toContain('secret');
    });

    it('reads a file whose name looks like a URL, in its own shape, again and again', async () => {
      const input = join(folder, 'clip: 1.avi');
      const make = [
        '-v',
        'error',
        '-y',
        '-f',
        'lavfi',
        '-i',
        'testsrc2=size=64x64:rate=25',
        '-f',
        'lavfi',
        '-i',
        'sine=sample_rate=22050',
      ];
      await execa(path, [...make, '-t', '1', '-c:v', 'mjpeg', '-c:a', 'pcm_s16le', `file:${input}`]);
      const { events, error } = await collect(
        new CaptureSource({ ...small, ffmpeg: await info(path), input, loop: true, duration: 2.4 }),
      );
      expect(error).toBeUndefined();
      const { frames, complaints } = await decode(fileOf(events));
      expect(complaints).toBe('');
      expect(frames.get(0)).toHaveLength(60);
      expect(frames.get(0)).toEqual([...frames.get(0)!].sort((a, b) => a - b));
    });

    it('ends properly and says so when ffmpeg is killed', async () => {
      const source = new CaptureSource({ ...small, realtime: true, ffmpeg: await info(path) });
      const events: AsfEvent[] = [];
      const reading = (async () => {
        for await (const event of source) {
          events.push(event);
          if (event.type === 'packet') process.kill(source.pid!, 'SIGKILL');
        }
      })();
      await expect(reading).rejects.toMatchObject({
        code: 'WM_FFMPEG_FAILED',
        message: expect.stringMatching(/^ffmpeg ended because of SIGKILL in the middle of the capture/),
      });
      expect(events.at(-1)).toEqual({ type: 'end', moreEntries: false, reason: 0 });
    });

    it('ends with an end event when it is closed, and leaves no process', async () => {
      const source = new CaptureSource({ ...small, realtime: true, ffmpeg: await info(path) });
      const events: AsfEvent[] = [];
      let pid = 0;
      for await (const event of source) {
        events.push(event);
        if (event.type !== 'packet' || pid !== 0) continue;
        pid = source.pid!;
        await source.close();
        expect(isAlive(pid)).toBe(false);
      }
      expect(events.at(-1)?.type).toBe('end');
      await source.close();
    });

    it('leaves no process when the consumer stops reading', async () => {
      const source = new CaptureSource({ ...small, ffmpeg: await info(path) });
      let pid = 0;
      for await (const event of source) {
        pid = source.pid!;
        if (event.type === 'packet') break;
      }
      expect(isAlive(pid)).toBe(false);
    });

    it('reports that ffmpeg rejects arguments of the user', async () => {
      const error = await failureOf({ ffmpeg: await info(path), extra: ['-nonsense', '1'] });
      expect(error).toMatchObject({
        code: 'WM_USAGE',
        message: expect.stringMatching(/^ffmpeg rejects its arguments: .*nonsense.*; check those after --/),
      });
      const format = await failureOf({ ffmpeg: await info(path), input: 'x', inputFormat: 'nonsense' });
      expect(format).toMatchObject({
        code: 'WM_USAGE',
        message: expect.stringContaining("Unknown input format: 'nonsense'"),
      });
    });
  },
);

it('finds at least one ffmpeg to test with', () => {
  expect(programs.length).toBeGreaterThan(0);
});

describe('CaptureSource and the input', () => {
  it('needs streams of the captured kind', async () => {
    const input = join(folder, 'titles.srt');
    await writeFile(input, '1\n00:00:00,000 --> 00:00:01,000\nHello\n');
    const error = await failureOf({ input });
    expect(error).toMatchObject({ code: 'WM_BAD_INPUT', message: expect.stringContaining('is not media') });
  });

  it('reports an empty file and a folder', async () => {
    await writeFile(join(folder, 'empty.wmv'), '');
    expect(await failureOf({ input: join(folder, 'empty.wmv') })).toMatchObject({
      code: 'WM_BAD_INPUT',
      message: expect.stringContaining('it is empty'),
    });
    await mkdir(join(folder, 'folder'), { recursive: true });
    expect(await failureOf({ input: join(folder, 'folder') })).toMatchObject({
      code: 'WM_BAD_INPUT',
      message: expect.stringContaining('Is a directory'),
    });
  });
});

describe('CaptureSource and an ffmpeg that misbehaves', () => {
  it('stops one that produces nothing', async () => {
    const error = await failureOf({ ffmpeg: await fake('silent', 'exec sleep 60'), watchdog: 0.1 });
    expect(error.code).toBe('WM_FFMPEG_FAILED');
    expect(error.message).toBe('ffmpeg produced nothing for 0.1 s and was stopped; its input may have stalled.');
  });

  it('ends the broadcast when it stalls in the middle, although it ignores signals', async () => {
    const { events: captured } = await collect(new CaptureSource({ ...small, duration: 1 }));
    const file = join(folder, 'second.asf');
    await writeFile(file, fileOf(captured));
    const ffmpeg = await fake('stalls', `cat '${file}'; trap '' INT TERM; exec sleep 60`);
    const source = new CaptureSource({ ...small, ffmpeg, watchdog: 0.2, stopTimeout: 100 });
    let pid = 0;
    const events: AsfEvent[] = [];
    const reading = (async () => {
      for await (const event of source) {
        pid ||= source.pid!;
        events.push(event);
      }
    })();
    await expect(reading).rejects.toThrow(/produced nothing for 0.2 s/);
    expect(events.at(-1)?.type).toBe('end');
    expect(events).toHaveLength(captured.length);
    expect(isAlive(pid)).toBe(false);
  });

  it('kills one that ignores the request to end', async () => {
    const source = new CaptureSource({
      ...small,
      ffmpeg: await fake('stubborn', "trap '' INT TERM; exec sleep 60"),
      stopTimeout: 100,
      watchdog: 5,
    });
    const reading = collect(source);
    await until('ffmpeg to be started', () => source.pid !== undefined);
    await source.close();
    expect(source.pid).toBeUndefined();
    expect(await reading).toEqual({ events: [], error: undefined });
  });

  it('quotes its last messages', async () => {
    const run =
      'echo "[asf @ 0x5] [error] First." >&2; echo "[warning] hm" >&2; echo "[fatal] No luck at rtsp://u:p@h/x" >&2; exit 3';
    const lines: string[] = [];
    const error = await failureOf({
      ffmpeg: await fake('fails', run),
      onLog: ({ level, text }) => lines.push(`${level} ${text}`),
    });
    expect(error).toMatchObject({
      code: 'WM_FFMPEG_FAILED',
      message:
        'ffmpeg ended with exit code 3 before it captured anything (ffmpeg: asf: First. / No luck at rtsp://***@h/x).',
    });
    expect(lines).toEqual(['error asf: First.', 'warning hm', 'error No luck at rtsp://***@h/x']);
  });

  it('rejects output that is not ASF', async () => {
    const error = await failureOf({ ffmpeg: await fake('talks', 'head -c 5000 /dev/zero') });
    expect(error).toMatchObject({
      code: 'WM_FFMPEG_FAILED',
      message: expect.stringMatching(/^ffmpeg did not write ASF: /),
    });
  });

  it('reports that it wrote nothing at all', async () => {
    const error = await failureOf({ ffmpeg: await fake('empty', 'exit 0'), input: join(folder, 'none') });
    expect(error).toMatchObject({
      code: 'WM_BAD_INPUT',
      message: expect.stringContaining('it gave neither picture nor sound'),
    });
  });

  it('recognizes builds that crash at host names', async () => {
    const ffmpeg = await fake('crashes', 'kill -SEGV $$');
    const error = await failureOf({ ffmpeg, input: 'http://localhost:1/x' });
    expect(error).toMatchObject({
      code: 'WM_FFMPEG_FAILED',
      message: expect.stringMatching(/crashed when it looked up localhost; .*--ffmpeg/),
    });
  });

  it('says which encoder is missing', async () => {
    const ffmpeg = await fake('few', 'exit 1');
    expect(await failureOf({ ffmpeg, videoEncoder: 'wmv1' })).toMatchObject({
      code: 'WM_FFMPEG_MISSING',
      message: `${ffmpeg.path} (ffmpeg 9.9) lacks the wmv1 encoder; it has of this kind: wmv2, wmav2.`,
    });
    const claims = {
      ...(await fake('claims', `echo "[fatal] Unknown encoder 'wmv1'" >&2; exit 1`)),
      encoders: windowsMediaEncoders,
    };
    expect(await failureOf({ ffmpeg: claims, videoEncoder: 'wmv1' })).toMatchObject({ code: 'WM_FFMPEG_MISSING' });
  });

  it('reports that it can no longer be started', async () => {
    const ffmpeg = { ...(await fake('gone', 'exit 0')), path: join(folder, 'gone-away') };
    expect(await failureOf({ ffmpeg })).toMatchObject({
      code: 'WM_FFMPEG_MISSING',
      message: expect.stringContaining('gone-away cannot be started'),
    });
  });

  it('yields nothing if closed before it began, and rejects a second reader', async () => {
    const source = new CaptureSource({ ...small });
    await source.close();
    expect(await collect(source)).toEqual({ events: [], error: undefined });
    expect(() => source[Symbol.asyncIterator]()).toThrow(WmError);
  });

  it('rejects wrong options at once', () => {
    expect(() => new CaptureSource({ fps: -1 })).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
  });
});

(systemFfmpeg === undefined ? it.skip : it)(
  'keeps the shape of the picture with black bars (needs an ffmpeg on PATH)',
  async () => {
    const ffmpeg = await info(systemFfmpeg!.path);
    const { events } = await collect(
      new CaptureSource({
        ...small,
        ffmpeg,
        input: 'color=white:size=64x64:rate=25',
        inputFormat: 'lavfi',
        noAudio: true,
        duration: 0.2,
      }),
    );
    const { stdout } = await execa(
      ffmpeg.path,
      ['-v', 'error', '-f', 'asf', '-i', 'pipe:0', '-frames:v', '1', '-f', 'rawvideo', '-pix_fmt', 'gray', 'pipe:1'],
      {
        input: fileOf(events),
        encoding: 'buffer',
      },
    );
    expect(stdout).toHaveLength(160 * 120);
    // The middle row: 20 black, 120 white, 20 black.
    const row = [...stdout.subarray(60 * 160, 61 * 160)];
    expect(row.filter((grey) => grey > 200).length).toBeGreaterThanOrEqual(116);
    expect(Math.max(...row.slice(0, 16), ...row.slice(-16))).toBeLessThan(60);
  },
);

describe('a device that is not there', () => {
  it('is reported once', async () => {
    const source = new CaptureSource({ input: '/dev/video-nowhere', inputFormat: 'v4l2' });
    const failed = expect(async () => {
      for await (const _ of source);
    }).rejects;
    await failed.toThrow(/^The input "\/dev\/video-nowhere" cannot be opened: No such file or directory\.$/);
  });
});
