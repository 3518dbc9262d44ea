import { findFfmpeg } from '../../../src/capture/find.js';

const found = await findFfmpeg();

/** The ffmpeg of the machine, or the one installed with the dependencies. */
export const ffmpegPath = found.path;

/** Pictures with their own times, none duplicated or dropped for a frame rate; the option has a new name since 5.1. */
const asTheyCome = /^(?:[6-9]|\d\d|5\.[1-9])/.test(found.version)
  ? ['-fps_mode', 'passthrough']
  : ['-vsync', 'passthrough'];
const decoded = [...asTheyCome, '-c:v', 'rawvideo', '-pix_fmt', 'yuv420p', '-c:a', 'pcm_s16le'];

/**
 * Returns the command with which ffmpeg decodes `input` into the lines that `FrameCrc` reads.
 *
 * @param streams the streams to decode, as for `-map`
 */
export function ffmpegDecoding(
  input: readonly string[],
  log = 'warning',
  streams: readonly string[] = ['0:v?', '0:a?'],
): string[] {
  const chosen = streams.flatMap((stream) => ['-map', stream]);
  return [ffmpegPath, '-nostdin', '-v', log, ...input, ...chosen, ...decoded, '-f', 'framecrc', '-'];
}
