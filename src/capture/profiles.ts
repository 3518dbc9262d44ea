import { z } from 'zod';
import { WmError } from '../errors.js';
import { parseYamlFile } from '../yaml-file.js';
import type { CaptureOptions } from './options.js';

/** The options of a capture that a profile may set. @public */
export type ProfileSettings = Pick<
  CaptureOptions,
  | 'videoEncoder'
  | 'videoBitrate'
  | 'size'
  | 'largestSize'
  | 'fps'
  | 'largestFps'
  | 'keyFrameInterval'
  | 'audioEncoder'
  | 'audioBitrate'
  | 'sampleRate'
  | 'channels'
  | 'packetSize'
  | 'noVideo'
  | 'noAudio'
>;

/** A named set of encoder settings. @public */
export interface Profile {
  readonly name: string;
  /** Other names. */
  readonly aliases?: readonly string[];
  /** Which players or lines it is for. */
  readonly purpose: string;
  /** Where the figures come from. */
  readonly source: string;
  readonly settings: ProfileSettings;
}

const SCRIPT = 'name and total rate of Windows Media Encoding Script (WMCmd.vbs)';
const CODECS = 'codecs of the player version';

/** Makes a profile with sound alone. */
function sound(name: string, purpose: string, settings: ProfileSettings, source = SCRIPT): Profile {
  return { name, purpose, source, settings: { noVideo: true, ...settings } };
}

/** Makes a profile whose picture keeps its shape within a box. */
function picture(
  name: string,
  purpose: string,
  [width, height, largestFps]: readonly [number, number, number],
  settings: ProfileSettings,
  source = SCRIPT,
): Profile {
  return { name, purpose, source, settings: { largestSize: { width, height }, largestFps, ...settings } };
}

/** MP3, because ffmpeg's WMA encoders take at least 24 kbit/s. */
const modemSound = (audioBitrate: number, sampleRate: number) =>
  ({ audioEncoder: 'libmp3lame', audioBitrate, sampleRate, channels: 1 }) as const;

/**
 * The profiles of the program, by their total rate and purpose. Rates leave room for the headers of packets.
 *
 * @public
 */
export const profiles: readonly Profile[] = [
  {
    ...picture('av20', 'modems with 28.8 kbit/s', [96, 72, 5], {
      videoBitrate: 8000,
      keyFrameInterval: 8,
      packetSize: 400,
      ...modemSound(8000, 8000),
    }),
    aliases: ['modem28'],
  },
  {
    ...picture('av32', 'modems with 56 kbit/s', [128, 96, 7.5], {
      videoBitrate: 14_000,
      keyFrameInterval: 8,
      packetSize: 500,
      ...modemSound(16_000, 16_000),
    }),
    aliases: ['modem56'],
  },
  picture('av100', 'ISDN with two channels', [240, 180, 15], { videoBitrate: 66_000, audioBitrate: 32_000 }),
  picture('av225', 'broadband with 256 kbit/s', [320, 240, 20], { videoBitrate: 176_000, audioBitrate: 48_000 }),
  picture('av300', 'broadband with 384 kbit/s', [320, 240, 30], { videoBitrate: 250_000, audioBitrate: 48_000 }),
  picture('av350', 'broadband with 384 kbit/s', [320, 240, 30], { videoBitrate: 282_000, audioBitrate: 64_000 }),
  picture('av450', 'broadband with 512 kbit/s', [400, 300, 30], { videoBitrate: 380_000, audioBitrate: 64_000 }),
  picture('av700', 'broadband with 768 kbit/s', [640, 480, 30], { videoBitrate: 630_000, audioBitrate: 64_000 }),
  picture('av1400', 'broadband with 1.5 Mbit/s', [640, 480, 30], { videoBitrate: 1_290_000, audioBitrate: 96_000 }),
  sound('a20', 'speech over modems with 28.8 kbit/s', modemSound(16_000, 16_000)),
  sound('a32', 'music over modems with 56 kbit/s', { audioBitrate: 32_000 }),
  sound('a64', 'music, nearly as on FM radio', { audioBitrate: 64_000 }),
  sound('a96', 'music, nearly as on CD', { audioBitrate: 96_000 }),
  sound('a128', 'music, as on CD', { audioBitrate: 128_000 }),
  sound('a192', 'music, for archives', { audioBitrate: 192_000 }),
  picture(
    'wmp7',
    'Windows Media Player 6.4 with the codecs of 7, and 7',
    [320, 240, 30],
    { videoEncoder: 'wmv1', videoBitrate: 250_000, audioEncoder: 'wmav1', audioBitrate: 64_000 },
    CODECS,
  ),
  picture(
    'netshow',
    'NetShow 2 and 3: MPEG-4 version 2 and Microsoft ADPCM',
    [320, 240, 15],
    { videoEncoder: 'msmpeg4v2', videoBitrate: 200_000, audioEncoder: 'adpcm_ms', sampleRate: 11_025, channels: 1 },
    CODECS,
  ),
  sound(
    'adpcm',
    'players without any decoder of Windows Media',
    { audioEncoder: 'adpcm_ms', sampleRate: 22_050, channels: 1 },
    CODECS,
  ),
  sound('mp3', 'players that know MP3 but not WMA', { audioEncoder: 'libmp3lame', audioBitrate: 128_000 }, CODECS),
  picture(
    'pocket',
    'handhelds with a screen of 240x320',
    [208, 160, 20],
    { videoBitrate: 192_000, audioBitrate: 32_000 },
    "picture size and rate of Windows Media Encoder 9's Pocket PC profile (225 kbit/s)",
  ),
  picture(
    'phone',
    'telephones with a screen of 176x220',
    [176, 144, 15],
    { videoBitrate: 96_000, audioBitrate: 24_000, channels: 1 },
    'QCIF, the picture of telephones of that time',
  ),
];

