import { type DataPacket, FIELD_SIZE, type LengthType, type Payload } from './packet.js';

/** @public */
export interface RebaseOptions {
  /** Milliseconds added to presentation times in addition to `deltaMs`, for a change of preroll. */
  readonly prerollDelta?: number;
  /** Added to the media object numbers, by stream number, modulo the width of the field. */
  readonly mediaObjectNumbers?: ReadonlyMap<number, number>;
}

/** Adds to a little-endian field of the coded size, in place and modulo its width. */
function addToField(out: Buffer, at: number, code: LengthType, delta: number): void {
  const size = FIELD_SIZE[code];
  if (size === 0) return;
  const modulus = 2 ** (8 * size);
  const sum = (out.readUIntLE(at, size) + delta) % modulus;
  out.writeUIntLE(sum < 0 ? sum + modulus : sum, at, size);
}

function rebasePayload(out: Buffer, packet: DataPacket, payload: Payload, delta: number, numbers: number): void {
  const numberType = ((packet.propertyFlags >> 4) & 3) as LengthType;
  const offsetType = ((packet.propertyFlags >> 2) & 3) as LengthType;
  if (numbers !== 0) addToField(out, payload.headerStart + 1, numberType, numbers);
  // A compressed payload has its presentation time where others have the offset.
  if (payload.compressed) addToField(out, payload.headerStart + 1 + FIELD_SIZE[numberType], offsetType, delta);
  else if (payload.replicatedLength >= 8) addToField(out, payload.replicatedStart + 4, 3, delta);
}

/**
 * Returns a copy of the packet with send and presentation times shifted by `deltaMs` (whole milliseconds, may be
 * negative) modulo 2^32, and media object numbers if asked for (asf.md 10.6). Sizes do not change. A parity packet is
 * copied unchanged.
 *
 * @public
 */
export function rebasePacket(packet: DataPacket, deltaMs: number, options: RebaseOptions = {}): Buffer {
  const out = Buffer.from(packet.bytes);
  if (packet.parity) return out;
  const presentationDelta = deltaMs + (options.prerollDelta ?? 0);
  addToField(out, packet.sendTimeStart, 3, deltaMs);
  for (const payload of packet.payloads) {
    rebasePayload(out, packet, payload, presentationDelta, options.mediaObjectNumbers?.get(payload.stream) ?? 0);
  }
  return out;
}
