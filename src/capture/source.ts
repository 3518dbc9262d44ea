import { stat } from 'node:fs/promises';
import { type LiveHeaderOptions, liveHeader } from '../asf/edit.js';
import { AsfError } from '../asf/error.js';
import { GUID } from '../asf/guid.js';
import { type AsfHeader, buildHeader } from '../asf/header.js';
import { type AsfItem, AsfReader } from '../asf/reader.js';
import { WmError } from '../errors.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { SingleReading } from '../media/source.js';
import { systemErrorReason } from '../media/system-error.js';
import { ffmpegArguments, isHlsName, timedId3Arguments } from './arguments.js';
import { captureFailure, failure, textInput } from './failure.js';
import { type FfmpegInfo, findFfmpeg } from './find.js';
import { withPerformer } from './id3.js';
import { EncoderLog, type LogLine } from './log.js';
import { type CaptureOptions, type CompleteCaptureOptions, completeOptions, rateWithOverhead } from './options.js';
import { canLookAt, choosePicture, lookAtInput, type PictureFacts } from './picture.js';
import type { Encoder } from './process.js';
import type { Sound } from './sound.js';
import { withTimeout } from './time-limit.js';
import { InputTitles } from './titles.js';

/** @public */
export interface CaptureSourceOptions extends CaptureOptions {
  /** The result of {@link findFfmpeg}; default: it is called when the capture starts. */
  readonly ffmpeg?: FfmpegInfo | undefined;
  /** How many seconds to wait for data from ffmpeg before the capture fails; default 15, 0 for ever. */
  readonly watchdog?: number | undefined;
  /** A command of the shell whose output ffmpeg reads; for the input `-`. It ends with the capture. */
  readonly inputCommand?: string | undefined;
  /** What to add where the input has none: silence, or also a black picture. Default: nothing. */
  readonly fills?: 'sound' | 'both' | undefined;
  /** How long the picture of the input may take to be looked at, in ms; default 6000. */
  readonly lookTimeout?: number | undefined;
  /** How long ffmpeg may take to end after `close` before it is killed, in ms; default 2000. */
  readonly stopTimeout?: number | undefined;
  /** Receives every line of ffmpeg's log. */
  readonly onLog?: ((line: LogLine) => void) | undefined;
  /** Receives a sentence about anything that is not as requested. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Receives each title that the input sends when its time has come: Icecast, Shoutcast, HLS, timed ID3. */
  readonly onTitle?: ((title: string) => void) | undefined;
  /** Receives the title in the metadata of the input, with its performer, before the header. */
  readonly onInputTitle?: ((title: string) => void) | undefined;
  /** Called before ffmpeg starts to encode, with what was chosen where the options leave a choice. */
  readonly onChosen?: ((encoding: Encoding) => void) | undefined;
}

/** How an input is encoded. @public */
export interface Encoding {
  readonly video?:
    | {
        readonly encoder: string;
        /** Undefined if the input could not be looked at: its own, with at most as many pixels as 640x480. */
        readonly size: { readonly width: number; readonly height: number } | undefined;
        readonly fps: number;
        /** The highest one, in bits per second. */
        readonly bitrate: number;
        /** Of each picture, the lowest first. */
        readonly rates: readonly number[];
      }
    | undefined;
  readonly audio?: Sound | undefined;
  /** Bytes. */
  readonly packetSize: number;
  /** The picture of the input, if it was looked at. */
  readonly input?: PictureFacts | undefined;
}

/** How reading ffmpeg's output ended. */
type Outcome = { readonly type: 'ended' | 'stalled' | 'text' } | { readonly type: 'notAsf'; readonly error: AsfError };

/**
 * Runs ffmpeg as an encoder: yields a header made live, each data packet as ffmpeg completes it, and an end. Reading
 * slowly slows ffmpeg down. ffmpeg starts with the iteration, which is possible only once. Leaving the loop, `close`
 * and the end of this process all end it.
 *
 * If ffmpeg fails after the header, the iteration first yields an end event, so that the broadcast ends properly, and
 * then throws. If ffmpeg fails earlier, it throws at once.
 *
 * @throws WmError WM_NO_INPUT, WM_BAD_INPUT, WM_FFMPEG_MISSING, WM_FFMPEG_FAILED, or WM_USAGE (also from the
 *   constructor, see {@link completeOptions})
 * @public
 */
export class CaptureSource implements AsfSource {
  #options: CaptureSourceOptions;
  #complete: CompleteCaptureOptions;
  #log: EncoderLog;
  /** The number of a stream with timed ID3. */
  #timedId3: number | undefined;
  #reader = new AsfReader();
  readonly #reading = new SingleReading();
  readonly #closed = new AbortController();
  #encoder: Encoder | undefined;
  #command: readonly string[] | undefined;

