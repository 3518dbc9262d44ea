import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  AsfError,
  type AsfHeader,
  type AsfItem,
  AsfReader,
  buildHeader,
  buildPacket,
  type DataPacket,
  type FileProperties,
  GUID,
  type HeaderObject,
  type LengthType,
  type PacketFields,
  parsePacket,
  type StreamPropertiesObject,
} from '../../src/asf/index.js';

export const hex = (text: string): Buffer => Buffer.from(text.replace(/[^0-9a-f]/gi, ''), 'hex');

export const ZERO_ID = '0'.repeat(32);
export const FILE_ID = '00112233445566778899aabbccddeeff';

export function fileProperties(changes: Partial<FileProperties> = {}): FileProperties {
  return {
    type: 'fileProperties',
    fileId: FILE_ID,
    fileSize: 0n,
    creationDate: 0x01ca_0000_0000_0000n,
    dataPacketsCount: 0n,
    playDuration: 0n,
    sendDuration: 0n,
    preroll: 3000,
    flags: 1,
    minimumPacketSize: 200,
    maximumPacketSize: 200,
    maximumBitrate: 500_000,
    ...changes,
  };
}

/** WAVEFORMATEX of WMA 2: 64 008 b/s, 44.1 kHz, 2 channels, block align 2973. */
export const WMA2 = hex('6101 0200 44ac0000 411f0000 9d0b 1000 0a00 00880000 0f00 75170000');
/** 320 × 240 WMV3 with 4 bytes of codec data. */
export const WMV3 = hex(
  `40010000 f0000000 02 2c00  2c000000 40010000 f0000000 0100 1800 574d5633 00000000 00000000 00000000 00000000 00000000
   4ed11a01`,
);

export function stream(streamType: string, number: number, data: Buffer = Buffer.alloc(0)): StreamPropertiesObject {
  return {
    type: 'streamProperties',
    streamType,
    errorCorrectionType: GUID.noErrorCorrection,
    timeOffset: 0n,
    flags: number,
    reserved: 0,
    typeSpecificData: data,
    errorCorrectionData: Buffer.alloc(0),
  };
}

export const audio = (number: number): StreamPropertiesObject => stream(GUID.audioMedia, number, WMA2);
export const video = (number: number): StreamPropertiesObject => stream(GUID.videoMedia, number, WMV3);

export function header(objects: readonly HeaderObject[], data: Partial<AsfHeader['dataObject']> = {}): AsfHeader {
  return buildHeader(objects, { fileId: FILE_ID, size: 50n, packetCount: 0n, ...data });
}

/** A live header with audio 1 and video 2. */
export const liveAv = (changes: Partial<FileProperties> = {}): AsfHeader =>
  header([fileProperties(changes), audio(1), video(2)]);

export function replicated(objectSize: number, presentationTime: number, more: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(objectSize, 0);
  bytes.writeUInt32LE(presentationTime >>> 0, 4);
  return Buffer.concat([bytes, more]);
}

export interface Piece {
  stream: number;
  key?: boolean;
  number?: number;
  offset?: number;
  time: number;
  data: Buffer | string;
}

/** A packet of the usual form with the given payloads, padded to a size if one is given. */
export function packetOf(sendTime: number, pieces: readonly Piece[], packetSize?: number): Buffer {
  return buildPacket({
    sendTime,
    duration: 40,
    ...(packetSize === undefined ? {} : { packetSize }),
    payloads: pieces.map((piece) => ({
      stream: piece.stream,
      key: piece.key ?? false,
      mediaObjectNumber: piece.number ?? 1,
      offset: piece.offset ?? 0,
      replicated: replicated(piece.data.length, piece.time),
      data: Buffer.from(piece.data),
    })),
  });
}

/** The content of a packet's payloads, independent of the packet's form. */
export function contents(packet: DataPacket): unknown {
  return packet.payloads.map((payload) => ({
    stream: payload.stream,
    key: payload.key,
    number: payload.mediaObjectNumber,
    offset: payload.offset,
    time: payload.presentationTime,
    replicated: packet.bytes.toString(
      'hex',
      payload.replicatedStart,
      payload.replicatedStart + payload.replicatedLength,
    ),
    data: packet.bytes.toString('hex', payload.dataStart, payload.dataStart + payload.dataLength),
  }));
}

export function readAll(bytes: Buffer, chunkSize = bytes.length): { items: AsfItem[]; reader: AsfReader } {
  const reader = new AsfReader();
  const items: AsfItem[] = [];
  for (let at = 0; at < bytes.length; at += chunkSize) items.push(...reader.push(bytes.subarray(at, at + chunkSize)));
  items.push(...reader.end());
  return { items, reader };
}

export function packetsOf(items: readonly AsfItem[]): DataPacket[] {
  return items.flatMap((item) => (item.type === 'packet' ? [item.packet] : []));
}

export function headerOf(items: readonly AsfItem[]): AsfHeader {
  const item = items.find((each) => each.type === 'header');
  if (item === undefined) throw new Error('No header was read.');
  return item.header;
}

/** Runs something that may only fail with AsfError; returns true if it failed. */
export function failsOnlyWithAsfError(work: () => unknown): boolean {
  try {
    work();
    return false;
  } catch (error) {
    if (error instanceof AsfError) return true;
    throw error;
  }
}

