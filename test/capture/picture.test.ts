import { join } from 'node:path';
import { execa } from 'execa';
import { bitrateFor, canLookAt, choosePicture, lookAtInput, rateArgument } from '../../src/capture/picture.js';
import { CaptureSource, type Encoding } from '../../src/capture/source.js';
import { ArchiveSink } from '../../src/media/archive.js';
import { pump } from '../../src/media/pump.js';
import { ffmpegPath, temporaryFolder } from './support.js';

const folder = temporaryFolder();

const facts = (width: number, height: number, more = {}) => ({
  size: { width, height },
  pixelShape: 1,
  fps: 25,
  interlaced: false,
  ...more,
});

describe('choosePicture', () => {
  it.each([
    ['the input as it is', facts(1280, 720), 1280, 720, 25],
    ['portrait', facts(720, 1280), 720, 1280, 25],
    ['odd sides', facts(853, 481), 852, 480, 25],
    ['wide pixels', facts(720, 576, { pixelShape: 64 / 45 }), 1024, 576, 25],
    ['tall pixels', facts(720, 480, { pixelShape: 8 / 9, fps: 29.97 }), 720, 540, 29.97],
    ['one pixel', facts(1, 1), 16, 16, 25],
    ['too many pixels', facts(3840, 2160), 1920, 1080, 25],
    ['too many pixels in a second', facts(1920, 1080, { fps: 60 }), 1358, 764, 60],
    ['too many frames', facts(320, 240, { fps: 1000 }), 320, 240, 58.824],
    ['too few frames', facts(320, 240, { fps: 0.5 }), 320, 240, 5],
    ['no frame rate', facts(320, 240, { fps: 0 }), 320, 240, 25],
  ])('%s', (_what, input, width, height, fps) => {
    expect(choosePicture(input, undefined, {}, 2)).toEqual({ size: { width, height }, fps });
  });

  it('takes less on a machine with one processor', () => {
    const { size } = choosePicture(facts(1920, 1080), undefined, {}, 1);
    expect(size.width * size.height).toBeLessThan(720_000);
    expect(size.width / size.height).toBeCloseTo(16 / 9, 1);
  });
});

describe('bitrateFor', () => {
  it('grows with the picture, but less', () => {
    expect(bitrateFor({ size: { width: 640, height: 360 }, fps: 25 })).toBe(500_000);
    expect(bitrateFor({ size: { width: 320, height: 180 }, fps: 25 })).toBe(180_000);
    expect(bitrateFor({ size: { width: 1280, height: 720 }, fps: 25 })).toBe(1_400_000);
    expect(bitrateFor({ size: { width: 640, height: 360 }, fps: 50 })).toBe(840_000);
    expect(bitrateFor({ size: { width: 16, height: 16 }, fps: 5 })).toBe(30_000);
  });
});

describe('rateArgument', () => {
  it('writes the rates of NTSC as fractions', () => {
    expect([29.97, 23.98, 59.94, 25, 12.5].map(rateArgument)).toEqual([
      '30000/1001',
      '24000/1001',
      '60000/1001',
      '25',
      '12.5',
    ]);
  });
});

describe('canLookAt', () => {
  it('leaves alone what can be opened only once', () => {
    const once = ['-', 'pipe:0', '/dev/stdin', 'tcp://0.0.0.0:5?listen', 'srt://:9?mode=listener'];
    expect(once.filter(canLookAt)).toEqual([]);
    expect(['a.mp4', 'rtsp://camera/1', '/dev/video0'].filter(canLookAt)).toHaveLength(3);
  });
});

interface Made {
  readonly encoding: Encoding | undefined;
  readonly shape: string;
  /** Seconds by which the flash comes after the beep. */
  readonly offset: number;
}

/** Makes an input from a flash with a beep at 1 s, encodes it, and measures the result. */
async function encode(name: string, input: string[], output: string[], options = {}): Promise<Made> {
  const path = join(folder, name);
  const flash = "drawbox=c=white:t=fill:enable='between(t,0.99,1.01)'";
  const beep = "aevalsrc='if(between(t,1,1.04),sin(6283*t),0)':s=44100:d=2";
  const { stderr: made } = await execa(ffmpegPath, [
    ...['-v', 'error', '-y', '-f', 'lavfi', '-i', `color=black:${input[0]}:d=2,${flash}${input[1] ?? ''}`],
    ...['-f', 'lavfi', '-i', beep, '-map', '0', '-map', '1', ...output, path],
  ]);
  expect(made).toBe('');
  const encoded = join(folder, `${name}.asf`);
  let encoding: Encoding | undefined;
  const source = new CaptureSource({
    input: path,
    realtime: false,
    onChosen: (chosen) => {
      encoding = chosen;
    },
    ...options,
  });
  await pump(source, [new ArchiveSink(encoded)]);
  return { encoding, ...(await measure(encoded)) };
}

