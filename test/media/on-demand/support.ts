import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { execa } from 'execa';
import { DATA_OBJECT_HEAD_SIZE } from '../../../src/asf/header.js';
import {
  type AsfHeader,
  AsfReader,
  buildPacket,
  type DataPacket,
  parseHeader,
  parsePacket,
  type ThinningLevel,
} from '../../../src/asf/index.js';
import type { OnDemandBatch } from '../../../src/media/on-demand/batch.js';
import type { OnDemandFile } from '../../../src/media/on-demand/file.js';
import type { DueCheck, OnDemandItem, ReaderOptions, StreamChoice } from '../../../src/media/on-demand/options.js';
import { ffmpegPath } from '../../capture/support.js';

export const everything: StreamChoice = { level: () => 0 };

/** Chooses only the named streams, at level 0 or the given one. */
export function only(levels: Readonly<Record<number, ThinningLevel>>): StreamChoice {
  return { level: (stream) => levels[stream] ?? 2 };
}

export interface MediaOptions {
  readonly seconds?: number;
  readonly packetSize?: number;
  /** Videos in the file, by their frames between key frames. Default: one. */
  readonly gops?: readonly number[];
  readonly audio?: boolean;
  readonly videoBitrate?: string;
}

/** Makes an ASF file with ffmpeg: 160x120 at 25 frames a second, streams numbered from 1, video first. */
export async function makeMedia(path: string, options: MediaOptions = {}): Promise<void> {
  const { seconds = 20, packetSize = 1400, gops = [37], audio = true, videoBitrate = '200k' } = options;
  const inputs = gops.flatMap(() => ['-f', 'lavfi', '-i', 'testsrc2=size=160x120:rate=25']);
  if (audio) inputs.push('-f', 'lavfi', '-i', 'sine=sample_rate=44100');
  const maps = [...gops, ...(audio ? [0] : [])].flatMap((_each, input) => ['-map', String(input)]);
  const sizes = gops.flatMap((gop, index) => [`-g:v:${index}`, String(gop), `-b:v:${index}`, videoBitrate]);
  const codecs = [
    ...(gops.length > 0 ? ['-c:v', 'wmv2', '-sc_threshold', '1000000000'] : []),
    '-c:a',
    'wmav2',
    '-b:a',
    '64k',
  ];
  await execa(ffmpegPath, [
    ...['-v', 'error', '-y', ...inputs, ...maps, '-t', String(seconds), ...codecs, ...sizes],
    ...['-packet_size', String(packetSize), '-f', 'asf', path],
  ]);
}

/** Cuts off everything after the data. */
export function cutIndex(path: string): void {
  const bytes = readFileSync(path);
  const header = parseHeader(bytes);
  truncateSync(path, header.bytes.length - DATA_OBJECT_HEAD_SIZE + Number(header.dataObject.size));
}

export interface Contents {
  readonly header: AsfHeader;
  readonly packets: readonly DataPacket[];
}

/** Reads all of a file with the ASF room's reader, which is independent of the code under test. */
export function contentsOf(path: string): Contents {
  const reader = new AsfReader();
  const packets: DataPacket[] = [];
  for (const item of [...reader.push(readFileSync(path)), ...reader.end()]) {
    if (item.type === 'packet') packets.push(item.packet);
  }
  return { header: reader.header!, packets };
}

export interface Key {
  readonly packet: number;
  /** Media time in ms. */
  readonly time: number;
}

/** Where the key frames of a stream begin. */
export function keysOf({ header, packets }: Contents, stream: number): Key[] {
  return packets.flatMap(({ payloads }, packet) =>
    payloads
      .filter((payload) => payload.stream === stream && payload.key && payload.offset === 0)
      .map(({ presentationTime }) => ({ packet, time: presentationTime - header.preroll })),
  );
}

/** Returns the packet of the last key frame up to a time, or the first packet of the file. */
export function keyPacketAt(keys: readonly Key[], time: number): number {
  return keys.findLast((key) => key.time <= time)?.packet ?? 0;
}

export type ReadOptions = Partial<ReaderOptions>;

