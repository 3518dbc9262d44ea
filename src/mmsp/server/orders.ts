import type { PlayOrder } from '../../playback/place.js';
import type { StreamSelection } from '../../playback/selection.js';
import type { ClientMessage } from '../messages/client.js';

/** Converts a StartPlaying or StartStriding (MS-MMSP 2.2.4.25, 2.2.4.26). */
export function orderOf(
  message: Extract<ClientMessage, { type: 'startPlaying' | 'startStriding' }>,
  selection: StreamSelection,
): PlayOrder {
  const { position, offset, location } = message;
  const where: PlayOrder['position'] =
    position !== undefined && position > 0
      ? { kind: 'time', milliseconds: Math.round(position * 1_000) }
      : location !== undefined
        ? { kind: 'packet', packet: location }
        : offset !== undefined
          ? { kind: 'offset', bytes: offset }
          : { kind: 'start' };
  if (message.type === 'startStriding') return { position: where, selection, rate: message.rate };
  const { stop, acceleration, linkBandwidth = Number.POSITIVE_INFINITY } = message;
  return {
    position: where,
    selection,
    ...(stop ? { limit: stop.relative ? { lasting: stop.milliseconds } : { until: stop.milliseconds } } : {}),
    ...(acceleration
      ? {
          acceleration: {
            ...acceleration,
            bitsPerSecond: Math.min(acceleration.bitsPerSecond, linkBandwidth || Number.POSITIVE_INFINITY),
          },
        }
      : {}),
  };
}

/**
 * Rewrites a URL for MMSP, whose schemes are mms, mmst and mmsu, without percent-encoding (2.2.4.9): a host that serves
 * content by HTTP most likely serves MMSP too.
 */
export function mmsUrl(url: string): string {
  const text = url.replace(/^(?:https?|mmsh):\/\/(\[[^\]]+\]|[^/:]+)(?::\d+)?/i, 'mms://$1');
  try {
    return decodeURIComponent(text);
  } catch {
    // It has a percent sign that encodes nothing.
    return text;
  }
}
