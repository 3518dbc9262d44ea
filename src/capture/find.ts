import { realpath } from 'node:fs/promises';
import { WmError } from '../errors.js';
import { systemErrorCode } from '../media/system-error.js';
import {
  type FfmpegOrigin,
  type FfmpegPackage,
  locate,
  packagesWithFfmpeg,
  programsOnPath,
  whyNotExecutable,
} from './places.js';

/**
 * The encoders for the old Windows Media codecs that an ffmpeg may have; no ffmpeg can encode the newer ones.
 *
 * @public
 */
export const windowsMediaEncoders = ['wmv1', 'wmv2', 'msmpeg4', 'msmpeg4v2', 'wmav1', 'wmav2'] as const;

/** @public */
export type WindowsMediaEncoder = (typeof windowsMediaEncoders)[number];

/** Encoders for what players had before Windows Media. */
const otherEncoders = ['adpcm_ms', 'libmp3lame'] as const satisfies readonly EncoderName[];

/** The name of an encoder of ffmpeg that this program uses. @public */
export type EncoderName = WindowsMediaEncoder | 'adpcm_ms' | 'libmp3lame';

/** The encoders that an ffmpeg needs to be chosen automatically. */
const requiredEncoders = ['wmv2', 'wmav2'] as const satisfies readonly WindowsMediaEncoder[];

/** An ffmpeg that was examined. @public */
export interface FfmpegCandidate {
  /** The program's path, or the name that was looked up without success. */
  readonly path: string;
  readonly origin: FfmpegOrigin;
  /** Why it cannot be used; absent if it can. Completes the sentence that the path begins ("… does not exist"). */
  readonly problem?: string;
  /** As it reports it, for example `5.1.9-0+deb12u1`; absent if it could not be asked. */
  readonly version?: string;
  /** Absent if it could not be asked. */
  readonly encoders?: readonly EncoderName[];
}

/** The chosen ffmpeg. @public */
export interface FfmpegInfo {
  readonly path: string;
  readonly version: string;
  readonly origin: FfmpegOrigin;
  readonly encoders: readonly EncoderName[];
  /** Every candidate that was examined, in order; the chosen one is last. */
  readonly tried: readonly FfmpegCandidate[];
}

/** @public */
export interface FindFfmpegOptions {
  /** The value of --ffmpeg: a path, or a name to look up on PATH. No other candidate is tried. */
  readonly explicit?: string | undefined;
  /** Default: the environment of this process. PATH, PATHEXT and FFMPEG_PATH matter. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** How long one candidate may take to answer, in ms; default 10 000. */
  readonly probeTimeout?: number | undefined;
  /** Default: ffmpeg-static, then @ffmpeg-installer/ffmpeg. */
  readonly packages?: readonly FfmpegPackage[] | undefined;
}

const DEFAULT_PROBE_TIMEOUT = 10_000;

/** The maximum number of ffmpegs on PATH to try. */
const MAX_ON_PATH = 8;

/**
 * Finds the ffmpeg to capture with: --ffmpeg, then FFMPEG_PATH, then the first on PATH or in the packages that has the
 * `wmv2` and `wmav2` encoders and the `asf` muxer. One that was named, by --ffmpeg or FFMPEG_PATH, is never replaced by
 * another.
 *
 * @throws WmError WM_FFMPEG_MISSING if the named one is unusable (the message names it), or no usable one was found
 * @public
 */
export async function findFfmpeg(options: FindFfmpegOptions = {}): Promise<FfmpegInfo> {
  const tried: FfmpegCandidate[] = [];
  for await (const candidate of candidates(options)) {
    tried.push(candidate);
    const { path, origin, problem, version, encoders } = candidate;
    if (problem === undefined && version !== undefined && encoders !== undefined) {
      return { path, version, origin, encoders, tried };
    }
    if (origin === '--ffmpeg' || origin === 'FFMPEG_PATH') {
      throw new WmError('WM_FFMPEG_MISSING', `The ffmpeg named by ${origin} cannot be used: ${path} ${problem}.`);
    }
  }
  const reasons = tried.map(({ path, problem }) => `${path} ${problem}`).join('; ');
  throw new WmError('WM_FFMPEG_MISSING', `No usable ffmpeg was found: ${reasons}.`);
}

/**
 * Examines every ffmpeg that {@link findFfmpeg} considers, for `wmcast doctor`. The one it would choose is the first
 * without a problem, unless a named one comes before it. Never throws.
 *
 * @public
 */
export async function inspectFfmpegs(options: FindFfmpegOptions = {}): Promise<FfmpegCandidate[]> {
  const all: FfmpegCandidate[] = [];
  for await (const candidate of candidates(options)) all.push(candidate);
  return all;
}

