import { AsfError } from './error.js';

/** One payload of a data packet. All starts are offsets into {@link DataPacket.bytes}. @public */
export interface Payload {
  stream: number;
  key: boolean;
  mediaObjectNumber: number;
  /** Offset Into Media Object, bytes; 0 for compressed payloads. */
  offset: number;
  /** Bytes; -1 if unknown. */
  objectSize: number;
  /** Milliseconds, preroll included, modulo 2^32; -1 if unknown. */
  presentationTime: number;
  compressed: boolean;
  /** Milliseconds between the sub-objects of a compressed payload. */
  presentationTimeDelta: number;
  headerStart: number;
  replicatedStart: number;
  /** Bytes; 1 for compressed payloads. */
  replicatedLength: number;
  dataStart: number;
  dataLength: number;
}

/** One data packet (asf.md 7): its bytes, and where its parts are. @public */
export interface DataPacket {
  bytes: Buffer;
  /** Milliseconds modulo 2^32. */
  sendTime: number;
  /** Milliseconds. */
  duration: number;
  /** Empty for a parity packet, and for one with only padding. */
  payloads: readonly Payload[];
  lengthTypeFlags: number;
  propertyFlags: number;
  /** Bytes including the flags byte; 0 if absent. */
  errorCorrectionLength: number;
  /** Opaque Data Present: the content is not media but the XOR of a span of packets. */
  parity: boolean;
  /** The Packet Length field is present. */
  explicitLength: boolean;
  /**
   * The packet's own length: the Packet Length field, or all of `bytes`. Anything after it is filler from the
   * transport.
   */
  length: number;
  sequence: number;
  /** The value of the Padding Length field; 0 if absent. */
  paddingLength: number;
  multiple: boolean;
  /** Offset of Send Time, which ends the fields of variable size. */
  sendTimeStart: number;
  /** Offset of the first payload, or of Payload Flags if there are several. */
  payloadsStart: number;
  /** End of the last readable payload. */
  payloadsEnd: number;
  /** Start of the padding. */
  end: number;
  /** True if a payload was broken; those before it are in `payloads`. */
  damaged: boolean;
  /** Payloads without data, which were skipped by their length and are not in `payloads`. */
  emptyPayloads: number;
}

/** Bytes of a field by its code: 0 absent, 1 BYTE, 2 WORD, 3 DWORD (asf.md 7.2). @public */
export const FIELD_SIZE = [0, 1, 2, 4] as const;

/** Reads a little-endian field of the coded size; 0 if absent. The caller has checked that it is inside the buffer. */
function readField(b: Buffer, at: number, code: number): number {
  if (code === 1) return b[at]!;
  if (code === 0) return 0;
  if (code === 2) return b[at]! | (b[at + 1]! << 8);
  return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0;
}

/*
 * One payload. In the single form there is no Payload Length: the data extends up to the padding.
 *
 *  0                   1
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |Stream Number|K| Media Object  |  K: Key Frame
 * +-+-+-+-+-+-+-+-+    Number     +
 * |  (0, 1, 2 or 4 bytes)         |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Offset Into Media Object      |  compressed: Presentation Time, ms
 * |  (0, 1, 2 or 4 bytes)         |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Replicated Data Length        |  1: compressed, 0 or >= 8 otherwise
 * |  (0, 1, 2 or 4 bytes)         |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Replicated Data: Media Object |  compressed: Presentation Time
 * | Size (4), Presentation Time   |  Delta (1), ms
 * | (4, ms), payload extensions   |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Payload Length (1, 2 or 4)    |  multiple form only
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Payload Data ...              |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
function readPayload(
  b: Buffer,
  start: number,
  end: number,
  propertyFlags: number,
  lengthCode: number,
): Payload | undefined {
  const offsetCode = (propertyFlags >> 2) & 3;
  const numberCode = (propertyFlags >> 4) & 3;
  const offsetStart = start + 1 + FIELD_SIZE[numberCode as LengthType];
  const replicatedLengthStart = offsetStart + FIELD_SIZE[offsetCode as LengthType];
  const replicatedStart = replicatedLengthStart + FIELD_SIZE[(propertyFlags & 3) as LengthType];
  if (replicatedStart > end) return undefined;
  const replicatedLength = readField(b, replicatedLengthStart, propertyFlags & 3);
  if (replicatedLength > 1 && replicatedLength < 8) return undefined;
  const lengthStart = replicatedStart + replicatedLength;
  const dataStart = lengthStart + FIELD_SIZE[lengthCode as LengthType];
  if (dataStart > end) return undefined;
  const dataLength = lengthCode === 0 ? end - dataStart : readField(b, lengthStart, lengthCode);
  if (dataLength > end - dataStart) return undefined;

  const offset = readField(b, offsetStart, offsetCode);
  const compressed = replicatedLength === 1;
  const sized = replicatedLength !== 0 && !compressed;
  let presentationTime = -1;
  if (sized) presentationTime = readField(b, replicatedStart + 4, 3);
  else if (compressed && offsetCode !== 0) presentationTime = offset;
  return {
    stream: b[start]! & 0x7f,
    key: b[start]! >= 0x80,
    mediaObjectNumber: readField(b, start + 1, numberCode),
    offset: compressed ? 0 : offset,
    objectSize: sized ? readField(b, replicatedStart, 3) : -1,
    presentationTime,
    compressed,
    presentationTimeDelta: compressed ? b[replicatedStart]! : 0,
    headerStart: start,
    replicatedStart,
    replicatedLength,
    dataStart,
    dataLength,
  };
}

/**
 * Reads the payloads of a packet as far as possible, and marks the packet damaged if some are missing. One without data
 * is counted and skipped; only padding is not damage (asf.md 16.7).
 */
