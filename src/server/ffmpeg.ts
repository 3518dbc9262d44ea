import { type FfmpegInfo, findFfmpeg } from '../capture/find.js';

/** ffmpeg is looked for once for the whole server. */
let found: Promise<FfmpegInfo> | undefined;

/**
 * Returns the ffmpeg of this host.
 *
 * @throws WmError WM_FFMPEG_MISSING; it is looked for again with the next call, because somebody may install it
 */
export function ffmpegOnce(): Promise<FfmpegInfo> {
  found ??= findFfmpeg().catch((error: unknown) => {
    found = undefined;
    throw error;
  });
  return found;
}
