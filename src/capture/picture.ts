import { availableParallelism } from 'node:os';

/** A picture's width and height in pixels. @public */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The picture of an input, as its decoder shows it. @public */
export interface PictureFacts {
  /** In pixels, after a rotation that the input asks for. */
  readonly size: Size;
  /** The width of a pixel divided by its height: 1 for square pixels. */
  readonly pixelShape: number;
  readonly fps: number;
  /** True if the first frame is flagged as interlaced. */
  readonly interlaced: boolean;
}

/** The most that a picture may be. */
export interface PictureBounds {
  /** For a picture that is wider than high. */
  readonly largestSize?: Size | undefined;
  readonly largestFps?: number | undefined;
}

/** The picture to encode. */
export interface Picture {
  /** In square pixels; even numbers. */
  readonly size: Size;
  readonly fps: number;
}

/** The largest picture that is chosen, in pixels: ffmpeg's WMV encoders use one thread. */
export const LARGEST_PICTURE = 1920 * 1080;
/** Pixels per second that one thread encodes with room to spare. */
export const FASTEST_PICTURE = LARGEST_PICTURE * 30;
/** What a machine with one processor can do, which also decodes and sends. */
const ONE_PROCESSOR = 3;
/** Players wait for a picture at a lower rate. */
export const LEAST_FPS = 5;
/** The highest rate that is encoded, in frames per second. */
export const MOST_FPS = 60;
/** The smallest and largest sides that the encoders take, in pixels. */
const SIDES = { least: 16, most: 4094 } as const;

/**
 * Chooses the size and frame rate at which to encode an input: its own, unless WMV or the machine cannot do that. Keeps
 * the shape: pixels that are not square are stretched to square ones, in the direction in which none are lost.
 *
 * @param fps the requested frame rate
 */
export function choosePicture(
  facts: PictureFacts,
  fps?: number,
  bounds: PictureBounds = {},
  processors = availableParallelism(),
): Picture {
  const chosenFps = fps ?? chooseFps(facts.fps, bounds.largestFps);
  const scale = processors < 2 ? ONE_PROCESSOR : 1;
  const most = Math.min(LARGEST_PICTURE, FASTEST_PICTURE / chosenFps) / scale;
  const { pixelShape } = facts;
  const width = facts.size.width * Math.max(1, pixelShape);
  const height = facts.size.height / Math.min(1, pixelShape);
  const box = bounds.largestSize ?? { width: SIDES.most, height: SIDES.most };
  const [wide, high] = width >= height ? [box.width, box.height] : [box.height, box.width];
  const factor = Math.min(1, Math.sqrt(most / (width * height)), wide / width, high / height);
  return { size: { width: even(width * factor), height: even(height * factor) }, fps: chosenFps };
}

/** Takes every n-th frame of an input that has too many, and repeats those of one that has too few. */
function chooseFps(fps: number, most = MOST_FPS): number {
  if (!(fps > 0)) return Math.min(25, most);
  const divisor = fps > most ? Math.ceil(fps / most) : 1;
  const chosen = Math.max(Math.min(LEAST_FPS, most), fps / divisor);
  return Math.round(chosen * 1000) / 1000;
}

/** Rounds to the nearest even number, and down from the middle, which invents no pixels. */
function even(side: number): number {
  return Math.min(SIDES.most, Math.max(SIDES.least, 2 * Math.ceil(side / 2 - 0.5 - 1e-9)));
}

/** A picture for which WMV2 needs {@link REFERENCE_RATE} to look right. */
const REFERENCE_PICTURE = 640 * 360 * 25;
const REFERENCE_RATE = 500_000;

/**
 * Returns the bit rate for a picture, in bits per second. Larger pictures need fewer bits for each pixel, so the rate
 * grows with the power 0.75 of the pixels per second.
 */
export function bitrateFor({ size, fps }: Picture): number {
  const exact = REFERENCE_RATE * ((size.width * size.height * fps) / REFERENCE_PICTURE) ** 0.75;
  const digit = 10 ** Math.floor(Math.log10(exact) - 1);
  return Math.min(8_000_000, Math.max(30_000, Math.round(exact / digit) * digit));
}

/** Frame rates of NTSC as fractions, since their decimals drift. */
const NTSC_RATES: readonly (readonly [number, string])[] = [
  [23.976, '24000/1001'],
  [29.97, '30000/1001'],
  [59.94, '60000/1001'],
];

/** Writes a frame rate as ffmpeg takes it. */
export function rateArgument(fps: number): string {
  return NTSC_RATES.find(([rate]) => Math.abs(rate - fps) < 0.006)?.[1] ?? String(fps);
}

/**
 * Returns ffmpeg's filters that make a picture of square pixels: deinterlaced if its frames are flagged, in its own
 * shape, with black bars if the size is given and has another one.
 *
 * Its size is an expression of the input's, so that an input that changes its size in the middle keeps its shape.
 *
 * @param size undefined to take the input's, if it has no more pixels than 640x480
 * @param rate the frame rate to make, as ffmpeg takes it
 */
