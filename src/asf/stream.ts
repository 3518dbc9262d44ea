import type { ExtendedStreamProperties, StreamPropertiesObject } from './objects.js';

/** WAVEFORMATEX (asf.md 3.2). */
export interface AudioFormat {
  readonly kind: 'audio';
  /** 0x160 WMA 1, 0x161 WMA 2 and Standard, 0x162 Pro, 0x163 Lossless, 0x0A Voice, 0x55 MP3, 1 PCM … */
  readonly formatTag: number;
  readonly channels: number;
  readonly samplesPerSecond: number;
  readonly averageBytesPerSecond: number;
  readonly blockAlign: number;
  readonly bitsPerSample: number;
  readonly codecData: Buffer;
}

/** Video_Media: the encoded size and the BITMAPINFOHEADER (asf.md 3.2). */
export interface VideoFormat {
  readonly kind: 'video';
  /** Encoded Width and Height, pixels. */
  readonly width: number;
  readonly height: number;
  readonly bitCount: number;
  /** biCompression as four characters, for example `WMV3`. */
  readonly fourCC: string;
  /** biSizeImage, bytes. */
  readonly imageSize: number;
  readonly codecData: Buffer;
}

/** JFIF_Media and Degradable_JPEG_Media. */
export interface ImageFormat {
  readonly kind: 'image';
  readonly width: number;
  readonly height: number;
  readonly degradable: boolean;
}

/** File_Transfer_Media and Binary_Media. */
export interface BinaryFormat {
  readonly kind: 'binary';
  readonly majorType: string;
  readonly subtype: string;
  readonly fixedSizeSamples: boolean;
  readonly temporalCompression: boolean;
  readonly sampleSize: number;
  readonly formatType: string;
  readonly formatData: Buffer;
}

export type StreamFormat = AudioFormat | VideoFormat | ImageFormat | BinaryFormat;

export type StreamKind = 'audio' | 'video' | 'command' | 'image' | 'file' | 'binary' | 'unknown';

/** A stream of the file, wherever its Stream Properties stand. */
export interface StreamProperties {
  /** 1 to 127. */
  readonly number: number;
  readonly type: StreamKind;
  /** Undefined for a command stream, an unknown type, and when the type-specific data is too short. */
  readonly format: StreamFormat | undefined;
  readonly encrypted: boolean;
  /** Its Stream Properties stand inside Extended Stream Properties, where old readers do not look. */
  readonly hidden: boolean;
  readonly object: StreamPropertiesObject;
  readonly extended: ExtendedStreamProperties | undefined;
}
