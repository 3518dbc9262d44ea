import { AsfError } from './error.js';
import { FIELD_SIZE, type LengthType } from './packet.js';
import { paddingForGap } from './packet-build.js';

/**
 * Writes a data packet that was read before, padded with zeros to exactly `packetSize` bytes and without Packet Length,
 * as in a file (asf.md 10.2). Same result as `restorePadding`, but does not read the payloads and allocates no buffer.
 * @param bytes a packet that `parsePacket` accepts
 * @returns `packetSize`
 * @throws AsfError if its content is longer
 */
export function writeWhole(into: Buffer, at: number, bytes: Buffer, packetSize: number): number {
  const flags = bytes[0]!;
  const correction = flags >= 0x80 ? 1 + (flags & 0x0f) : 0;
  const lengthTypes = bytes[correction]!;
  const lengthSize = FIELD_SIZE[((lengthTypes >> 5) & 3) as LengthType];
  const isParity = correction > 0 && (flags & 0x10) !== 0;
  if (isParity || (bytes.length === packetSize && lengthSize === 0)) {
    if (bytes.length > packetSize) throw tooLong(bytes.length, packetSize);
    bytes.copy(into, at);
    into.fill(0, at + bytes.length, at + packetSize);
    return packetSize;
  }
  const sequenceStart = correction + 2 + lengthSize;
  const paddingStart = sequenceStart + FIELD_SIZE[((lengthTypes >> 1) & 3) as LengthType];
  const sendTimeStart = paddingStart + FIELD_SIZE[((lengthTypes >> 3) & 3) as LengthType];
  const length = lengthSize === 0 ? bytes.length : bytes.readUIntLE(correction + 2, lengthSize);
  const padding = sendTimeStart === paddingStart ? 0 : bytes.readUIntLE(paddingStart, sendTimeStart - paddingStart);
  const end = length - padding;
  const head = correction + 2 + (paddingStart - sequenceStart);
  const gap = packetSize - head - (end - sendTimeStart);
  if (gap < 0) throw tooLong(packetSize - gap, packetSize);
  const field = paddingForGap(gap);
  bytes.copy(into, at, 0, correction);
  into[at + correction] = (lengthTypes & 0x87) | (field.type << 3);
  into[at + correction + 1] = bytes[correction + 1]!;
  let next = at + correction + 2;
  next += bytes.copy(into, next, sequenceStart, paddingStart);
  const paddingSize = FIELD_SIZE[field.type];
  if (paddingSize > 0) into.writeUIntLE(field.length, next, paddingSize);
  next += paddingSize;
  next += bytes.copy(into, next, sendTimeStart, end);
  into.fill(0, next, at + packetSize);
  return packetSize;
}

function tooLong(size: number, packetSize: number): AsfError {
  return new AsfError(`A data packet of ${size} bytes does not fit the packet size of ${packetSize}.`);
}
