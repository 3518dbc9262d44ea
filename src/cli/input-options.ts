import { type Command, InvalidArgumentError, Option } from 'commander';
import { checkedMetadata, parseBitrate, parseDuration, parseSize } from '../capture/options.js';
import type { AudioEncoder } from '../capture/sound.js';
import { WmError } from '../errors.js';
import { isMediaName } from '../media/names.js';
import { isSynthetic, parseSynthetic } from '../testing/synthetic-url.js';
import type { InputOptions } from './input-model.js';
import { isPattern, isRegularFile, TEST_INPUT } from './inputs.js';
import { parsedBy, wholeNumber } from './program.js';
import { addScriptOption } from './script-option.js';

export type { InputOptions } from './input-model.js';

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
      'file, folder, URL, device, - for standard input, "test" for a clock and a tone (default), or synthetic:seed=1,… without ffmpeg; several play in turn',
      (input: string, before: readonly string[] = []) => [...before, input],
    )
    .option('--input-format <name>', 'format of the input as ffmpeg calls it, for example v4l2 or alsa')
    .option('--copy', 'send the packets of an ASF file or URL unchanged, at their own pace, without ffmpeg')
    .option('--loop', 'start over when the input ends')
    .option('--repeat <n>', 'play the inputs this often', wholeNumber(1, 1_000_000))
    .option(
      '--filler <picture>',
      'show this with silence while the input is down, and wait for it: an image, bars, or black',
    )
    .option(
      '--control <socket>',
      'take commands while live: next, previous, play, pause, TEXT, status … on a Unix socket, or - for standard input',
    )
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
    .option(
      '--packager <command>',
      'send the stream through a program that encrypts it: ASF on its standard input, ASF on its standard output',
    )
    .optionsGroup('Texts that players show:')
    .option('--title <text>', 'title')
    .option('--author <text>', 'author')
    .option('--copyright <text>', 'copyright notice')
    .option('--comment <text>', 'description');
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
  checkSwitching(options);
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

/** @throws WmError WM_USAGE for options that contradict each other, WM_NO_INPUT for a filler that does not exist */
function checkSwitching({ input, script, control, filler, copy, loop, repeat }: InputOptions): void {
  if (control === '-' && (script === '-' || input?.includes('-'))) {
    throw new WmError(
      'WM_USAGE',
      `--control - and ${script === '-' ? '--script' : '--input'} - cannot both read standard input.`,
    );
  }
  if (control === '') throw new WmError('WM_USAGE', '--control is empty; name a socket, or - for standard input.');
  if (loop && repeat !== undefined) throw new WmError('WM_USAGE', '--loop and --repeat exclude each other.');
  if (filler === undefined) return;
  if (copy && !isMediaName(filler)) {
    throw new WmError('WM_USAGE', '--copy sends packets unchanged, so --filler must be an .asf, .wmv or .wma file.');
  }
  if (!isPattern(filler) && !isRegularFile(filler)) {
    throw new WmError('WM_NO_INPUT', `The filler ${filler} is neither a file, nor bars or black.`);
  }
}
