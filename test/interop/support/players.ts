import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, type ChildOptions, PATIENCE } from './child.js';
import { newFolder } from './content.js';
import { ffmpegDecoding } from './ffmpeg.js';
import { FrameCrc, SOUND_BYTES_PER_SECOND } from './frame-crc.js';
import { Player } from './player.js';
import { gstElement, library, program, type Requirement } from './programs.js';

/** A kind of player: its requirements, and how to start it. */
export interface PlayerKind {
  readonly name: string;
  readonly needs: readonly Requirement[];
  start(url: string): Player;
}

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Players whose decoded pictures and sound go through libavformat's framecrc muxer. */
class CrcPlayer extends Player {
  readonly crc = new FrameCrc();
  protected readonly child: Child;
  readonly #harmless: RegExp;
  readonly #feeder: Child | undefined;

  constructor(
    name: string,
    [command, ...args]: readonly string[],
    { harmless = /$^/, feeder }: { harmless?: RegExp; feeder?: readonly string[] } = {},
  ) {
    super(name);
    this.#harmless = harmless;
    const options: ChildOptions = {
      onOutput: (line) => this.crc.take(line),
      ...(feeder === undefined ? {} : { stdin: 'pipe' }),
    };
    this.child = new Child(command!, args, options);
    if (feeder) this.#feeder = feed(feeder, this.child);
  }

  get frames(): number {
    return this.crc.pictures.length;
  }

  get soundSeconds(): number {
    return this.crc.soundSeconds;
  }

