import { HttpError } from '../../http/message.js';
import type { StartPosition } from '../../media/on-demand/options.js';
import type { Entry } from '../../playback/entry.js';
import type { Acceleration, LimitWish, Pace } from '../../playback/pace.js';
import { AT_START, type PlayOrder } from '../../playback/place.js';
import type { PragmaTokens } from '../messages/pragma.js';
import type { ClientProduct } from '../messages/requests.js';

const NONE = 0xffffffff;

/**
 * Returns where a Play wants to start (MS-WMSP 3.2.5.6): stream-time, else packet-num, else stream-offset, else the
 * beginning. An absent token counts as its ignore value, so packet-num=0 takes precedence over any stream-offset.
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
    // The Describe requests of old players say 0:0, which no packet has; it means the beginning.
    if (!(high === NONE && low === NONE) && bytes > 0) return { kind: 'offset', bytes };
  }
  return { kind: 'start' };
}

/**
 * Returns the playback rate; default: 1 (MS-WMSP 2.2.1.4.22).
 *
 * @throws HttpError 400 if it is 0, or outside -5 to 5
 */
export function playbackRate(pragma: PragmaTokens): number {
  const digits = /^\s*(-?\d{1,3}(?:\.\d{0,6})?)/.exec(pragma.text('rate') ?? '')?.[1];
  if (digits === undefined) return 1;
  const rate = Number(digits);
  if (rate === 0 || Math.abs(rate) > 5) throw new HttpError(400, 'The rate is out of range.');
  return rate;
}

// The highest bandwidth that a client of version 8 may be told (MS-WMSP 3.2.5.6).
const MAX_BANDWIDTH_8 = 1_048_576;

/** The request of a Play, or a PlayNextEntry. */
export interface AskedPlay {
  readonly order: PlayOrder;
  /** Returns the tokens that tell the client what it was granted. */
  granted(pace: Pace): string[];
}

/**
 * Reads the tokens of a Play (MS-WMSP 3.2.5.6). A token counts only for clients for which it is defined: AccelBW from
 * 8.0, BurstBW and Speed from 9.0.
 *
 * @throws HttpError 400 for an impossible rate
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
 * Reads max-duration (MS-WMSP 2.2.1.4.11): 0 means no limit; with the top bit it is a time in the file, otherwise it
 * counts from the start.
 */
function maxDuration(pragma: PragmaTokens): LimitWish {
  const token = pragma.number('max-duration') ?? 0;
  const milliseconds = token % 2 ** 31;
  if (milliseconds === 0) return {};
  return token < 2 ** 31 ? { lasting: milliseconds } : { until: milliseconds };
}

/**
 * Returns the one of the two pairs of tokens that is followed. An intermediary sends its own as Burst and passes on the
 * one of its client as Accel (MS-WMSP 2.2.1.4.3); Burst takes precedence.
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
