import { AsfError } from './error.js';
import { type DataPacket, FIELD_SIZE, type LengthType } from './packet.js';

/** @public */
export interface PayloadFields {
  readonly stream: number;
  readonly key?: boolean;
  readonly mediaObjectNumber: number;
  /** Offset Into Media Object, or the Presentation Time of a compressed payload. */
  readonly offset: number;
  /** All of the replicated data, or the one Presentation Time Delta byte of a compressed payload. */
  readonly replicated: Buffer;
  readonly data: Buffer;
}

/** @public */
export interface PacketFields {
  /** The whole error correction field, flags byte first; empty for none. Default `82 00 00`. */
  readonly errorCorrection?: Buffer;
  /** Default: true if there are several payloads. */
  readonly multiple?: boolean;
  readonly sequenceType?: LengthType;
  readonly sequence?: number;
  /** Default 0 (absent); the value is computed. */
  readonly packetLengthType?: LengthType;
  /** Default: none, or chosen for `packetSize` (asf.md 7.6). */
  readonly paddingType?: LengthType;
  /** The padding after the payloads. */
  readonly padding?: Buffer;
  /** Pads with zeros to this size, in bytes. Cannot be combined with `paddingType` and `padding`. */
  readonly packetSize?: number;
  /** Default 0x5D. */
  readonly propertyFlags?: number;
  /** Code of Payload Length in the multiple form; default 2. */
  readonly payloadLengthType?: LengthType;
  readonly sendTime: number;
  readonly duration: number;
  readonly payloads: readonly PayloadFields[];
  /** Bytes between the last payload and the padding; usually none. */
  readonly gap?: Buffer;
  /** Bytes after the packet's explicit length; usually none. */
  readonly filler?: Buffer;
}

const NONE = Buffer.alloc(0);
const DEFAULT_ERROR_CORRECTION = Buffer.from([0x82, 0, 0]);
const DEFAULT_PROPERTY_FLAGS = 0x5d;
const LARGEST = [0, 0xff, 0xffff, 0xffff_ffff] as const;
const MAX_PAYLOADS = 63;

/** Writes a field of the coded size; returns the offset of the next one. @throws AsfError if the value does not fit */
export function writeField(out: Buffer, at: number, code: LengthType, value: number, name: string): number {
  if (!(Number.isInteger(value) && value >= 0 && value <= LARGEST[code])) {
    throw new AsfError(`${name} ${value} does not fit a field of ${FIELD_SIZE[code]} bytes.`, at);
  }
  if (code !== 0) out.writeUIntLE(value, at, FIELD_SIZE[code]);
  return at + FIELD_SIZE[code];
}

/** Returns the padding that fills a gap of this many bytes after the payloads; the field itself counts (asf.md 7.6). */
export function paddingForGap(gap: number): { readonly type: LengthType; readonly length: number } {
  if (gap === 0) return { type: 0, length: 0 };
  if (gap <= 256) return { type: 1, length: gap - 1 };
  if (gap <= 65537) return { type: 2, length: gap - 2 };
  return { type: 3, length: gap - 4 };
}

interface PaddingPlan {
  readonly type: LengthType;
  readonly length: number;
  readonly bytes: Buffer;
}

/** The padding that the caller asked for; `used` is the length of the packet without any. */
function planPadding(fields: PacketFields, used: number): PaddingPlan {
  if (fields.packetSize === undefined) {
    const bytes = fields.padding ?? NONE;
    const type = fields.paddingType ?? (bytes.length === 0 ? 0 : bytes.length <= 0xff ? 1 : 2);
    if (type === 0 && bytes.length > 0) throw new AsfError('Padding needs a Padding Length field.');
    return { type, length: bytes.length, bytes };
  }
  if (used > fields.packetSize) {
    throw new AsfError(`A data packet of ${used} bytes does not fit the packet size of ${fields.packetSize}.`);
  }
  return { ...paddingForGap(fields.packetSize - used), bytes: NONE };
}

function checkErrorCorrection(bytes: Buffer): void {
  if (bytes.length === 0) return;
  if ((bytes[0]! & 0xf0) !== 0x80 || bytes.length !== 1 + (bytes[0]! & 0x0f)) {
    throw new AsfError('The error correction field does not match its flags.');
  }
}

function checkForm(fields: PacketFields, multiple: boolean, propertyFlags: number): void {
  const count = fields.payloads.length;
  if (propertyFlags >> 6 !== 1) throw new AsfError('The stream number must be coded as a BYTE.');
  if (count === 0 || count > MAX_PAYLOADS || (!multiple && count > 1)) {
    throw new AsfError(`${count} payloads do not fit a data packet of this form.`);
  }
  if (!multiple && (fields.gap?.length ?? 0) > 0) throw new AsfError('A single payload reaches up to the padding.');
  for (const { stream, replicated, data } of fields.payloads) {
    if (!(stream >= 0 && stream <= 0x7f)) throw new AsfError(`${stream} is not a stream number.`);
    if (replicated.length > 1 && replicated.length < 8) {
      throw new AsfError(`Replicated data cannot have ${replicated.length} bytes.`);
    }
    if (data.length === 0) throw new AsfError('A payload must have data.');
  }
}

