import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { withFileProperties } from '../../../src/asf/edit.js';
import { AsfFileBuilder } from '../../../src/asf/file.js';
import { buildHeader, DATA_OBJECT_HEAD_SIZE, type HeaderObject, parseHeader } from '../../../src/asf/header.js';
import { parsePacket } from '../../../src/asf/packet.js';
import { buildPacket, packetFields } from '../../../src/asf/packet-build.js';
import { AsfReader } from '../../../src/asf/reader.js';
import { ffmpegDecoding, ffmpegPath } from './ffmpeg.js';
import { FrameCrc } from './frame-crc.js';

const folders: string[] = [];

/** Makes a new folder for files of a test. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'wmcast-interop-'));
  folders.push(folder);
  return folder;
}

/** Makes a new folder for a server's content, readable also by players that may not run as root. */
export function newContentFolder(): string {
  const folder = newFolder();
  chmodSync(folder, 0o755);
  return folder;
}

/** Removes all folders that {@link newFolder} made; for afterAll. */
export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

export interface ContentOptions {
  /** In seconds. */
  readonly duration: number;
  readonly video?: string | undefined;
  readonly audio?: string | undefined;
  /** In bits per second. */
  readonly videoBitrate?: number;
  readonly size?: string;
  /** Makes every picture hard to compress, so that the bit rate is actually used. */
  readonly noise?: boolean;
  readonly packetSize?: number;
  /** Pictures per second; default: 25. */
  readonly fps?: number;
  /** The key-frame interval in pictures; default: 25. */
  readonly keyFrameInterval?: number;
  /** A filter for the pictures. */
  readonly filter?: string;
  /** Adds a second video stream, with inverted colours. */
  readonly secondVideo?: boolean;
  /** The folder of the file; default: a new one. */
  readonly folder?: string;
}

/** Makes an ASF file with ffmpeg, which is not under test. @returns its path */
export async function makeAsf(name: string, options: ContentOptions): Promise<string> {
  const path = join(options.folder ?? newFolder(), name);
  const { duration, video = 'wmv2', audio = 'wmav2', videoBitrate = 400_000, packetSize = 3200 } = options;
  const sources = [...pictureSources(options), ...(audio === 'none' ? [] : [TONE])];
  const graph = sources.map((source, index) => `${source}[out${index}]`).join(';');
  const input = ['-f', 'lavfi', '-i', graph, ...sources.flatMap((_, index) => ['-map', `0:${index}`])];
  const pictures = ['-c:v', video, '-b:v', String(videoBitrate), '-g', String(options.keyFrameInterval ?? 25)];
  const encoding = [...(video === 'none' ? [] : pictures), '-c:a', audio, '-b:a', '64k', '-ac', '2'];
  const output = ['-t', String(duration), '-packet_size', String(packetSize), '-f', 'asf', path];
  await execa(ffmpegPath, ['-nostdin', '-v', 'error', ...input, ...encoding, ...output]);
  return path;
}

const TONE = 'sine=frequency=440:beep_factor=2:sample_rate=44100';

function pictureSources({
  video,
  size = '320x240',
  fps = 25,
  noise = false,
  filter,
  secondVideo = false,
}: ContentOptions): string[] {
  if (video === 'none') return [];
  const filters = [...(noise ? ['noise=alls=80:allf=t'] : []), ...(filter ? [filter] : [])];
  const first = [`testsrc2=size=${size}:rate=${fps}`, ...filters].join(',');
  return secondVideo ? [first, `${first},negate`] : [first];
}

/** Copies a file and adds objects to its header. @returns the path of the copy */
export async function withHeaderObjects(
  path: string,
  name: string,
  ...extra: readonly HeaderObject[]
): Promise<string> {
  const bytes = await readFile(path);
  const { bytes: old, objects, fileProperties, dataObject } = parseHeader(bytes);
  const build = (fileSize: number) =>
    buildHeader([...withFileProperties(objects, fileProperties, { fileSize: BigInt(fileSize) }), ...extra], dataObject);
  const header = build(bytes.length - old.length + build(0).bytes.length);
  const copy = join(dirname(path), name);
  await writeFile(copy, Buffer.concat([header.bytes, bytes.subarray(old.length)]));
  return copy;
}

/** Copies a file up to its last packet, without the index after it. @returns the path of the copy */
export async function withoutIndex(path: string, name: string): Promise<string> {
  const bytes = await readFile(path);
  const { bytes: header, dataObject } = parseHeader(bytes);
  const copy = join(dirname(path), name);
  await writeFile(copy, bytes.subarray(0, header.length - DATA_OBJECT_HEAD_SIZE + Number(dataObject.size)));
  return copy;
}

/**
 * Copies the media with one payload per packet, the rest padded, as Microsoft's encoders make nearly all of theirs:
 * only the padding tells where such a payload ends.
 *
 * @returns the path of the new file
 */
export async function withSinglePayloads(path: string): Promise<string> {
  const items = new AsfReader().push(await readFile(path));
  const pieces: Buffer[] = [];
  let builder: AsfFileBuilder | undefined;
  for (const item of items) {
    if (item.type === 'header') builder = new AsfFileBuilder(item.header);
    if (item.type !== 'packet') continue;
    const { packetSize } = builder!.header;
    const { sendTime, duration, payloads } = packetFields(item.packet);
    for (const payload of payloads) {
      const packet = parsePacket(buildPacket({ sendTime, duration, packetSize, payloads: [payload] }));
      pieces.push(builder!.packet(packet));
    }
  }
  const { header, trailer } = builder!.finish();
  const single = join(newFolder(), 'single.asf');
  await writeFile(single, Buffer.concat([header, ...pieces, trailer]));
  return single;
}

/**
 * Returns the output of ffmpeg for a file on disk.
 *
 * @param options for the input
 * @param streams the streams to decode, as for `-map`; default: all pictures and all sound
 */
export async function decodeFile(
  path: string,
  options: readonly string[] = [],
  streams?: readonly string[],
): Promise<FrameCrc> {
  const crc = new FrameCrc();
  const [command, ...args] = ffmpegDecoding([...options, '-i', path], 'error', streams);
  const { stdout } = await execa(command!, args);
  for (const line of stdout.split('\n')) crc.take(line);
  return crc;
}
