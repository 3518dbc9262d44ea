import { GUID } from './guid.js';
import type { ExtendedStreamProperties, HeaderObject, StreamPropertiesObject } from './objects.js';

/** WAVEFORMATEX (asf.md 3.2). @public */
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

/** Video_Media: the encoded size and the BITMAPINFOHEADER (asf.md 3.2). @public */
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

/** JFIF_Media and Degradable_JPEG_Media. @public */
export interface ImageFormat {
  readonly kind: 'image';
  readonly width: number;
  readonly height: number;
  readonly degradable: boolean;
}

/** File_Transfer_Media and Binary_Media. @public */
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

/** @public */
export type StreamFormat = AudioFormat | VideoFormat | ImageFormat | BinaryFormat;

/** @public */
export type StreamKind = 'audio' | 'video' | 'command' | 'image' | 'file' | 'binary' | 'unknown';

/** A stream of the file, wherever its Stream Properties are. @public */
export interface StreamProperties {
  /** 1 to 127. */
  readonly number: number;
  readonly type: StreamKind;
  /** Undefined for a command stream, an unknown type, and too short type-specific data. */
  readonly format: StreamFormat | undefined;
  readonly encrypted: boolean;
  /** True if its Stream Properties are inside Extended Stream Properties, where old readers do not look. */
  readonly hidden: boolean;
  readonly object: StreamPropertiesObject;
  readonly extended: ExtendedStreamProperties | undefined;
}

/*
 * WAVEFORMATEX
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |          wFormatTag           |           nChannels           |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                        nSamplesPerSec                         |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                        nAvgBytesPerSec                        |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |          nBlockAlign          |        wBitsPerSample         |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |            cbSize             | cbSize bytes of codec data ...|
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
function audioFormat(data: Buffer): AudioFormat | undefined {
  if (data.length < 16) return undefined;
  const codecDataSize = data.length >= 18 ? data.readUInt16LE(16) : 0;
  return {
    kind: 'audio',
    formatTag: data.readUInt16LE(0),
    channels: data.readUInt16LE(2),
    samplesPerSecond: data.readUInt32LE(4),
    averageBytesPerSecond: data.readUInt32LE(8),
    blockAlign: data.readUInt16LE(12),
    bitsPerSample: data.readUInt16LE(14),
    codecData: data.subarray(18, 18 + codecDataSize),
  };
}

/** Encoded Width and Height, Reserved Flags, Format Data Size, before the BITMAPINFOHEADER. */
const VIDEO_HEAD_SIZE = 11;
const BITMAP_INFO_SIZE = 40;

/*
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                      Encoded Image Width                      |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                      Encoded Image Height                     |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Reserved = 2  |       Format Data Size        |  biSize (4),
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   biWidth (4), biHeight (4), biPlanes (2), biBitCount (2), biCompression (4), biSizeImage (4),
 *   biXPelsPerMeter (4), biYPelsPerMeter (4), biClrUsed (4), biClrImportant (4), codec data
 */
function videoFormat(data: Buffer): VideoFormat | undefined {
  if (data.length < VIDEO_HEAD_SIZE + BITMAP_INFO_SIZE) return undefined;
  const bitmap = data.subarray(VIDEO_HEAD_SIZE);
  return {
    kind: 'video',
    width: data.readUInt32LE(0),
    height: data.readUInt32LE(4),
    bitCount: bitmap.readUInt16LE(14),
    fourCC: bitmap.toString('latin1', 16, 20),
    imageSize: bitmap.readUInt32LE(20),
    codecData: bitmap.subarray(BITMAP_INFO_SIZE, Math.max(data.readUInt16LE(9), BITMAP_INFO_SIZE)),
  };
}

function imageFormat(data: Buffer, degradable: boolean): ImageFormat | undefined {
  if (data.length < 8) return undefined;
  return { kind: 'image', width: data.readUInt32LE(0), height: data.readUInt32LE(4), degradable };
}

function binaryFormat(data: Buffer): BinaryFormat | undefined {
  if (data.length < 64) return undefined;
  return {
    kind: 'binary',
    majorType: data.toString('hex', 0, 16),
    subtype: data.toString('hex', 16, 32),
    fixedSizeSamples: data.readUInt32LE(32) !== 0,
    temporalCompression: data.readUInt32LE(36) !== 0,
    sampleSize: data.readUInt32LE(40),
    formatType: data.toString('hex', 44, 60),
    formatData: data.subarray(64, 64 + data.readUInt32LE(60)),
  };
}

interface MediaType {
  readonly type: StreamKind;
  readonly format: (data: Buffer) => StreamFormat | undefined;
}

const mediaTypes: ReadonlyMap<string, MediaType> = new Map<string, MediaType>([
  [GUID.audioMedia, { type: 'audio', format: audioFormat }],
  [GUID.videoMedia, { type: 'video', format: videoFormat }],
  [GUID.commandMedia, { type: 'command', format: () => undefined }],
  [GUID.jfifMedia, { type: 'image', format: (data) => imageFormat(data, false) }],
  [GUID.degradableJPEGMedia, { type: 'image', format: (data) => imageFormat(data, true) }],
  [GUID.fileTransferMedia, { type: 'file', format: binaryFormat }],
  [GUID.binaryMedia, { type: 'binary', format: binaryFormat }],
]);

/** Returns the kind of a stream type, given its raw GUID in hex. @public */
export function streamKindOf(streamType: string): StreamKind {
  return mediaTypes.get(streamType)?.type ?? 'unknown';
}

function describe(
  object: StreamPropertiesObject,
  hidden: boolean,
  extended: ExtendedStreamProperties | undefined,
): StreamProperties {
  const media = mediaTypes.get(object.streamType);
  return {
    number: object.flags & 0x7f,
    type: media?.type ?? 'unknown',
    format: media?.format(object.typeSpecificData),
    encrypted: (object.flags & 0x8000) !== 0,
    hidden,
    object,
    extended,
  };
}

/** Returns all objects, those of the Header Extension after those of the Header. @public */
export function flattenObjects(objects: readonly HeaderObject[]): HeaderObject[] {
  const extensions = objects.filter((object) => object.type === 'headerExtension');
  return [...objects, ...extensions.flatMap((extension) => flattenObjects(extension.objects))];
}

/**
 * Returns the streams that the objects declare (asf.md 3.2, 4.1). If a number is declared twice, the first counts, and
 * a visible one takes precedence over a hidden one. Number 0 is ignored.
 *
 * @public
 */
export function findStreams(objects: readonly HeaderObject[]): StreamProperties[] {
  const all = flattenObjects(objects);
  const extended = new Map<number, ExtendedStreamProperties>();
  for (const object of all) {
    if (object.type !== 'extendedStreamProperties' || extended.has(object.streamNumber)) continue;
    extended.set(object.streamNumber, object);
  }
  const streams = new Map<number, StreamProperties>();
  const add = (object: StreamPropertiesObject, hidden: boolean): void => {
    const number = object.flags & 0x7f;
    if (number !== 0 && !streams.has(number)) streams.set(number, describe(object, hidden, extended.get(number)));
  };
  for (const object of all) if (object.type === 'streamProperties') add(object, false);
  for (const object of extended.values()) {
    if (object.streamProperties !== undefined) add(object.streamProperties, true);
  }
  return [...streams.values()];
}
