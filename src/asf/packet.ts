import { AsfError } from './error.js';

/** One payload of a data packet. All starts are offsets into {@link DataPacket.bytes}. */
export interface Payload {
  stream: number;
  key: boolean;
  mediaObjectNumber: number;
  /** Offset Into Media Object, bytes; 0 for compressed payloads. */
  offset: number;
  /** Bytes; -1 unknown. */
  objectSize: number;
  /** Milliseconds, preroll included, modulo 2^32; -1 unknown. */
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

/** One data packet (asf.md 7): its bytes, and where everything in them stands. */
export interface DataPacket {
  bytes: Buffer;
  /** Milliseconds modulo 2^32. */
  sendTime: number;
  /** Milliseconds. */
  duration: number;
  /** Empty for a parity packet. */
  payloads: readonly Payload[];
  lengthTypeFlags: number;
  propertyFlags: number;
  /** Bytes including the flags byte; 0 if absent. */
  errorCorrectionLength: number;
  /** Opaque Data Present: not media but the XOR of a span of packets. */
  parity: boolean;
  /** The Packet Length field is present. */
  explicitLength: boolean;
  /** The packet's own length: the Packet Length field, or all of `bytes`. What follows it is filler of the transport. */
  length: number;
  sequence: number;
  /** The value of the Padding Length field; 0 if absent. */
  paddingLength: number;
  multiple: boolean;
  /** Offset of Send Time, which ends the fields of variable size. */
  sendTimeStart: number;
  /** Offset of the first payload, or of Payload Flags when there are several. */
  payloadsStart: number;
  /** End of the last payload that could be read. */
  payloadsEnd: number;
  /** Start of the padding. */
  end: number;
  /** A payload was broken; those before it are here. */
  damaged: boolean;
}

/**
 * Reads one data packet; nothing is copied.
 * @param bytes exactly what the transport delivered as the packet
 * @throws AsfError when the head is broken or not one payload can be read (asf.md 7.5, 16.6)
 */
export function parsePacket(bytes: Buffer): DataPacket {
  throw new AsfError(`Not implemented (${bytes.length}).`);
}

/** Code of a field's size: 0 absent, 1 BYTE, 2 WORD, 3 DWORD. */
export type LengthType = 0 | 1 | 2 | 3;

export interface PayloadFields {
  readonly stream: number;
  readonly key?: boolean;
  readonly mediaObjectNumber: number;
  /** Offset Into Media Object; for a compressed payload its Presentation Time. */
  readonly offset: number;
  /** All of the replicated data; for a compressed payload the one Presentation Time Delta byte. */
  readonly replicated: Buffer;
  readonly data: Buffer;
}

export interface PacketFields {
  /** All of the error correction field, its flags byte first; empty for none. Default `82 00 00`. */
  readonly errorCorrection?: Buffer;
  /** Default: several payloads or not. */
  readonly multiple?: boolean;
  readonly sequenceType?: LengthType;
  readonly sequence?: number;
  /** Default 0 (absent); the value is computed. */
  readonly packetLengthType?: LengthType;
  /** Default: none, or by `packetSize` as asf.md 7.6 has it. */
  readonly paddingType?: LengthType;
  /** The padding behind the payloads. */
  readonly padding?: Buffer;
  /** Pads with zeros to this size, in bytes. Not together with `paddingType` and `padding`. */
  readonly packetSize?: number;
  /** Default 0x5D. */
  readonly propertyFlags?: number;
  /** Code of Payload Length in the multiple form; default 2. */
  readonly payloadLengthType?: LengthType;
  readonly sendTime: number;
  readonly duration: number;
  readonly payloads: readonly PayloadFields[];
  /** Bytes between the last payload and the padding; normally none. */
  readonly gap?: Buffer;
  /** Bytes behind the packet's explicit length; normally none. */
  readonly filler?: Buffer;
}

/**
 * Writes a data packet of any form.
 * @throws AsfError when a value does not fit its field, or everything does not fit `packetSize`
 */
export function buildPacket(fields: PacketFields): Buffer {
  throw new AsfError(`Not implemented (${fields.sendTime}).`);
}

/** The fields that {@link buildPacket} needs to write an undamaged packet again byte for byte. */
export function packetFields(packet: DataPacket): PacketFields {
  throw new AsfError(`Not implemented (${packet.sendTime}).`);
}

/**
 * Whether a media object starts here that a decoder can start with (asf.md 7.8): a key object of one of the video
 * streams, or any object when there is no video.
 */
export function packetStartsKeyFrame(packet: DataPacket, videoStreams: ReadonlySet<number>): boolean {
  throw new AsfError(`Not implemented (${packet.sendTime} ${videoStreams.size}).`);
}
