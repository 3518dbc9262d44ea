import { checkTexts } from '../asf/edit.js';
import { WmError } from '../errors.js';
import type { WindowsMediaEncoder } from './find.js';
import { bitrateFor, type Size } from './picture.js';
import { completeSound, frameBytes, type Sound, type SoundOptions } from './sound.js';

/** @public */
export type VideoEncoder = Extract<WindowsMediaEncoder, 'wmv1' | 'wmv2' | 'msmpeg4' | 'msmpeg4v2'>;

/** Texts for the header; players show them. @public */
export interface CaptureMetadata {
  readonly title?: string | undefined;
  readonly author?: string | undefined;
  readonly copyright?: string | undefined;
  readonly comment?: string | undefined;
}

/** What to capture and how to encode it. @public */
export interface CaptureOptions extends SoundOptions {
  /**
   * `test` (default): a moving picture with a running clock and a 440 Hz tone that beeps an octave higher every second.
   * Otherwise anything that ffmpeg opens: a file, a URL, a device, `-` for standard input.
   */
  readonly input?: string | undefined;
  /** The input's format by its ffmpeg name (`v4l2`, `alsa`, `dshow`, `lavfi`, …); needed for devices. */
  readonly inputFormat?: string | undefined;
  /** Default `wmv2`, the newest that ffmpeg can encode. */
  readonly videoEncoder?: VideoEncoder | undefined;
  /** Bits per second; default: what the picture's size and frame rate need, 500 000 for 640x360 at 25. */
  readonly videoBitrate?: number | undefined;
  /**
   * Bits per second of several pictures of the same input that exclude each other, so that each player gets the one for
   * its line; 2 to 8 rates instead of `videoBitrate`.
   */
  readonly rates?: readonly number[] | undefined;
  /**
   * Even numbers; pictures of another shape get black bars. Default: the size and shape of the input, with square pixels
   * and at most as many as 1920x1080; 640x360 for `test`.
   */
  readonly size?: Size | undefined;
  /**
   * The box for a picture that takes its shape from the input; for a portrait it is turned. Without an input to look at,
   * the size.
   */
  readonly largestSize?: Size | undefined;
  /** Default: that of the input, at least 5 and at most 60; 25 for `test` and where the input does not say. */
  readonly fps?: number | undefined;
  /** The highest frame rate to take from the input; without an input to look at, the frame rate if it is below 25. */
  readonly largestFps?: number | undefined;
  /** Seconds between key frames; default 2. A player that joins has to wait for one. */
  readonly keyFrameInterval?: number | undefined;
  /** Bytes, 200 to 16 000; default {@link defaultPacketSize}. */
  readonly packetSize?: number | undefined;
  readonly noVideo?: boolean | undefined;
  readonly noAudio?: boolean | undefined;
  /** True for a black picture, as long as the sound of the input lasts. */
  readonly blank?: boolean | undefined;
  /** True for silence, as long as the picture of the input lasts. */
  readonly silent?: boolean | undefined;
  /** Seconds of the input to skip; default 0. */
  readonly position?: number | undefined;
  /** True to send the first picture, without sound, and without end. */
  readonly still?: boolean | undefined;
  /** Seconds of media after which the capture ends; default never. */
  readonly duration?: number | undefined;
  /** True to start the input again when it ends; for files. */
  readonly loop?: boolean | undefined;
  /** True to read no faster than real time; default: for inputs that are not live, see {@link readsInRealTime}. */
  readonly realtime?: boolean | undefined;
  readonly metadata?: CaptureMetadata | undefined;
  /** Arguments passed to ffmpeg unchanged: those after `--` on the command line. See {@link ffmpegArguments}. */
  readonly extra?: readonly string[] | undefined;
}