  constructor(options: CaptureSourceOptions = {}) {
    this.#options = options;
    this.#complete = completeOptions(options);
    this.#log = new EncoderLog(options.onLog);
  }

  /** True once the input turned out to be a radio station (Icecast, Shoutcast), before the header. */
  get isRadio(): boolean {
    return this.#log.isRadio;
  }

  /** True once the input turned out to be of a kind that may send titles, before the header. */
  get hasTitles(): boolean {
    return this.#log.isRadio || this.#log.isHls || this.#timedId3 !== undefined;
  }

  /** Frames of the picture that ffmpeg has left out or repeated to keep the frame rate, so far. */
  get frames(): { readonly dropped: number; readonly repeated: number } {
    return this.#log.frames;
  }

  /** The process id of ffmpeg while it runs. */
  get pid(): number | undefined {
    return this.#encoder?.running ? this.#encoder.process.pid : undefined;
  }

  /** The program and the arguments that ffmpeg was started with. */
  get command(): readonly string[] | undefined {
    return this.#command;
  }

  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    this.#reading.begin();
    return this.#events();
  }

  /**
   * Asks ffmpeg to end and kills it if it does not; resolves once it is gone. The iteration still yields what ffmpeg
   * has completed, and an end event if there was a header.
   */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#encoder?.stop(this.#options.stopTimeout ?? 2000);
  }

  get #closing(): boolean {
    return this.#closed.signal.aborted;
  }

  /** Chooses what the options leave open by the picture of the input. */
  async #choose(ffmpeg: FfmpegInfo, input: string): Promise<void> {
    const { inputFormat, size, fps, videoBitrate, noVideo = false, onChosen, fills } = this.#options;
    const isTest = input === 'test' && inputFormat === undefined;
    const hasRate = videoBitrate !== undefined || this.#options.rates !== undefined;
    const isOpen = !noVideo && !isTest && (size === undefined || fps === undefined || !hasRate);
    const { signal } = this.#closed;
    const mayHaveId3 = this.#options.onTitle !== undefined && isHlsName(input);
    const found =
      (isOpen || mayHaveId3 || (fills !== undefined && !isTest)) && canLookAt(input)
        ? await lookAtInput({ ffmpeg: ffmpeg.path, input, inputFormat, signal, timeout: this.#options.lookTimeout })
        : undefined;
    const facts = isOpen ? found?.picture : undefined;
    if (facts !== undefined) {
      const chosen = choosePicture(facts, fps, this.#options);
      this.#options = { ...this.#options, size: size ?? chosen.size, fps: chosen.fps };
      this.#complete = completeOptions(this.#options);
    }
    const { has } = found ?? {};
    if (fills && has && has.picture !== has.sound) {
      this.#options = { ...this.#options, blank: !has.picture && fills === 'both', silent: !has.sound };
      this.#complete = completeOptions(this.#options);
    }
    const { video, audio, packetSize, blank, silent, extra } = this.#complete;
    // With other inputs, older ffmpeg would read nothing but the one of this rare stream.
    const isAlone = !blank && !silent && !extra.includes('-i');
    this.#timedId3 = this.#options.onTitle && isAlone ? has?.timedId3 : undefined;
    const isWithout = has ? !has.picture : facts === undefined && isOpen && canLookAt(input);
    // Arguments of the user may say something else.
    if (extra.length === 0) {
      onChosen?.({
        video: isWithout && !blank ? undefined : video,
        audio,
        packetSize,
        input: facts,
      });
    }
  }

  /**
   * Returns the program and the arguments with which ffmpeg would be started, and does not start it to encode. Looks at
   * the picture of an input on this host; one elsewhere is not opened.
   *
   * @throws WmError WM_FFMPEG_MISSING
   */
  async plan(): Promise<readonly string[]> {
    const ffmpeg = await this.#findFfmpeg();
    const input = await unambiguousInput(this.#complete);
    if (await isFile(input)) await this.#choose(ffmpeg, input);
    return [ffmpeg.path, ...ffmpegArguments({ ...this.#options, input }, true, ffmpeg.version)];
  }

  #arguments(input: string, inputTexts: boolean, { version }: FfmpegInfo): string[] {
    return [
      ...ffmpegArguments({ ...this.#options, input }, inputTexts, version),
      ...(this.#timedId3 === undefined ? [] : timedId3Arguments(this.#timedId3, this.#complete)),
    ];
  }

  async *#events(): AsyncGenerator<AsfEvent, void, undefined> {
    const ffmpeg = await this.#findFfmpeg();
    const input = await unambiguousInput(this.#complete);
    await this.#choose(ffmpeg, input);
    const unreadable = yield* this.#run(ffmpeg, this.#arguments(input, true, ffmpeg));
    if (unreadable === undefined) return;
    // On a pipe ffmpeg cannot write a header larger than its buffer. Only the texts of an input make a header that
    // large.
    if (this.#complete.input === '-' || this.#closing) throw unreadable;
    this.#options.onWarning?.(
      'ffmpeg wrote no readable ASF header; it starts again without the title and other texts of the input, which may be too long.',
    );
    this.#reader = new AsfReader();
    this.#log = new EncoderLog(this.#options.onLog);
    const again = yield* this.#run(ffmpeg, this.#arguments(input, false, ffmpeg));
    if (again !== undefined) throw again;
  }

  /** Runs ffmpeg once. @returns the failure, if not even the header of its output could be read */
  async *#run(ffmpeg: FfmpegInfo, args: readonly string[]): AsyncGenerator<AsfEvent, WmError | undefined, undefined> {
    // Loaded only here: servers that encode nothing start faster.
    const { startEncoder, startFeeder } = await import('./process.js');
    if (this.#closing) return undefined;
    this.#command = [ffmpeg.path, ...args];
    const { inputCommand } = this.#options;
    const feeder = inputCommand === undefined ? undefined : startFeeder(inputCommand);
    const stdin = feeder?.stdout ?? (this.#complete.input === '-' ? 'inherit' : 'ignore');
    const { onTitle } = this.#options;
    const titles = onTitle && new InputTitles(this.#complete.input, this.#log, onTitle);
    this.#encoder = startEncoder(ffmpeg.path, args, stdin, this.#log);
    const encoder = this.#encoder;
    titles?.readId3(encoder.process.stdio[3]);
    let started = false;
    let outcome: Outcome = { type: 'ended' };
    try {
      for await (const read of this.#read(encoder)) {
        if (!Array.isArray(read)) {
          outcome = read;
          break;
        }
        for (const item of read) {
          const event = this.#event(item);
          if (event === undefined) continue;
          if (!started) this.#tellInputTitle();
          started = true;
          titles?.before(event);
          yield event;
        }
      }
      const error = this.#closing ? undefined : await this.#failure(encoder, outcome, ffmpeg.path, started);
      if (started) yield { type: 'end', moreEntries: false, reason: 0 };
      if (error !== undefined && outcome.type === 'notAsf' && !started) return error;
      if (error !== undefined) throw error;
    } finally {
      titles?.close();
      // Also needed if the consumer left the loop: without a reader, ffmpeg would block in a write.
      encoder.process.stdout.destroy();
      feeder?.stop();
      await encoder.stop(this.#options.stopTimeout ?? 2000);
    }
    return undefined;
  }

  #tellInputTitle(): void {
    const title = this.#log.texts.get('title');
    if (title) this.#options.onInputTitle?.(withPerformer(this.#log.texts.get('artist'), title));
  }

  async #findFfmpeg(): Promise<FfmpegInfo> {
    const ffmpeg = this.#options.ffmpeg ?? (await findFfmpeg());
    for (const encoder of [this.#complete.video?.encoder, this.#complete.audio?.encoder]) {
      if (encoder === undefined || ffmpeg.encoders.includes(encoder)) continue;
      const has = ffmpeg.encoders.join(', ') || 'none';
      const sentence = `${ffmpeg.path} (ffmpeg ${ffmpeg.version}) lacks the ${encoder} encoder; it has of this kind: ${has}.`;
      throw new WmError('WM_FFMPEG_MISSING', sentence);
    }
    return ffmpeg;
  }

  /** Yields the items of each chunk, and finally the outcome, unless the output simply ended. */
  async *#read(encoder: Encoder): AsyncGenerator<AsfItem[] | Outcome, void, undefined> {
    const watchdog = (this.#options.watchdog ?? 15) * 1000;
    const chunks: AsyncIterator<Buffer> = encoder.process.stdout[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await withTimeout(chunks.next(), watchdog);
        if (next === undefined) return yield { type: 'stalled' };
        if (next.done) return yield this.#reader.header === undefined ? [] : this.#reader.end();
        const first = this.#reader.header === undefined;
        const items = this.#reader.push(next.value);
        if (first && items.length > 0 && (await this.#isText())) return yield { type: 'text' };
        yield items;
      }
    } catch (error) {
      if (error instanceof AsfError) yield { type: 'notAsf', error };
      // A broken pipe only means that ffmpeg is gone; its exit code says why.
      else if (error instanceof WmError) throw error;
    }
  }

  /** True if a build of ffmpeg draws a text file as a picture. Its log may arrive a turn of the event loop late. */
  async #isText(): Promise<boolean> {
    if (this.#complete.inputFormat !== undefined) return false;
    if (this.#log.inputFormat === undefined) await new Promise((resolve) => setImmediate(resolve));
    return this.#log.inputFormat === 'tty';
  }

  #event(item: AsfItem): AsfEvent | undefined {
    if (item.type === 'header') {
      const header = withExclusiveRates(item.header, this.#complete.video?.rates.length ?? 0);
      return { type: 'header', header: liveHeader(header, this.#liveOptions(header)) };
    }
    return item.type === 'packet' ? { type: 'packet', packet: item.packet } : undefined;
  }

  #liveOptions(header: AsfHeader): LiveHeaderOptions {
    const { title, author, copyright, comment } = this.#complete.metadata;
    return {
      now: new Date(),
      ...(title === undefined ? {} : { title }),
      ...(author === undefined ? {} : { author }),
      ...(copyright === undefined ? {} : { copyright }),
      ...(comment === undefined ? {} : { description: comment }),
      // The user's own arguments may set other rates; then ffmpeg's header is closer to the truth.
      ...(this.#complete.extra.length > 0 ? {} : { bitrates: this.#bitrates(header) }),
    };
  }

  #bitrates(header: AsfHeader): Map<number, number> {
    const bitrates = new Map<number, number>();
    const rates = [...(this.#complete.video?.rates ?? [])];
    for (const { number, type } of header.streams) {
      // They are in the order of the arguments.
      const rate = type === 'video' ? rates.shift() : this.#complete.audio?.bitrate;
      if (rate !== undefined) bitrates.set(number, rateWithOverhead(rate, header.packetSize));
    }
    return bitrates;
  }

  async #failure(encoder: Encoder, outcome: Outcome, program: string, started: boolean): Promise<WmError | undefined> {
    const stopTimeout = this.#options.stopTimeout ?? 2000;
    if (outcome.type === 'stalled') {
      await encoder.stop(0);
      const { watchdog = 15 } = this.#options;
      const sentence = `ffmpeg produced nothing for ${watchdog} s and was stopped; its input may have stalled`;
      return failure('WM_FFMPEG_FAILED', sentence, this.#log);
    }
    if (outcome.type === 'text') {
      await encoder.stop(stopTimeout);
      return textInput(this.#complete.input, this.#log);
    }
    if (outcome.type === 'notAsf') {
      await encoder.stop(stopTimeout);
      const sentence = `ffmpeg did not write ASF: ${outcome.error.message}`;
      return failure('WM_FFMPEG_FAILED', sentence, this.#log, outcome.error);
    }
    // Its output has ended, so it should end soon; if it does not, it hangs.
    const exit = (await withTimeout(encoder.exited, stopTimeout)) ?? (await encoder.stop(stopTimeout));
    if (exit.spawnError !== undefined) {
      return new WmError('WM_FFMPEG_MISSING', `${program} cannot be started: ${systemErrorReason(exit.spawnError)}.`);
    }
    const { input, extra } = this.#complete;
    if (exit.exitCode === 0 && started) return undefined;
    return captureFailure({ ...exit, started, program, input, extra: extra.length > 0 }, this.#log);
  }
}

/** Adds Bitrate Mutual Exclusion to a header with several pictures (asf.md 3.7), which ffmpeg does not write. */
function withExclusiveRates(header: AsfHeader, rates: number): AsfHeader {
  const streamNumbers = header.streams.filter(({ type }) => type === 'video').map(({ number }) => number);
  if (rates < 2 || streamNumbers.length !== rates) return header;
  const exclusion = { type: 'bitrateMutualExclusion', exclusionType: GUID.mutexBitrate, streamNumbers } as const;
  return buildHeader([...header.objects, exclusion], header.dataObject);
}

/** ffmpeg takes any text before a colon for a protocol, even in the name of an existing file. */
async function unambiguousInput({ input, inputFormat }: CompleteCaptureOptions): Promise<string> {
  if (inputFormat !== undefined || !/^[^/\\]*:/.test(input) || /^[a-z][a-z\d+.-]*:\/\//i.test(input)) return input;
  return (await isFile(input)) ? `file:${input}` : input;
}

function isFile(input: string): Promise<boolean> {
  return stat(input.replace(/^file:/, '')).then(
    (entry) => entry.isFile(),
    () => false,
  );
}
