import { mkdtempSync } from 'node:fs';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { restorePadding } from '../../src/asf/padding.js';
import { findFfmpeg } from '../../src/capture/find.js';
import type { AsfEvent, AsfSource } from '../../src/media/events.js';

/** The machine's ffmpeg, or the one installed with the dependencies. */
export const ffmpegPath = (await findFfmpeg()).path;

/** A new folder that is removed after all tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'wmcast-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** An executable shell script. */
export async function script(path: string, body: string): Promise<string> {
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

/** The body of a script that answers questions as ffmpeg does, and runs `run` when it is to capture. */
export function fakeFfmpeg({
  version = '9.9',
  encoders = ['wmv2', 'wmav2'],
  muxers = ['asf'],
  run = 'exit 0',
} = {}): string {
  return `case "$*" in
  *-version*) echo "ffmpeg version ${version} Copyright (c) the developers";;
  *-encoders*) echo "Encoders:"; echo " ------"; ${encoders.map((name) => `echo " V..... ${name}   An encoder"`).join('; ') || ':'};;
  *-muxers*) echo " D. = Demuxing supported"; ${muxers.map((name) => `echo "  E ${name}   A format"`).join('; ') || ':'};;
  *) ${run};;
esac`;
}

/** Returns all events, and the source's error if there is one. */
export async function collect(source: AsfSource): Promise<{ events: AsfEvent[]; error: unknown }> {
  const events: AsfEvent[] = [];
  try {
    for await (const event of source) events.push(event);
    return { events, error: undefined };
  } catch (error) {
    return { events, error };
  }
}

/** Returns header and packets as a file, each packet padded to the header's size. */
export function fileOf(events: readonly AsfEvent[]): Buffer {
  const parts: Buffer[] = [];
  let packetSize = 0;
  for (const event of events) {
    if (event.type === 'header') {
      packetSize = event.header.packetSize;
      parts.push(event.header.bytes);
    } else if (event.type === 'packet') parts.push(restorePadding(event.packet, packetSize));
  }
  return Buffer.concat(parts);
}

/** Decodes a file with ffmpeg: the times of each stream's frames, in seconds, and ffmpeg's complaints. */
export async function decode(file: Buffer): Promise<{ frames: Map<number, number[]>; complaints: string }> {
  const args = ['-hide_banner', '-v', 'warning', '-f', 'asf', '-i', 'pipe:0', '-map', '0', '-f', 'framemd5', 'pipe:1'];
  const { stdout, stderr } = await execa(ffmpegPath, args, { input: file, maxBuffer: 64 * 1024 * 1024 });
  const frames = new Map<number, number[]>();
  const timeBases = new Map<number, number>();
  for (const line of stdout.split('\n')) {
    const base = /^#tb (\d+): (\d+)\/(\d+)/.exec(line);
    if (base !== null) timeBases.set(Number(base[1]), Number(base[2]) / Number(base[3]));
    const [stream, , pts] = line.split(',').map(Number);
    if (line.startsWith('#') || pts === undefined) continue;
    const times = frames.get(stream!) ?? [];
    times.push(pts * timeBases.get(stream!)!);
    frames.set(stream!, times);
  }
  return { frames, complaints: stderr.replace(/^Guessed Channel Layout.*\n?/gm, '') };
}