/** {@link CaptureOptions} with all defaults filled in and all limits checked. */
export interface CompleteCaptureOptions {
  readonly input: string;
  readonly inputFormat: string | undefined;
  /** Undefined for no video. */
  readonly video:
    | {
        readonly encoder: VideoEncoder;
        /** The highest one, in bits per second. */
        readonly bitrate: number;
        /** Of each stream, the lowest first; one for most. */
        readonly rates: readonly number[];
        /** Undefined for the size of an input that could not be looked at before it is encoded. */
        readonly size: Size | undefined;
        readonly fps: number;
        /** Frames from one key frame to the next. */
        readonly keyFrameDistance: number;
      }
    | undefined;
  /** Undefined for no audio. */
  readonly audio: Sound | undefined;
  readonly blank: boolean;
  readonly silent: boolean;
  /** Seconds. */
  readonly position: number;
  readonly still: boolean;
  readonly packetSize: number;
  readonly duration: number | undefined;
  readonly loop: boolean;
  readonly realtime: boolean;
  readonly metadata: CaptureMetadata;
  readonly extra: readonly string[];
}

const MIN_PACKET_SIZE = 200;
/**
 * The maximum packet size, in bytes: with their headers, longer packets exceed the 16-bit lengths of some protocols.
 */
const MAX_PACKET_SIZE = 16_000;
/** The packet size, in bytes, that fits into one Ethernet frame with the headers of RTP, MSB or MSBD, UDP and IP. */
const ONE_FRAME_PACKET_SIZE = 1450;
/** Bytes before the first payload of a data packet from ffmpeg; also of each payload's header. */
const PACKET_HEAD_SIZE = 16;
const PAYLOAD_HEAD_SIZE = 17;

/**
 * Returns the packet size for low latency, in bytes. A packet leaves when it is full, so it holds about 100 ms of the
 * total bit rate, but at most one Ethernet frame. ffmpeg never splits audio frames, so packets of an audio-only stream
 * are sized to hold whole frames: at 64 kbit/s a third of 1450 bytes would be padding.
 */
export function defaultPacketSize(videoBitrate: number, audio: Sound | undefined): number {
  const total = videoBitrate + (audio?.bitrate ?? 0);
  const low = clamp(Math.round((total * 0.1) / 8), 600, ONE_FRAME_PACKET_SIZE);
  if (audio === undefined) return low;
  const frame = frameBytes(audio) + PAYLOAD_HEAD_SIZE;
  const whole = clamp(PACKET_HEAD_SIZE + frame, MIN_PACKET_SIZE, MAX_PACKET_SIZE);
  if (videoBitrate > 0) return Math.max(low, whole <= ONE_FRAME_PACKET_SIZE ? whole : low);
  const frames = 2 * frame + PACKET_HEAD_SIZE <= ONE_FRAME_PACKET_SIZE ? 2 : 1;
  return clamp(PACKET_HEAD_SIZE + frames * frame, MIN_PACKET_SIZE, MAX_PACKET_SIZE);
}

/**
 * Returns the rate on the wire for a rate of media data, both in bits per second. Packet and payload headers and
 * padding add 4 % at 3200 bytes, 6 % at 1450 and 10 % at 800 to the rate that ffmpeg is asked for.
 */
export function rateWithOverhead(bitrate: number, packetSize: number): number {
  return Math.round(bitrate * (1.02 + 60 / packetSize));
}

/** Network inputs that deliver data at their own pace; throttling them would only add delay and lose packets. */
const liveSchemes =
  /^(rtsps?|rtspt|rtspu|rtmp[a-z]*|rtp|srtp|udp|udplite|srt|rist|sctp|tcp|mms[a-z]*|whep|zmq|amqp|unix):/i;

/**
 * True if ffmpeg has to be throttled to real time: for the test picture, files, standard input and HTTP, which may
 * carry files. Devices and live protocols have a pace of their own.
 */
export function readsInRealTime(input: string, inputFormat: string | undefined): boolean {
  if (inputFormat !== undefined && captureDevices.has(inputFormat)) return false;
  return !liveSchemes.test(input);
}

