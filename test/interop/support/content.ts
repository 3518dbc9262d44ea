import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { AsfFileBuilder } from '../../../src/asf/file.js';
import { parsePacket } from '../../../src/asf/packet.js';
import { buildPacket, packetFields } from '../../../src/asf/packet-build.js';
import { AsfReader } from '../../../src/asf/reader.js';
import { ffmpegDecoding, ffmpegPath } from './ffmpeg.js';
import { FrameCrc } from './frame-crc.js';

const folders: string[] = [];

/** A new folder for files of a test. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'wmcast-interop-'));
  folders.push(folder);
  return folder;
}

/** Removes all folders that {@link newFolder} made; for afterAll. */
export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

export interface ContentOptions {
  /** Seconds. */
  readonly duration: number;
  readonly video?: string | undefined;
  readonly audio?: string | undefined;
  /** Bits per second. */
  readonly videoBitrate?: number;
  readonly size?: string;
  /** Makes every picture hard to compress, so that the bit rate is really used. */
  readonly noise?: boolean;
  readonly packetSize?: number;
}

/** Makes an ASF file with ffmpeg, which is no part of what is tested. @returns its path */
export async function makeAsf(name: string, options: ContentOptions): Promise<string> {
  const {
    duration,
    video = 'wmv2',
    audio = 'wmav2',
    videoBitrate = 400_000,
    size = '320x240',
    noise = false,
  } = options;
  const path = join(newFolder(), name);
  const picture = `testsrc2=size=${size}:rate=25${noise ? ',noise=alls=80:allf=t' : ''}[out0]`;
  const tone = 'sine=frequency=440:beep_factor=2:sample_rate=44100[out1]';
  const encoding = ['-c:v', video, '-b:v', String(videoBitrate), '-g', '25', '-c:a', audio, '-b:a', '64k', '-ac', '2'];
  const packets = ['-packet_size', String(options.packetSize ?? 3200)];
  const input = ['-f', 'lavfi', '-i', `${picture};${tone}`, '-t', String(duration)];
  await execa(ffmpegPath, ['-nostdin', '-v', 'error', ...input, ...encoding, ...packets, '-f', 'asf', path]);
  return path;
}

/**
 * The same media with one payload in each packet, the rest padded, as Microsoft's encoders make nearly all of theirs: where
 * such a payload ends, only the padding tells. @returns the path of the new file
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

/** What ffmpeg decodes from a file on the disk. */
export async function decodeFile(path: string): Promise<FrameCrc> {
  const crc = new FrameCrc();
  const [command, ...args] = ffmpegDecoding(['-i', path], 'error');
  const { stdout } = await execa(command!, args);
  for (const line of stdout.split('\n')) crc.take(line);
  return crc;
}
