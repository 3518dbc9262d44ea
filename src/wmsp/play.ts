import { HttpError } from '../http/message.js';
import type { StartPosition } from '../media/on-demand/options.js';
import { type Entry, endOf, type FileEntry } from '../playback/entry.js';
import type { Limit, Pace } from '../playback/pace.js';
import type { PragmaTokens } from './pragma.js';
import type { ClientProduct } from './requests.js';

const NONE = 0xffffffff;

/**
 * Where a Play wants to start (MS-WMSP 3.2.5.6): stream-time, else packet-num, else stream-offset, else the beginning. A token
 * that is absent counts like its ignore value, so that packet-num=0 outranks any stream-offset.
 */
export function startPosition(pragma: PragmaTokens): StartPosition {
  const time = pragma.number('stream-time') ?? NONE;
  if (time !== 0 && time !== NONE) return { kind: 'time', milliseconds: time };
  const packet = pragma.number('packet-num') ?? NONE;
  if (packet !== NONE) return { kind: 'packet', packet };
  const offset = /^\s*(\d{1,10}):(\d{1,10})/.exec(pragma.text('stream-offset') ?? '');
  if (offset) {
    const [high, low] = [Number(offset[1]), Number(offset[2])];
    const bytes = high * 2 ** 32 + low;
    // The Describe requests of old players say 0:0, which is no packet's place: the beginning.
    if (!(high === NONE && low === NONE) && bytes > 0) return { kind: 'offset', bytes };
  }
  return { kind: 'start' };
}

/** Where a Play in a file begins: not before what the playlist gives of it, and there if the player may not seek in it. */
export function choosePosition({ begin = 0, noSkip = false }: FileEntry, pragma: PragmaTokens): StartPosition {
  const position: StartPosition = noSkip ? { kind: 'start' } : startPosition(pragma);
  if (position.kind === 'start') return begin > 0 ? { kind: 'time', milliseconds: begin } : position;
  if (position.kind === 'time') return { kind: 'time', milliseconds: Math.max(begin, position.milliseconds) };
  return position;
}

/**
 * The playback rate (MS-WMSP 2.2.1.4.22); 1 without one.
 *
 * @throws HttpError 400 when it is 0, or outside -5 to 5
 */
export function playbackRate(pragma: PragmaTokens): number {
  const digits = /^\s*(-?\d{1,3}(?:\.\d{0,6})?)/.exec(pragma.text('rate') ?? '')?.[1];
  if (digits === undefined) return 1;
  const rate = Number(digits);
  if (rate === 0 || Math.abs(rate) > 5) throw new HttpError(400, 'The rate is out of range.');
  return rate;
}

/** What a server gives at most of what clients may ask for. */
export interface PaceLimits {
  /** Bits per second of AccelBW and BurstBW. */
  readonly bandwidth: number;
  /** Milliseconds of AccelDuration and BurstDuration. */
  readonly accelerated: number;
  /** Times real time, for Speed. */
  readonly speed: number;
}

export const DEFAULT_LIMITS: PaceLimits = { bandwidth: 3_500_000, accelerated: 20_000, speed: 5 };

// The most that a client of version 8 may be told (MS-WMSP 3.2.5.6).
const MAX_BANDWIDTH_8 = 1_048_576;

/** How a Play is paced, and the tokens that tell the client. */
export interface GrantedPace {
  readonly pace: Pace;
  readonly tokens: readonly string[];
}

/**
 * Grants of a Play's wishes what there is (MS-WMSP 3.2.5.6): never more than was asked for, and only to clients for which a
 * token is defined: AccelBW from 8.0, BurstBW from 9.0. A broadcast has its own pace.
 *
 * @throws HttpError 400 for a rate that there is not
 */
