import { withOverhead } from '../asf/bitrate.js';
import { liveHeader } from '../asf/edit.js';
import { GUID } from '../asf/guid.js';
import { type AsfHeader, buildHeader, type ExtendedStreamProperties, type HeaderObject } from '../asf/header.js';
import { parsePacket } from '../asf/packet.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { type Clock, Pacer, systemClock } from '../media/pacing.js';
import { SingleReading } from '../media/source.js';
import { markObject } from './marked-object.js';
import { Packetizer, type PacketLayout, type PacketObject } from './packetizer.js';
import { Random } from './random.js';

/** What a synthetic stream is like. @public */
export interface SyntheticOptions {
  /** A whole number; the same options make the same bytes everywhere. Default 1. */
  readonly seed?: number | undefined;
  /** Seconds; default: without an end. */
  readonly duration?: number | undefined;
  /** Bits per second of media data; several exclude each other. Empty for no video. Default 300 000. */
  readonly video?: readonly number[] | undefined;
  /** Bits per second; 0 for no audio. Default 64 000. */
  readonly audio?: number | undefined;
  /** Frames per second; default 25. */
  readonly fps?: number | undefined;
  /** Frames from one key frame to the next; default 50. */
  readonly gop?: number | undefined;
  /** Width and height in pixels; default 640x360. */
  readonly size?: { readonly width: number; readonly height: number } | undefined;
  /** True for a stream of script commands, which is empty unless somebody inserts some. */
  readonly commands?: boolean | undefined;
  /** Bytes, 200 to 65 000; default 1450. */
  readonly packetSize?: number | undefined;
  /** In ms; default 3000. */
  readonly preroll?: number | undefined;
  /** True for the header of a live stream; default true. */
  readonly live?: boolean | undefined;
  readonly title?: string | undefined;
  readonly layout?: PacketLayout | undefined;
  /** True to yield packets when they are due, not as fast as they are taken. */
  readonly pace?: boolean | undefined;
  /** Ends the source early. */
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

/** The audio stream's number. The first video is 1, further ones are 3, 4, … @public */
export const SYNTHETIC_AUDIO = 2;

/** Samples in a frame of WMA 2, and its sampling rate. */
const AUDIO_FRAME = { samples: 2048, rate: 44_100 };
/** A key frame is this many times larger than the others. */
const KEY_WEIGHT = 3;
/** 2020-01-01 in 100 ns units since 1601. */
/** An extension system of nobody's. */
const EXTENSION = '57'.repeat(16);
const CREATED = 132_223_104_000_000_000n;

/**
 * A stream that needs no encoder: headers of known codecs (WMV 8 and WMA 2), media objects that say what they are (see
 * {@link readMarkedObject}), exact rates, packets in any layout. The same options make the same bytes on every machine.
 * Players show nothing of it; it is for software that does not decode.
 *
 * @public
 */
export class SyntheticSource implements AsfSource {
  readonly header: AsfHeader;
  readonly #options: SyntheticOptions;
  readonly #closed = new AbortController();
  readonly #reading = new SingleReading();

