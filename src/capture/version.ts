import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { locate, packagesWithFfmpeg, programsOnPath } from './places.js';

const TIMEOUT = 5_000;

/**
 * Returns path and version of the ffmpeg that a command without --ffmpeg would try first, for `--version`. Unlike
 * `findFfmpeg`, it does not check the encoders.
 *
 * @returns undefined if no ffmpeg answers
 */
export async function firstFfmpeg(env = process.env): Promise<{ path: string; version: string } | undefined> {
  for await (const path of places(env)) {
    try {
      const { stdout } = await promisify(execFile)(path, ['-version'], { timeout: TIMEOUT });
      const version = /\bversion (\S+)/.exec(stdout)?.[1];
      if (version !== undefined) return { path, version };
    } catch {
      // The next one may answer.
    }
  }
  return undefined;
}

async function* places(env: NodeJS.ProcessEnv): AsyncGenerator<string> {
  const { FFMPEG_PATH } = env;
  if (FFMPEG_PATH) {
    yield await locate(FFMPEG_PATH, env);
    return;
  }
  yield* programsOnPath('ffmpeg', env);
  for (const { load } of packagesWithFfmpeg) {
    const path = await load().catch(() => undefined);
    if (path !== undefined) yield path;
  }
}
