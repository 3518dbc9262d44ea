import { type CaptureOptions, type CompleteCaptureOptions, completeOptions, TEST_SIZE } from './options.js';
import { pictureFilters, rateArgument } from './picture.js';

/**
 * Returns the arguments with which ffmpeg 4.1 or newer writes live ASF to standard output and its log, each line with
 * its level, to standard error.
 *
 * `extra` comes after all output options, so it overrides them. Options up to the last `-i` in it belong to further
 * inputs and come after ours (`-f alsa -i default` adds a microphone to a camera). Then ffmpeg chooses the streams from
 * all inputs, or `-map` options in `extra` do.
 *
 * @param inputTexts true to copy title, author and the like from the input to the header
 * @param version that of ffmpeg, as it reports it
 * @throws WmError WM_USAGE if an option exceeds its limits (see {@link completeOptions})
 */
export function ffmpegArguments(options: CaptureOptions, inputTexts = true, version = ''): string[] {
  const complete = completeOptions(options);
  const lastInput = complete.extra.lastIndexOf('-i');
  const inputs = lastInput < 0 ? [] : complete.extra.slice(0, lastInput + 2);
  const outputs = lastInput < 0 ? complete.extra : complete.extra.slice(lastInput + 2);
  return [
    '-hide_banner',
    '-nostdin',
    '-nostats',
    // Reports frames that were left out, among the lines of the log.
    '-progress',
    'pipe:2',
    // The level of each line tells errors from chatter; info also reports the input format that ffmpeg has detected.
    '-loglevel',
    hasTitles(complete.input) ? 'level+verbose' : 'level+info',
    ...inputArguments(complete),
    ...(isMapped(complete, inputs, outputs) ? madeInputs(complete) : []),
    ...inputs,
    // Optional, because a file may lack either. Capital V leaves out cover pictures, which would be a video of one
    // frame.
    ...(isMapped(complete, inputs, outputs) ? mapArguments(complete) : []),
    // With chapters ffmpeg writes a Marker Object and a wrong number of header objects.
    '-map_chapters',
    '-1',
    ...(inputTexts ? [] : ['-map_metadata', '-1']),
    ...videoArguments(complete, outputs, version),
    ...audioArguments(complete),
    ...metadataArguments(complete),
    ...(complete.duration === undefined ? [] : ['-t', String(complete.duration)]),
    '-packet_size',
    String(complete.packetSize),
    ...outputs,
    '-f',
    'asf',
    'pipe:1',
  ];
}

/** True if we choose the streams: without further inputs and maps of the user. */
function isMapped({ extra }: CompleteCaptureOptions, inputs: readonly string[], outputs: readonly string[]): boolean {
  return extra.length === 0 || !(inputs.length > 0 || outputs.includes('-map'));
}

/** Radio stations send titles, and HLS has them in its playlists: ffmpeg reports both only at level verbose. */
function hasTitles(input: string): boolean {
  return /^(?:https?|icy):\/\//i.test(input) || isHlsName(input);
}

function inputArguments(options: CompleteCaptureOptions): string[] {
  const realtime = options.realtime ? ['-re'] : [];
  if (options.input === 'test' && options.inputFormat === undefined) {
    return [...realtime, '-f', 'lavfi', '-i', testGraph(options)];
  }
  return [
    ...realtime,
    ...(options.loop ? ['-stream_loop', '-1'] : []),
    // A live input that is not read in time loses data.
    ...(options.realtime ? [] : ['-thread_queue_size', '512']),
    ...(options.inputFormat === undefined ? [] : ['-f', options.inputFormat]),
    ...(options.position > 0 ? ['-ss', String(options.position)] : []),
    '-i',
    options.input === '-' ? 'pipe:0' : options.input,
  ];
}