  get problems(): string[] {
    const { log } = this.child;
    // After its end notification ffmpeg finds no more packets, and says so at length.
    const end = log.indexOf('Stream ended!');
    const lines = end === -1 ? log : log.slice(0, end);
    return [...lines, ...(this.#feeder?.log ?? [])].filter((line) => !this.#harmless.test(line));
  }

  override async stop(): Promise<void> {
    await this.#feeder?.stop();
    await super.stop();
  }
}

/** Starts a program whose output another one reads. */
function feed([command, ...args]: readonly string[], reader: Child): Child {
  // A reader that has ended leaves a broken pipe, which ends the feeder.
  reader.stdin.on('error', () => {});
  return new Child(command!, args, { pipeTo: reader.stdin });
}

// Not a fault of the stream: old WMA headers do not say which speaker a channel is for.
const FFMPEG_HARMLESS = /^Guessed Channel Layout/;

export class FfmpegPlayer extends CrcPlayer {
  /** @param streams the streams to decode, as for `-map`; default: all pictures and all sound */
  constructor(url: string, options: readonly string[] = [], streams?: readonly string[]) {
    super('ffmpeg', ffmpegDecoding([...options, '-i', url], 'warning', streams), { harmless: FFMPEG_HARMLESS });
  }
}

/** Where libmms seeks before it reads: in seconds, or bytes into the file. */
export type LibmmsSeek = readonly [kind: 'time' | 'byte', to: number];

/** Like ffmpeg, but libmms speaks the protocol. */
export class LibmmsPlayer extends CrcPlayer {
  constructor(url: string, seek?: LibmmsSeek) {
    // With -nostdin ffmpeg still reads a named input.
    const command = ffmpegDecoding([...(seek ? ['-copyts'] : []), '-f', 'asf', '-i', 'pipe:0']);
    const feeder = ['python3', script('libmms.py'), url, ...(seek ?? []).map(String)];
    super('libmms', command, { harmless: FFMPEG_HARMLESS, feeder });
  }
}

// When encoding there is no clock: pictures arrive as fast as they can be decoded, with sound in large blocks. FFmpeg's
// reader reports the end of the stream as an error.
const MPV_HARMLESS =
  /^(?:\[ffmpeg\] Stream ended!|Audio\/Video desynchronisation|hardware, temporary CPU spikes|position will not match)/;

export class MpvPlayer extends CrcPlayer {
  constructor(name: string, url: string, options: readonly string[] = []) {
    const output = ['--o=-', '--of=framecrc', '--ovc=rawvideo', '--oac=pcm_s16le'];
    // Its own chatter is not at the warning level.
    super(name, ['mpv', '--no-config', '--msg-level=all=warn', ...output, ...options, url], { harmless: MPV_HARMLESS });
  }
}

/** Counts from status lines; checksums of the pictures and the sound are in files. */
export class MplayerPlayer extends Player {
  protected readonly child: Child;
  readonly #folder = newFolder();
  frames = 0;

  constructor(url: string, options: readonly string[] = []) {
    super('MPlayer');
    const quiet = ['-noconfig', 'all', '-nolirc', '-noconsolecontrols', '-nocache', '-benchmark', '-noframedrop'];
    const picture = ['-vo', `md5sum:outfile=${this.#pictureFile}`];
    const sound = ['-af', 'format=s16le', '-ao', `pcm:fast:file=${this.#soundFile}`];
    this.child = new Child('mplayer', [...quiet, ...picture, ...sound, ...options, url], {
      environment: { TERM: 'dumb' },
      onOutput: (line) => this.#take(line),
    });
  }

  get soundSeconds(): number {
    return wavSeconds(this.#soundFile);
  }

  get problems(): string[] {
    const complaints = /corrupt|invalid|too many|error|chunk|concealing|badly interleaved/i;
    // It expects more bytes of a $E than the specification has, and treats their lack as the end.
    const atEnd = 'Error while reading network stream.';
    return [...this.child.log, ...this.child.output].filter((line) => complaints.test(line) && line !== atEnd);
  }

  /** An MD5 for each picture shown; to be read when it has ended. */
  get pictures(): string[] {
    if (!existsSync(this.#pictureFile)) return [];
    // `MD5 frameNNNNNNNN`
    return [...readFileSync(this.#pictureFile, 'latin1').matchAll(/^[\da-f]{32}/gm)].map(([checksum]) => checksum);
  }

  /** All of the sound as 16-bit stereo samples; to be read when it has ended. */
  get sound(): Buffer {
    return existsSync(this.#soundFile) ? readFileSync(this.#soundFile).subarray(WAV_HEADER_SIZE) : Buffer.alloc(0);
  }

  get #pictureFile(): string {
    return join(this.#folder, 'pictures');
  }

  get #soundFile(): string {
    return join(this.#folder, 'sound.wav');
  }

  /** `A:  49.9 V:  49.9 A-V: … ct: … SHOWN/DECODED …` */
  #take(line: string): void {
    const counts = /\bV: .*? (\d+)\/ *(\d+) /.exec(line);
    if (counts) this.frames = Number(counts[2]);
  }
}

// Its message at the end, which it considers early if streams were omitted that the header counts.
const VLC_HARMLESS = /(?:access_mms stream warning: EOF|asf demux warning: unexpected end of file)$/;

/** Asked for its statistics over its remote control. */
export class VlcPlayer extends Player {
  protected readonly child: Child;
  frames = 0;
  #soundBlocks = 0;
  #inputKilobytes = 0;

  constructor(url: string, extra: readonly string[] = []) {
    super('VLC');
    const home = newFolder();
    chmodSync(home, 0o777);
    const args = [
      '-I',
      'oldrc',
      '--rc-fake-tty',
      '--no-lua',
      '--no-color',
      '-vv',
      '--vout',
      'dummy',
      '--aout',
      'dummy',
    ];
    // VLC refuses to run as root.
    const asNobody = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'];
    const [command, ...rest] = [...(process.getuid?.() === 0 ? asNobody : []), 'vlc', ...args, ...extra, url];
    this.child = new Child(command!, rest, {
      stdin: 'pipe',
      environment: { HOME: home, XDG_RUNTIME_DIR: home },
      onOutput: (line) => this.#take(line),
      onLog: (line) => this.#takeLog(line),
    });
    this.child.stdin.on('error', () => {});
  }

  get soundSeconds(): number {
    // The sound is WMA, whose frames have 2048 samples at 44.1 kHz.
    return (this.#soundBlocks * 2048) / 44_100;
  }

  get problems(): string[] {
    // The first read after the header of a Describe response finds the end, which VLC calls an error.
    const afterDescribe = this.child.log.findIndex((line) => line.includes('cannot read data 2'));
    return this.child.log
      .filter((line, index) => index !== afterDescribe && !VLC_HARMLESS.test(line))
      .filter((line) => /(?:access_mms|asf|avcodec|wmv\d|input).*(?:error|warning|concealing)/.test(line));
  }

  /** Kilobytes received from the server. */
  get inputKilobytes(): number {
    return this.#inputKilobytes;
  }

  /** Sends it a command over its remote control. */
  command(command: string): void {
    this.child.stdin.write(`${command}\n`);
  }

  /** Waits for a line of its log. @throws Error if it ends before, or after `timeout` ms */
  async logs(text: string, timeout = PATIENCE): Promise<string> {
    return this.child.until(`"${text}"`, () => this.child.log.find((line) => line.includes(text)), timeout);
  }

  #take(line: string): void {
    const input = /^\| input bytes read *: *(\d+)/.exec(line);
    if (input) this.#inputKilobytes = Number(input[1]);
    const value = /^\| (video|audio) decoded *: *(\d+)/.exec(line);
    if (value?.[1] === 'video') this.frames = Number(value[2]);
    if (value?.[1] === 'audio') this.#soundBlocks = Number(value[2]);
    if (line.includes('end of statistical info')) setTimeout(() => this.#ask(), 100);
  }

  #takeLog(line: string): void {
    if (line.includes('Received first picture')) {
      this.frames = Math.max(this.frames, 1);
      this.#ask();
    } else if (line.includes('successfully opened')) this.#ask();
  }

  #ask(): void {
    if (!this.child.exit && this.child.stdin.writable) this.child.stdin.write('stats\n');
  }
}

/** libxine, the library of the xine program. */
export class XinePlayer extends Player {
  protected readonly child: Child;
  frames = 0;
  soundSeconds = 0;

  constructor(url: string) {
    super('xine');
    this.child = new Child('python3', [script('xine.py'), url, join(newFolder(), 'sound.wav')], {
      onOutput: (line) => this.#take(line),
    });
  }

  get problems(): string[] {
    return this.child.log.filter((line) => !XINE_HARMLESS.test(line));
  }

  #take(line: string): void {
    const sound = /^\d+x\d+ (\d+)$/.exec(line);
    if (!sound) return;
    this.frames++;
    this.soundSeconds = Number(sound[1]) / SOUND_BYTES_PER_SECOND;
  }
}

// A bug in xine that affects every stream of this protocol.
const XINE_HARMLESS = /_x_input_seek_preview/;

/** GStreamer's demultiplexer and decoders, after any source of ASF. */
export class GstPlayer extends Player {
  protected readonly child: Child;
  readonly #feeder: Child | undefined;
  frames = 0;
  #soundBytes = 0;

  constructor(name: string, source: readonly string[], feeder?: readonly string[]) {
    super(name);
    const video = ['demux.', '!', 'queue', '!', 'avdec_wmv2', '!', 'fakesink', 'name=video', 'silent=false'];
    const format = 'audio/x-raw,format=S16LE,layout=interleaved';
    const sound = ['demux.', '!', 'queue', '!', 'avdec_wmav2', '!', 'audioconvert', '!', format, '!'];
    const sink = ['fakesink', 'name=sound', 'silent=false'];
    const pipeline = [...source, '!', 'asfdemux', 'name=demux', ...video, ...sound, ...sink];
    this.child = new Child('gst-launch-1.0', ['-v', ...pipeline], {
      onOutput: (line) => this.#take(line),
      stdin: feeder ? 'pipe' : 'ignore',
    });
    if (feeder) this.#feeder = feed(feeder, this.child);
  }

  get soundSeconds(): number {
    return this.#soundBytes / SOUND_BYTES_PER_SECOND;
  }

  get problems(): string[] {
    return [...this.child.log, ...this.child.output].filter((line) => /^(?:ERROR|WARNING)/.test(line));
  }

  override async stop(): Promise<void> {
    await this.#feeder?.stop();
    await super.stop();
  }

  #take(line: string): void {
    const chain = /last-message = chain .*\((video|sound):sink\) \((\d+) bytes/.exec(line);
    if (chain?.[1] === 'video') this.frames++;
    if (chain?.[1] === 'sound') this.#soundBytes += Number(chain[2]);
  }
}

const WAV_HEADER_SIZE = 44;

/** Returns the seconds of 16-bit stereo sound in a WAV file that is being written. */
function wavSeconds(file: string): number {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  return Math.max(size - WAV_HEADER_SIZE, 0) / SOUND_BYTES_PER_SECOND;
}

const python = program('python3');
const gst = [program('gst-launch-1.0'), gstElement('asfdemux'), gstElement('avdec_wmv2')];
const mmsh = (url: string) => url.replace(/^http:/, 'mmsh:');

/** Every player, started with the http:// URL of a point. */
export const PLAYERS: Readonly<Record<string, PlayerKind>> = {
  ffmpeg: { name: 'ffmpeg, mmsh://', needs: [], start: (url) => new FfmpegPlayer(mmsh(url)) },
  mpv: {
    name: 'mpv, mms://',
    needs: [program('mpv')],
    start: (url) => new MpvPlayer('mpv', url.replace(/^http:/, 'mms:')),
  },
  mpvQuery: {
    name: 'mpv, http://…?MSWMExt=.asf',
    needs: [program('mpv')],
    start: (url) => new MpvPlayer('mpv with ?MSWMExt', `${url}?MSWMExt=.asf`),
  },
  mpvSuffix: {
    name: 'mpv, http://….asf',
    needs: [program('mpv')],
    start: (url) => new MpvPlayer('mpv with .asf', `${url}.asf`),
  },
  mplayer: { name: 'MPlayer, mmsh://', needs: [program('mplayer')], start: (url) => new MplayerPlayer(mmsh(url)) },
  vlc: {
    name: 'VLC, mmsh://',
    needs: [program('vlc'), program('setpriv')],
    start: (url) => new VlcPlayer(mmsh(url), ['--play-and-exit']),
  },
  xine: { name: 'xine, mmsh://', needs: [python, library('libxine.so.2')], start: (url) => new XinePlayer(mmsh(url)) },
  libmms: {
    name: 'libmms, mmsh://',
    needs: [python, library('libmms.so.0')],
    start: (url) => new LibmmsPlayer(mmsh(url)),
  },
  gstMms: {
    name: 'GStreamer, mmssrc',
    needs: [...gst, gstElement('mmssrc')],
    start: (url) => new GstPlayer('GStreamer with mmssrc', ['mmssrc', `location=${mmsh(url)}`]),
  },
  gstLibmms: {
    name: 'GStreamer with libmms, which mmssrc uses',
    needs: [...gst, python, library('libmms.so.0')],
    start: (url) =>
      new GstPlayer('GStreamer with libmms', ['fdsrc', 'fd=0'], ['python3', script('libmms.py'), mmsh(url)]),
  },
  gstHttp: {
    name: 'GStreamer, http://….asf',
    needs: [...gst, gstElement('souphttpsrc')],
    start: (url) => new GstPlayer('GStreamer over HTTP', ['souphttpsrc', `location=${url}.asf`]),
  },
};
