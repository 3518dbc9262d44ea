import { WmError } from '../errors.js';
import type { EncoderName } from './find.js';

/**
 * Encoders for the sound: Windows Media Audio 1 and 2, and what players had before it, Microsoft's ADPCM and MP3.
 *
 * @public
 */
export type AudioEncoder = Extract<EncoderName, 'wmav1' | 'wmav2' | 'adpcm_ms' | 'libmp3lame'>;

/** What sound to make. @public */
export interface SoundOptions {
  /** Default `wmav2`. */
  readonly audioEncoder?: AudioEncoder | undefined;
  /** Bits per second; default 64 000. WMA takes 24 000 and more, MP3 its own steps, and ADPCM ignores it. */
  readonly audioBitrate?: number | undefined;
  /** Hz; default 44 100. */
  readonly sampleRate?: number | undefined;
  /** 1 or 2; default 2. */
  readonly channels?: number | undefined;
}

/** {@link SoundOptions} with the defaults, and with the rate that the encoder makes. @public */
export interface Sound {
  readonly encoder: AudioEncoder;
  /** Bits per second. */
  readonly bitrate: number;
  /** Hz. */
  readonly sampleRate: number;
  readonly channels: number;
}

/**
 * The usual sampling rate, in Hz: below it, ffmpeg's WMA encoders accept no bit rate at which they sound better.
 */
export const AUDIO_SAMPLE_RATE = 44_100;

const SAMPLE_RATES = [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/** The minimum bit rate that ffmpeg's WMA encoders accept. */
const LEAST_WMA = 24_000;
/** The rates of MPEG-1 Layer III, and those of MPEG-2 for 24 kHz and less, in kbit/s. */
const MP3_RATES = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const MP3_LOW_RATES = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/** Bytes in a block of ffmpeg's ADPCM. */
const ADPCM_BLOCK = 1024;

/**
 * Fills in the defaults and checks the limits.
 *
 * @throws WmError WM_USAGE for what the encoder cannot do; the message names the option
 */
export function completeSound(options: SoundOptions): Sound {
  const { audioEncoder: encoder = 'wmav2', sampleRate = AUDIO_SAMPLE_RATE, channels = 2 } = options;
  if (!SAMPLE_RATES.includes(sampleRate)) {
    throw usage(`--sample-rate is ${sampleRate}; take one of ${SAMPLE_RATES.join(', ')} Hz.`);
  }
  if (channels !== 1 && channels !== 2) throw usage(`--channels is ${channels}; take 1 or 2.`);
  const sound = { encoder, bitrate: options.audioBitrate ?? 64_000, sampleRate, channels };
  switch (encoder) {
    case 'wmav1':
    case 'wmav2':
      checkWma(sound.bitrate);
      return sound;
    case 'libmp3lame':
      checkMp3(sound);
      return sound;
    case 'adpcm_ms':
      return { ...sound, bitrate: Math.round((sampleRate * ADPCM_BLOCK * 8) / frameSamples(sound)) };
  }
}

function checkWma(bitrate: number): void {
  if (bitrate >= LEAST_WMA && bitrate <= 1_000_000) return;
  throw usage(
    `The audio bit rate is ${bitrate}; the WMA encoder takes 24k to 1M bits per second (--audio-bitrate 24k).`,
  );
}

function checkMp3({ bitrate, sampleRate }: Sound): void {
  const rates = sampleRate >= 32_000 ? MP3_RATES : MP3_LOW_RATES;
  if (rates.includes(bitrate / 1000)) return;
  const nearest = rates.reduce((a, b) => (Math.abs(b * 1000 - bitrate) < Math.abs(a * 1000 - bitrate) ? b : a));
  throw usage(
    `The audio bit rate is ${bitrate}; MP3 at ${sampleRate} Hz has no such rate, take --audio-bitrate ${nearest}k.`,
  );
}

/** Returns the number of samples in a frame of the encoder. */
function frameSamples({ encoder, sampleRate, channels }: Sound): number {
  switch (encoder) {
    case 'libmp3lame':
      return sampleRate >= 32_000 ? 1152 : 576;
    case 'adpcm_ms':
      // A head of 7 bytes for each channel holds two samples; then two samples are in a byte.
      return (2 * (ADPCM_BLOCK - 7 * channels)) / channels + 2;
    default:
      if (sampleRate <= 16_000) return 512;
      return sampleRate <= 22_050 || (sampleRate <= 32_000 && encoder === 'wmav1') ? 1024 : 2048;
  }
}

/** Returns the bytes of an encoded frame, which ffmpeg never splits. */
export function frameBytes(sound: Sound): number {
  return Math.ceil((sound.bitrate * frameSamples(sound)) / sound.sampleRate / 8);
}

function usage(message: string): WmError {
  return new WmError('WM_USAGE', message);
}
