import { execa } from 'execa';
import { type AsfHeader, parseHeader } from '../../src/asf/header.js';
import { type DataPacket, parsePacket } from '../../src/asf/packet.js';
import { buildPacket } from '../../src/asf/packet-build.js';
import type { Clock } from '../../src/media/pacing.js';
import { ffmpegPath } from '../capture/support.js';

export interface TestPayload {
  readonly stream?: number;
  readonly key?: boolean;
  readonly number?: number;
  readonly time: number;
  readonly size?: number;
}

/** A data packet with one whole media object for each payload. */
export function makePacket(sendTime: number, payloads: readonly TestPayload[], packetSize = 400): DataPacket {
  const bytes = buildPacket({
    sendTime: sendTime >>> 0,
    duration: 0,
    packetSize,
    multiple: true,
    payloads: payloads.map(({ stream = 1, key = true, number = 0, time, size = 20 }) => {
      const replicated = Buffer.alloc(8);
      replicated.writeUInt32LE(size, 0);
      replicated.writeUInt32LE(time >>> 0, 4);
      return { stream, key, mediaObjectNumber: number & 0xff, offset: 0, replicated, data: Buffer.alloc(size, number) };
    }),
  });
  return parsePacket(bytes);
}

/** Makes a small ASF file with ffmpeg: 160x120, 25 frames a second, and a tone. */
export async function makeFile(path: string, options: { seconds?: number; packetSize?: number } = {}): Promise<void> {
  const { seconds = 2, packetSize = 1400 } = options;
  const graph = 'testsrc2=size=160x120:rate=25[out0];sine=sample_rate=44100[out1]';
  await execa(ffmpegPath, [
    ...[
      '-v',
      'error',
      '-y',
      '-f',
      'lavfi',
      '-i',
      graph,
      '-t',
      String(seconds),
      '-c:v',
      'wmv2',
      '-b:v',
      '200k',
      '-g',
      '25',
    ],
    ...['-c:a', 'wmav2', '-b:a', '64k', '-packet_size', String(packetSize), '-f', 'asf', path],
  ]);
}

/** A header for packets from {@link makePacket}: one video stream, as ffmpeg writes it. */
export async function makeHeader(packetSize = 400): Promise<AsfHeader> {
  const { stdout } = await execa(
    ffmpegPath,
    [
      ...['-v', 'error', '-f', 'lavfi', '-i', 'color=size=16x16', '-frames:v', '1', '-c:v', 'wmv2'],
      ...['-packet_size', String(packetSize), '-f', 'asf', 'pipe:1'],
    ],
    { encoding: 'buffer' },
  );
  const bytes = Buffer.from(stdout);
  return parseHeader(bytes.subarray(0, Number(bytes.readBigUInt64LE(16)) + 50));
}

/** A clock whose sleepers wake at once, at the time until which they slept. */
export class FakeClock implements Clock {
  time = 1000;
  readonly sleeps: number[] = [];

  now(): number {
    return this.time;
  }

  sleep(ms: number): Promise<void> {
    this.sleeps.push(ms);
    this.time += ms;
    return Promise.resolve();
  }
}