/** Reads everything that a reader returns, or this many packets. */
export async function readAll(
  reader: { next(pacer: DueCheck): Promise<OnDemandBatch> },
  limit = Number.POSITIVE_INFINITY,
): Promise<{ items: OnDemandItem[]; rewound: boolean; batches: number }> {
  const items: OnDemandItem[] = [];
  let count = 0;
  const given = (size: number) => {
    if (size > 0) count++;
  };
  const pacer = { span: Number.POSITIVE_INFINITY, due: () => count < limit, given };
  for (let batches = 1; ; batches++) {
    const batch = await reader.next(pacer);
    items.push(...itemsOf(batch));
    if (batch.end || items.length >= limit) return { items, rewound: batch.rewound ?? false, batches };
  }
}

/** Returns the packets of a batch, which may be in a page. */
export function itemsOf({ items, stretch }: OnDemandBatch): readonly OnDemandItem[] {
  return stretch ? stretch.page.items(stretch.from, stretch.to) : items;
}

/**
 * Reads everything that a new reader of the file returns; by default from the start, all streams, normal rate, padding
 * cut. Another reader after it, which need not parse what is known by then, gets the same, and so do two that read pages.
 */
export async function play(file: OnDemandFile, options: ReadOptions = {}): Promise<OnDemandItem[]> {
  const read = async (gap?: number) => {
    const reader = file.reader({ from: 0, choice: everything, rate: 1, padding: 'cut', ...options });
    reader.gap = gap;
    return (await readAll(reader)).items;
  };
  const items = await read();
  for (const gap of [undefined, 12, 12]) expect(digest(await read(gap))).toBe(digest(items));
  return items;
}

export const locations = (items: readonly OnDemandItem[]): number[] => items.map(({ location }) => location);

/** Returns numbers and bytes as one text: jest's matchers take seconds for thousands of buffers. */
export function digest(items: readonly OnDemandItem[]): string {
  const hash = createHash('sha256');
  for (const { location, bytes, sendTime } of items)
    hash.update(`${location} ${sendTime} ${bytes.length} `).update(bytes);
  return `${items.length} ${hash.digest('hex')}`;
}

/** Stream, object, offset, key and data of the payloads, in order. */
export function payloadsOf(packets: readonly Buffer[]): string[] {
  return packets.flatMap((bytes) =>
    parsePacket(bytes).payloads.map(
      ({ stream, mediaObjectNumber, offset, key, presentationTime, dataStart, dataLength }) =>
        `${stream} ${mediaObjectNumber} ${offset} ${key} ${presentationTime} ${bytes.toString('hex', dataStart, dataStart + dataLength)}`,
    ),
  );
}

export interface MadePayload {
  readonly stream: number;
  readonly key?: boolean;
  readonly number?: number;
  readonly offset?: number;
  readonly objectSize?: number;
  /** Media time in ms. */
  readonly time: number;
  readonly size?: number;
}

export const PREROLL = 1000;

/** Builds a packet of the payloads, padded to the packet size. */
export function madePacket(sendTime: number, payloads: readonly MadePayload[], packetSize = 400): Buffer {
  return buildPacket({
    sendTime: sendTime >>> 0,
    duration: 0,
    packetSize,
    multiple: true,
    payloads: payloads.map(({ stream, key = false, number = 0, offset = 0, size = 40, objectSize = size, time }) => {
      const replicated = Buffer.alloc(8);
      replicated.writeUInt32LE(objectSize, 0);
      replicated.writeUInt32LE((time + PREROLL) >>> 0, 4);
      const data = Buffer.alloc(size, 1 + (number % 250));
      return { stream, key, mediaObjectNumber: number & 0xff, offset, replicated, data };
    }),
  });
}

/** Writes a file of the header, the packets, and what follows, all unchanged. */
export function writeAsf(
  path: string,
  header: AsfHeader,
  packets: readonly Buffer[],
  trailer: Buffer = Buffer.alloc(0),
): void {
  writeFileSync(path, Buffer.concat([header.bytes, ...packets, trailer]));
}

/** Overwrites bytes of a file in place. */
export function patch(path: string, at: number, bytes: Buffer): void {
  const file = openSync(path, 'r+');
  try {
    writeSync(file, bytes, 0, bytes.length, at);
  } finally {
    closeSync(file);
  }
}
