import { WmError } from '../errors.js';
import { exclusionsOf, leftOut } from './exclusions.js';
import { randomGuid } from './guid.js';
import { type AsfHeader, buildHeader, DATA_OBJECT_HEAD_SIZE, headerLength } from './header.js';
import { OBJECT_HEAD_SIZE, objectBytes } from './object-tree.js';
import {
  type ContentDescription,
  FILE_FLAG,
  type FileProperties,
  type HeaderObject,
  STREAM_FLAG,
  type StreamBitrateProperties,
} from './objects.js';
import { flattenObjects } from './stream.js';

export { describeStreams, type StreamDescription } from './describe.js';

/** The fields that {@link liveHeader} sets; those left out keep the header's values. @public */
export interface LiveHeaderOptions {
  readonly title?: string;
  readonly author?: string;
  readonly copyright?: string;
  readonly description?: string;
  readonly rating?: string;
  /** Raw GUID; default: the header's, or a new one if that is zero. */
  readonly fileId?: string;
  /** Creation date for headers without one; default: now. */
  readonly now?: Date;
  /** Bits per second by stream number, packet overhead included; takes precedence over the header's. */
  readonly bitrates?: ReadonlyMap<number, number>;
  /** Bytes. */
  readonly packetSize?: number;
}

/**
 * The most characters (UTF-16 code units) in a text of the Content Description: with a NUL they fill its 65,535 bytes.
 */
export const MAX_TEXT_LENGTH = 32_766;

/**
 * Checks texts that are to go into a header.
 * @param texts by the name to use in the message
 * @throws WmError WM_USAGE if one has more than {@link MAX_TEXT_LENGTH} characters
 */
export function checkTexts(texts: Readonly<Record<string, string | undefined>>): void {
  for (const [name, { length = 0 } = {}] of Object.entries(texts)) {
    if (length <= MAX_TEXT_LENGTH) continue;
    throw new WmError('WM_USAGE', `${name} has ${length} characters; an ASF header holds at most ${MAX_TEXT_LENGTH}.`);
  }
}

const ZERO_GUID = '0'.repeat(32);

/** Players take 0 to mean the end, so a live header has the largest DWORD, as Microsoft's encoder writes it. */
const LIVE_PACKETS_COUNT = 0xffff_ffffn;

/** 1970-01-01 in 100 ns units since 1601-01-01, which ffmpeg writes if it knows no date. */
const UNIX_EPOCH = 116_444_736_000_000_000n;

const LARGEST_BITRATE = 0xffff_ffff;

/** Converts a date to 100 ns units since 1601-01-01 UTC (asf.md 1). */
export function fileTime(date: Date): bigint {
  return BigInt(date.getTime()) * 10_000n + UNIX_EPOCH;
}

/** Returns the objects that a Digital Signature covers: those between File Properties and the signature (asf.md 15). */
export function signedObjects(objects: readonly HeaderObject[]): ReadonlySet<HeaderObject> {
  const file = objects.findIndex((object) => object.type === 'fileProperties');
  const signature = objects.findIndex((object) => object.type === 'digitalSignature');
  return new Set(objects.slice(file + 1, Math.max(signature, file + 1)));
}

/** One object as it appears in a live header; undefined if it has no place there (asf.md 10.7). */
function liveObject(object: HeaderObject): HeaderObject | undefined {
  switch (object.type) {
    case 'marker':
      return undefined;
    case 'indexParameters':
    case 'mediaObjectIndexParameters':
    case 'timecodeIndexParameters':
      return { type: 'padding', data: Buffer.alloc(objectBytes(object).length - OBJECT_HEAD_SIZE) };
    case 'extendedStreamProperties': {
      const isLive = (object.flags & STREAM_FLAG.seekable) === 0 && object.startTime === 0n && object.endTime === 0n;
      return isLive
        ? object
        : { ...object, flags: (object.flags & ~STREAM_FLAG.seekable) >>> 0, startTime: 0n, endTime: 0n };
    }
    case 'headerExtension': {
      const objects = liveObjects(object.objects, new Set());
      const isLive = objects.every((each, index) => each === object.objects[index]);
      return isLive && objects.length === object.objects.length ? object : { ...object, objects };
    }
    default:
      return object;
  }
}

