import { statSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { readM3u } from '../announce/m3u.js';
import { readsInRealTime } from '../capture/options.js';
import { WmError } from '../errors.js';
import { isMediaName } from '../media/names.js';
import { systemErrorReason } from '../media/system-error.js';
import { isSynthetic } from '../testing/synthetic-url.js';
import type { InputOptions } from './input-model.js';

/** An input, and the title that a list gives it. */
export interface NamedInput {
  readonly input: string;
  readonly title?: string | undefined;
}

/** The default input: a clock and a tone. */
export const TEST_INPUT = 'test';

/** How much of an input to play. */
export interface Extent {
  readonly loop?: boolean | undefined;
  /** Seconds. */
  readonly duration?: number | undefined;
  /** False to read as fast as it is taken, because the consumer keeps the pace. Default true. */
  readonly paced?: boolean | undefined;
}

/** Endings of files in a folder that are media for ffmpeg; others may be named one by one. */
const MEDIA = new Set(
  (
    'asf wmv wma avi mp4 m4v mov mkv webm mpg mpeg mpe m1v m2v vob ts m2ts mts flv f4v 3gp 3g2 ogv ogm rm rmvb dv mxf gif ' +
    'mp3 mp2 m4a aac ac3 flac ogg oga opus wav aif aiff au caf amr ape wv'
  ).split(' '),
);
/** The most inputs of one folder or list. */
const MOST_INPUTS = 10_000;

/** Pictures that need no file. */
const PATTERNS = ['bars', 'black'] as const;

/** True for a filler that ffmpeg draws. */
export function isPattern(filler: string): boolean {
  return PATTERNS.some((pattern) => pattern === filler);
}

/** True for a URL, as opposed to a file or a device. */
export function isUrl(input: string): boolean {
  return /^[a-z][a-z\d+.-]+:\/\//i.test(input);
}

/** True for a file of this host, which can be opened at any position and as often as needed. */
export function isRegularFile(input: string): boolean {
  try {
    return !isUrl(input) && statSync(input.replace(/^file:/, '')).isFile();
  } catch {
    return false;
  }
}

/** True for an input that has a pace of its own: a device, a live protocol, or a copied stream of a server. */
export function isLive(input: string, { inputFormat, copy }: InputOptions): boolean {
  return copy ? isUrl(input) : !readsInRealTime(input, inputFormat);
}

/**
 * Replaces folders by the media files in them, in the order of their names, and .m3u lists of this host by their
 * entries.
 *
 * @throws WmError WM_NO_INPUT for a folder without media or a list that is empty or cannot be read
 */
export async function expandInputs(inputs: readonly string[], options: InputOptions): Promise<NamedInput[]> {
  if (options.inputFormat !== undefined) return inputs.map((input) => ({ input }));
  const expanded = await Promise.all(inputs.map((input) => expandInput(input, options.copy ?? false)));
  return expanded.flat();
}

async function expandInput(input: string, copy: boolean): Promise<NamedInput[]> {
  if (isUrl(input) || input === TEST_INPUT || input === '-') return [{ input }];
  const found = await stat(input).catch(() => undefined);
  if (found?.isDirectory()) return (await filesOf(input, copy)).map((name) => ({ input: name }));
  if (found?.isFile() && /\.m3u8?$/i.test(input)) return (await listed(input)) ?? [{ input }];
  return [{ input }];
}

async function filesOf(folder: string, copy: boolean): Promise<string[]> {
  const isMedia = (name: string) => (copy ? isMediaName(name) : MEDIA.has(extname(name).slice(1).toLowerCase()));
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new WmError('WM_NO_INPUT', `The folder ${folder} cannot be read: ${systemErrorReason(error)}.`);
  });
  const names = entries.filter((entry) => !entry.isDirectory() && isMedia(entry.name)).map(({ name }) => name);
  if (names.length === 0) {
    const kind = copy ? '.asf, .wmv and .wma files' : 'media files';
    throw new WmError('WM_NO_INPUT', `The folder ${folder} has no ${kind}.`);
  }
  const order = new Intl.Collator('en', { numeric: true });
  return names
    .sort(order.compare)
    .slice(0, MOST_INPUTS)
    .map((name) => join(folder, name));
}

/** Returns the entries of a list; undefined for a list of segments, which is one stream (HLS). */
async function listed(path: string): Promise<NamedInput[] | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new WmError('WM_NO_INPUT', `The list ${path} cannot be read: ${systemErrorReason(error)}.`);
  });
  if (/^#EXT-X-/m.test(text)) return undefined;
  const entries = readM3u(text).map(({ url, title }) => ({
    input: isUrl(url) || isSynthetic(url) ? url : resolve(dirname(path), url),
    title,
  }));
  if (entries.length === 0) throw new WmError('WM_NO_INPUT', `The list ${path} has no entries.`);
  return entries;
}
