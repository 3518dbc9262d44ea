import { type GateStreams, StreamGate } from './gate.js';
import type { StartupProfile, StartupProfileOptions } from './options.js';
import { EndTime } from './prepare.js';
import type { PacketStore } from './store.js';

/** Tenths of the average rate, as in the specification's example ([MS-WMSP] 2.2.1.12). */
const RATES = [10, 12, 15, 20, 30];
/** The most bytes read for a profile. */
const MAX_READ = 8 * 1024 * 1024;

/** A media object, as it is sent. */
export interface SentObject {
  readonly type: string | undefined;
  /** Presentation time in ms from that of the first object. */
  readonly time: number;
  /** Bytes. */
  readonly size: number;
}

/** Returns the objects of the chosen streams in this many ms of media, in the order of sending. */
async function readObjects(
  file: PacketStore,
  streams: GateStreams,
  from: number,
  { choice, duration }: StartupProfileOptions,
): Promise<{ objects: SentObject[]; first: number }> {
  const gate = new StreamGate(streams, choice, from === 0);
  const end = new EndTime(duration, undefined);
  const objects: SentObject[] = [];
  let first: number | undefined;
  let over = false;
  const limit = Math.min(from + Math.ceil(MAX_READ / file.packetSpan), file.packetCount);
  for (let at = from; at < limit && !over; at += file.batchPackets) {
    await file.visit(at, Math.min(file.batchPackets, limit - at), (packet) => {
      const judged = end.judge(packet);
      over = judged === 'over';
      if (judged !== 'within') return !over;
      for (const payload of packet.payloads) {
        const { stream, offset, presentationTime, objectSize, dataLength } = payload;
        if (!gate.passes(payload) || offset !== 0 || presentationTime === -1) continue;
        first ??= presentationTime;
        const time = (presentationTime - first) | 0;
        objects.push({ type: streams.types.get(stream), time, size: objectSize === -1 ? dataLength : objectSize });
      }
      return true;
    });
  }
  return { objects, first: first ?? 0 };
}

/**
 * Returns the largest lag of the sound after the picture in ms; if the sound never lags, the lag of the picture after
 * the sound, negative ([MS-WMSP] 2.2.1.12.7).
 */
function largestLag(objects: readonly SentObject[]): { lag: number; time: number } {
  const last = new Map<string | undefined, number>();
  let audio = { lag: 0, time: 0 };
  let video = { lag: 0, time: 0 };
  for (const { type, time } of objects) {
    const picture = last.get('video');
    const sound = last.get('audio');
    if (type === 'audio' && picture !== undefined && picture - time > audio.lag) audio = { lag: picture - time, time };
    if (type === 'video' && sound !== undefined && sound - time > video.lag) video = { lag: sound - time, time };
    last.set(type, time);
  }
  if (audio.lag > 0 || !last.has('video')) return audio;
  return { lag: video.lag === 0 ? 0 : -video.lag, time: video.time };
}

/** Returns the most bytes that a decoder needs beyond those received, at this sending rate in bytes per ms. */
function underflow(objects: readonly SentObject[], lowest: number, rate: number): { bytes: number; time: number } {
  let needed = 0;
  let worst = { bytes: 0, time: 0 };
  for (const { time, size } of objects) {
    needed += size;
    const bytes = needed - rate * (time - lowest);
    if (bytes > worst.bytes) worst = { bytes, time: time - lowest };
  }
  return worst;
}

/**
 * Computes the numbers of X-StartupProfile for the first part of playback from its media objects ([MS-WMSP] 2.2.1.12);
 * reads no more than 8 MiB.
 *
 * @param from the packet to begin with
 * @returns undefined if there is no media, or all of it has the same time
 * @throws WmError WM_NO_INPUT if the disk fails
 */
export async function computeStartupProfile(
  file: PacketStore,
  streams: GateStreams,
  from: number,
  options: StartupProfileOptions,
): Promise<StartupProfile | undefined> {
  const { objects, first } = await readObjects(file, streams, from, options);
  return startupProfileOf(objects, first);
}

/**
 * Computes the numbers of X-StartupProfile ([MS-WMSP] 2.2.1.12).
 *
 * @param objects in the order of sending
 * @param first presentation time of the first, in ms
 * @returns undefined if there is no media, or all of it has the same time
 */
export function startupProfileOf(objects: readonly SentObject[], first: number): StartupProfile | undefined {
  let lowest = 0;
  let highest = 0;
  let total = 0;
  for (const { time, size } of objects) {
    lowest = Math.min(lowest, time);
    highest = Math.max(highest, time);
    total += size;
  }
  const lastTime = highest - lowest;
  if (lastTime <= 0 || total === 0) return undefined;
  const average = Math.max(Math.round((total * 1000) / lastTime), 1);
  const worst = RATES.map((rate) => underflow(objects, lowest, (average * rate) / 10_000));
  const lag = largestLag(objects);
  return {
    rate: RATES,
    maxBytes: worst.map(({ bytes }) => Math.max(Math.ceil(bytes), 1)),
    time: worst.map(({ time }) => time),
    startTime: (first + lowest) >>> 0,
    lastTime,
    maxDiffTime: lag.lag === 0 ? 0 : Math.max(lag.time - lowest, 0),
    maxDiffSndTime: lag.lag,
    byteRate: RATES.map(() => average),
  };
}