/** Lazy, because each candidate costs three processes, and the first one is nearly always chosen. */
async function* candidates(options: FindFfmpegOptions): AsyncGenerator<FfmpegCandidate> {
  const env = options.env ?? process.env;
  const { FFMPEG_PATH } = env;
  const timeout = options.probeTimeout ?? DEFAULT_PROBE_TIMEOUT;
  // One directory may be on PATH under two names (/bin is a link to /usr/bin on most systems).
  const seen = new Set<string>();
  const probeNew = async (path: string, origin: FfmpegOrigin): Promise<FfmpegCandidate | undefined> => {
    const real = await realpath(path).catch(() => path);
    if (seen.has(real)) return undefined;
    seen.add(real);
    return probe(path, origin, timeout);
  };

  for (const [origin, value] of [['--ffmpeg', options.explicit] as const, ['FFMPEG_PATH', FFMPEG_PATH] as const]) {
    if (value === undefined || value === '') continue;
    const candidate = await probeNew(await locate(value, env), origin);
    if (candidate !== undefined) yield candidate;
  }

  let onPath = 0;
  for await (const path of programsOnPath('ffmpeg', env)) {
    if (++onPath > MAX_ON_PATH) break;
    const candidate = await probeNew(path, 'PATH');
    if (candidate !== undefined) yield candidate;
  }
  if (onPath === 0) yield { path: 'ffmpeg', origin: 'PATH', problem: 'is not on PATH' };

  for (const { origin, load } of options.packages ?? packagesWithFfmpeg) {
    let path: string | undefined;
    try {
      path = await load();
    } catch {
      path = undefined;
    }
    if (path === undefined) yield { path: origin, origin, problem: 'is not installed' };
    else {
      const candidate = await probeNew(path, origin);
      if (candidate !== undefined) yield candidate;
    }
  }
}

async function probe(path: string, origin: FfmpegOrigin, timeout: number): Promise<FfmpegCandidate> {
  const problem = await whyNotExecutable(path);
  if (problem !== undefined) return { path, origin, problem };
  const [version, encoderList, muxerList] = await Promise.all([
    ask(path, ['-version'], timeout),
    ask(path, ['-hide_banner', '-encoders'], timeout),
    ask(path, ['-hide_banner', '-muxers'], timeout),
  ]);
  for (const answer of [version, encoderList, muxerList]) {
    if (answer.problem !== undefined) return { path, origin, problem: answer.problem };
  }
  const versionName = /\bversion (\S+)/.exec(version.text)?.[1];
  if (versionName === undefined) return { path, origin, problem: 'does not answer as ffmpeg does' };

  const encoderNames = listedNames(encoderList.text);
  const encoders = [...windowsMediaEncoders, ...otherEncoders].filter((name) => encoderNames.has(name));
  const missing = [
    ...requiredEncoders.filter((name) => !encoderNames.has(name)).map((name) => `the ${name} encoder`),
    ...(listedNames(muxerList.text).has('asf') ? [] : ['the asf muxer']),
  ];
  const found = { path, origin, version: versionName, encoders };
  return missing.length === 0 ? found : { ...found, problem: `lacks ${missing.join(' and ')}` };
}

/**
 * Returns the second column of ffmpeg's lists (` V..... wmv2   Windows Media Video 8`); one entry may have several
 * names.
 */
function listedNames(list: string): Set<string> {
  const names = new Set<string>();
  for (const line of list.split('\n')) {
    const column = /^\s*[A-Za-z.]+\s+(\S+)/.exec(line)?.[1];
    for (const name of column?.split(',') ?? []) names.add(name);
  }
  return names;
}

interface Answer {
  readonly text: string;
  readonly problem?: string;
}

async function ask(path: string, args: readonly string[], timeout: number): Promise<Answer> {
  const { execa } = await import('execa');
  const result = await execa(path, args, {
    reject: false,
    stdin: 'ignore',
    timeout,
    killSignal: 'SIGKILL',
    maxBuffer: 1024 * 1024,
  });
  if (result.timedOut) return { text: '', problem: `did not answer within ${timeout / 1000} s` };
  if (!result.failed) return { text: result.stdout };
  if (result.exitCode === undefined && result.signal === undefined) {
    return { text: '', problem: `cannot be started (${systemErrorCode(result.cause) ?? result.shortMessage})` };
  }
  const how = result.signal === undefined ? `exit code ${result.exitCode}` : result.signal;
  const said = result.stderr.trim().split('\n').at(-1)?.slice(0, 200);
  return { text: '', problem: `fails (${how}${said === undefined || said === '' ? '' : `: ${said}`})` };
}
