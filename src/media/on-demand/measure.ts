import { withFileProperties } from '../../asf/edit.js';
import { type AsfHeader, buildHeader, DATA_OBJECT_HEAD_SIZE, FILE_FLAG } from '../../asf/header.js';
import type { DataPacket } from '../../asf/packet.js';
import { type PacketFile, visitPackets } from './packet-file.js';

/** The first and the last times of a file, ms. They go on past 2^32, and the last ones are never below the first. */
export interface MediaTimes {
  /** The lowest presentation time near the start, preroll included. */
  readonly start: number;
  /** When the last media object ends, preroll included. */
  readonly end: number;
  readonly sendStart: number;
  /** When the last packet has been sent. */
  readonly sendEnd: number;
}

const HUNDRED_NS_PER_MS = 10_000;
/** A step between two objects that is larger says nothing about how long the last one lasts. Milliseconds. */
const MAX_OBJECT_DURATION = 10_000;
/** Live headers of Microsoft's encoder set it beside Broadcast (asf.md 3.1). */
const LIVE_FLAG = 8;

/** A 32-bit time that goes on past 2^32: the value nearest to another. */
const unwrap = (time: number, near: number): number => near + ((time - near) | 0);

function visitObjects(packet: DataPacket, preroll: number, visit: (stream: number, time: number) => void): void {
  for (const { stream, offset, presentationTime } of packet.payloads) {
    if (offset !== 0) continue;
    visit(stream, presentationTime === -1 ? (packet.sendTime + preroll) >>> 0 : presentationTime);
  }
}

/**
 * Reads the times at both ends of a file, at most 32 KiB each.
 * @throws WmError WM_NO_INPUT when the disk fails
 */
export async function measureTimes(file: PacketFile): Promise<MediaTimes> {
  const { batchPackets, packetCount, packetSize } = file;
  const { preroll } = file.header;
  let start: number | undefined;
  let sendStart: number | undefined;
  visitPackets(await file.read(0, batchPackets), packetSize, (packet) => {
    sendStart ??= packet.sendTime;
    visitObjects(packet, preroll, (_stream, time) => {
      start = Math.min(start ?? time, unwrap(time, start ?? time));
    });
  });
  const first = Math.max(start ?? preroll, 0);
  const firstSent = sendStart ?? 0;
  let end = first;
  let sendEnd = firstSent;
  const streams = new Map<number, { last: number; step: number }>();
  const from = Math.max(packetCount - batchPackets, 0);
  visitPackets(await file.read(from, batchPackets), packetSize, (packet) => {
    sendEnd = Math.max(sendEnd, unwrap(packet.sendTime, firstSent) + packet.duration);
    visitObjects(packet, preroll, (stream, value) => {
      const time = unwrap(value, first);
      const clock = streams.get(stream) ?? { last: time, step: 0 };
      if (time > clock.last) clock.step = time - clock.last > MAX_OBJECT_DURATION ? 0 : time - clock.last;
      clock.last = Math.max(clock.last, time);
      streams.set(stream, clock);
    });
  });
  for (const { last, step } of streams.values()) end = Math.max(end, last + step);
  return { start: first, end, sendStart: firstSent, sendEnd };
}

/** Play Duration of the header without the preroll, ms; 0 when it says none. */
function declaredDuration({ fileProperties: { playDuration }, preroll }: AsfHeader): number {
  return Math.max(Math.floor(Number(playDuration) / HUNDRED_NS_PER_MS) - preroll, 0);
}

/** Milliseconds of media: what the header of a complete file says, else what was measured. */
export function durationOf(file: PacketFile, times: MediaTimes): number {
  const declared = file.complete ? declaredDuration(file.header) : 0;
  return declared > 0 ? declared : Math.max(times.end - file.header.preroll, 0);
}

/**
 * The header as players get it on demand: as in the file, but Seekable, because every file here can be sought in, and
 * Minimum and Maximum Packet Size equal. A header of a live stream becomes one of a file, and one of a cut file gets the
 * counts, sizes and durations of what is there (asf.md 3.1, 5). Its length changes only if it held broken objects.
 * @throws AsfError when the header cannot be written
 */
export function servedHeader(file: PacketFile, times: MediaTimes): AsfHeader {
  const { header, packetCount, packetSize, complete } = file;
  const { fileProperties: stored, dataObject } = header;
  const kept = complete ? stored.flags : stored.flags & ~(FILE_FLAG.broadcast | LIVE_FLAG);
  const count = BigInt(packetCount);
  const counts = {
    flags: kept | FILE_FLAG.seekable,
    dataPacketsCount: count,
    minimumPacketSize: packetSize,
    maximumPacketSize: packetSize,
  };
  const measured = {
    // Players may get a shorter header than the file has.
    fileSize: BigInt(file.size - file.dataStart + header.bytes.length),
    playDuration: BigInt(times.end * HUNDRED_NS_PER_MS),
    sendDuration: BigInt((times.sendEnd - times.sendStart) * HUNDRED_NS_PER_MS),
  };
  const declared = { fileSize: stored.fileSize, playDuration: stored.playDuration, sendDuration: stored.sendDuration };
  const fresh = { ...stored, ...counts, ...(complete && declaredDuration(header) > 0 ? declared : measured) };
  const size = complete ? dataObject.size : BigInt(DATA_OBJECT_HEAD_SIZE + packetCount * packetSize);
  const same = (Object.keys(fresh) as (keyof typeof fresh)[]).every((key) => fresh[key] === stored[key]);
  if (same && size === dataObject.size && count === dataObject.packetCount) return header;
  const data = { fileId: dataObject.fileId, size, packetCount: count };
  return buildHeader(withFileProperties(header.objects, stored, fresh), data);
}
