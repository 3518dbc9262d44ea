import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { execa } from 'execa';

/** A title, and when it is to begin in seconds. */
export type Cue = readonly [seconds: number, title: string];

const PMT_PID = 0x1000;
const VIDEO_PID = 0x100;
const ID3_PID = 0x102;

/** Makes MPEG-TS segments of two seconds each. */
export async function tsSegments(ffmpeg: string, folder: string, count: number): Promise<Buffer[]> {
  const seconds = String(2 * count);
  const inputs = `-f lavfi -i testsrc2=s=160x120:r=25:d=${seconds} -f lavfi -i sine=d=${seconds}`.split(' ');
  const codecs = '-c:v mpeg2video -g 25 -c:a mp2'.split(' ');
  const hls = ['-f', 'segment', '-segment_time', '2', '-segment_format', 'mpegts', `${folder}/part%d.ts`];
  await execa(ffmpeg, ['-v', 'error', '-y', ...inputs, ...codecs, ...hls]);
  const { readFile } = await import('node:fs/promises');
  return Promise.all(Array.from({ length: count }, (_, index) => readFile(`${folder}/part${index}.ts`)));
}

/** A web server with files that may be made for each request. */
export interface HlsStation {
  readonly url: string;
  readonly server: Server;
  readonly requests: string[];
  close(): void;
}

/** @param files what is sent for each path, without its slash; undefined is status 404 */
export async function hlsStation(files: (path: string) => string | Buffer | undefined): Promise<HlsStation> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').slice(1).replace(/\?.*/, '');
    requests.push(path);
    const body = files(path);
    response.writeHead(body === undefined ? 404 : 200).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    requests,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** An ID3v2.4 tag with a title, in UTF-8 (id3.org, ID3v2.4 3.1). */
export function id3Tag(title: string): Buffer {
  const text = Buffer.from(`\u0003${title}\0`, 'utf8');
  const frame = Buffer.concat([Buffer.from('TIT2'), syncSafe(text.length), Buffer.alloc(2), text]);
  return Buffer.concat([Buffer.from('ID3\u0004\0\0', 'latin1'), syncSafe(frame.length), frame]);
}

function syncSafe(value: number): Buffer {
  return Buffer.from([21, 14, 7, 0].map((shift) => (value >> shift) & 0x7f));
}

/**
 * Adds a stream of timed ID3 to MPEG-TS of ffmpeg, as Apple's "Timed Metadata for HTTP Live Streaming" describes it.
 *
 * @param cues by the presentation times of the picture
 */
export function withTimedId3(ts: Buffer, cues: readonly Cue[]): Buffer {
  const out: Buffer[] = [];
  const waiting = [...cues];
  let counter = 0;
  for (let at = 0; at + 188 <= ts.length; at += 188) {
    const packet = ts.subarray(at, at + 188);
    const pid = packet.readUInt16BE(1) & 0x1fff;
    const starts = (packet[1]! & 0x40) !== 0;
    if (pid === VIDEO_PID && starts) {
      const pes = 4 + ((packet[3]! & 0x20) === 0 ? 0 : packet[4]! + 1);
      const seconds = readPts(packet, pes + 9) / 90_000;
      while (waiting.length > 0 && seconds >= waiting[0]![0]) {
        const tag = id3Tag(waiting.shift()![1]);
        out.push(tsPacket(ID3_PID, counter++ & 15, id3Pes(packet.subarray(pes + 9, pes + 14), tag)));
      }
    }
    out.push(pid === PMT_PID && starts ? withId3Stream(packet) : packet);
  }
  return Buffer.concat(out);
}

function readPts(bytes: Buffer, at: number): number {
  return (
    ((bytes[at]! >> 1) & 7) * 2 ** 30 + (bytes.readUInt16BE(at + 1) >> 1) * 2 ** 15 + (bytes.readUInt16BE(at + 3) >> 1)
  );
}

/** @param pts five bytes, as a picture has them */
function id3Pes(pts: Buffer, tag: Buffer): Buffer {
  const time = Buffer.from(pts);
  time[0] = 0x21 | (time[0]! & 0x0e);
  const body = Buffer.concat([Buffer.from([0x84, 0x80, 5]), time, tag]);
  const head = Buffer.from([0, 0, 1, 0xbd, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([head, body]);
}

function tsPacket(pid: number, counter: number, payload: Buffer): Buffer {
  const room = 184 - payload.length;
  const head = Buffer.from([0x47, 0x40 | (pid >> 8), pid & 0xff, (room > 0 ? 0x30 : 0x10) | counter]);
  const stuffing = Buffer.alloc(room, 0xff);
  if (room > 0) stuffing[0] = room - 1;
  if (room > 1) stuffing[1] = 0;
  return Buffer.concat([head, stuffing, payload]);
}

/** Adds the stream to a program map (ISO 13818-1 2.4.4.8), with its descriptor (2.6.60). */
function withId3Stream(packet: Buffer): Buffer {
  const start = 5;
  const length = packet.readUInt16BE(start + 1) & 0xfff;
  const descriptor = Buffer.from('\x26\x0d\xff\xffID3 \xffID3 \0\x0f', 'latin1');
  const stream = Buffer.concat([Buffer.from([0x15, 0xe0 | (ID3_PID >> 8), ID3_PID & 0xff, 0xf0, 15]), descriptor]);
  const section = Buffer.concat([packet.subarray(start, start + 3 + length - 4), stream]);
  section.writeUInt16BE(0xb000 | (length + stream.length), 1);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crcOf(section));
  const made = Buffer.concat([packet.subarray(0, start), section, crc]);
  return Buffer.concat([made, Buffer.alloc(188 - made.length, 0xff)]);
}

/** The check of sections (ISO 13818-1 annex A). */
function crcOf(section: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of section) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  }
  return crc >>> 0;
}
