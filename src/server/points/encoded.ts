import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { readM3u } from '../../announce/m3u.js';
import { PackagedSource } from '../../capture/packager.js';
import { findProfile, type ProfileSettings, readProfile } from '../../capture/profiles.js';
import { CaptureSource, type Encoding } from '../../capture/source.js';
import { hidePasswords, WmError } from '../../errors.js';
import { takeCredentials } from '../../http/credentials.js';
import { ScriptedSource } from '../../media/scripted-source.js';
import { systemErrorReason } from '../../media/system-error.js';
import type { PulledSource } from '../../receiving/pulled-broadcast.js';
import { ffmpegOnce } from '../ffmpeg.js';

/** What a gateway point encodes. */
export interface EncodeSpec {
  /** A URL, a file, a command of the shell whose output is media, or a local M3U list. */
  readonly encode: string;
  /** The name of a profile, or a file of one. */
  readonly profile?: string | undefined;
  /** A command of the shell that packages what was encoded, as `wmpush --packager` does. */
  readonly packager?: string | undefined;
}

/** How long an encoder may be silent before it is started again, in seconds. */
const WATCHDOG = 10;
/** How long the picture of the input may take to be looked at, in ms: players are waiting. */
const LOOK_TIMEOUT = 2_000;
/** The most points that a list makes. */
const MAX_LIST = 200;

/** True for text that the shell runs: it begins with !, or has spaces and is no URL. */
export function isCommand(text: string): boolean {
  return text.startsWith('!') || (/\s/.test(text) && !/^[a-z][a-z\d+.-]*:\/\//i.test(text));
}

/** Opens what is encoded here: one ffmpeg, as long as it is wanted. */
export function encodedSource(spec: EncodeSpec, onWarning: (message: string) => void): PulledSource {
  const text = spec.encode.trim();
  const name = isCommand(text)
    ? text.replace(/^!\s*/, '').split(/\s/, 1)[0]!
    : hidePasswords(takeCredentials(text).url);
  // Kept when the input comes back in another format, so that players need no other header.
  let chosen: Encoding['video'];
  return {
    name,
    open: async () => {
      const settings = profileSettings(spec.profile);
      const ffmpeg = await ffmpegOnce();
      const { size = chosen?.size, fps = chosen?.fps, videoBitrate = chosen?.bitrate } = settings;
      let titled: ScriptedSource | undefined;
      const source: CaptureSource = new CaptureSource({
        ...settings,
        ...{ size, fps, videoBitrate, ffmpeg, watchdog: WATCHDOG, lookTimeout: LOOK_TIMEOUT },
        ...(isCommand(text) ? { input: '-', inputCommand: text.replace(/^!\s*/, '') } : { input: text }),
        onWarning: (message) => onWarning(`${name}: ${message}`),
        onTitle: (title) => titled?.send({ type: 'TEXT', text: title }),
        onChosen: ({ video }) => {
          chosen ??= video;
        },
      });
      titled = new ScriptedSource(source, { wanted: () => source.hasTitles });
      return spec.packager === undefined ? titled : new PackagedSource(titled, { command: spec.packager });
    },
  };
}

/** @throws WmError WM_CONFIG if there is no such profile */
function profileSettings(profile: string | undefined): ProfileSettings {
  if (profile === undefined) return {};
  const known = findProfile(profile);
  if (known) return known.settings;
  try {
    return readProfile(readFileSync(profile, 'utf8'), profile);
  } catch (error) {
    if (error instanceof WmError) throw error;
    throw new WmError('WM_CONFIG', `The profile ${profile} is not known: ${systemErrorReason(error)}.`, {
      cause: error,
    });
  }
}

/** One point of a list. */
export interface ListedPoint {
  /** The last part of its path. */
  readonly name: string;
  readonly encode: string;
}

/** True if text names a list on this host whose entries become points. */
export function isList(text: string): boolean {
  return !isCommand(text) && !text.includes('://') && /\.m3u8?$/i.test(text.trim());
}

/**
 * Reads a list on this host.
 *
 * @throws WmError WM_NO_INPUT if it cannot be read, WM_BAD_INPUT if it is empty
 */
export function listedPoints(path: string): ListedPoint[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new WmError('WM_NO_INPUT', `The list ${path} cannot be read: ${systemErrorReason(error)}.`, { cause: error });
  }
  const entries = readM3u(text).slice(0, MAX_LIST);
  if (entries.length === 0) throw new WmError('WM_BAD_INPUT', `The list ${path} has no entries.`);
  const taken = new Set<string>();
  return entries.map(({ url, title = '' }, index) => {
    const slug = title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, '-')
      .replace(/^-|-$/g, '')
      .slice(0, 60);
    const name = slug === '' || taken.has(slug) ? String(index + 1) : slug;
    taken.add(name);
    return { name, encode: url.includes('://') ? url : resolve(dirname(path), url) };
  });
}
