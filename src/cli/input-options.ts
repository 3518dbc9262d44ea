import { readFile, writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type LiveHeaderOptions, liveHeader } from '../asf/edit.js';
import { ClientAuthenticator } from '../auth/client.js';
import { findFfmpeg } from '../capture/find.js';
import { checkedMetadata, parseBitrate, parseDuration, parseSize, type VideoEncoder } from '../capture/options.js';
import type { Size } from '../capture/picture.js';
import { findProfile, type ProfileSettings, readProfile, unknownProfile, writeProfile } from '../capture/profiles.js';
import type { AudioEncoder } from '../capture/sound.js';
import { CaptureSource, type Encoding } from '../capture/source.js';
import { messageOf, WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { fileSource } from '../media/file-source.js';
import { MeteredSource } from '../media/metered-source.js';
import { Sequence } from '../media/sequence.js';
import { systemErrorReason } from '../media/system-error.js';
import { PacedSource } from '../sources/paced.js';
import { isSourceUrl, openSourceUrl } from '../sources/table.js';
import { SyntheticSource } from '../testing/synthetic.js';
import { isSynthetic, parseSynthetic } from '../testing/synthetic-url.js';
import { parsedBy, wholeNumber } from './program.js';
import { type Reporter, withUnit } from './reporter.js';
import { addScriptOption, type ScriptOptions, scripted } from './script-option.js';

/** The options for what to capture or read and how to encode it. */
export interface InputOptions extends ScriptOptions {
  /** One after the other; default {@link TEST_INPUT}. */
  readonly input?: readonly string[];
  readonly inputFormat?: string;
  readonly copy?: true;
  readonly loop?: true;
  readonly duration?: number;
  readonly videoBitrate?: number;
  readonly rate?: readonly number[];
  readonly audioBitrate?: number;
  readonly size?: Size;
  readonly fps?: number;
  readonly keyFrameInterval?: number;
  readonly packetSize?: number;
  /** False with --no-video. */
  readonly video: boolean;
  readonly profile?: string;
  readonly saveProfile?: string;
  readonly videoCodec?: VideoEncoder;
  readonly audioCodec?: AudioEncoder;
  readonly sampleRate?: number;
  readonly channels?: number;
  /** False with --no-audio. */
  readonly audio: boolean;
  readonly title?: string;
  readonly author?: string;
  readonly copyright?: string;
  readonly comment?: string;
  readonly ffmpeg?: string;
}

const TEST_INPUT = 'test';
/** How many attempts in a row to reach a server that is being copied from. */
const COPY_RETRIES = 10;

/** The options that need ffmpeg. */
const ENCODING_OPTIONS = {
  inputFormat: '--input-format',
  videoBitrate: '--video-bitrate',
  rate: '--rate',
  audioBitrate: '--audio-bitrate',
  size: '--size',
  fps: '--fps',
  keyFrameInterval: '--key-frame-interval',
  packetSize: '--packet-size',
  profile: '--profile',
  saveProfile: '--save-profile',
  videoCodec: '--video-codec',
  audioCodec: '--audio-codec',
  sampleRate: '--sample-rate',
  channels: '--channels',
} as const satisfies Partial<Record<keyof InputOptions, string>>;

/** Adds the options that say what to capture or read, and how to encode it. */
/** The names of ffmpeg's encoders, and shorter ones. */
const AUDIO_CODECS: Readonly<Record<string, AudioEncoder>> = {
  wmav1: 'wmav1',
  wmav2: 'wmav2',
  adpcm: 'adpcm_ms',
  mp3: 'libmp3lame',
};

function refuseCodec(name: string): never {
  throw new InvalidArgumentError(`"${name}" is not one of ${Object.keys(AUDIO_CODECS).join(', ')}.`);
}

/** Adds the options that say what to capture or read, and how to encode it. */
export function addInputOptions(command: Command): Command {
  return addScriptOption(command.optionsGroup('Input:'))
    .option(
      '-i, --input <x>',
      'file, URL, device, - for standard input, "test" for a clock and a tone (default), or synthetic:seed=1,… without ffmpeg; several play in turn',
      (input: string, before: readonly string[] = []) => [...before, input],
    )
    .option('--input-format <name>', 'format of the input as ffmpeg calls it, for example v4l2 or alsa')
    .option('--copy', 'send the packets of an ASF file or URL unchanged, at their own pace, without ffmpeg')
    .option('--loop', 'start over when the input ends')
    .option(
      '-t, --duration <time>',
      'stop after this time, for example 90 or 1:30',
      parsedBy((text) => parseDuration(text)),
    )
    .optionsGroup('Encoding:')
    .option(
      '--profile <name>',
      'settings by name, see wmcast profiles, or a file of them; other options take precedence',
    )
    .option('--save-profile <file>', 'write the settings of this command to a file for --profile')
    .option(
      '--video-bitrate <rate>',
      'bits per second, for example 1.5M (default: by size and frame rate, 500k for 640x360 at 25)',
      parsedBy((text) => parseBitrate(text)),
    )
    .option(
      '--rate <rate>',
      'video bits per second, again for each further one: players get the picture that fits their line',
      (text: string, before: readonly number[] = []) => [
        ...before,
        parsedBy((rate) => parseBitrate(rate, '--rate'))(text),
      ],
    )
    .option(
      '--audio-bitrate <rate>',
      'bits per second (default: 64k)',
      parsedBy((text) => parseBitrate(text, '--audio-bitrate')),
    )
    .option(
      '--size <WxH>',
      'picture size (default: that of the input, at most 1920x1080; 640x360 for the test picture)',
      parsedBy((text) => parseSize(text)),
    )
    .option('--fps <number>', 'frames per second (default: those of the input, 5 to 60; else 25)', wholeNumber(1, 120))
    .option('--key-frame-interval <seconds>', 'time between two key frames (default: 2)', wholeNumber(1, 60))
    .option(
      '--packet-size <bytes>',
      'size of an ASF data packet (default: about 100 ms, at most 1450)',
      wholeNumber(200, 16_000),
    )
    .addOption(
      new Option('--video-codec <name>', 'encoder for the picture (default: wmv2)').choices([
        'wmv1',
        'wmv2',
        'msmpeg4v2',
        'msmpeg4',
      ]),
    )
    .addOption(
      new Option('--audio-codec <name>', 'encoder for the sound (default: wmav2)')
        .choices(Object.keys(AUDIO_CODECS))
        .argParser((name) => AUDIO_CODECS[name] ?? refuseCodec(name)),
    )
    .option('--sample-rate <Hz>', 'sampling rate of the sound (default: 44100)', wholeNumber(8000, 48_000))
    .option('--channels <n>', '1 or 2 (default: 2)', wholeNumber(1, 2))
    .option('--no-video', 'send no picture')
    .option('--no-audio', 'send no sound')
    .option('--ffmpeg <path>', 'ffmpeg to use; wmcast doctor lists what was found')
    .optionsGroup('Texts that players show:')
    .option('--title <text>', 'title')
    .option('--author <text>', 'author')
    .option('--copyright <text>', 'copyright notice')
    .option('--comment <text>', 'description');
}

/**
 * Opens the source that the options name.
 *
 * @param extra arguments for ffmpeg, those after `--`
 * @throws WmError WM_FFMPEG_MISSING, WM_USAGE; other errors occur when the source is read
 */
export async function openSource(
  options: InputOptions,
  extra: readonly string[],
  reporter: Reporter,
  onMarker: (text: string) => void = () => {},
): Promise<MeteredSource> {
  const { input: inputs = [TEST_INPUT], loop, duration } = options;
  const titles = new Titles();
  // What is synthetic needs no encoder.
  const isCopied = (options.copy ?? false) || inputs.every(isSynthetic);
  const open = isCopied ? openCopy(options, reporter) : await openCapture(options, extra, reporter, titles);
  const source =
    inputs.length === 1
      ? open(inputs[0]!, { loop, duration })
      : new Sequence({
          entries: inputs.map((input) => () => open(input, {})),
          loop,
          duration,
          onSkipped: (error, index) => reporter.warn(`${inputs[index]} is skipped: ${messageOf(error)}`),
        });
  const withCommands = await scripted(source, { options, reporter, hasTitles: () => titles.expected, onMarker });
  titles.send = (text) => withCommands.send({ type: 'TEXT', text });
  return new MeteredSource(withCommands, { onBehind: (speed) => reporter.warn(slowSentence(speed, options)) });
}

/** Composes the warning about a source that is too slow. */
function slowSentence(speed: number, { copy }: InputOptions): string {
  const pace = `${speed.toFixed(2)} times real time`;
  return copy
    ? `The input comes at only ${pace}; players will have to wait for it.`
    : `Encoding falls behind: it runs at only ${pace}. Take a smaller --size, a lower --fps or a lower --video-bitrate; or the input itself is this slow.`;
}

/** Formats a speed for the status line. */
export function asSpeed(speed: number | undefined): string {
  return speed === undefined ? '' : `  ${speed.toFixed(2)}x`;
}

/** Formats a speed for the event `stats`. */
export function speedField(speed: number | undefined): { readonly speed?: number } {
  return speed === undefined ? {} : { speed: Math.round(speed * 100) / 100 };
}

interface Extent {
  readonly loop?: boolean | undefined;
  /** Seconds. */
  readonly duration?: number | undefined;
}

function openCopy(options: InputOptions, reporter: Reporter): (input: string, extent: Extent) => AsfSource {
  const warn = (message: string) => reporter.warn(message);
  const live = liveTexts(options);
  return (path, { loop, duration }) => {
    if (isSynthetic(path)) {
      const { title } = options;
      return new SyntheticSource({
        ...parseSynthetic(path),
        pace: true,
        ...(title !== undefined && { title }),
        ...(duration !== undefined && { duration }),
      });
    }
    if (!isSourceUrl(path)) return fileSource({ loop, duration, path, pace: true, live, warn });
    return new Sequence({ entries: [() => new LiveCopy(openRemote(path, reporter), live)], loop, duration });
  };
}

/** Opens a URL at its own pace, with reconnection after failures. */
function openRemote(location: string, reporter: Reporter): AsfSource {
  const { url, credentials } = takeCredentials(location);
  return new PacedSource(
    openSourceUrl(url, {
      speed: 1,
      reconnect: { retries: COPY_RETRIES },
      onNote: (text) => reporter.detail(text),
      onReconnect: ({ error }) => reporter.info(`${error.message} Trying again.`),
      ...(credentials && { authorize: new ClientAuthenticator({ server: credentials }) }),
    }),
  );
}

/** A source whose headers are turned into those of a live stream. */
class LiveCopy implements AsfSource {
  readonly #source: AsfSource;
  readonly #texts: LiveHeaderOptions;

  constructor(source: AsfSource, texts: LiveHeaderOptions) {
    this.#source = source;
    this.#texts = texts;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    for await (const event of this.#source) {
      yield event.type === 'header' ? { type: 'header', header: liveHeader(event.header, this.#texts) } : event;
    }
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}

async function openCapture(
  options: InputOptions,
  extra: readonly string[],
  reporter: Reporter,
  titles: Titles,
): Promise<(input: string, extent: Extent) => AsfSource> {
  const ffmpeg = await findFfmpeg({ explicit: options.ffmpeg });
  reporter.detail(`ffmpeg ${ffmpeg.version} from ${ffmpeg.origin}: ${ffmpeg.path}`);
  const { title, author, copyright, comment } = options;
  const settings = await encoderSettings(options);
  // Later inputs are encoded as the first one, so that players need no other header.
  let first: Encoding['video'];
  return (input, extent) => {
    const source: CaptureSource = new CaptureSource({
      ...extent,
      ffmpeg,
      input,
      inputFormat: options.inputFormat,
      ...settings,
      rates: options.rate ?? (first && first.rates.length > 1 ? first.rates : undefined),
      videoBitrate:
        (options.rate ?? first?.rates ?? []).length > 1 || options.rate
          ? undefined
          : (settings.videoBitrate ?? first?.bitrate),
      size: settings.size ?? first?.size,
      fps: settings.fps ?? first?.fps,
      metadata: { title, author, copyright, comment },
      extra,
      onLog: ({ text }) => reporter.detail(`ffmpeg: ${text}`),
      onWarning: (message) => reporter.warn(message),
      onChosen: (encoding) => {
        first ??= encoding.video;
        reporter.event('encoding', { input, ...encoding });
        reporter.info(describeEncoding(encoding));
      },
      onTitle: (title) => titles.send(title),
    });
    titles.source = source;
    return source;
  };
}

/** The titles of a radio station, which become TEXT commands. */
class Titles {
  source: CaptureSource | undefined;
  /** Replaced once there is a stream to send them in. */
  send: (title: string) => void = () => {};

  get expected(): boolean {
    return this.source?.isRadio ?? false;
  }
}

/**
 * Returns the settings of the profile, overridden by those of the options, and saves them if that is asked for.
 *
 * @throws WmError WM_USAGE for an unknown profile, WM_CONFIG for an unreadable file, WM_DISK
 */
async function encoderSettings(options: InputOptions): Promise<ProfileSettings> {
  const { profile, saveProfile, videoCodec, audioCodec, video, audio } = options;
  const { videoBitrate, audioBitrate, sampleRate, channels, size, fps, keyFrameInterval, packetSize } = options;
  const given: ProfileSettings = {
    ...{ videoEncoder: videoCodec, audioEncoder: audioCodec, videoBitrate, audioBitrate, sampleRate, channels },
    ...{
      size,
      fps,
      keyFrameInterval,
      packetSize,
      noVideo: video ? undefined : true,
      noAudio: audio ? undefined : true,
    },
  };
  const isGiven = ([, value]: [string, unknown]) => value !== undefined;
  const settings = {
    ...(profile === undefined ? {} : await settingsOf(profile)),
    ...Object.fromEntries(Object.entries(given).filter(isGiven)),
  };
  if (saveProfile !== undefined) {
    await writeFile(saveProfile, writeProfile(settings)).catch((error: unknown) => {
      throw new WmError('WM_DISK', `${saveProfile} cannot be written: ${systemErrorReason(error)}.`, { cause: error });
    });
  }
  return settings;
}

async function settingsOf(profile: string): Promise<ProfileSettings> {
  const known = findProfile(profile);
  if (known !== undefined) return known.settings;
  let text: string;
  try {
    text = await readFile(profile, 'utf8');
  } catch (error) {
    if (!/[/\\.]/.test(profile)) unknownProfile(profile);
    throw new WmError('WM_CONFIG', `The profile ${profile} cannot be read: ${systemErrorReason(error)}.`, {
      cause: error,
    });
  }
  return readProfile(text, profile);
}

/** Composes the sentence that says how an input is encoded. */
function describeEncoding({ video, audio, packetSize, input }: Encoding): string {
  const size = video?.size ? `${video.size.width}x${video.size.height}` : 'the size of the input';
  const parts = [
    ...(video
      ? [
          `${size}, ${video.fps} fps, ${video.rates.map((rate) => withUnit(rate, 'bit/s')).join(' or ')} (${video.encoder})`,
        ]
      : []),
    ...(audio ? [`sound ${withUnit(audio.bitrate, 'bit/s')} (${audio.encoder})`] : []),
  ];
  const source = input
    ? `; the input is ${input.size.width}x${input.size.height}${input.pixelShape === 1 ? '' : `, pixels ${input.pixelShape.toFixed(2)}:1`}, ${input.fps} fps${input.interlaced ? ', interlaced' : ''}`
    : '';
  return `Encoding ${parts.join(' + ')}, packets of ${packetSize} bytes${source}.`;
}

/**
 * Returns the input files as far as the options name them: these must not be overwritten.
 *
 * @param extra as for {@link openSource}; it may name further inputs
 */
export function inputNames({ input = [], copy, inputFormat }: InputOptions, extra: readonly string[]): string[] {
  const further = extra.filter((_, index) => extra[index - 1] === '-i');
  const isTest = (name: string) => name === TEST_INPUT && !copy && inputFormat === undefined;
  return [...input.filter((name) => !isTest(name)), ...further];
}

/**
 * Checks the options before anything is opened. @throws WmError WM_USAGE for texts that are too long and for options
 * that contradict `--copy`
 */
export function checkInput(options: InputOptions, extra: readonly string[]): void {
  checkedMetadata(options);
  if (options.rate && options.videoBitrate !== undefined) {
    throw new WmError('WM_USAGE', '--rate and --video-bitrate exclude each other; give a --rate for each picture.');
  }
  if (options.script === '-' && options.input?.includes('-')) {
    throw new WmError('WM_USAGE', '--script - and --input - cannot both read standard input.');
  }
  const synthetic = options.input?.filter(isSynthetic) ?? [];
  for (const name of synthetic) parseSynthetic(name);
  if (synthetic.length > 0 && !options.copy && synthetic.length !== options.input?.length) {
    throw new WmError('WM_USAGE', `${synthetic[0]} cannot be encoded; give it alone, or with --copy and ASF files.`);
  }
  if (!options.copy && synthetic.length === 0) return;
  if (options.input === undefined) throw new WmError('WM_USAGE', '--copy needs --input: the ASF file to send.');
  const given = Object.entries(ENCODING_OPTIONS).find(([key]) => options[key as keyof InputOptions] !== undefined)?.[1];
  const without = options.video ? (options.audio ? undefined : '--no-audio') : '--no-video';
  const name = given ?? without ?? (extra.length > 0 ? `"${extra[0]}" for ffmpeg` : undefined);
  if (name === undefined) return;
  throw new WmError(
    'WM_USAGE',
    `${options.copy ? '--copy' : synthetic[0]} sends packets unchanged, so ${name} would have no effect.`,
  );
}

function liveTexts({ title, author, copyright, comment }: InputOptions): LiveHeaderOptions {
  return {
    ...(title === undefined ? {} : { title }),
    ...(author === undefined ? {} : { author }),
    ...(copyright === undefined ? {} : { copyright }),
    ...(comment === undefined ? {} : { description: comment }),
  };
}
