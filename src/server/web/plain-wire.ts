import { writeWhole } from '../../asf/whole.js';
import type { WireFormat } from '../../media/wire.js';

/** The format of packets in a file: full size, without framing. All players share the same bytes. */
export function plainWire(packetSize: number): WireFormat {
  return {
    key: 'asf',
    numbers: 'none',
    mask: 0,
    size: () => packetSize,
    write: (into, at, { bytes }) => writeWhole(into, at, bytes, packetSize),
  };
}
