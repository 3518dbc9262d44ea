import { HttpError } from '../http/message.js';
import type { StartPosition } from '../media/on-demand/options.js';
import type { PragmaTokens } from './pragma.js';
import type { Entry } from './program.js';
import type { ClientProduct } from './requests.js';
import type { Pace } from './session.js';

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
 * Grants of a Play's wishes what there is (MS-WMSP 3.2.5.6): never more than was asked for. A broadcast has its own pace.
 *
 * @param startMilliseconds where the Play starts, for an absolute max-duration
 */
export function grantPace(
  entry: Entry,
  pragma: PragmaTokens,
  client: ClientProduct,
  startMilliseconds: number,
  limits: PaceLimits,
): GrantedPace {
  if (entry.kind === 'live') return { pace: { rate: 1 }, tokens: [] };
  const tokens: string[] = [];
  const rate = entry.file.stridable ? playbackRate(pragma) : 1;
  const lineRate = pragma.number('LinkBW') || Number.POSITIVE_INFINITY;
  const grant = (name: string, limit: number) => {
    const asked = pragma.number(name) ?? 0;
    return asked === 0 ? 0 : Math.floor(Math.min(asked, limit));
  };
  const most = Math.min(limits.bandwidth, lineRate, client.major === 8 ? MAX_BANDWIDTH_8 : Number.POSITIVE_INFINITY);
  let acceleration: Pace['acceleration'];
  for (const kind of ['Accel', 'Burst']) {
    const bitsPerSecond = grant(`${kind}BW`, most);
    const milliseconds = grant(`${kind}Duration`, limits.accelerated);
    if (bitsPerSecond === 0 || milliseconds === 0) continue;
    tokens.push(`${kind}BW=${bitsPerSecond}`, `${kind}Duration=${milliseconds}`);
    acceleration ??= { bitsPerSecond, milliseconds };
  }
  const askedSpeed = Number(/^\s*(\d{1,10}(?:\.\d{1,3})?)/.exec(pragma.text('Speed') ?? '')?.[1] ?? 0);
  const speed = askedSpeed > 1 ? Math.min(askedSpeed, limits.speed) : 0;
  if (speed > 0) tokens.push(`Speed=${speed.toFixed(3)}`);
  const maxDuration = mediaDuration(pragma.number('max-duration') ?? 0, startMilliseconds);
  const pace: Pace = {
    rate,
    ...(speed > 0 ? { speed } : {}),
    ...(acceleration ? { acceleration } : {}),
    ...(maxDuration === undefined ? {} : { maxDuration }),
  };
  return { pace, tokens };
}

/** max-duration (MS-WMSP 2.2.1.4.11): with the top bit an absolute end, else from the start; 0 is no limit. */
function mediaDuration(token: number, startMilliseconds: number): number | undefined {
  const value = token & 0x7fffffff;
  if (value === 0) return undefined;
  return token > 0x7fffffff ? Math.max(0, value - startMilliseconds) : value;
}