const whole = z.number().int().positive();
const size = z.string().regex(/^\d{1,4}x\d{1,4}$/, 'Write width x height, for example 640x360.');

/** What a file of a profile may contain. */
const profileSchema = z.strictObject({
  videoEncoder: z.enum(['wmv1', 'wmv2', 'msmpeg4', 'msmpeg4v2']).optional(),
  videoBitrate: whole.optional(),
  size: size.optional(),
  largestSize: size.optional(),
  fps: z.number().positive().optional(),
  largestFps: z.number().positive().optional(),
  keyFrameInterval: z.number().positive().optional(),
  audioEncoder: z.enum(['wmav1', 'wmav2', 'adpcm_ms', 'libmp3lame']).optional(),
  audioBitrate: whole.optional(),
  sampleRate: whole.optional(),
  channels: whole.optional(),
  packetSize: whole.optional(),
  noVideo: z.boolean().optional(),
  noAudio: z.boolean().optional(),
});

/** Finds a profile of the program by its name, in any case. */
export function findProfile(name: string): Profile | undefined {
  const wanted = name.toLowerCase();
  return profiles.find((profile) => profile.name === wanted || profile.aliases?.includes(wanted));
}

/**
 * Reads a profile from the text of a file that {@link writeProfile} made.
 *
 * @param file its name in messages
 * @throws WmError WM_CONFIG with the line
 */
export function readProfile(text: string, file: string): ProfileSettings {
  const { data } = parseYamlFile(text, file, profileSchema);
  const { size: exact, largestSize, ...more } = data;
  return {
    ...more,
    ...(exact !== undefined && { size: sizeOf(exact) }),
    ...(largestSize !== undefined && { largestSize: sizeOf(largestSize) }),
  };
}

/** Writes a profile as YAML. */
export function writeProfile(settings: ProfileSettings): string {
  const lines = Object.entries(settings).flatMap(([key, value]) => {
    if (value === undefined || value === false) return [];
    return `${key}: ${typeof value === 'object' ? `${value.width}x${value.height}` : value}\n`;
  });
  return `# A profile of wmcast, for --profile.\n${lines.join('')}`;
}

/** Names that may have been meant, for the message about an unknown profile. @throws WmError WM_USAGE always */
export function unknownProfile(name: string): never {
  const names = profiles.map((profile) => profile.name).join(', ');
  throw new WmError(
    'WM_USAGE',
    `--profile "${name}" is not known: take one of ${names}, or a file (./${name}) written with --save-profile.`,
  );
}

function sizeOf(text: string): { width: number; height: number } {
  const [width = 0, height = 0] = text.split('x').map(Number);
  return { width, height };
}
