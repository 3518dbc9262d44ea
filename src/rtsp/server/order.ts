import type { HeaderFields } from '../../framing/text-head.js';
import type { Acceleration, Pace } from '../../playback/pace.js';
import type { PlayOrder } from '../../playback/place.js';
import type { Started } from '../../playback/port.js';
import { RtspError } from '../messages/error.js';
import {
  type Burst,
  type Range,
  readBurst,
  readNumber,
  readRange,
  readRate,
  writeBurst,
  writeNpt,
} from '../messages/headers.js';

/** What a PLAY asks for (MS-RTSP 2.2.7.9); without a position it goes on where it is. */
export interface AskedPlay {
  readonly order: Partial<PlayOrder>;
  /** The kind of acceleration that it asks for; the response has the same. */
  readonly burst: 'Accel' | 'Burst' | undefined;
}

const MAX_RATE = 5;
/** Clients that come back after a break count from send times, which end later than the content by its preroll; in ms. */
const END_SLACK = 10_000;

/** @throws RtspError 457 for a Range that cannot be understood, 400 for a Scale or a Speed of nothing */
export function readPlay(headers: HeaderFields, wantsProfile: boolean): AskedPlay {
  const field = headers.get('Range');
  const range = field === undefined ? undefined : readRange(field);
  const rate = rateOf(headers.get('Scale'), 'Scale');
  const speed = rateOf(headers.get('Speed'), 'Speed');
  const { kind, burst } = burstOf(headers);
  const bandwidth = readNumber(headers.get('Bandwidth')) || Number.POSITIVE_INFINITY;
  const acceleration: Acceleration | undefined = burst && {
    milliseconds: burst.milliseconds,
    bitsPerSecond: Math.min(burst.bitsPerSecond, bandwidth),
  };
  return {
    burst: kind,
    order: {
      ...(range ? positionOf(range) : {}),
      ...(rate === undefined ? {} : { rate: Math.max(-MAX_RATE, Math.min(MAX_RATE, rate)) }),
      ...(speed === undefined ? {} : { speed }),
      ...(acceleration ? { acceleration } : {}),
      ...(wantsProfile ? { profile: true } : {}),
    },
  };
}

function rateOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const rate = readRate(text);
  if (rate === undefined || rate === 0 || (name === 'Speed' && rate < 0)) {
    throw new RtspError(400, `${name} cannot be ${text.slice(0, 20)}.`);
  }
  return rate;
}

function burstOf(headers: HeaderFields): { kind?: 'Accel' | 'Burst'; burst?: Burst } {
  for (const [kind, name] of [
    ['Accel', 'X-Accelerate-Streaming'],
    ['Burst', 'X-Burst-Streaming'],
  ] as const) {
    const burst = readBurst(kind, headers.get(name) ?? '');
    if (burst && burst.milliseconds > 0 && burst.bitsPerSecond > 0) return { kind, burst };
  }
  return {};
}

function positionOf(range: Range): Partial<PlayOrder> {
  if (range.unit === 'packet') return { position: { kind: 'packet', packet: range.start } };
  if (range.unit === 'byte') return { position: { kind: 'offset', bytes: range.start } };
  const { start, end } = range;
  return {
    ...(start === undefined
      ? {}
      : { position: start === 0 ? { kind: 'start' } : { kind: 'time', milliseconds: start } }),
    ...(end === undefined ? {} : { limit: { until: end } }),
  };
}

/**
 * Checks that a file has what a PLAY asks for.
 *
 * @param end of the file in ms, with which its preroll may be counted or not
 * @throws RtspError 457 for a start far beyond its end, or an end before the start (RFC 2326 11.3.8)
 */
export function checkPosition({ position, limit, rate = 1 }: AskedPlay['order'], end: number): void {
  if (position?.kind !== 'time' && position?.kind !== 'start') return;
  const start = position.kind === 'time' ? position.milliseconds : 0;
  const until = limit && 'until' in limit ? limit.until : undefined;
  const isBackward = rate > 0 && until !== undefined && until < start;
  if (isBackward || start > end + END_SLACK) throw new RtspError(457, 'The range is not one of the content.');
}

/** Returns where in a file, in ms, a player has asked to end; undefined if it has not. */
export function endOf({ rate, limit }: Pace): number | undefined {
  return rate > 0 && limit?.asked && limit.start !== undefined ? limit.start + limit.milliseconds : undefined;
}

/**
 * Range, Scale, Speed and acceleration of a PLAY response, as they were granted.
 *
 * @param end of the file in ms; undefined for a broadcast, whose packets have no numbers that a client could ask for
 */
export function grantedFields(
  { position, location, pace }: Pick<Started, 'position' | 'location' | 'pace'>,
  burst: AskedPlay['burst'],
  end: number | undefined,
): Array<readonly [string, string]> {
  const range =
    position === undefined && location !== undefined && end !== undefined
      ? `x-asf-packet=${location}-`
      : writeNpt(position ?? 0, end);
  return [
    ['Range', range],
    ['Scale', pace.rate.toFixed(3)],
    ...burstField(pace, burst),
    ['Speed', (pace.speed ?? 1).toFixed(3)],
  ];
}

function burstField({ acceleration }: Pace, burst: AskedPlay['burst']): Array<readonly [string, string]> {
  if (!acceleration || !burst) return [];
  const name = burst === 'Accel' ? 'X-Accelerate-Streaming' : 'X-Burst-Streaming';
  return [[name, writeBurst(burst, { ...acceleration, milliseconds: Math.round(acceleration.milliseconds) })]];
}
