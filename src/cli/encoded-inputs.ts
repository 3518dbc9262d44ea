import { findFfmpeg } from '../capture/find.js';
import { TEST_SIZE } from '../capture/options.js';
import { rateArgument } from '../capture/picture.js';
import { AUDIO_SAMPLE_RATE } from '../capture/sound.js';
import { CaptureSource, type CaptureSourceOptions, type Encoding } from '../capture/source.js';
import type { AsfSource } from '../media/events.js';
import { encoderSettings } from './encoder-settings.js';
import type { InputOptions } from './input-model.js';
import type { EntryTitle } from './input-titles.js';
import { type Extent, isPattern } from './inputs.js';
import { type Reporter, withUnit } from './reporter.js';

/** What ffmpeg did to keep the frame rate. */
export interface EncodedFrames {
  readonly encoderDropped: number;
  readonly encoderRepeated: number;
}

/** Opens inputs with ffmpeg. Whatever is opened first decides about the encoding, so that players need no other header. */
export class EncodedInputs {
  readonly #common: CaptureSourceOptions;
  readonly #options: InputOptions;
  readonly #reporter: Reporter;
  #first: Encoding | undefined;
  #current: CaptureSource | undefined;
  /** Sources whose frames still change, and the sum of the others. */
  readonly #running = new Set<CaptureSource>();
  #ended: EncodedFrames = { encoderDropped: 0, encoderRepeated: 0 };
  /** The newest report, which is not repeated. */
  #described = '';

  private constructor(common: CaptureSourceOptions, options: InputOptions, reporter: Reporter) {
    this.#common = common;
    this.#options = options;
    this.#reporter = reporter;
  }

  /**
   * Looks for ffmpeg and reads the profile.
   *
   * @param extra arguments for ffmpeg
   * @throws WmError WM_FFMPEG_MISSING; as {@link encoderSettings}
   */
  static async find(options: InputOptions, extra: readonly string[], reporter: Reporter): Promise<EncodedInputs> {
    const ffmpeg = await findFfmpeg({ explicit: options.ffmpeg });
    reporter.detail(`ffmpeg ${ffmpeg.version} from ${ffmpeg.origin}: ${ffmpeg.path}`);
    const { title, author, copyright, comment } = options;
    const settings = await encoderSettings(options);
    const common = { ...settings, ffmpeg, metadata: { title, author, copyright, comment }, extra };
    return new EncodedInputs(common, options, reporter);
  }

  /** True once the newest input turned out to be of a kind that sends titles. */
  get hasTitles(): boolean {
    return this.#current?.hasTitles ?? false;
  }

  /** Over all inputs so far. */
  get frames(): EncodedFrames {
    const sum = (count: (source: CaptureSource) => number) =>
      [...this.#running].reduce((total, source) => total + count(source), 0);
    return {
      encoderDropped: this.#ended.encoderDropped + sum(({ frames }) => frames.dropped),
      encoderRepeated: this.#ended.encoderRepeated + sum(({ frames }) => frames.repeated),
    };
  }

  /** Opens the only input. */
  open(input: string, { loop, duration }: Extent, title?: EntryTitle): CaptureSource {
    return this.#capture(input, { loop, duration }, title);
  }

  /** Returns the command with which ffmpeg would encode an input. @param alone true if it is the only one */
  plan(input: string, alone: boolean, extent: Extent): Promise<readonly string[]> {
    return (alone ? this.open(input, extent) : this.openOne(input, 0)).plan();
  }

  /** Opens one of several inputs, which have the same streams: what one lacks is made. @param position in ms */
  openOne(input: string, position: number, title?: EntryTitle): CaptureSource {
    const { inputFormat } = this.#options;
    const how: CaptureSourceOptions = {
      ...(position > 0 && { position: position / 1000 }),
      // The rundown keeps the pace, and reads ahead.
      realtime: false,
      ...(inputFormat === undefined && { fills: this.#first === undefined ? 'sound' : 'both' }),
      onInputTitle: (text) => title?.suggest(text),
    };
    return this.#capture(input, how, title);
  }

  /** Opens what is shown while a source is down. @param filler `bars`, `black`, or a file with a picture */
  openFiller(filler: string): AsfSource {
    const { video = true } = this.#common.noVideo || (this.#first && !this.#first.video) ? { video: false } : {};
    if (video && !isPattern(filler)) return this.openStill(filler, 0);
    return this.#capture(this.#pattern(video ? filler : undefined), { inputFormat: 'lavfi', realtime: false });
  }

  /** Opens the picture at a position of an input, without sound. @param position in ms */
  openStill(input: string, position: number): AsfSource {
    if (this.#first && !this.#first.video) return this.openFiller('black');
    return this.#capture(input, {
      still: true,
      realtime: false,
      fills: 'both',
      ...(position > 0 && { position: position / 1000 }),
    });
  }

  /** A graph of filters that draws a picture, if any, and makes silence. */
  #pattern(filler: string | undefined): string {
    const { size, largestSize, fps, largestFps = 25, sampleRate = AUDIO_SAMPLE_RATE, channels, noAudio } = this.#common;
    const { width, height } = this.#first?.video?.size ?? size ?? largestSize ?? TEST_SIZE;
    const rate = rateArgument(this.#first?.video?.fps ?? fps ?? Math.min(25, largestFps));
    const picture = filler === 'black' ? 'color=black:' : 'smptebars=';
    const parts = [
      ...(filler === undefined ? [] : [`${picture}size=${width}x${height}:rate=${rate}`]),
      ...(noAudio ? [] : [`anullsrc=sample_rate=${sampleRate}:channel_layout=${channels === 1 ? 'mono' : 'stereo'}`]),
    ];
    return parts.map((part, index) => `${part}[out${index}]`).join(';');
  }

  #follow(source: CaptureSource): void {
    this.#current = source;
    for (const before of this.#running) {
      if (before.pid !== undefined) continue;
      const { encoderDropped, encoderRepeated } = this.#ended;
      const { dropped, repeated } = before.frames;
      this.#ended = { encoderDropped: encoderDropped + dropped, encoderRepeated: encoderRepeated + repeated };
      this.#running.delete(before);
    }
    this.#running.add(source);
  }

  #capture(input: string, how: CaptureSourceOptions, title?: EntryTitle): CaptureSource {
    const { rate, inputFormat } = this.#options;
    const first = this.#first?.video;
    const isMade = how.inputFormat !== undefined || how.still;
    const hasRates = rate !== undefined || (first !== undefined && first.rates.length > 1);
    const source = new CaptureSource({
      ...this.#common,
      input,
      inputFormat: isMade ? undefined : inputFormat,
      rates: rate ?? (hasRates ? first?.rates : undefined),
      videoBitrate: hasRates ? undefined : (this.#common.videoBitrate ?? first?.bitrate),
      size: this.#common.size ?? first?.size,
      fps: this.#common.fps ?? first?.fps,
      noVideo: this.#common.noVideo || (this.#first !== undefined && first === undefined) || undefined,
      onLog: ({ text }) => this.#reporter.detail(`ffmpeg: ${text}`),
      onWarning: (message) => this.#reporter.warn(message),
      onChosen: (encoding) => {
        this.#first ??= encoding;
        if (isMade) return;
        this.#reporter.event('encoding', { input, ...encoding });
        const described = describeEncoding(encoding);
        if (described !== this.#described) this.#reporter.info(described);
        this.#described = described;
      },
      onTitle: title && ((text) => title.update(text)),
      ...how,
    });
    if (!isMade) this.#follow(source);
    return source;
  }
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
