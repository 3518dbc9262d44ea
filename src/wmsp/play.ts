import { HttpError } from '../http/message.js';
import type { StartPosition } from '../media/on-demand/options.js';
import type { Entry } from '../playback/entry.js';
import type { Acceleration, LimitWish, Pace } from '../playback/pace.js';
import { AT_START, type PlayOrder } from '../playback/place.js';
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

// The most that a client of version 8 may be told (MS-WMSP 3.2.5.6).
const MAX_BANDWIDTH_8 = 1_048_576;

/** What a Play, or a PlayNextEntry, asks for. */
export interface AskedPlay {
  readonly order: PlayOrder;
  /** The tokens that tell the client what it was granted. */
  granted(pace: Pace): string[];
}

/**
 * Reads what the tokens of a Play ask for (MS-WMSP 3.2.5.6). A token counts only for clients for which it is defined: AccelBW from
 * 8.0, BurstBW and Speed from 9.0.
 *
 * @throws HttpError 400 for a rate that there is not
 */
export function askedPlay(entry: Entry, pragma: PragmaTokens, client: ClientProduct): AskedPlay {
  const speed =
    client.major < 9 ? 0 : Number(/^\s*(\d{1,10}(?:\.\d{1,3})?)/.exec(pragma.text('Speed') ?? '')?.[1] ?? 0);
  const asked = askedAcceleration(pragma, client);
  return {
    order: {
      ...(entry.kind === 'file'
        ? { position: startPosition(pragma), rate: playbackRate(pragma) }
        : { position: AT_START }),
      speed,
      acceleration: asked?.acceleration,
      limit: maxDuration(pragma),
    },
    granted: ({ acceleration, speed }) => [
      ...(asked && acceleration
        ? [`${asked.kind}BW=${acceleration.bitsPerSecond}`, `${asked.kind}Duration=${acceleration.milliseconds}`]
        : []),
      ...(speed === undefined ? [] : [`Speed=${speed.toFixed(3)}`]),
    ],
  };
}

/**
 * Reads max-duration (MS-WMSP 2.2.1.4.11): 0 is no limit, the top bit makes it a time in the file, and otherwise it counts from the
 * start.
 */
function maxDuration(pragma: PragmaTokens): LimitWish {
  const token = pragma.number('max-duration') ?? 0;
  const milliseconds = token % 2 ** 31;
  if (milliseconds === 0) return {};
  return token < 2 ** 31 ? { lasting: milliseconds } : { until: milliseconds };
}

/**
 * Of the two pairs of tokens only the one that is followed is granted: that of an intermediary itself, which is Burst, goes before
 * the one of the client behind it, which it passes on as Accel (MS-WMSP 2.2.1.4.3).
 */
function askedAcceleration(
  pragma: PragmaTokens,
  client: ClientProduct,
): { kind: 'Accel' | 'Burst'; acceleration: Acceleration } | undefined {
  const lineRate = pragma.number('LinkBW') || Number.POSITIVE_INFINITY;
  const most = Math.min(lineRate, client.major === 8 ? MAX_BANDWIDTH_8 : Number.POSITIVE_INFINITY);
  for (const [kind, since] of [
    ['Burst', 9],
    ['Accel', 8],
  ] as const) {
    const bitsPerSecond = Math.min(pragma.number(`${kind}BW`) ?? 0, most);
    const milliseconds = pragma.number(`${kind}Duration`) ?? 0;
    if (client.major >= since && bitsPerSecond > 0 && milliseconds > 0)
      return { kind, acceleration: { bitsPerSecond, milliseconds } };
  }
  return undefined;
}
