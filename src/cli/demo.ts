import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import ora, { type Ora } from 'ora';
import { findFfmpeg } from '../capture/find.js';
import { WmError } from '../errors.js';
import { addCommonOptions, Interruption, newProgram, portNumber, run, wholeNumber } from './program.js';
import { Reporter, type ReporterOptions, withUnit } from './reporter.js';

interface DemoOptions extends ReporterOptions {
  readonly seconds?: number;
  readonly httpPort: number;
}

/** How long the stream runs before the player starts, in seconds: the length of a burst. */
const HEAD_START = 5;
/** How long the demo plays before it reports and invites others, in seconds. */
const INTRODUCTION = 8;

/** Seconds by which the signal may come later than the end of the commands that got it too. */
const SIGNAL_DELAY = 0.5;

/** The number of lines of a command's standard error to show when it has failed. */
const LOG_TAIL = 5;

const bin = (name: string) => fileURLToPath(new URL(`../../bin/${name}.js`, import.meta.url));

function startCommand(name: string, args: readonly string[]) {
  return execa(process.execPath, [bin(name), ...args, '--json', '--quiet'], {
    stdin: 'ignore',
    stderr: 'pipe',
    reject: false,
    buffer: false,
  });
}

/** One of our commands that runs as part of the demo and reports in JSON lines. */
class Companion {
  readonly #process: ReturnType<typeof startCommand>;
  readonly #waiting = new Map<string, (event: Record<string, unknown>) => void>();
  readonly #log: string[] = [];
  readonly ended: Promise<void>;
  /** The newest event of each name. */
  readonly latest = new Map<string, Record<string, unknown>>();