/**
 * Writes a data packet of any form (asf.md 7); parsePacket has the layout.
 * @throws AsfError if a value does not fit its field, or the content does not fit in `packetSize`
 * @public
 */
export function buildPacket(fields: PacketFields): Buffer {
  const errorCorrection = fields.errorCorrection ?? DEFAULT_ERROR_CORRECTION;
  const multiple = fields.multiple ?? fields.payloads.length !== 1;
  const propertyFlags = fields.propertyFlags ?? DEFAULT_PROPERTY_FLAGS;
  checkErrorCorrection(errorCorrection);
  checkForm(fields, multiple, propertyFlags);
  const codes = {
    replicated: (propertyFlags & 3) as LengthType,
    offset: ((propertyFlags >> 2) & 3) as LengthType,
    number: ((propertyFlags >> 4) & 3) as LengthType,
    payload: multiple ? (fields.payloadLengthType ?? 2) : (0 as LengthType),
    packet: fields.packetLengthType ?? 0,
    sequence: fields.sequenceType ?? 0,
  };
  const gap = fields.gap ?? NONE;
  const payloadHead =
    1 + FIELD_SIZE[codes.number] + FIELD_SIZE[codes.offset] + FIELD_SIZE[codes.replicated] + FIELD_SIZE[codes.payload];
  let used = errorCorrection.length + 8 + FIELD_SIZE[codes.packet] + FIELD_SIZE[codes.sequence];
  used += (multiple ? 1 : 0) + gap.length;
  for (const { replicated, data } of fields.payloads) used += payloadHead + replicated.length + data.length;
  const padding = planPadding(fields, used);
  const length = used + FIELD_SIZE[padding.type] + padding.length;
  const filler = fields.filler ?? NONE;

  const out = Buffer.alloc(length + filler.length);
  let at = errorCorrection.copy(out, 0);
  out[at++] = (multiple ? 1 : 0) | (codes.sequence << 1) | (padding.type << 3) | (codes.packet << 5);
  out[at++] = propertyFlags;
  at = writeField(out, at, codes.packet, codes.packet === 0 ? 0 : length, 'Packet Length');
  at = writeField(out, at, codes.sequence, fields.sequence ?? 0, 'Sequence');
  at = writeField(out, at, padding.type, padding.length, 'Padding Length');
  at = writeField(out, at, 3, fields.sendTime, 'Send Time');
  at = writeField(out, at, 2, fields.duration, 'Duration');
  if (multiple) out[at++] = fields.payloads.length | (codes.payload << 6);
  for (const payload of fields.payloads) {
    out[at++] = payload.stream | (payload.key === true ? 0x80 : 0);
    at = writeField(out, at, codes.number, payload.mediaObjectNumber, 'Media Object Number');
    at = writeField(out, at, codes.offset, payload.offset, 'Offset Into Media Object');
    at = writeField(out, at, codes.replicated, payload.replicated.length, 'Replicated Data Length');
    at += payload.replicated.copy(out, at);
    if (multiple) at = writeField(out, at, codes.payload, payload.data.length, 'Payload Length');
    at += payload.data.copy(out, at);
  }
  at += gap.copy(out, at);
  padding.bytes.copy(out, at);
  filler.copy(out, length);
  return out;
}

/**
 * Returns the fields from which {@link buildPacket} rebuilds the packet byte for byte; the buffers in them are views.
 * @throws AsfError for a parity packet, which has no fields, and for one that is damaged or has payloads without data
 * @public
 */
export function packetFields(packet: DataPacket): PacketFields {
  const { bytes, lengthTypeFlags } = packet;
  if (packet.parity || packet.damaged || packet.emptyPayloads > 0 || packet.payloads.length === 0) {
    throw new AsfError('A packet that is parity, damaged or partly empty cannot be taken apart.');
  }
  return {
    errorCorrection: bytes.subarray(0, packet.errorCorrectionLength),
    multiple: packet.multiple,
    sequenceType: ((lengthTypeFlags >> 1) & 3) as LengthType,
    sequence: packet.sequence,
    packetLengthType: ((lengthTypeFlags >> 5) & 3) as LengthType,
    paddingType: ((lengthTypeFlags >> 3) & 3) as LengthType,
    padding: bytes.subarray(packet.end, packet.length),
    propertyFlags: packet.propertyFlags,
    payloadLengthType: (packet.multiple ? bytes[packet.payloadsStart]! >> 6 : 0) as LengthType,
    sendTime: packet.sendTime,
    duration: packet.duration,
    payloads: packet.payloads.map((payload) => ({
      stream: payload.stream,
      key: payload.key,
      mediaObjectNumber: payload.mediaObjectNumber,
      offset: payload.compressed ? Math.max(payload.presentationTime, 0) : payload.offset,
      replicated: bytes.subarray(payload.replicatedStart, payload.replicatedStart + payload.replicatedLength),
      data: bytes.subarray(payload.dataStart, payload.dataStart + payload.dataLength),
    })),
    gap: bytes.subarray(packet.payloadsEnd, packet.end),
    filler: bytes.subarray(packet.length),
  };
}
