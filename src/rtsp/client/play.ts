import type { Field } from '../../framing/text-head.js';
import type { Wish } from '../../receiving/link.js';
import type { Feature } from '../../wms/features.js';
import { writeBurst, writeNpt } from '../messages/headers.js';
import type { SdpFeature } from '../messages/sdp.js';
import { DEFAULT_LINK, type RtspClientOptions } from './options.js';

/** What decides how a PLAY is written, besides what is wanted. */
export interface PlayFacts {
  readonly options: Pick<RtspClientOptions, 'link' | 'speed'>;
  /** Playlist-gen-id; 0 if unknown. */
  readonly genId: number;
  /** The server's features. */
  readonly supported: ReadonlySet<Feature> | undefined;
  /** a=type of the entry. */
  readonly features: readonly SdpFeature[];
  /** Measured, in bits per second. */
  readonly bandwidth: number | undefined;
  /** True for the entry after an Announce, which begins where it does. */
  readonly isNext: boolean;
  readonly note: (text: string) => void;
}

/** Returns the fields of a PLAY (MS-RTSP 3.1.5.9.1, 3.1.5.16.1). */
export function playFields(wish: Wish, facts: PlayFacts): Field[] {
  const { options, genId, bandwidth, isNext } = facts;
  const { link = DEFAULT_LINK } = options;
  const entry = wish.entry ?? genId;
  const fields: Field[] = isNext ? [] : [['Range', rangeOf(wish, facts)]];
  if (entry !== 0) fields.push(['X-Playlist-Seek-Id', `${entry}`]);
  fields.push(['Scale', scaleOf(wish, facts).toFixed(3)]);
  const bitsPerSecond = Math.min(link.accelBandwidth, bandwidth ?? Number.POSITIVE_INFINITY);
  fields.push(
    ['Bandwidth', `${Math.min(link.linkBandwidth, bandwidth ?? Number.POSITIVE_INFINITY)}`],
    ['X-Accelerate-Streaming', writeBurst('Accel', { bitsPerSecond, milliseconds: link.accelDuration })],
  );
  if (asksForSpeed(wish, facts)) fields.push(['Speed', options.speed!.toFixed(3)]);
  return fields;
}

/** True if the content is to come faster than it is played; never of a server that cannot (MS-RTSP 2.2.6.10.2). */
export function asksForSpeed(
  { live, rate }: Wish,
  { options, supported }: Pick<PlayFacts, 'options' | 'supported'>,
): boolean {
  return (options.speed ?? 1) > 1 && !live && rate === 1 && (supported?.has('fastcache') ?? false);
}

/** A server whose content cannot be sought is not asked to (MS-RTSP 2.2.5.2.6.3). */
function rangeOf(wish: Wish, { features, note }: PlayFacts): string {
  const { live, startPacket, startTime, lastSendTime, maxDuration } = wish;
  if (live) return 'npt=0.000-';
  // A place in the middle of a break is one that the server was at itself.
  const isBegun = lastSendTime !== undefined;
  if (!isBegun && features.includes('notseekable') && (startTime > 0 || startPacket !== undefined)) {
    note('The server does not allow another position than the beginning.');
    return writeNpt(0, maxDuration === 0 ? undefined : maxDuration);
  }
  if (startPacket !== undefined) return `x-asf-packet=${startPacket}-`;
  const start = lastSendTime ?? startTime;
  return writeNpt(start, maxDuration === 0 ? undefined : start + maxDuration);
}

function scaleOf({ rate }: Wish, { features, note }: PlayFacts): number {
  if (rate === 1 || !features.includes('notstridable')) return rate;
  note('The server does not allow another rate than 1.');
  return 1;
}
