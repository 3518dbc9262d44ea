import { filterPacket } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import { parsePacket } from '../asf/packet.js';
import { EVERY_STREAM, type LaneChoice } from '../media/wire.js';
import { levelOf, type StreamSelection } from './selection.js';

/**
 * Selects the packets of a broadcast. Players with the same selection share a lane, whatever the order in which they
 * named the streams.
 */
export function laneChoice(header: AsfHeader, selection: StreamSelection): LaneChoice {
  const level = (stream: number) => levelOf(selection, stream);
  const levels = header.streams.map(({ number }) => [number, level(number)] as const);
  const video = header.streams
    .filter(({ number, type }) => type === 'video' && level(number) < 2)
    .map(({ number }) => number);
  if (levels.every(([, value]) => value === 0)) return EVERY_STREAM;
  const nothing = levels.every(([, value]) => value === 2);
  return {
    key: levels.map(([number, value]) => `${number}:${value}`).join(' '),
    startsAt: ({ keyStreams }) => video.length === 0 || keyStreams.some((stream) => video.includes(stream)),
    nothing,
    select: ({ wire }) => (nothing ? undefined : filterPacket(parsePacket(wire), level)),
  };
}
