import { AsfError } from '../asf/error.js';
import { type Exclusion, exclusionsOf, leftOut } from '../asf/exclusions.js';
import { filterPacket } from '../asf/filter.js';
import { type AsfHeader, buildHeader, type HeaderObject } from '../asf/header.js';
import { type DataPacket, parsePacket } from '../asf/packet.js';
import { WmError } from '../errors.js';

/** The wanted streams. @public */
export interface StreamWish {
  /** Exactly these numbers; takes precedence over `bandwidth`. */
  readonly streams?: readonly number[] | undefined;
  /** The available bandwidth in bits per second: of streams that exclude each other, the best that fit are chosen. */
  readonly bandwidth?: number | undefined;
}

/**
 * Chooses the streams to receive: the named ones, or else all. Of streams that exclude each other (asf.md 3.7, 4.2) it
 * chooses the first, or, with a bandwidth, the best that fit.
 *
 * @throws WmError WM_USAGE if a named stream does not exist
 */
export function chooseStreams(header: AsfHeader, { streams, bandwidth }: StreamWish): ReadonlySet<number> {
  const known = header.streams.map(({ number }) => number);
  if (streams) {
    const unknown = streams.find((number) => !known.includes(number));
    if (unknown !== undefined || streams.length === 0) {
      throw new WmError('WM_USAGE', `There is no stream ${unknown ?? ''}; there are ${known.join(', ')}.`);
    }
    return new Set(streams);
  }
  const exclusions = exclusionsOf(header);
  const rate = (choice: Iterable<number>) =>
    [...choice].reduce((sum, number) => sum + (header.streamBitrates.get(number) ?? 0), 0);
  const least = (choices: Exclusion['choices'], by: Exclusion['by']) =>
    by === 'bitrate' && bandwidth !== undefined
      ? choices.reduce((best, choice) => (rate(choice) < rate(best) ? choice : best))
      : choices[0]!;
  const without = (left: ReadonlySet<number>) => known.filter((number) => !left.has(number));
  // Every exclusion gets its smallest choice first; the remaining bandwidth is distributed in their order.
  let used = rate(without(leftOut(exclusions, least)));
  const left = leftOut(exclusions, (choices, by) => {
    const smallest = least(choices, by);
    if (by !== 'bitrate' || bandwidth === undefined) return smallest;
    const fitting = choices.filter((choice) => used - rate(smallest) + rate(choice) <= bandwidth);
    const best = fitting.reduce((most, choice) => (rate(choice) >= rate(most) ? choice : most), smallest);
    used += rate(best) - rate(smallest);
    return best;
  });
  return new Set(without(left));
}

/**
 * Returns the header without the streams that were not chosen, so that a player does not wait for a stream that never
 * comes; the same header if all were chosen. Objects that refer only to dropped streams are dropped too, and so is a
 * signature.
 */
export function headerWithStreams(header: AsfHeader, chosen: ReadonlySet<number>): AsfHeader {
  if (header.streams.every(({ number }) => chosen.has(number))) return header;
  const kept = header.objects.flatMap((object) => objectWithStreams(object, chosen));
  try {
    return buildHeader(kept, header.dataObject);
  } catch (error) {
    // An unusual object that cannot be rewritten; the whole header serves as well.
    if (error instanceof AsfError) return header;
    throw error;
  }
}

function objectWithStreams(object: HeaderObject, chosen: ReadonlySet<number>): HeaderObject[] {
  switch (object.type) {
    case 'streamProperties':
      return chosen.has(object.flags & 0x7f) ? [object] : [];
    case 'extendedStreamProperties':
      return chosen.has(object.streamNumber) ? [object] : [];
    case 'streamBitrateProperties':
      return [{ ...object, records: object.records.filter(({ flags }) => chosen.has(flags & 0x7f)) }];
    case 'streamPrioritization':
      return [{ ...object, records: object.records.filter(({ streamNumber }) => chosen.has(streamNumber)) }];
    case 'bitrateMutualExclusion':
    case 'advancedMutualExclusion': {
      const streamNumbers = object.streamNumbers.filter((number) => chosen.has(number));
      return streamNumbers.length > 1 ? [{ ...object, streamNumbers }] : [];
    }
    case 'groupMutualExclusion':
    case 'bandwidthSharing':
    case 'digitalSignature':
      return [];
    case 'headerExtension':
      return [{ ...object, objects: object.objects.flatMap((each) => objectWithStreams(each, chosen)) }];
    default:
      return [object];
  }
}

/**
 * Returns the packet without payloads of streams that were not chosen, which servers send that ignore the selection.
 */
export function packetWithStreams(packet: DataPacket, chosen: ReadonlySet<number>): DataPacket | undefined {
  if (packet.payloads.every(({ stream }) => chosen.has(stream))) return packet;
  const bytes = filterPacket(packet, (stream) => (chosen.has(stream) ? 0 : 2));
  return bytes === undefined ? undefined : parsePacket(bytes);
}