export function grantPace(entry: Entry, pragma: PragmaTokens, client: ClientProduct, limits: PaceLimits): GrantedPace {
  if (entry.kind === 'live') return { pace: { rate: 1 }, tokens: [] };
  const rate = playbackRate(pragma);
  const askedSpeed = Number(/^\s*(\d{1,10}(?:\.\d{1,3})?)/.exec(pragma.text('Speed') ?? '')?.[1] ?? 0);
  const speed = askedSpeed > 1 ? Math.min(askedSpeed, limits.speed) : 0;
  const granted = grantAcceleration(pragma, client, limits);
  return {
    pace: {
      rate: entry.file.stridable && !entry.noSkip ? rate : 1,
      ...(speed > 0 ? { speed } : {}),
      ...(granted ? { acceleration: granted } : {}),
    },
    tokens: [
      ...(granted
        ? [`${granted.kind}BW=${granted.bitsPerSecond}`, `${granted.kind}Duration=${granted.milliseconds}`]
        : []),
      ...(speed > 0 ? [`Speed=${speed.toFixed(3)}`] : []),
    ],
  };
}

/**
 * Of the two pairs of tokens only the one that is followed is granted: that of an intermediary itself, which is Burst, goes before
 * the one of the client behind it, which it passes on as Accel (MS-WMSP 2.2.1.4.3).
 */
function grantAcceleration(
  pragma: PragmaTokens,
  client: ClientProduct,
  limits: PaceLimits,
): { kind: 'Accel' | 'Burst'; bitsPerSecond: number; milliseconds: number } | undefined {
  const lineRate = pragma.number('LinkBW') || Number.POSITIVE_INFINITY;
  const most = Math.min(limits.bandwidth, lineRate, client.major === 8 ? MAX_BANDWIDTH_8 : Number.POSITIVE_INFINITY);
  for (const [kind, since] of [
    ['Burst', 9],
    ['Accel', 8],
  ] as const) {
    const bitsPerSecond = Math.min(pragma.number(`${kind}BW`) ?? 0, most);
    const milliseconds = Math.min(pragma.number(`${kind}Duration`) ?? 0, limits.accelerated);
    if (client.major >= since && bitsPerSecond > 0 && milliseconds > 0) return { kind, bitsPerSecond, milliseconds };
  }
  return undefined;
}

/**
 * How much of a file is sent: what its playlist gives of it, and what the client asks with max-duration (MS-WMSP 2.2.1.4.11),
 * where 0 is no limit, the top bit makes it a time in the file, and otherwise it counts from the start. Backwards it ends where
 * the entry begins.
 *
 * @param token max-duration
 * @param start where the Play begins, in ms; undefined when it names a packet
 */
export function limitOf(entry: FileEntry, token: number, start: number | undefined, rate: number): Limit | undefined {
  const asked = token % 2 ** 31;
  const relative = asked > 0 && token < 2 ** 31 ? asked : Number.POSITIVE_INFINITY;
  const absolute = asked > 0 && token >= 2 ** 31 ? asked : Number.POSITIVE_INFINITY;
  if (rate < 0) {
    const left = start !== undefined && entry.begin ? start - entry.begin : Number.POSITIVE_INFINITY;
    return limit(start, Math.min(relative, left), relative < left);
  }
  const clipEnd = endOf(entry);
  const last = Math.min(clipEnd, entry.file.durationMs);
  if (start === undefined) {
    const end = Math.min(clipEnd, absolute);
    if (Number.isFinite(end)) return limit(0, end, absolute < last);
    return limit(undefined, relative, relative < last);
  }
  const askedEnd = Math.min(absolute, start + relative);
  return limit(start, Math.min(clipEnd, askedEnd) - start, askedEnd < last);
}

function limit(start: number | undefined, milliseconds: number, asked: boolean): Limit | undefined {
  if (!Number.isFinite(milliseconds)) return undefined;
  // 0 would be no limit.
  return { ...(start === undefined ? {} : { start }), milliseconds: Math.max(1, milliseconds), asked };
}
