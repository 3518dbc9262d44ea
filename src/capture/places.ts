import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { systemErrorCode, systemErrorReason } from '../media/system-error.js';

/** Where a candidate was found. @public */
export type FfmpegOrigin = '--ffmpeg' | 'FFMPEG_PATH' | 'PATH' | 'ffmpeg-static' | '@ffmpeg-installer/ffmpeg';

/** A package that contains an ffmpeg program. @public */
export interface FfmpegPackage {
  readonly origin: FfmpegOrigin;
  /**
   * Returns the path of the program; undefined or a rejection if the package is missing or does not support this
   * platform.
   */
  load(): Promise<string | undefined>;
}

/** Resolves a name without a folder as a shell does. */
export async function locate(value: string, env: NodeJS.ProcessEnv): Promise<string> {
  if (/[\\/]/.test(value)) return resolve(value);
  for await (const path of programsOnPath(value, env)) return path;
  return resolve(value);
}

/**
 * Yields the executable files of a name in the folders of PATH, in their order; on Windows with the endings of PATHEXT.
 */
export async function* programsOnPath(name: string, env: NodeJS.ProcessEnv): AsyncGenerator<string> {
  const windows = process.platform === 'win32';
  const { PATH, Path, PATHEXT } = env;
  const endings = windows ? ['', ...(PATHEXT ?? '.EXE').split(';')] : [''];
  for (const folder of (PATH ?? Path ?? '').split(delimiter)) {
    if (folder === '') continue;
    for (const ending of endings) {
      const file = join(folder, name + ending);
      if ((await whyNotExecutable(file)) === undefined) yield file;
    }
  }
}

/** Returns why a file cannot be run, to continue a sentence that begins with its name; undefined if it can. */
export async function whyNotExecutable(path: string): Promise<string | undefined> {
  try {
    if (!(await stat(path)).isFile()) return 'is not a file';
  } catch (error) {
    return systemErrorCode(error) === 'ENOENT' ? 'does not exist' : `cannot be read: ${systemErrorReason(error)}`;
  }
  try {
    await access(path, constants.X_OK);
    return undefined;
  } catch {
    return 'is not executable';
  }
}

/**
 * The specifiers are not literals because the optional packages may be missing, even at compile time. Both packages
 * export a CommonJS value: a path or null, and an object with a path (which throws if the platform is unsupported).
 */
export const packagesWithFfmpeg: readonly FfmpegPackage[] = [
  { origin: 'ffmpeg-static', load: () => packageExport('ffmpeg-static') },
  { origin: '@ffmpeg-installer/ffmpeg', load: () => packageExport('@ffmpeg-installer/ffmpeg') },
];

async function packageExport(specifier: string): Promise<string | undefined> {
  const module: unknown = await import(specifier);
  const exported = member(module, 'default') ?? module;
  const path = typeof exported === 'string' ? exported : member(exported, 'path');
  return typeof path === 'string' && path !== '' ? path : undefined;
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
