import { filterPacket } from './filter.js';
import { type DataPacket, type Payload, parsePacket, tryParsePacket } from './packet.js';
import { restorePadding } from './padding.js';

/** The packet with only the wanted payloads, at full size; undefined if there are none. */
function rebuilt(
  packet: DataPacket,
  packetSize: number,
  isWanted: (payload: Payload) => boolean,
): DataPacket | undefined {
  let order = 0;
  const bytes = filterPacket(packet, () => (isWanted(packet.payloads[order++]!) ? 0 : 2));
  return bytes === undefined ? undefined : parsePacket(restorePadding(parsePacket(bytes), packetSize));
}

/**
 * Returns the packet without the parts that make players stumble (asf.md 16.7): the rest of a damaged one, payloads
 * without data, and unwanted payloads. The same object if it has none of these, undefined if nothing is left.
 * @param packetSize bytes of the result, if it is another packet
 */
export function tidyPacket(
  packet: DataPacket,
  packetSize: number,
  isWanted: (payload: Payload) => boolean = () => true,
): DataPacket | undefined {
  if (packet.parity || packet.payloads.length === 0) return packet;
  const isTidy = !packet.damaged && packet.emptyPayloads === 0 && packet.payloads.every(isWanted);
  return isTidy ? packet : rebuilt(packet, packetSize, isWanted);
}

/** The remains of a packet whose end is missing. */
export interface CutPacket {
  /** At full size, with only the complete payloads. */
  readonly packet: DataPacket;
  /** True if only padding is missing. */
  readonly whole: boolean;
}

/**
 * Reads a packet of which only the first bytes exist (asf.md 16.5).
 * @param bytes fewer than the packet size
 * @returns undefined if no payload is whole
 */
export function readCutPacket(bytes: Buffer, packetSize: number): CutPacket | undefined {
  const filled = Buffer.alloc(packetSize);
  bytes.copy(filled);
  const packet = tryParsePacket(filled);
  if (packet === undefined || packet.parity || packet.payloads.length === 0) return undefined;
  const isHere = ({ dataStart, dataLength }: Payload): boolean => dataStart + dataLength <= bytes.length;
  const whole = !packet.damaged && packet.payloads.every(isHere);
  const left = tidyPacket(packet, packetSize, isHere);
  return left === undefined ? undefined : { packet: left, whole };
}