/** The most pictures of one input. */
const MAX_RATES = 8;
export const TEST_SIZE: Size = { width: 640, height: 360 };
/** The largest picture of an input whose size is not known, see {@link pictureFilters}. */
const UNKNOWN_SIZE: Size = { width: 640, height: 480 };

/** ffmpeg's input devices that run on a clock of their own. */
const captureDevices = new Set([
  'alsa',
  'android_camera',
  'avfoundation',
  'bktr',
  'decklink',
  'dshow',
  'fbdev',
  'gdigrab',
  'iec61883',
  'jack',
  'kmsgrab',
  'libcdio',
  'libdc1394',
  'openal',
  'oss',
  'pulse',
  'sndio',
  'v4l2',
  'video4linux2',
  'vfwcap',
  'x11grab',
  'xcbgrab',
]);

/**
 * Fills in the defaults and checks the limits.
 *
 * @throws WmError WM_USAGE for an impossible value; the message names the option and says what to do
 */
export function completeOptions(options: CaptureOptions): CompleteCaptureOptions {
  if (options.noVideo && options.noAudio) {
    throw usage('With neither video nor audio there is nothing to send; leave out --no-video or --no-audio.');
  }
  const input = options.input ?? 'test';
  if (input === '')
    throw usage('--input is empty; name a file, a URL or a device, or leave it out for the test picture.');
  const video = options.noVideo ? undefined : completeVideo(options, input);
  const audio = options.noAudio ? undefined : completeSound(options);
  const packetSize =
    options.packetSize ?? defaultPacketSize(video?.rates.reduce((sum, rate) => sum + rate, 0) ?? 0, audio);
  checked(packetSize, MIN_PACKET_SIZE, MAX_PACKET_SIZE, '--packet-size', 'bytes');
  if (!Number.isInteger(packetSize)) throw usage(`--packet-size is ${packetSize}; give a whole number of bytes.`);
  if (options.duration !== undefined) checked(options.duration, 0.001, 1e9, '--duration', 'seconds');
  const metadata = checkedMetadata(options.metadata);
  return {
    input,
    inputFormat: options.inputFormat,
    video,
    audio,
    blank: options.blank ?? false,
    silent: (options.silent ?? false) || (options.still ?? false),
    position: options.position ?? 0,
    still: options.still ?? false,
    packetSize,
    duration: options.duration,
    loop: options.loop ?? false,
    realtime: options.realtime ?? readsInRealTime(input, options.inputFormat),
    metadata,
    extra: options.extra ?? [],
  };
}

function completeVideo(options: CaptureOptions, input: string): NonNullable<CompleteCaptureOptions['video']> {
  const fps = checked(options.fps ?? Math.min(25, options.largestFps ?? 25), 1, 120, '--fps', 'frames per second');
  const keyFrameInterval = checked(options.keyFrameInterval ?? 2, 0.01, 600, '--key-frame-interval', 'seconds');
  const isTest = input === 'test' && options.inputFormat === undefined;
  const given = options.size ?? options.largestSize ?? (isTest ? TEST_SIZE : undefined);
  const size = given && checkedSize(given, '--size');
  const usual = bitrateFor({ size: size ?? UNKNOWN_SIZE, fps });
  const { rates: asked = [options.videoBitrate ?? usual] } = options;
  const rates = [...new Set(asked)].sort((a, b) => a - b);
  const option = options.rates ? '--rate' : '--video-bitrate';
  for (const rate of rates) checked(rate, 1000, 100_000_000, option, 'bits per second');
  if (rates.length > MAX_RATES) throw usage(`${rates.length} rates are too many; give at most ${MAX_RATES} (--rate).`);
  if (options.rates && options.videoBitrate !== undefined) {
    throw usage('--rate and --video-bitrate exclude each other; give a --rate for each picture.');
  }
  return {
    encoder: options.videoEncoder ?? 'wmv2',
    bitrate: rates.at(-1)!,
    rates,
    size,
    fps,
    keyFrameDistance: Math.max(1, Math.round(fps * keyFrameInterval)),
  };
}

