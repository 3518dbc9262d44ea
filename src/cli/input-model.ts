import type { VideoEncoder } from '../capture/options.js';
import type { Size } from '../capture/picture.js';
import type { AudioEncoder } from '../capture/sound.js';
import type { ScriptOptions } from './script-option.js';

/** The options for what to capture or read and how to encode it. */
export interface InputOptions extends ScriptOptions {
  /** One after the other; default `test`. */
  readonly input?: readonly string[];
  readonly inputFormat?: string;
  readonly copy?: true;
  readonly loop?: true;
  /** How often to play the inputs. */
  readonly repeat?: number;
  /** `bars`, `black`, or a file with a picture. */
  readonly filler?: string;
  /** The path of a socket, or - for standard input. */
  readonly control?: string;
  readonly duration?: number;
  readonly videoBitrate?: number;
  readonly rate?: readonly number[];
  readonly audioBitrate?: number;
  readonly size?: Size;
  readonly fps?: number;
  readonly keyFrameInterval?: number;
  readonly packetSize?: number;
  /** False with --no-video. */
  readonly video: boolean;
  readonly profile?: string;
  readonly saveProfile?: string | undefined;
  readonly videoCodec?: VideoEncoder;
  readonly audioCodec?: AudioEncoder;
  readonly sampleRate?: number;
  readonly channels?: number;
  /** False with --no-audio. */
  readonly audio: boolean;
  readonly title?: string;
  readonly author?: string;
  readonly copyright?: string;
  readonly comment?: string;
  readonly ffmpeg?: string;
  /** A command of the shell. */
  readonly packager?: string;
}