  /** @throws AsfError if a value does not fit the container */
  constructor(options: SyntheticOptions = {}) {
    this.#options = options;
    this.header = syntheticHeader(options);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    this.#reading.begin();
    const { packetSize = 1450, preroll = 3000, layout, pace, clock = systemClock, signal } = this.#options;
    const ended = signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal;
    const pacer = pace ? new Pacer(clock) : undefined;
    const packetizer = new Packetizer(packetSize, preroll, layout);
    yield { type: 'header', header: this.header };
    for (const object of syntheticObjects(this.#options)) {
      for (const bytes of packetizer.add(object)) {
        const packet = parsePacket(bytes);
        await pacer?.wait(packet.sendTime, ended);
        if (ended.aborted) break;
        yield { type: 'packet', packet };
      }
      if (ended.aborted) break;
    }
    for (const bytes of ended.aborted ? [] : packetizer.end()) yield { type: 'packet', packet: parsePacket(bytes) };
    yield { type: 'end', moreEntries: false, reason: 0 };
  }

  async close(): Promise<void> {
    this.#closed.abort();
  }
}

/** Yields the media objects of a synthetic stream, by time. */
function* syntheticObjects(options: SyntheticOptions): Generator<PacketObject, void, undefined> {
  const { seed = 1, duration, video = [300_000], audio = 64_000, fps = 25, gop = 50 } = options;
  const streams = [
    ...video.map((rate, index) => videoObjects(videoStream(index), rate, fps, gop)),
    ...(audio > 0 ? [audioObjects(audio)] : []),
  ];
  const end = duration === undefined ? Number.POSITIVE_INFINITY : duration * 1000;
  const next = streams.map((stream) => stream.next().value!);
  while (next.length > 0) {
    const index = next.reduce((best, { exact }, at) => (exact < next[best]!.exact ? at : best), 0);
    const { stream, key, number, exact, size } = next[index]!;
    if (exact >= end) return;
    const time = Math.round(exact);
    yield { stream, key, number, time, data: markObject({ stream, key, number, time }, size, seed) };
    next[index] = streams[index]!.next().value!;
  }
}

interface Planned {
  readonly stream: number;
  readonly key: boolean;
  readonly number: number;
  /** In ms, not rounded. */
  readonly exact: number;
  /** In bytes. */
  readonly size: number;
}

function* videoObjects(stream: number, rate: number, fps: number, gop: number): Generator<Planned, never, undefined> {
  const group = (rate * gop) / fps / 8;
  const weights = gop - 1 + KEY_WEIGHT;
  // The bytes up to a frame; differences of rounded sums keep the rate exact.
  const before = (number: number) => {
    const inGroup = number % gop;
    return Math.floor(
      Math.floor(number / gop) * group + (inGroup === 0 ? 0 : ((inGroup - 1 + KEY_WEIGHT) * group) / weights),
    );
  };
  for (let number = 0; ; number++) {
    const size = Math.max(1, before(number + 1) - before(number));
    yield { stream, key: number % gop === 0, number, exact: (number * 1000) / fps, size };
  }
}

function* audioObjects(rate: number): Generator<Planned, never, undefined> {
  const { samples, rate: sampleRate } = AUDIO_FRAME;
  const before = (number: number) => Math.floor((number * samples * rate) / sampleRate / 8);
  for (let number = 0; ; number++) {
    const size = Math.max(1, before(number + 1) - before(number));
    yield { stream: SYNTHETIC_AUDIO, key: true, number, exact: (number * samples * 1000) / sampleRate, size };
  }
}

function videoStream(index: number): number {
  return index === 0 ? 1 : index + SYNTHETIC_AUDIO;
}

function syntheticHeader(options: SyntheticOptions): AsfHeader {
  const { seed = 1, video = [300_000], audio = 64_000, commands = false, title, live = true } = options;
  const { packetSize = 1450, preroll = 3000, size = { width: 640, height: 360 }, layout } = options;
  const fileId = new Random(seed, 0xf11e).fill(Buffer.alloc(16)).toString('hex');
  const numbers = video.map((_, index) => videoStream(index));
  const commandStream = Math.max(SYNTHETIC_AUDIO, ...numbers) + 1;
  const rates = new Map<number, number>([
    ...video.map((rate, index) => [videoStream(index), withOverhead(rate, packetSize)] as const),
    ...(audio > 0 ? [[SYNTHETIC_AUDIO, withOverhead(audio, packetSize)] as const] : []),
  ]);
  const extension = layout?.extension ?? 0;
  const objects: HeaderObject[] = [
    {
      type: 'fileProperties',
      fileId,
      fileSize: 0n,
      creationDate: CREATED,
      dataPacketsCount: 0n,
      playDuration: 0n,
      sendDuration: 0n,
      preroll,
      flags: 2,
      minimumPacketSize: packetSize,
      maximumPacketSize: packetSize,
      maximumBitrate:
        Math.max(0, ...video.map((_, index) => rates.get(videoStream(index))!)) + (rates.get(SYNTHETIC_AUDIO) ?? 0),
    },
    {
      type: 'headerExtension',
      objects: extension > 0 ? [...rates].map(([number, rate]) => extended(number, rate, extension)) : [],
    },
    ...numbers.map((number) => streamProperties(number, GUID.videoMedia, videoFormat(size))),
    ...(audio > 0 ? [streamProperties(SYNTHETIC_AUDIO, GUID.audioMedia, audioFormat(audio))] : []),
    ...(commands ? [streamProperties(commandStream, GUID.commandMedia, Buffer.alloc(0))] : []),
    ...(numbers.length > 1
      ? [{ type: 'bitrateMutualExclusion' as const, exclusionType: GUID.mutexBitrate, streamNumbers: numbers }]
      : []),
    {
      type: 'streamBitrateProperties',
      records: [...rates].map(([flags, averageBitrate]) => ({ flags, averageBitrate })),
    },
    {
      type: 'contentDescription',
      title: title ?? `Synthetic ${seed}`,
      author: '',
      copyright: '',
      description: '',
      rating: '',
    },
  ];
  const header = buildHeader(objects, { fileId, size: 50n, packetCount: 0n });
  return live ? liveHeader(header) : header;
}

function streamProperties(number: number, streamType: string, typeSpecificData: Buffer): HeaderObject {
  return {
    type: 'streamProperties',
    streamType,
    errorCorrectionType: GUID.noErrorCorrection,
    timeOffset: 0n,
    flags: number,
    reserved: 0,
    typeSpecificData,
    errorCorrectionData: Buffer.alloc(0),
  };
}

/** Declares the payload extension, an unknown one of a fixed size. */
function extended(streamNumber: number, dataBitrate: number, size: number): ExtendedStreamProperties {
  return {
    type: 'extendedStreamProperties',
    startTime: 0n,
    endTime: 0n,
    dataBitrate,
    bufferSize: 3000,
    initialBufferFullness: 0,
    alternateDataBitrate: dataBitrate,
    alternateBufferSize: 3000,
    alternateInitialBufferFullness: 0,
    maximumObjectSize: 0,
    flags: 0,
    streamNumber,
    languageIndex: 0,
    averageTimePerFrame: 0n,
    names: [],
    payloadExtensionSystems: [{ systemId: EXTENSION, dataSize: size, info: Buffer.alloc(0) }],
    streamProperties: undefined,
  };
}

/** WAVEFORMATEX of WMA 2 (asf.md 9.1), little-endian: tag, channels, rate, bytes per second, block, bits, extra. */
function audioFormat(bitrate: number): Buffer {
  const data = Buffer.alloc(28);
  data.writeUInt16LE(0x161, 0);
  data.writeUInt16LE(2, 2);
  data.writeUInt32LE(AUDIO_FRAME.rate, 4);
  data.writeUInt32LE(Math.round(bitrate / 8), 8);
  data.writeUInt16LE(Math.min(0xffff, Math.floor((bitrate * AUDIO_FRAME.samples) / AUDIO_FRAME.rate / 8)), 12);
  data.writeUInt16LE(16, 14);
  data.writeUInt16LE(10, 16);
  return data;
}

/** The video's format data (asf.md 9.2): size, flags 2, and a BITMAPINFOHEADER of WMV 8 with 4 bytes after it. */
function videoFormat({ width, height }: { readonly width: number; readonly height: number }): Buffer {
  const data = Buffer.alloc(11 + 44);
  data.writeUInt32LE(width, 0);
  data.writeUInt32LE(height, 4);
  data[8] = 2;
  data.writeUInt16LE(44, 9);
  data.writeUInt32LE(44, 11);
  data.writeInt32LE(width, 15);
  data.writeInt32LE(height, 19);
  data.writeUInt16LE(1, 23);
  data.writeUInt16LE(24, 25);
  data.write('WMV2', 27, 'latin1');
  return data;
}
