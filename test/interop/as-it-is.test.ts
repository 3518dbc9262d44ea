import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { newFolder } from './support/content.js';
import { ffmpegPath } from './support/ffmpeg.js';

/** When the picture turns white and the tone begins, in seconds. */
const WMPUSH = fileURLToPath(new URL('../../bin/wmpush.js', import.meta.url));
const MOMENT = 1;
const TONE = `aevalsrc='if(gte(t,${MOMENT}),sin(2*PI*1000*t),0)':s=44100:d=2`;

/** A black picture that turns white, of the given size and rate. */
const flash = (size: string, rate: number = 25) => {
  const half = (colour: string) => `color=${colour}:s=${size}:r=${rate}:d=${MOMENT}`;
  return `${half('black')}[before];${half('white')}[after];[before][after]concat`;
};

interface Kind {
  readonly what: string;
  readonly file: string;
  /** Arguments of ffmpeg between the input and the output. */
  readonly make: readonly string[];
  readonly picture?: string;
  /** The shape of the picture on a screen. */
  readonly shape: number;
}

const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac'];
const MPEG2 = ['-c:v', 'mpeg2video', '-q:v', '4', '-c:a', 'mp2'];
const later = (stream: 'v' | 'a') =>
  stream === 'v' ? ['-filter:v', 'trim=start=0.5'] : ['-filter:a', 'atrim=start=0.5'];

const KINDS: readonly Kind[] = [
  {
    what: 'an anamorphic picture',
    file: 'anamorphic.mpg',
    make: ['-vf', 'setsar=64/45', ...MPEG2],
    picture: flash('720x576'),
    shape: 16 / 9,
  },
  {
    what: 'an interlaced picture',
    file: 'interlaced.mpg',
    make: [...MPEG2, '-flags', '+ildct+ilme', '-top', '1'],
    shape: 4 / 3,
  },
  { what: 'a picture of odd size', file: 'odd.mkv', make: H264, picture: flash('853x481'), shape: 853 / 481 },
  { what: 'a portrait', file: 'portrait.mp4', make: H264, picture: flash('360x640'), shape: 9 / 16 },
  { what: '60 pictures a second', file: 'fps60.mkv', make: H264, picture: flash('320x240', 60), shape: 4 / 3 },
  {
    what: 'a changing rate of pictures',
    file: 'vfr.mkv',
    make: ['-vf', "select='not(mod(n,3))+gt(mod(n,25),20)'", '-vsync', 'vfr', ...H264],
    shape: 4 / 3,
  },
  {
    what: 'a picture each second',
    file: 'slides.mkv',
    make: ['-vf', "select='not(mod(n,25))'", '-vsync', 'vfr', ...H264],
    shape: 4 / 3,
  },
  { what: 'sound that begins later', file: 'late-sound.mkv', make: [...later('a'), ...H264], shape: 4 / 3 },
  { what: 'a picture that begins later', file: 'late-picture.mkv', make: [...later('v'), ...H264], shape: 4 / 3 },
  {
    what: 'times that begin at ten hours',
    file: 'late.ts',
    make: [...H264, '-output_ts_offset', '36000'],
    shape: 4 / 3,
  },
  { what: 'sound of 8 kHz', file: 'mono.mkv', make: ['-ar', '8000', '-ac', '1', ...H264], shape: 4 / 3 },
  { what: 'sound with a delay of its own', file: 'mp3.mkv', make: [...H264, '-c:a', 'libmp3lame'], shape: 4 / 3 },
];

interface Measured {
  /** In seconds, on the clock of the file. */
  readonly picture: number;
  readonly sound: number;
  readonly shape: number;
}

/** Finds when the picture turns white, and when the tone begins. */
async function measure(path: string): Promise<Measured> {
  const graph = [
    '[0:v:0]signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-,showinfo[v]',
    '[0:a:0]aresample=44100,asetnsamples=n=220,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.Peak_level:file=-[a]',
  ].join(';');
  const args = ['-nostdin', '-hide_banner', '-copyts', '-i', path, '-filter_complex', graph];
  const output = ['-map', '[v]', '-map', '[a]', '-vsync', 'passthrough', '-f', 'null', '-'];
  const { stdout, stderr } = await execa(ffmpegPath, [...args, ...output]);
  let time = Number.NaN;
  let picture = Number.NaN;
  let sound = Number.NaN;
  for (const line of stdout.split('\n')) {
    time = Number(/pts_time:(\S+)/.exec(line)?.[1] ?? time);
    const [, key, value] = /^lavfi\.(\w+)\..*=(.*)$/.exec(line) ?? [];
    if (key === 'signalstats' && Number(value) > 125 && Number.isNaN(picture)) picture = time;
    if (key === 'astats' && Number(value) > -12 && Number.isNaN(sound)) sound = time;
  }
  const [across, up, width, height] = (/sar:(\d+)\/(\d+) s:(\d+)x(\d+)/.exec(stderr) ?? []).slice(1).map(Number);
  // A ratio of 0 is one that is not known.
  return { picture, sound, shape: (((across || 1) / (up || 1)) * width!) / height! };
}

/** Encodes with the command that `wmpush` would run, but not at the pace of the input. */
async function encode(input: string, output: string): Promise<void> {
  const args = ['http://127.0.0.1:1/x', '-i', input, '--dry-run', '--json', '--ffmpeg', ffmpegPath];
  const { stdout } = await execa(process.execPath, [WMPUSH, ...args]);
  const events = stdout
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; inputs?: { command: string[] }[] });
  const plan = events.find(({ event }) => event === 'plan');
  const [program, ...command] = plan!.inputs![0]!.command;
  const fast = command.filter((argument) => argument !== '-re');
  expect(fast.at(-1)).toBe('pipe:1');
  await execa(program!, [...fast.slice(0, -1), output]);
}

describe('what is encoded', () => {
  const folder = newFolder();

  it.each(KINDS)('has the shape of $what, and its sound at its picture', async ({ file, make, picture, shape }) => {
    const source = join(folder, file);
    const inputs = ['-f', 'lavfi', '-i', picture ?? flash('320x240'), '-f', 'lavfi', '-i', TONE];
    await execa(ffmpegPath, ['-nostdin', '-v', 'error', ...inputs, ...make, source]);
    await encode(source, `${source}.asf`);
    const [before, after] = await Promise.all([measure(source), measure(`${source}.asf`)]);
    expect(after.shape / shape).toBeCloseTo(1, 2);
    const moved = after.picture - after.sound - (before.picture - before.sound);
    expect({ before, after, fits: Math.abs(moved) <= 0.05 }).toMatchObject({ fits: true });
  });
});