function liveObjects(objects: readonly HeaderObject[], signed: ReadonlySet<HeaderObject>): HeaderObject[] {
  const live = objects.map((object) => (signed.has(object) ? object : liveObject(object)));
  return live.filter((object) => object !== undefined);
}

/** The rates that the live header lists: those of the options, else those of the header, else 0. */
function listedBitrates(header: AsfHeader, options: LiveHeaderOptions): Map<number, number> {
  const rates = new Map<number, number>();
  for (const { number } of header.streams) {
    rates.set(number, options.bitrates?.get(number) ?? header.streamBitrates.get(number) ?? 0);
  }
  return rates;
}

/** The sum of the visible streams' rates, or the header's value if one of them is unknown. */
function maximumBitrate(header: AsfHeader, rates: ReadonlyMap<number, number>): number {
  // Of streams that exclude each other only one is sent: the one with the highest rate has to fit.
  const total = (choice: readonly number[]) => choice.reduce((sum, number) => sum + (rates.get(number) ?? 0), 0);
  const left = leftOut(exclusionsOf(header), (choices) => choices.reduce((a, b) => (total(b) > total(a) ? b : a)));
  const visible = header.streams.filter((stream) => !stream.hidden && !left.has(stream.number));
  const sum = visible.reduce((total, { number }) => total + rates.get(number)!, 0);
  if (visible.some(({ number }) => rates.get(number) === 0)) return header.fileProperties.maximumBitrate;
  return Math.min(sum, LARGEST_BITRATE);
}

function bitrateObject(rates: ReadonlyMap<number, number>): StreamBitrateProperties {
  const records = [...rates].map(([flags, averageBitrate]) => ({ flags, averageBitrate }));
  return { type: 'streamBitrateProperties', records };
}

/** The Content Description with the texts of the options in place of the header's. */
function describedAs(old: ContentDescription | undefined, options: LiveHeaderOptions): ContentDescription | undefined {
  const { title, author, copyright, description, rating } = options;
  if ([title, author, copyright, description, rating].every((text) => text === undefined)) return old;
  checkTexts({ title, author, copyright, description, rating });
  return {
    type: 'contentDescription',
    title: title ?? old?.title ?? '',
    author: author ?? old?.author ?? '',
    copyright: copyright ?? old?.copyright ?? '',
    description: description ?? old?.description ?? '',
    rating: rating ?? old?.rating ?? '',
  };
}

/** The objects with one replaced, or with one added at the end, where no signature covers it. */
function placed(objects: readonly HeaderObject[], old: HeaderObject | undefined, fresh: HeaderObject): HeaderObject[] {
  return old !== undefined && objects.includes(old)
    ? objects.map((object) => (object === old ? fresh : object))
    : [...objects, fresh];
}

/** Returns the header with other File Properties; their size never changes. */
export function withFileProperties(
  objects: readonly HeaderObject[],
  old: FileProperties,
  changes: Partial<FileProperties>,
): HeaderObject[] {
  return placed(objects, old, { ...old, ...changes });
}

/**
 * Converts a header to the form that clients of a live stream get (asf.md 10.7): Broadcast set and Seekable clear,
 * durations 0, Data Packets Count 0xFFFFFFFF, a File ID and a creation date, Stream Bitrate Properties, no index
 * parameters or markers, and a Data Object of 50 bytes. Idempotent. Objects that a Digital Signature covers do not
 * change.
 * @throws WmError WM_USAGE if a text of the options is too long; AsfError if a number does not fit its field
 * @public
 */
