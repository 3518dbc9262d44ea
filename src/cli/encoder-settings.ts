import { readFile, writeFile } from 'node:fs/promises';
import { findProfile, type ProfileSettings, readProfile, unknownProfile, writeProfile } from '../capture/profiles.js';
import { WmError } from '../errors.js';
import { systemErrorReason } from '../media/system-error.js';
import type { InputOptions } from './input-model.js';

/**
 * Returns the settings of the profile, overridden by those of the options, and saves them if that is asked for.
 *
 * @throws WmError WM_USAGE for an unknown profile, WM_CONFIG for an unreadable file, WM_DISK
 */
export async function encoderSettings(options: InputOptions): Promise<ProfileSettings> {
  const { profile, saveProfile, videoCodec, audioCodec, video, audio } = options;
  const { videoBitrate, audioBitrate, sampleRate, channels, size, fps, keyFrameInterval, packetSize } = options;
  const given: ProfileSettings = {
    ...{ videoEncoder: videoCodec, audioEncoder: audioCodec, videoBitrate, audioBitrate, sampleRate, channels },
    ...{
      size,
      fps,
      keyFrameInterval,
      packetSize,
      noVideo: video ? undefined : true,
      noAudio: audio ? undefined : true,
    },
  };
  const isGiven = ([, value]: [string, unknown]) => value !== undefined;
  const settings = {
    ...(profile === undefined ? {} : await settingsOf(profile)),
    ...Object.fromEntries(Object.entries(given).filter(isGiven)),
  };
  if (saveProfile !== undefined) {
    await writeFile(saveProfile, writeProfile(settings)).catch((error: unknown) => {
      throw new WmError('WM_DISK', `${saveProfile} cannot be written: ${systemErrorReason(error)}.`, { cause: error });
    });
  }
  return settings;
}

async function settingsOf(profile: string): Promise<ProfileSettings> {
  const known = findProfile(profile);
  if (known !== undefined) return known.settings;
  let text: string;
  try {
    text = await readFile(profile, 'utf8');
  } catch (error) {
    if (!/[/\\.]/.test(profile)) unknownProfile(profile);
    throw new WmError('WM_CONFIG', `The profile ${profile} cannot be read: ${systemErrorReason(error)}.`, {
      cause: error,
    });
  }
  return readProfile(text, profile);
}
