import { type DataPacket, FIELD_SIZE, type LengthType } from './packet.js';
import { writeField } from './packet-build.js';

/** The length fields that padding affects; the packet's other fields do not change. */
export interface LengthFields {
  readonly packetLengthType: LengthType;
  /** The value of Packet Length, in bytes; ignored if the field is absent. */
  readonly packetLength: number;
  readonly paddingType: LengthType;
  /** The value of Padding Length, in bytes; 0 if the field is absent. */
  readonly paddingLength: number;
}

const sequenceType = (packet: DataPacket): LengthType => ((packet.lengthTypeFlags >> 1) & 3) as LengthType;

/** Returns the bytes before Send Time if Packet Length and Padding Length have these codes. */
export function headLength(packet: DataPacket, packetLengthType: LengthType, paddingType: LengthType): number {
  const { errorCorrectionLength } = packet;
  const fields = FIELD_SIZE[packetLengthType] + FIELD_SIZE[sequenceType(packet)] + FIELD_SIZE[paddingType];
  return errorCorrectionLength + 2 + fields;
}

/** Writes everything before Send Time, with other length fields; returns the offset of Send Time. */
export function writeHead(out: Buffer, packet: DataPacket, lengths: LengthFields): number {
  const sequence = sequenceType(packet);
  const { packetLengthType, packetLength, paddingType, paddingLength } = lengths;
  let at = packet.bytes.copy(out, 0, 0, packet.errorCorrectionLength);
  out[at++] = (packet.lengthTypeFlags & 0x87) | (paddingType << 3) | (packetLengthType << 5);
  out[at++] = packet.propertyFlags;
  at = writeField(out, at, packetLengthType, packetLengthType === 0 ? 0 : packetLength, 'Packet Length');
  at = writeField(out, at, sequence, packet.sequence, 'Sequence');
  return writeField(out, at, paddingType, paddingLength, 'Padding Length');
}

/**
 * Returns the code of Packet Length for a packet of up to `size` bytes: its present code, if any, else WORD or DWORD.
 */
export function explicitLengthType(packet: DataPacket, size: number): LengthType {
  const present = ((packet.lengthTypeFlags >> 5) & 3) as LengthType;
  if (present !== 0) return present;
  return size > 0xffff ? 3 : 2;
}

/**
 * True if the packet belongs to a span that a parity packet protects. Its bytes must not change then, because the
 * parity is computed over them (asf.md 7.1). Without parity the first byte of the error correction data is 0.
 */
export function inParitySpan(packet: DataPacket): boolean {
  return packet.parity || (packet.errorCorrectionLength >= 2 && packet.bytes[1] !== 0);
}