const factors: Readonly<Record<string, number>> = { '': 1, k: 1000, m: 1_000_000 };

/**
 * Parses bits per second from `300k`, `1.5M`, `64000`, `300kbps`, `300 kbit/s`.
 *
 * @throws WmError WM_USAGE that names the option and the problem
 */
export function parseBitrate(text: string, option = '--video-bitrate'): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*([km]?)(?:i?bit\/s|bits?|bps|b\/s|b)?$/i.exec(text.trim());
  if (match === null)
    throw usage(`${option} "${text}" is not a bit rate; write for example 300k or 1.5M (bits per second).`);
  const bitrate = Math.round(Number(match[1]) * factors[match[2]!.toLowerCase()]!);
  if (bitrate < 1000) {
    const meant = bitrate > 0 && match[2] === '' ? ` Did you mean ${match[1]}k?` : '';
    throw usage(
      `${option} "${text}" is ${bitrate} bits per second, which carries nothing; write for example 300k.${meant}`,
    );
  }
  if (bitrate > 100_000_000)
    throw usage(`${option} "${text}" is more than 100M bits per second; write for example 1.5M.`);
  return bitrate;
}

/**
 * Parses a picture size such as `640x360`.
 *
 * @throws WmError WM_USAGE that names the option and the problem
 */
export function parseSize(text: string, option = '--size'): Size {
  const match = /^\s*(\d{1,6})\s*[x×]\s*(\d{1,6})\s*$/i.exec(text);
  if (match === null)
    throw usage(`${option} "${text}" is not a picture size; write width x height, for example 640x360.`);
  return checkedSize({ width: Number(match[1]), height: Number(match[2]) }, option);
}

/**
 * Parses a duration such as `90`, `1.5`, `1:30` or `00:01:30` into seconds.
 *
 * @throws WmError WM_USAGE that names the option and the problem
 */
export function parseDuration(text: string, option = '--duration'): number {
  const match = /^(?:(?:(\d{1,6}):)?(\d{1,6}):)?(\d{1,9}(?:\.\d+)?)\s*s?$/i.exec(text.trim());
  const seconds = match === null ? 0 : Number(match[1] ?? 0) * 3600 + Number(match[2] ?? 0) * 60 + Number(match[3]);
  if (seconds <= 0)
    throw usage(`${option} "${text}" is not a duration; write seconds or h:mm:ss, for example 90 or 1:30.`);
  return seconds;
}

/**
 * Checks the texts for the header.
 *
 * @throws WmError WM_USAGE that names the option of a text that is too long
 */
export function checkedMetadata(metadata: CaptureMetadata = {}): CaptureMetadata {
  const { title, author, copyright, comment } = metadata;
  checkTexts({ '--title': title, '--author': author, '--copyright': copyright, '--comment': comment });
  return metadata;
}

function checkedSize(size: Size, option: string): Size {
  const { width, height } = size;
  for (const side of [width, height]) {
    // The colour planes have half the size, and the encoders' headers have room for 12 bits only.
    if (Number.isInteger(side) && side % 2 === 0 && side >= 16 && side <= 4094) continue;
    const nearest = clamp(2 * Math.round(side / 2), 16, 4094);
    throw usage(
      `${option} ${width}x${height} cannot be encoded: ${side} is not an even number from 16 to 4094; take ${nearest}.`,
    );
  }
  return size;
}

function checked(value: number, least: number, most: number, option: string, unit: string): number {
  if (value >= least && value <= most) return value;
  throw usage(`${option} is ${value}; it must be from ${least} to ${most} ${unit}.`);
}

function usage(message: string): WmError {
  return new WmError('WM_USAGE', message);
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
