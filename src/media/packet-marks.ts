import { type DataPacket, startsKeyFrame } from '../asf/packet.js';
import type { BroadcastPacket } from './wire.js';

/** How long after the packet is sent its first object is presented, in ms; undefined if unknown. */
export function aheadOf({ payloads, sendTime }: DataPacket): number | undefined {
  const times = payloads.filter(({ presentationTime }) => presentationTime >= 0);
  if (times.length === 0) return undefined;
  return Math.max(...times.map(({ presentationTime }) => (presentationTime - sendTime) | 0));
}

const NONE: readonly number[] = [];

/** The video streams that have a key frame beginning in a packet. */
export function keyStreamsOf({ payloads }: DataPacket, videoStreams: ReadonlySet<number>): readonly number[] {
  let found: number[] | undefined;
  for (const payload of payloads) {
    if (!startsKeyFrame(payload, videoStreams)) continue;
    found ??= [];
    found.push(payload.stream);
  }
  return found ?? NONE;
}

/** Returns where the video of a packet is. */
export function videoPlace({ payloads }: DataPacket, videoStreams: ReadonlySet<number>): BroadcastPacket['video'] {
  if (payloads.length === 0) return undefined;
  const first = payloads.find(({ stream }) => videoStreams.has(stream));
  if (first === undefined) return payloads[0]!.offset === 0 ? 'none, whole' : 'none, rest';
  return first.key && first.offset === 0 ? 'key first' : undefined;
}