export function liveHeader(header: AsfHeader, options: LiveHeaderOptions = {}): AsfHeader {
  const { fileProperties: file } = header;
  const signed = signedObjects(header.objects);
  const rates = listedBitrates(header, options);
  const packetSize = options.packetSize ?? header.packetSize;
  const fileId = options.fileId ?? (header.fileId === ZERO_GUID ? randomGuid() : header.fileId);
  const hasDate = file.creationDate !== 0n && file.creationDate !== UNIX_EPOCH;

  let objects = liveObjects(header.objects, signed);
  const oldRates = flattenObjects(objects).find((object) => object.type === 'streamBitrateProperties');
  if (oldRates === undefined || (options.bitrates !== undefined && !signed.has(oldRates))) {
    objects = placed(objects, oldRates, bitrateObject(rates));
  }
  const oldTexts = objects.find((object) => object.type === 'contentDescription');
  const texts = describedAs(oldTexts, options);
  if (texts !== undefined && texts !== oldTexts && !(oldTexts !== undefined && signed.has(oldTexts))) {
    objects = placed(objects, oldTexts, texts);
  }
  const changes = {
    fileId,
    creationDate: hasDate ? file.creationDate : fileTime(options.now ?? new Date()),
    dataPacketsCount: LIVE_PACKETS_COUNT,
    playDuration: 0n,
    sendDuration: 0n,
    // Unsigned: a file may have every flag.
    flags: ((file.flags & ~FILE_FLAG.seekable) | FILE_FLAG.broadcast) >>> 0,
    minimumPacketSize: packetSize,
    maximumPacketSize: packetSize,
    maximumBitrate: maximumBitrate(header, rates),
  };
  const data = { fileId, size: BigInt(DATA_OBJECT_HEAD_SIZE), packetCount: 0n };
  const fileSize = BigInt(headerLength(withFileProperties(objects, file, changes)));
  return buildHeader(withFileProperties(objects, file, { ...changes, fileSize }), data);
}

/** The bytes that are compared: every object, without the fields that differ each time an encoder starts. */
function layoutBytes(header: AsfHeader): Buffer {
  const parts = header.objects.map((object) => {
    if (object.type === 'fileProperties') {
      const sameEveryTime = {
        fileSize: 0n,
        creationDate: 0n,
        dataPacketsCount: 0n,
        playDuration: 0n,
        sendDuration: 0n,
      };
      return objectBytes({ ...object, ...sameEveryTime, fileId: ZERO_GUID });
    }
    if (object.type === 'extendedContentDescription') {
      const descriptors = object.descriptors.filter(({ name }) => name !== 'WM/EncodingTime');
      return objectBytes({ ...object, descriptors });
    }
    return objectBytes(object);
  });
  return Buffer.concat(parts);
}

/** Objects that say something about the content and nothing about the streams. */
const TEXTS: ReadonlySet<HeaderObject['type']> = new Set([
  'contentDescription',
  'extendedContentDescription',
  'contentBranding',
  'codecList',
  'metadata',
  'metadataLibrary',
  'padding',
  'marker',
  'scriptCommand',
]);

function withoutTexts(objects: readonly HeaderObject[]): HeaderObject[] {
  const kept = objects.filter(({ type }) => !TEXTS.has(type));
  return kept.map((object) =>
    object.type === 'headerExtension' ? { ...object, objects: withoutTexts(object.objects) } : object,
  );
}

/**
 * True if a decoder that was set up by one header can decode packets under the other: as {@link sameLayout}, but title,
 * author and other texts may differ.
 *
 * @public
 */
export function sameStreams(a: AsfHeader, b: AsfHeader): boolean {
  const bytes = ({ objects, dataObject }: AsfHeader) => layoutBytes(buildHeader(withoutTexts(objects), dataObject));
  return bytes(a).equals(bytes(b));
}

/**
 * True if packets under one header may follow packets under the other without a new header, as when an encoder comes
 * back: the headers are equal except for File ID, creation date, file size, counts and durations (asf.md 10.6).
 *
 * @public
 */
export function sameLayout(a: AsfHeader, b: AsfHeader): boolean {
  return layoutBytes(a).equals(layoutBytes(b));
}