const code = fc.constantFrom<LengthType[]>(0, 1, 2, 3);
const LARGEST = [0, 0xff, 0xffff, 0xffff_ffff] as const;
const upTo = (type: LengthType, limit = LARGEST[type]): fc.Arbitrary<number> =>
  fc.nat({ max: Math.min(LARGEST[type], limit) });
const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));

/**
 * Fields of packets of every form: all length types, single and several payloads, compressed, with and without padding.
 */
export const packetFieldsArbitrary: fc.Arbitrary<PacketFields> = fc
  .record({
    replicatedType: code,
    offsetType: code,
    numberType: code,
    payloadLengthType: fc.constantFrom<LengthType[]>(1, 2, 3),
    packetLengthType: fc.constantFrom<LengthType[]>(0, 2, 3),
    sequenceType: code,
    paddingType: code,
    multiple: fc.boolean(),
    compressed: fc.boolean(),
  })
  .chain((types) => {
    const compressed = types.compressed && types.replicatedType !== 0;
    const payload = fc.record({
      stream: fc.nat({ max: 127 }),
      key: fc.boolean(),
      mediaObjectNumber: upTo(types.numberType),
      offset: upTo(types.offsetType),
      replicated: compressed
        ? bytes(1, 1)
        : types.replicatedType === 0
          ? bytes(0, 0)
          : fc.oneof(bytes(0, 0), bytes(8, 30)),
      data: bytes(1, 40),
    });
    return fc.record({
      errorCorrection: fc.oneof(
        fc.constant(hex('820000')),
        fc.constant(hex('')),
        bytes(0, 15).map((data) => Buffer.from([0x80 | data.length, ...data])),
      ),
      multiple: fc.constant(types.multiple),
      sequenceType: fc.constant(types.sequenceType),
      sequence: upTo(types.sequenceType),
      packetLengthType: fc.constant(types.packetLengthType),
      paddingType: fc.constant(types.paddingType),
      padding: types.paddingType === 0 ? bytes(0, 0) : bytes(0, 60),
      propertyFlags: fc.constant(0x40 | types.replicatedType | (types.offsetType << 2) | (types.numberType << 4)),
      payloadLengthType: fc.constant(types.payloadLengthType),
      sendTime: upTo(3),
      duration: upTo(2),
      payloads: types.multiple ? fc.array(payload, { minLength: 1, maxLength: 6 }) : payload.map((one) => [one]),
      gap: types.multiple ? fc.oneof(bytes(0, 0), bytes(0, 9)) : bytes(0, 0),
      filler: types.packetLengthType === 0 ? bytes(0, 0) : fc.oneof(bytes(0, 0), bytes(0, 20)),
    });
  });

/** Packets of every form, parsed. */
export const packetArbitrary: fc.Arbitrary<DataPacket> = packetFieldsArbitrary.map((fields) =>
  parsePacket(buildPacket(fields)),
);

/** Changes some bytes of a buffer, or cuts it. */
export const mutation: fc.Arbitrary<(original: Buffer) => Buffer> = fc
  .record({
    changes: fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 6 }),
    keep: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.boolean(),
  })
  .map(({ changes, keep, cut }) => (original) => {
    const copy = Buffer.from(cut ? original.subarray(0, Math.floor(original.length * keep)) : original);
    for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length] = value;
    return copy;
  });

export const hasFfmpeg = ((): boolean => {
  try {
    execFileSync('ffmpeg', ['-version'], { stdio: 'ignore' });
    execFileSync('ffprobe', ['-version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** A folder for the input and output files of ffmpeg. */
export class Workshop {
  readonly folder = mkdtempSync(join(tmpdir(), 'wmcast-asf-'));
  #count = 0;

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Runs ffmpeg; returns its standard output. */
  ffmpeg(...options: string[]): Buffer {
    const fixed = ['-nostdin', '-v', 'error', '-threads', '1', '-y'];
    return execFileSync('ffmpeg', [...fixed, ...options], { maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  probe(...options: string[]): string {
    return execFileSync('ffprobe', ['-v', 'error', ...options], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Picture and tone as ASF with the given options, as a file or through a pipe. */
  make(target: 'file' | 'pipe', ...options: string[]): Buffer {
    const path = this.path(`${this.#count++}.asf`);
    const made = this.ffmpeg(...options, '-f', 'asf', target === 'file' ? path : 'pipe:1');
    return target === 'file' ? readFileSync(path) : made;
  }

  save(bytes: Buffer): string {
    const path = this.path(`${this.#count++}.asf`);
    writeFileSync(path, bytes);
    return path;
  }

  /** The checksums and times of all frames that ffmpeg decodes, or of the packets it finds. */
  frames(bytes: Buffer, ...options: string[]): string {
    // With the original time stamps: otherwise ffmpeg counts from the start of the first stream, which a filter may
    // remove.
    const input = ['-copyts', '-i', this.save(bytes)];
    return this.ffmpeg(...input, ...options, '-fps_mode', 'passthrough', '-f', 'framemd5', 'pipe:1').toString();
  }

  write(path: string, text: string): void {
    writeFileSync(path, text);
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A picture of 160 × 120 and a tone, of a few seconds. */
export const AV_INPUT = (duration: number): string[] => [
  ...['-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=25', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=44100'],
  ...['-t', String(duration), '-c:v', 'wmv2', '-b:v', '300k', '-g', '25', '-c:a', 'wmav2', '-b:a', '48k'],
];
