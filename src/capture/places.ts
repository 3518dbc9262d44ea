import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { systemErrorCode, systemErrorReason } from '../media/system-error.js';

/** Where a candidate comes from. */
export type FfmpegOrigin = '--ffmpeg' | 'FFMPEG_PATH' | 'PATH' | 'ffmpeg-static' | '@ffmpeg-installer/ffmpeg';

/** A package that carries an ffmpeg program. */
export interface FfmpegPackage {
  readonly origin: FfmpegOrigin;
  /** Gives the path of the program; undefined or a rejection when the package is not there or not for this platform. */
  load(): Promise<string | undefined>;
}

/** A name without a folder means what it means in a shell. */
export async function locate(value: string, env: NodeJS.ProcessEnv): Promise<string> {
  if (/[\\/]/.test(value)) return resolve(value);
  for await (const path of programsOnPath(value, env)) return path;
  return resolve(value);
}

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
 * The specifiers are not literals so that the optional package need not be there, not even for the compiler. Both export
 * a CommonJS value: a path or null, and an object with a path (which throws when the platform has none).
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