export function pictureFilters(size: Size | undefined, rate?: string): string {
  // The deinterlacer refuses pictures of less than three lines or columns.
  const steady = rate === undefined ? '' : `fps=${rate},`;
  const deinterlace = `scale=w=max(4\\,iw):h=max(4\\,ih),yadif=deint=interlaced,${steady}`;
  const nearestEven = (side: string) => `max(${SIDES.least}\\,2*trunc((${side})/2+0.5))`;
  if (size === undefined) {
    const width = 'iw*max(1\\,sar)';
    const height = 'ih/min(1\\,sar)';
    const factor = `min(1\\,sqrt(${640 * 480}/(${width}*${height})))`;
    return `${deinterlace}scale=w=${nearestEven(`${width}*${factor}`)}:h=${nearestEven(`${height}*${factor}`)},setsar=1`;
  }
  const { width, height } = size;
  const fitWidth = `min(${width}\\,${nearestEven(`${height}*dar`)})`;
  const fitHeight = `min(${height}\\,${nearestEven(`${width}/dar`)})`;
  const pad = `pad=${width}:${height}:(ow-iw)/2:(oh-ih)/2`;
  return `${deinterlace}scale=w=${fitWidth}:h=${fitHeight},${pad},setsar=1`;
}

/** How long an input may take to show its first frame before the capture starts without knowing it, in ms. */
const LOOK_TIMEOUT = 6_000;

/** Inputs that can be opened only once, or that wait for somebody to connect. */
const onlyOnce = /^(?:-|pipe:.*|fd:.*|\/dev\/(?:std|fd).*|unix:.*|.*[?&]listen\b.*|.*mode=listener.*)$/i;

/** True if an input can be opened to look at it before it is opened to be encoded. */
export function canLookAt(input: string): boolean {
  return !onlyOnce.test(input);
}

/** The size and the rate of a picture. */
export interface Look {
  /** The path of ffmpeg. */
  readonly ffmpeg: string;
  readonly input: string;
  readonly inputFormat: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** In ms; default 6000. */
  readonly timeout?: number | undefined;
}

/** What an input has. */
export interface InputFacts {
  /** Undefined if it has no picture, or showed none in time. */
  readonly picture: PictureFacts | undefined;
  /** Undefined if it could not be opened in time. */
  readonly has: StreamKinds | undefined;
}

/** Which kinds of streams an input has. */
export interface StreamKinds {
  readonly picture: boolean;
  readonly sound: boolean;
  /** The number of a stream of timed ID3. */
  readonly timedId3?: number | undefined;
}

/**
 * Opens an input and decodes its first frame. Trouble is not reported: the capture itself meets the same and says so.
 */
export async function lookAtInput(look: Look): Promise<InputFacts> {
  const { ffmpeg, input, inputFormat, signal, timeout = LOOK_TIMEOUT } = look;
  const args = [
    ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'info'],
    ...(inputFormat === undefined ? [] : ['-f', inputFormat]),
    ...['-i', input, '-map', '0:V:0', '-frames:v', '1', '-vf', 'showinfo', '-f', 'null', '-'],
  ];
  const { execa } = await import('execa');
  const { stderr } = await execa(ffmpeg, args, {
    reject: false,
    stdin: 'ignore',
    stdout: 'ignore',
    timeout,
    killSignal: 'SIGKILL',
    maxBuffer: 1024 * 1024,
    ...(signal && { cancelSignal: signal }),
  });
  const log = String(stderr ?? '');
  return { picture: readPicture(log), has: readStreams(log) };
}

/** Reads ffmpeg's list of the streams of its first input. Exported for tests. */
export function readStreams(log: string): StreamKinds | undefined {
  const lines = log.split('\n');
  const start = lines.findIndex((line) => line.startsWith('Input #0'));
  if (start < 0) return undefined;
  const list = lines.slice(start + 1);
  const end = list.findIndex((line) => /^\S/.test(line));
  const streams = list.slice(0, end < 0 ? undefined : end).filter((line) => /^ +Stream #0:\d/.test(line));
  const id3 = streams.map((line) => /^ +Stream #0:(\d{1,4}).*: Data: timed_id3/.exec(line)?.[1]).find(Boolean);
  return {
    picture: streams.some((line) => line.includes(' Video: ') && !line.includes('(attached pic)')),
    sound: streams.some((line) => line.includes(' Audio: ')),
    ...(id3 !== undefined && { timedId3: Number(id3) }),
  };
}

/** Reads what ffmpeg's filter `showinfo` and its report of the output say. Exported for tests. */
export function readPicture(log: string): PictureFacts | undefined {
  const frame = /Parsed_showinfo.* n: *0 .* sar:(\d+)\/(\d+) s:(\d+)x(\d+) i:([PTB?])/.exec(log);
  if (frame === null) return undefined;
  const [across, down, width, height] = frame.slice(1, 5).map(Number) as [number, number, number, number];
  if (width === 0 || height === 0) return undefined;
  const output = log.slice(log.lastIndexOf('Output #0'));
  const fps = Number(/Video: wrapped_avframe.*?, ([\d.]+)(k?) fps/.exec(output)?.slice(1).join('').replace('k', 'e3'));
  const pixelShape = across > 0 && down > 0 ? across / down : 1;
  return {
    size: { width, height },
    // A shape that no picture has is a mistake in the file.
    pixelShape: pixelShape > 0.1 && pixelShape < 10 ? pixelShape : 1,
    fps: Number.isFinite(fps) ? fps : 0,
    interlaced: frame[5] === 'T' || frame[5] === 'B',
  };
}