async function measure(path: string): Promise<{ shape: string; offset: number }> {
  const args = ['-hide_banner', '-nostdin', '-i', path];
  const picture = await execa(ffmpegPath, [
    ...args,
    ...['-map', '0:v', '-vf', 'blackdetect=d=0.2:pix_th=0.3,showinfo', '-f', 'null', '-'],
  ]);
  const sound = await execa(ffmpegPath, [
    ...args,
    '-map',
    '0:a',
    '-af',
    'silencedetect=n=-30dB:d=0.3',
    '-f',
    'null',
    '-',
  ]);
  const seen = Number(/black_end:([\d.]+)/.exec(picture.stderr)?.[1]);
  const heard = Number(/silence_end: ([\d.]+)/.exec(sound.stderr)?.[1]);
  const [, sar, size] = /n: *0 .* sar:(\S+) s:(\S+)/.exec(picture.stderr) ?? [];
  return { shape: `${size} ${sar}`, offset: seen - heard };
}

const LOSSLESS = ['-c:v', 'ffv1', '-c:a', 'pcm_s16le'];

describe('a capture', () => {
  it.each([
    ['plain.mkv', ['s=320x240:r=25'], LOSSLESS, '320x240 1/1'],
    ['portrait.mkv', ['s=240x320:r=30'], LOSSLESS, '240x320 1/1'],
    ['odd.mkv', ['s=353x201:r=24000/1001'], LOSSLESS, '352x200 1/1'],
    ['wide.mpg', ['s=352x288:r=25', ',setsar=16/11'], ['-c:v', 'mpeg2video', '-c:a', 'mp2'], '512x288 1/1'],
    ['fast.mkv', ['s=160x120:r=120'], LOSSLESS, '160x120 1/1'],
    ['later.mkv', ['s=160x120:r=25'], ['-vf', 'setpts=PTS+0.4/TB', ...LOSSLESS], '160x120 1/1', 0.4],
  ])('of %s keeps its shape, and the sound with the picture', async (name, input, output, shape, offset = 0) => {
    const made = await encode(name, input, output);
    expect(made.shape).toBe(shape);
    expect(Math.abs(made.offset - offset)).toBeLessThan(0.05);
  });

  it('deinterlaces frames that are flagged', async () => {
    const output = ['-c:v', 'mpeg2video', '-flags', '+ildct+ilme', '-top', '1', '-c:a', 'mp2'];
    const { encoding } = await encode('fields.mpg', ['s=320x240:r=25'], output);
    expect(encoding?.input).toMatchObject({ interlaced: true, fps: 25 });
    expect(encoding?.video).toMatchObject({ size: { width: 320, height: 240 }, bitrate: 220_000 });
  });

  it('puts bars around a picture that does not fit the given size, by the shape that players would show', async () => {
    const output = ['-c:v', 'mpeg2video', '-c:a', 'mp2'];
    const size = { width: 320, height: 320 };
    const { encoding, shape } = await encode('bars.mpg', ['s=352x288:r=25', ',setsar=16/11'], output, { size });
    expect(shape).toBe('320x320 1/1');
    expect(encoding?.video).toMatchObject({ size, fps: 25 });
  });

  it('looks at nothing that everything is known of', async () => {
    const known = { size: { width: 320, height: 240 }, fps: 25, videoBitrate: 100_000 };
    const { encoding } = await encode('known.mkv', ['s=160x120:r=25'], LOSSLESS, known);
    expect(encoding?.input).toBeUndefined();
  });

  it('goes on without the picture of an input that does not show it in time', async () => {
    const ffmpeg = ffmpegPath;
    expect(await lookAtInput({ ffmpeg, input: join(folder, 'none.mkv'), inputFormat: undefined })).toEqual({});
    const slow = { ffmpeg, input: 'color=d=99,realtime=speed=0.01', inputFormat: 'lavfi', timeout: 1 };
    expect(await lookAtInput(slow)).toEqual({});
  });
});