function readPayloads(packet: DataPacket): Payload[] {
  const { bytes, end, propertyFlags } = packet;
  let start = packet.payloadsStart;
  if (start >= end) return [];
  let count = 1;
  let lengthCode = 0;
  if (packet.multiple) {
    count = bytes[start]! & 0x3f;
    lengthCode = bytes[start]! >> 6;
    start++;
    // Without a length only the last payload has an end.
    packet.damaged = lengthCode === 0 && count > 0;
    if (packet.damaged) return [];
  }
  const payloads: Payload[] = [];
  for (let i = 0; i < count; i++) {
    const payload = readPayload(bytes, start, end, propertyFlags, lengthCode);
    if (payload === undefined) {
      packet.damaged = true;
      break;
    }
    if (payload.dataLength > 0) payloads.push(payload);
    else packet.emptyPayloads++;
    start = payload.dataStart + payload.dataLength;
  }
  packet.payloadsEnd = start;
  return payloads;
}

/** Why some bytes are not a packet, and where the fault is. */
interface Fault {
  readonly fault: string;
  readonly offset: number;
}

/**
 * Reads one data packet (asf.md 7); nothing is copied. Costs one object for the packet and one for each payload.
 * @param bytes exactly what the transport delivered as the packet
 * @throws AsfError when the head is broken, or there are payloads and not one can be read (asf.md 7.5, 16.6, 16.7)
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |ECLen|O|ELT|1| Error Correction Data (ECLen bytes, usually 2)  |  optional; O: Opaque Data Present
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |M|SqT|PdT|PkT|0|RLT|OfT|MOT|0 1| Packet Length (PkT) ...       |  M: Multiple Payloads Present
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Sequence (SqT) ...            | Padding Length (PdT) ...      |  each 0, 1, 2 or 4 bytes by its code
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |                       Send Time (ms)                          |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |         Duration (ms)         |   Count   |PLT| Payloads ...  |  Count and PLT only when M is set
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Padding Data (Padding Length bytes) ...                       |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * @public
 */
export function parsePacket(bytes: Buffer): DataPacket {
  const result = readPacket(bytes);
  if ('fault' in result) throw new AsfError(result.fault, result.offset);
  return result;
}

/**
 * The same as {@link parsePacket}, for bytes that may well be something else: an exception costs far more than a check.
 * @returns undefined where parsePacket throws
 * @public
 */
export function tryParsePacket(bytes: Buffer): DataPacket | undefined {
  const result = readPacket(bytes);
  return 'fault' in result ? undefined : result;
}