  constructor(name: string, args: readonly string[]) {
    this.#process = startCommand(name, args);
    this.ended = Promise.all([this.#read(), this.#readLog()]).then(() => {});
  }

  async #read(): Promise<void> {
    for await (const line of this.#process.iterable()) {
      // A killed command may leave an incomplete last line.
      if (!/^\{.*\}$/.test(line)) continue;
      const event = JSON.parse(line) as Record<string, unknown>;
      const name = String(event['event']);
      this.latest.set(name, event);
      this.#waiting.get(name)?.(event);
    }
    await this.#process;
  }

  async #readLog(): Promise<void> {
    for await (const line of this.#process.iterable({ from: 'stderr' })) {
      this.#log.push(line);
      if (this.#log.length > LOG_TAIL) this.#log.shift();
    }
  }

  /** Waits for the next event of a name; rejects if the command ends first. */
  async event(name: string): Promise<Record<string, unknown>> {
    const event = new Promise<Record<string, unknown>>((resolve) => this.#waiting.set(name, resolve));
    const failed = this.ended.then(() => {
      const message = this.latest.get('error')?.['message'];
      const log = this.#log.map((line) => `\n  ${line}`).join('');
      throw new WmError('WM_FAILED', String(message ?? `A command of the demo ended without "${name}".${log}`));
    });
    return Promise.race([event, failed]);
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGTERM');
    await this.ended;
  }
}

/** The progress of an independent client: the frames that it has decoded so far. */
class Playback {
  frames = 0;
  sounds = 0;
  readonly connectedAt = Date.now();
  firstFrameAfter = -1;
  /** Delays from capture to decoded frame, in ms, of the newest frames. */
  #delays: number[] = [];
  #timeBase = 0;
  readonly #captureStart: number;

  constructor(captureStart: number) {
    this.#captureStart = captureStart;
  }

  /** Parses a line of ffmpeg's framecrc muxer: `stream, dts, pts, duration, size, checksum`. */
  take(line: string): void {
    const base = /^#tb 0: (\d+)\/(\d+)/.exec(line);
    if (base) this.#timeBase = Number(base[1]) / Number(base[2]);
    const frame = /^(\d+), *-?\d+, *(-?\d+)/.exec(line);
    if (!frame) return;
    if (frame[1] === '0') this.#takeFrame(Number(frame[2]));
    else this.sounds++;
  }

  #takeFrame(pts: number): void {
    const now = Date.now();
    if (this.frames === 0) this.firstFrameAfter = now - this.connectedAt;
    this.frames++;
    this.#delays.push(now - (this.#captureStart + pts * this.#timeBase * 1000));
    if (this.#delays.length > 250) this.#delays.shift();
  }

  /** The median delay of the newest frames, in ms, at least 0; NaN before there are any. */
  get latency(): number {
    const sorted = [...this.#delays].sort((a, b) => a - b);
    // The clock is read when the first packet arrives, which may be a little after its capture.
    return Math.max(0, sorted[Math.floor(sorted.length / 2)] ?? Number.NaN);
  }
}

async function demo(options: DemoOptions): Promise<void> {
  const reporter = new Reporter(options);
  const interruption = new Interruption();
  const isSilent = reporter.json || Boolean(options.quiet);
  // If it discarded what is typed, it would swallow Ctrl-C as a key press.
  const settings = { stream: process.stderr, discardStdin: false, isSilent };
  const spinner = ora({ text: 'Starting the server', ...settings }).start();
  const companions: Companion[] = [];
  const ending = new AbortController();
  try {
    const ffmpeg = await interruption.race(findFfmpeg());
    const server = new Companion('wmcast', ['serve', '--host', '127.0.0.1', '--http-port', String(options.httpPort)]);
    companions.push(server);
    const ready = (await interruption.race(server.event('ready'))) as { ports?: { http: number } };
    const authority = `127.0.0.1:${ready.ports!.http}`;
    spinner.text = 'Capturing and pushing the test picture';
    const encoder = new Companion('wmpush', [`http://${authority}/demo`, '--title', 'wmcast demo']);
    companions.push(encoder);
    const pushing = await interruption.race(encoder.event('ready'));
    // Real viewers join a running stream: with a burst they see a picture at once.
    spinner.text = 'Letting the stream run for some seconds';
    await elapsed(HEAD_START, interruption);
    const playback = new Playback(Number(pushing['startedAt']));
    const player = play(ffmpeg.path, `mmsh://${authority}/demo`, playback, ending.signal);
    reporter.event('ready', { ports: ready.ports, urls: demoUrls(authority) });
    spinner.stop();
    reporter.info(invitation(authority));
    spinner.start();
    const stopped = Promise.race([
      player.then(() => 'The player stopped by itself.'),
      ...companions.map(({ ended }) => ended.then(() => 'A command of the demo stopped by itself.')),
    ]);
    const watching = watch(options.seconds, playback, encoder, { spinner, reporter, interruption, authority });
    const trouble = await Promise.race([stopped, watching]);
    if (trouble !== undefined && !interruption.signal.aborted) throw new WmError('WM_FAILED', trouble);
    report(reporter, playback, encoder);
  } catch (error) {
    // On a terminal Ctrl-C ends the companions too, and their end may be seen before the signal.
    await elapsed(SIGNAL_DELAY, interruption);
    if (!interruption.signal.aborted) throw error;
  } finally {
    spinner.stop();
    ending.abort();
    for (const companion of companions.reverse()) await companion.stop();
  }
  process.exitCode = interruption.exitCode;
}

interface Stage {
  readonly spinner: Ora;
  readonly reporter: Reporter;
  readonly interruption: Interruption;
  readonly authority: string;
}

/** Lets the demo run for `seconds`, or until Ctrl-C, and shows its progress. */
async function watch(seconds: number | undefined, playback: Playback, encoder: Companion, stage: Stage): Promise<void> {
  const { spinner, reporter, interruption, authority } = stage;
  const timer = setInterval(() => {
    spinner.text = `Playing mmsh://${authority}/demo: ${summary(playback, 0)}`;
  }, 500);
  try {
    await elapsed(seconds ?? INTRODUCTION, interruption);
    if (seconds !== undefined || interruption.signal.aborted) return;
    spinner.stop();
    clearInterval(timer);
    reporter.info(`Decoded ${summary(playback, 1)}; ${bitrate(encoder)}.\nThe stream goes on until Ctrl-C.`);
    await interruption.received;
  } finally {
    clearInterval(timer);
  }
}

/** Returns the encoder's current bit rate in words. */
function bitrate(encoder: Companion): string {
  return `${withUnit(Number(encoder.latest.get('stats')?.['bitsPerSecond'] ?? 0), 'bit/s')} sent`;
}

function report(reporter: Reporter, playback: Playback, encoder: Companion): void {
  const { frames, sounds, firstFrameAfter } = playback;
  const latency = Math.round(playback.latency);
  const bitsPerSecond = encoder.latest.get('stats')?.['bitsPerSecond'] ?? 0;
  reporter.event('done', { frames, sounds, firstFrameAfter, latency, bitsPerSecond });
  reporter.info(`Decoded ${summary(playback, 1)}; ${bitrate(encoder)}.`);
  if (frames === 0) throw new WmError('WM_FAILED', 'The player decoded no frame.');
}

function summary({ frames, sounds, firstFrameAfter, latency }: Playback, details: 0 | 1): string {
  const counts = `${frames} frames and ${sounds} pieces of sound`;
  if (details === 0 || frames === 0) return counts;
  return `${counts}; first picture after ${firstFrameAfter} ms, newest picture ${Math.round(latency)} ms after its capture`;
}

function demoUrls(authority: string): string[] {
  return [`mmsh://${authority}/demo`, `http://${authority}/demo.asf`, `http://${authority}/demo`];
}

function invitation(authority: string): string {
  const [mmsh, plain, page] = demoUrls(authority);
  return [
    'The stream is on. Open it in a player:',
    `  vlc      ${mmsh}`,
    `  mpv      ${mmsh}`,
    `  ffplay   ${plain}`,
    `  browser  ${page}      (an .asx for a media player)`,
  ].join('\n');
}

async function elapsed(seconds: number, interruption: Interruption): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const time = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000);
  });
  await Promise.race([time, interruption.received]);
  clearTimeout(timer);
}

async function play(ffmpeg: string, url: string, playback: Playback, signal: AbortSignal): Promise<void> {
  const args = ['-nostdin', '-v', 'error', '-copyts', '-i', url, '-map', '0:v', '-map', '0:a', '-c:v', 'rawvideo'];
  const process_ = execa(ffmpeg, [...args, '-c:a', 'pcm_s16le', '-f', 'framecrc', '-'], {
    stdin: 'ignore',
    buffer: false,
    reject: false,
    cancelSignal: signal,
    cleanup: true,
  });
  for await (const line of process_.iterable()) playback.take(line);
  await process_;
}

const program = newProgram(
  'demo',
  'A live picture: captured, pushed, served, and played back with an independent client.',
);
addCommonOptions(program)
  .option('--seconds <number>', 'end by itself; exit code 0 only if frames were decoded', wholeNumber(1, 86_400))
  .option('--http-port <port>', 'of the server; 0 takes a free one', portNumber, 0)
  .action((options: DemoOptions) => demo(options));

await run(program);
