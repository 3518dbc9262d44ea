import { LONGEST_PREROLL } from '../../asf/file.js';
import type { DataPacket } from '../../asf/packet.js';
import type { Part } from './part.js';
import { type PlacedPacket, readPackets, trusted } from './parts.js';

/** The first and last times of a file in ms. They continue past 2^32, and the last ones are never below the first. */
export interface MediaTimes {
  /** The lowest presentation time near the start, preroll included. */
  readonly start: number;
  /** When the last media object ends, preroll included. */
  readonly end: number;
  readonly sendStart: number;
  /** When sending of the last packet ends. */
  readonly sendEnd: number;
  /** The preroll of the header, unless that is implausible. */
  readonly preroll: number;
}

/** A larger step between two objects does not tell how long the last one lasts, in ms. */
const MAX_OBJECT_DURATION = 10_000;
/** A file may begin this much before or after time 0, as many do, without being shifted, in ms. */
const LATEST_START = 1000;

/** Media longer than this, sent in a quarter of its time or less, has no usable send times. Milliseconds. */
const STILL = 5000;

/** Extends a 32-bit time past 2^32: returns the value nearest to `near`. */
const unwrap = (time: number, near: number): number => near + ((time - near) | 0);

function visitObjects(packet: DataPacket, preroll: number, visit: (stream: number, time: number) => void): void {
  for (const { stream, offset, presentationTime } of packet.payloads) {
    if (offset !== 0) continue;
    visit(stream, presentationTime === -1 ? (packet.sendTime + preroll) >>> 0 : presentationTime);
  }
}

/**
 * Reads the times at both ends of a part, at most 32 KiB each, as in the file. From then on the part's scanner accepts
 * packets around these times.
 *
 * @throws WmError WM_NO_INPUT if the disk fails
 */
export async function measurePart(part: Part): Promise<MediaTimes> {
  const { batch, slots, scanner } = part;
  const head = near(part, trusted(part, await readPackets(part, 0, Math.min(batch, slots))), 0);
  const sendStart = head[0]?.packet.sendTime ?? 0;
  const preroll = plausiblePreroll(part.header.preroll, head);
  let start: number | undefined;
  for (const { packet } of head) {
    visitObjects(packet, preroll, (_stream, time) => {
      start = Math.min(start ?? time, unwrap(time, start ?? time));
    });
  }
  const begin = Math.max(start ?? preroll, 0);
  const from = Math.max(slots - batch, 0);
  const tail = near(part, trusted(part, await readPackets(part, from, slots - from)), -1);
  let end = begin;
  let sendEnd = sendStart;
  let lastSent = sendStart;
  const streams = new Map<number, { last: number; step: number }>();
  for (const { packet } of tail) {
    lastSent = unwrap(packet.sendTime, sendStart);
    sendEnd = Math.max(sendEnd, lastSent + packet.duration);
    visitObjects(packet, preroll, (stream, value) => {
      const time = unwrap(value, begin);
      const clock = streams.get(stream) ?? { last: time, step: 0 };
      if (time > clock.last) clock.step = time - clock.last > MAX_OBJECT_DURATION ? 0 : time - clock.last;
      clock.last = Math.max(clock.last, time);
      streams.set(stream, clock);
    });
  }
  for (const { last, step } of streams.values()) end = Math.max(end, last + step);
  scanner.believe(begin >>> 0, end - begin);
  const isStill = end - begin > STILL && (lastSent - sendStart) * 4 < end - begin;
  part.lead = isStill ? preroll : undefined;
  if (isStill) return { start: begin, end, sendStart: begin - preroll, sendEnd: end - preroll, preroll };
  return { start: begin, end, sendStart, sendEnd, preroll };
}

/** Returns the packets close in time to one of them. @param at its index */
function near(part: Part, packets: readonly PlacedPacket[], at: number): PlacedPacket[] {
  const reference = packets.at(at);
  if (reference === undefined) return [];
  const hasTime = part.scanner.timeOf(reference.packet) !== undefined;
  return packets.filter((each) => !hasTime || each === reference || part.scanner.agree(each.packet, reference.packet));
}

/** Returns the header's preroll; if that is implausible, how far ahead the first packets are sent (asf.md 16.10). */
function plausiblePreroll(declared: number, packets: readonly PlacedPacket[]): number {
  const leads = packets.flatMap(({ packet }) =>
    packet.payloads.flatMap(({ presentationTime }) =>
      presentationTime === -1 ? [] : [(presentationTime - packet.sendTime) | 0],
    ),
  );
  const lead = leads.reduce((least, each) => Math.min(least, each), leads[0] ?? declared);
  return declared > Math.max(lead, 0) + LONGEST_PREROLL ? Math.max(lead, 0) : declared;
}

/**
 * Places the parts one after the other, the first at the start of the media. Presentation times begin at the preroll,
 * and each part continues where the last object of the previous one ended. A file that begins close enough is left as
 * it is.
 *
 * @param measured the times of each part
 * @returns the times of the whole
 */
export function placeParts(parts: readonly Part[], measured: readonly MediaTimes[]): MediaTimes {
  let whole: MediaTimes | undefined;
  parts.forEach((part, index) => {
    const times = measured[index]!;
    const before = parts[index - 1];
    part.first = before === undefined ? 0 : before.first + before.count;
    const target: number = whole === undefined ? times.preroll : whole.end;
    const isRight = whole === undefined && Math.abs(times.start - target) <= LATEST_START;
    part.presentationShift = isRight ? 0 : target - times.start;
    part.sendShift = isRight ? 0 : whole === undefined ? -times.sendStart : part.presentationShift;
    const end = times.end + part.presentationShift;
    const sendEnd = times.sendEnd + part.sendShift;
    whole = {
      start: whole?.start ?? times.start + part.presentationShift,
      sendStart: whole?.sendStart ?? times.sendStart + part.sendShift,
      end: Math.max(end, whole?.end ?? end),
      sendEnd: Math.max(sendEnd, whole?.sendEnd ?? sendEnd),
      preroll: whole?.preroll ?? times.preroll,
    };
  });
  return whole!;
}