function readPacket(bytes: Buffer): DataPacket | Fault {
  const size = bytes.length;
  if (size === 0) return { fault: 'A data packet is empty.', offset: 0 };
  const flags = bytes[0]!;
  if (flags >= 0x80 && (flags & 0x60) !== 0) {
    return { fault: 'A data packet has an unknown kind of error correction data.', offset: 0 };
  }
  const head = flags < 0x80 ? 0 : 1 + (flags & 0x0f);
  if (head > 0 && (bytes[0]! & 0x10) !== 0) return parityPacket(bytes, head);
  if (head + 2 > size) return { fault: 'A data packet ends inside its head.', offset: size };
  const lengthTypeFlags = bytes[head]!;
  const propertyFlags = bytes[head + 1]!;
  if (lengthTypeFlags >= 0x80 || propertyFlags >> 6 !== 1) {
    return { fault: 'A data packet has invalid flags.', offset: head };
  }
  const sequenceCode = (lengthTypeFlags >> 1) & 3;
  const paddingCode = (lengthTypeFlags >> 3) & 3;
  const lengthCode = lengthTypeFlags >> 5;
  const sequenceStart = head + 2 + FIELD_SIZE[lengthCode as LengthType];
  const paddingStart = sequenceStart + FIELD_SIZE[sequenceCode as LengthType];
  const sendTimeStart = paddingStart + FIELD_SIZE[paddingCode as LengthType];
  const payloadsStart = sendTimeStart + 6;
  if (payloadsStart > size) return { fault: 'A data packet ends inside its head.', offset: size };
  const length = lengthCode === 0 ? size : readField(bytes, head + 2, lengthCode);
  if (length > size || length < payloadsStart) {
    return { fault: `A data packet of ${size} bytes says it has ${length}.`, offset: head + 2 };
  }
  const paddingLength = readField(bytes, paddingStart, paddingCode);
  if (paddingLength > length - payloadsStart) {
    return {
      fault: `A data packet of ${length} bytes says it has ${paddingLength} bytes of padding.`,
      offset: paddingStart,
    };
  }
  const packet: DataPacket = {
    bytes,
    sendTime: readField(bytes, sendTimeStart, 3),
    duration: readField(bytes, sendTimeStart + 4, 2),
    payloads: NO_PAYLOADS,
    lengthTypeFlags,
    propertyFlags,
    errorCorrectionLength: head,
    parity: false,
    explicitLength: lengthCode !== 0,
    length,
    sequence: readField(bytes, sequenceStart, sequenceCode),
    paddingLength,
    multiple: (lengthTypeFlags & 1) !== 0,
    sendTimeStart,
    payloadsStart,
    payloadsEnd: payloadsStart,
    end: length - paddingLength,
    damaged: false,
    emptyPayloads: 0,
  };
  const payloads = readPayloads(packet);
  if (payloads.length === 0 && packet.damaged) {
    return { fault: 'A data packet holds no payload that can be read.', offset: payloadsStart };
  }
  packet.payloads = payloads;
  return packet;
}

const NO_PAYLOADS: readonly Payload[] = [];

/** A parity packet has no fields after its error correction data: the rest is the XOR of other packets. */
function parityPacket(bytes: Buffer, head: number): DataPacket {
  const start = Math.min(head, bytes.length);
  return {
    bytes,
    sendTime: 0,
    duration: 0,
    payloads: NO_PAYLOADS,
    lengthTypeFlags: 0,
    propertyFlags: 0,
    errorCorrectionLength: start,
    parity: true,
    explicitLength: false,
    length: bytes.length,
    sequence: 0,
    paddingLength: 0,
    multiple: false,
    sendTimeStart: start,
    payloadsStart: start,
    payloadsEnd: bytes.length,
    end: bytes.length,
    damaged: false,
    emptyPayloads: 0,
  };
}

/**
 * True if a key frame of one of the video streams begins with a payload; only video has the key bit (asf.md 7.8).
 *
 * @public
 */
export function startsKeyFrame(
  { key, offset, stream }: Pick<Payload, 'key' | 'offset' | 'stream'>,
  videoStreams: { has(stream: number): boolean },
): boolean {
  return key && offset === 0 && videoStreams.has(stream);
}

/**
 * True if a media object begins here that a decoder can start with (asf.md 7.8): a key object of one of the video
 * streams, or, without video, any object, because only video has the key bit.
 *
 * @public
 */
export function packetStartsKeyFrame(packet: DataPacket, videoStreams: ReadonlySet<number>): boolean {
  const { payloads } = packet;
  const anyStream = videoStreams.size === 0;
  for (let i = 0; i < payloads.length; i++) {
    const payload = payloads[i]!;
    if (anyStream ? payload.offset === 0 : startsKeyFrame(payload, videoStreams)) return true;
  }
  return false;
}

/** Code of a field's size: 0 absent, 1 BYTE, 2 WORD, 3 DWORD. @public */
export type LengthType = 0 | 1 | 2 | 3;