/** True for the name of a playlist of HLS. */
export function isHlsName(input: string): boolean {
  return /\.m3u8?$/i.test(input.split(/[?#]/, 1)[0]!);
}

/** Arguments of another output: timed ID3 as it is, in MPEG-TS, on the third pipe. @param stream its number in the input */
export function timedId3Arguments(stream: number, { duration }: CompleteCaptureOptions): string[] {
  return [
    ...['-map', `0:${stream}`, '-c', 'copy', '-map_metadata', '-1', '-map_chapters', '-1'],
    ...(duration === undefined ? [] : ['-t', String(duration)]),
    // Without these its times would begin later.
    ...['-muxdelay', '0', '-muxpreload', '0'],
    ...['-flush_packets', '1', '-f', 'mpegts', 'pipe:3'],
  ];
}

/** A single graph, because two inputs throttled to real time start at different moments. */
function testGraph({ video, audio }: CompleteCaptureOptions): string {
  const outputs: string[] = [];
  if (video?.size) {
    outputs.push(`testsrc2=size=${video.size.width}x${video.size.height}:rate=${rateArgument(video.fps)}`);
  }
  if (audio !== undefined) outputs.push(`sine=frequency=440:beep_factor=2:sample_rate=${audio.sampleRate}`);
  return outputs.map((source, index) => `${source}[out${index}]`).join(';');
}

/** Inputs for what the main input lacks. */
function madeInputs({ video, audio, blank, silent }: CompleteCaptureOptions): string[] {
  const { width, height } = video?.size ?? TEST_SIZE;
  const layout = audio?.channels === 1 ? 'mono' : 'stereo';
  return [
    ...(blank && video
      ? ['-f', 'lavfi', '-i', `color=black:size=${width}x${height}:rate=${rateArgument(video.fps)}`]
      : []),
    ...(silent && audio
      ? ['-f', 'lavfi', '-i', `anullsrc=sample_rate=${audio.sampleRate}:channel_layout=${layout}`]
      : []),
  ];
}

function mapArguments({ video, audio, blank, silent, still }: CompleteCaptureOptions): string[] {
  // The same picture once for each rate.
  const picture = blank ? '1:v:0' : '0:V:0?';
  const pictures = video?.rates.flatMap(() => ['-map', picture]) ?? [];
  const sound = silent ? `${blank && video ? 2 : 1}:a:0` : '0:a:0?';
  return [
    ...pictures,
    ...(audio === undefined ? [] : ['-map', sound]),
    // What is made has no end.
    ...((blank || silent) && !still ? ['-shortest'] : []),
  ];
}

/** Arguments of the user that say when frames are shown, or that replace our filters. */
const TIMING = /^-(?:r|vsync|fps_mode|fpsmax|vf|filter|filter_complex|lavfi)(?::.*)?$/;

function videoArguments(
  { video, input, still }: CompleteCaptureOptions,
  outputs: readonly string[],
  version: string,
): string[] {
  if (video === undefined) return ['-vn'];
  const rate = rateArgument(video.fps);
  // Without this a picture that begins later than the sound would begin with it, and not move.
  const timing = outputs.some((argument) => TIMING.test(argument)) ? undefined : variableTiming(version);
  const filters = still
    ? `${pictureFilters(video.size)},loop=loop=-1:size=1:start=0,setpts=N/((${rate})*TB),fps=${rate}`
    : pictureFilters(video.size, timing && rate);
  return [
    '-c:v',
    video.encoder,
    ...(input === 'test' ? ['-r', rate] : ['-vf', filters, ...(timing ?? ['-r', rate])]),
    '-pix_fmt',
    'yuv420p',
    ...rateArguments(video.rates),
    '-g',
    String(video.keyFrameDistance),
    // ffmpeg writes decoding times as presentation times, which are the same only without B-frames.
    '-bf',
    '0',
  ];
}

/** Returns the option that keeps the times of frames, which got another name with ffmpeg 5.1. */
function variableTiming(version: string): string[] | undefined {
  const [, major, minor] = /^n?(\d{1,2})\.(\d{1,2})/.exec(version) ?? [];
  if (major === undefined) return undefined;
  return [Number(major) > 5 || (major === '5' && Number(minor) >= 1) ? '-fps_mode' : '-vsync', 'vfr'];
}

/** Each picture has key frames at the same times, so that players can change from one to another at any of them. */
function rateArguments(rates: readonly number[]): string[] {
  if (rates.length === 1) return bitrateArguments(rates[0]!);
  const perStream = rates.flatMap((rate, index) =>
    bitrateArguments(rate).map((argument) =>
      argument.startsWith('-') ? `${argument.replace(':v', '')}:v:${index}` : argument,
    ),
  );
  return [...perStream, '-sc_threshold', '1000000000'];
}

/** Peaks are always limited: otherwise the first second has three times the rate. */
function bitrateArguments(bitrate: number): string[] {
  const rate = String(bitrate);
  return ['-b:v', rate, '-maxrate', rate, '-bufsize', rate];
}

function audioArguments({ audio, input }: CompleteCaptureOptions): string[] {
  if (audio === undefined) return ['-an'];
  // Fill gaps in a live input's audio with silence; otherwise sound and picture would drift apart.
  const filter = input === 'test' ? [] : ['-af', 'aresample=async=1'];
  // ADPCM has no choice of rates.
  const rate = audio.encoder === 'adpcm_ms' ? [] : ['-b:a', String(audio.bitrate)];
  return ['-c:a', audio.encoder, ...filter, ...rate, '-ar', String(audio.sampleRate), '-ac', String(audio.channels)];
}

/** The longest text to pass to ffmpeg, in characters: on a pipe, ffmpeg corrupts its header if it exceeds 32 KiB. */
const LONGEST_TEXT = 500;

/** Replaces the texts of the input, some of which ffmpeg writes twice. A long text is inserted in full afterwards. */
function metadataArguments({ metadata }: CompleteCaptureOptions): string[] {
  const entries: readonly (readonly [string, string | undefined])[] = [
    ['title', metadata.title],
    ['author', metadata.author],
    ['copyright', metadata.copyright],
    ['comment', metadata.comment],
  ];
  return entries.flatMap(([name, value]) =>
    value === undefined ? [] : ['-metadata', `${name}=${value.length > LONGEST_TEXT ? '' : value}`],
  );
}
