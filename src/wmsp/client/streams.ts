import type { AsfHeader } from '../../asf/header.js';
import type { StreamSwitch } from '../../playback/selection.js';

/**
 * Returns the complete selection for stream-switch-entry: every stream of the header, on (0) or off (2) (MS-WMSP
 * 3.1.4.3.1).
 */
export function selectionOf(header: AsfHeader, chosen: ReadonlySet<number>): StreamSwitch[] {
  return header.streams.map(({ number }) => ({
    source: undefined,
    destination: number,
    level: chosen.has(number) ? 0 : 2,
  }));
}
