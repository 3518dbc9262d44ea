import { RtspError } from './error.js';

/*
 * RTP with the payload format x-asf-pf (RFC 3550 5.1, MS-RTSP 2.2.1); integers are big-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---+-+-+-------+-+-------------+-------------------------------+
 *  |V=2|P|X|  CC   |M|     PT      |        sequence number        |
 *  +---+-+-+-------+-+-------------+-------------------------------+
 *  |        timestamp: send time of the first ASF packet, ms       |
 *  +---------------------------------------------------------------+
 *  |                             SSRC                              |
 *  +=+=+=+=+=+=====+===============================================+
 *  |S|L|R|D|I| RES |    Length (L=1) or Offset (L=0), 24 bits      |
 *  +-+-+-+-+-+-----+-----------------------------------------------+
 *  |  Relative Timestamp (R=1), Duration (D=1), LocationId (I=1)   |
 *  +---------------------------------------------------------------+
 *  |                  ASF packet, or a fragment of it              |
 *  +---------------------------------------------------------------+
 *
 * Length includes the payload header: a real server writes it so, contrary to 2.2.1.3. Readers accept both.
 */

/** Bytes of an RTP header without CSRC entries and extension. */
export const RTP_HEAD_SIZE = 12;

const FLAG = { keyFrame: 0x80, length: 0x40, relative: 0x20, duration: 0x10, location: 0x08 } as const;
const ASF_HEAD_SIZE = 4;
/** The largest Length or Offset. */
const MAX_24 = 0xffffff;

/** The fields of an RTP header (RFC 3550 5.1). */
export interface RtpHead {
  readonly marker: boolean;
  readonly payloadType: number;
  /** 16 bits. */
  readonly sequence: number;
  /** ms, modulo 2^32. */
  readonly timestamp: number;
  readonly ssrc: number;
}

/** An RTP packet, parsed. */
export interface RtpPacket extends RtpHead {
  /** Without padding; a view. */
  readonly payload: Buffer;
  /** True if it was rebuilt from FEC packets, which do not protect the marker. */
  readonly rebuilt?: boolean;
}

/** Writes the 12 bytes of an RTP header at `at`. */
export function writeRtpHead(into: Buffer, at: number, head: RtpHead): number {
  into[at] = 0x80;
  into[at + 1] = (head.marker ? 0x80 : 0) | (head.payloadType & 0x7f);
  into.writeUInt16BE(head.sequence & 0xffff, at + 2);
  into.writeUInt32BE(head.timestamp >>> 0, at + 4);
  into.writeUInt32BE(head.ssrc >>> 0, at + 8);
  return at + RTP_HEAD_SIZE;
}

/**
 * Reads an RTP packet; its payload excludes CSRC entries, extension and padding (RFC 3550 5.1).
 *
 * @throws RtspError for another version, or if it is truncated
 */
export function readRtp(bytes: Buffer): RtpPacket {
  const bad = () => new RtspError(400, `A datagram of ${bytes.length} bytes is not RTP.`);
  if (bytes.length < RTP_HEAD_SIZE || bytes[0]! >> 6 !== 2) throw bad();
  let start = RTP_HEAD_SIZE + (bytes[0]! & 0x0f) * 4;
  if (bytes[0]! & 0x10) {
    if (bytes.length < start + 4) throw bad();
    start += 4 + bytes.readUInt16BE(start + 2) * 4;
  }
  const padding = bytes[0]! & 0x20 ? bytes.at(-1)! : 0;
  const end = bytes.length - padding;
  if (end < start || (bytes[0]! & 0x20 && padding === 0)) throw bad();
  return {
    marker: (bytes[1]! & 0x80) !== 0,
    payloadType: bytes[1]! & 0x7f,
    sequence: bytes.readUInt16BE(2),
    timestamp: bytes.readUInt32BE(4),
    ssrc: bytes.readUInt32BE(8),
    payload: bytes.subarray(start, end),
  };
}

/** How to cut ASF packets into RTP packets. */
export interface AsfFraming {
  readonly payloadType: number;
  readonly ssrc: number;
  /** Bytes of an RTP packet with its header. */
  readonly largest: number;
  /** True if the client listed com.microsoft.wm.locid (MS-RTSP 2.2.6.10.3). */
  readonly withLocation: boolean;
}

/** An ASF packet to send. */
export interface AsfUnit {
  readonly bytes: Buffer;
  /** In ms; the RTP timestamp of all its fragments. */
  readonly sendTime: number;
  readonly keyFrame: boolean;
  /** LocationId: the number of the packet in its file. */
  readonly location: number;
}

/** Returns the number of RTP packets for an ASF packet of `size` bytes; at least 1. */
export function rtpUnits(size: number, framing: AsfFraming): number {
  return Math.max(1, Math.ceil(size / roomOf(framing)));
}

// Only complete packets and last fragments carry a LocationId, but all fragments are cut as if they did.
function roomOf({ largest, withLocation }: AsfFraming): number {
  return Math.max(1, largest - RTP_HEAD_SIZE - ASF_HEAD_SIZE - (withLocation ? 4 : 0));
}

/** Returns the size in bytes of the RTP packet `unit` of an ASF packet of `size` bytes. @param unit from 0 */
export function rtpUnitSize(size: number, unit: number, framing: AsfFraming): number {
  const { from, to, last } = fragment(size, unit, framing);
  return RTP_HEAD_SIZE + ASF_HEAD_SIZE + (framing.withLocation && last ? 4 : 0) + to - from;
}

/**
 * Writes the RTP packet `unit` of an ASF packet (MS-RTSP 2.2.1).
 *
 * @param sequence a running count of RTP packets; its low 16 bits are sent
 * @returns where the packet ends
 */
export function writeRtpUnit(
  into: Buffer,
  at: number,
  { bytes, sendTime, keyFrame, location }: AsfUnit,
  unit: number,
  sequence: number,
  framing: AsfFraming,
): number {
  const { from, to, last, whole } = fragment(bytes.length, unit, framing);
  const { payloadType, ssrc, withLocation } = framing;
  const start = writeRtpHead(into, at, { marker: last, payloadType, sequence, timestamp: sendTime, ssrc });
  const hasLocation = withLocation && last;
  const headSize = ASF_HEAD_SIZE + (hasLocation ? 4 : 0);
  const flags = (keyFrame ? FLAG.keyFrame : 0) | (whole ? FLAG.length : 0) | (hasLocation ? FLAG.location : 0);
  into.writeUInt32BE(((flags << 24) | ((whole ? bytes.length + headSize : from) & MAX_24)) >>> 0, start);
  if (hasLocation) into.writeUInt32BE(location >>> 0, start + ASF_HEAD_SIZE);
  bytes.copy(into, start + headSize, from, to);
  return start + headSize + to - from;
}

function fragment(
  size: number,
  unit: number,
  framing: AsfFraming,
): { from: number; to: number; last: boolean; whole: boolean } {
  const units = rtpUnits(size, framing);
  if (units === 1) return { from: 0, to: size, last: true, whole: true };
  // Fragments of equal size, as a real server cuts them.
  const step = Math.ceil(size / units);
  const from = unit * step;
  return { from, to: Math.min(size, from + step), last: unit === units - 1, whole: false };
}

/** An ASF packet or a fragment of one, from an RTP packet. */
export interface AsfPiece {
  readonly keyFrame: boolean;
  /** Bytes from the start of the ASF packet; undefined for a complete one. */
  readonly offset: number | undefined;
  /** In ms after the RTP timestamp. */
  readonly relativeTime: number;
  /** In ms. */
  readonly duration: number | undefined;
  readonly location: number | undefined;
  /** A view. */
  readonly bytes: Buffer;
}

/**
 * Parses the payload of an RTP packet: any number of complete ASF packets, or one fragment (MS-RTSP 2.2.1.3).
 *
 * Real servers include the payload header in Length, contrary to the text of 2.2.1.3; this takes the reading whose
 * lengths add up.
 *
 * @throws RtspError if neither does
 */
export function readAsfPieces(payload: Buffer): AsfPiece[] {
  const pieces = readPieces(payload, true) ?? readPieces(payload, false);
  if (!pieces) throw new RtspError(400, `The lengths in a payload of ${payload.length} bytes do not add up.`);
  return pieces;
}

/** @returns undefined if the lengths do not add up */
function readPieces(payload: Buffer, countsHead: boolean): AsfPiece[] | undefined {
  const pieces: AsfPiece[] = [];
  let at = 0;
  while (at < payload.length) {
    const { flags, value, headSize, relativeTime, duration, location } = readAsfHead(payload, at);
    const isFragment = !(flags & FLAG.length);
    const size = isFragment ? payload.length - at : value + (countsHead ? 0 : headSize);
    if (size < headSize || size > payload.length - at) return undefined;
    pieces.push({
      keyFrame: (flags & FLAG.keyFrame) !== 0,
      offset: isFragment ? value : undefined,
      relativeTime,
      duration,
      location,
      bytes: payload.subarray(at + headSize, at + size),
    });
    at += size;
    // Under the wrong reading, the rest may be too short for a head.
    if (at < payload.length && payload.length - at < ASF_HEAD_SIZE) return undefined;
  }
  return pieces;
}

/** Where things are in an RTP packet whose payload is one ASF packet, or a fragment of one; in bytes from its start. */
export interface AsfPlaces {
  /** Length or Offset, 3 bytes. */
  readonly sizeAt: number;
  /** True if it is Length. */
  readonly hasLength: boolean;
  /** The first byte of the ASF packet. */
  readonly start: number;
}

/** Finds where things are in an RTP packet without CSRC entries, extension and padding; undefined in another one. */
export function asfPlaces(rtp: Buffer): AsfPlaces | undefined {
  if (rtp.length < RTP_HEAD_SIZE + ASF_HEAD_SIZE || rtp[0] !== 0x80) return undefined;
  const flags = rtp[RTP_HEAD_SIZE]!;
  const count = [FLAG.relative, FLAG.duration, FLAG.location].filter((flag) => flags & flag).length;
  const start = RTP_HEAD_SIZE + ASF_HEAD_SIZE + count * 4;
  if (rtp.length < start) return undefined;
  return { sizeAt: RTP_HEAD_SIZE + 1, hasLength: (flags & FLAG.length) !== 0, start };
}

function readAsfHead(payload: Buffer, at: number) {
  const need = (size: number) => {
    if (payload.length - at < size) throw new RtspError(400, 'A payload header of x-asf-pf is truncated.');
  };
  need(ASF_HEAD_SIZE);
  const flags = payload[at]!;
  const value = payload.readUIntBE(at + 1, 3);
  const count = [FLAG.relative, FLAG.duration, FLAG.location].filter((flag) => flags & flag).length;
  const headSize = ASF_HEAD_SIZE + count * 4;
  need(headSize);
  let next = at + ASF_HEAD_SIZE;
  const take = (flag: number) => {
    if (!(flags & flag)) return undefined;
    next += 4;
    return next - 4;
  };
  const relativeAt = take(FLAG.relative);
  const durationAt = take(FLAG.duration);
  const locationAt = take(FLAG.location);
  return {
    flags,
    value,
    headSize,
    relativeTime: relativeAt === undefined ? 0 : payload.readInt32BE(relativeAt),
    duration: durationAt === undefined ? undefined : payload.readUInt32BE(durationAt),
    location: locationAt === undefined ? undefined : payload.readUInt32BE(locationAt),
  };
}

/** Bytes of the payloads of a packet pair (MS-RTSP 2.2.3.2). */
const PAIR_SIZES = { fixed: [1_454, 1_455, 1_456], variable: [1_283, 1_284, 1_285] } as const;

/**
 * Builds the three RTP packets of a packet pair: timestamp 0, marker set, S only in the first (MS-RTSP 2.2.3.2).
 *
 * @param random returns so many random bytes
 */
export function packetPair(
  head: Pick<RtpHead, 'payloadType' | 'ssrc'> & { readonly firstSequence: number },
  variableSize: boolean,
  random: (size: number) => Buffer,
): Buffer[] {
  return PAIR_SIZES[variableSize ? 'variable' : 'fixed'].map((size, index) => {
    const bytes = Buffer.alloc(RTP_HEAD_SIZE + ASF_HEAD_SIZE + size);
    const { payloadType, ssrc, firstSequence } = head;
    writeRtpHead(bytes, 0, { marker: true, payloadType, sequence: firstSequence + index, timestamp: 0, ssrc });
    const flags = FLAG.length | (index === 0 ? FLAG.keyFrame : 0);
    bytes.writeUInt32BE(((flags << 24) | (size + ASF_HEAD_SIZE)) >>> 0, RTP_HEAD_SIZE);
    random(size).copy(bytes, RTP_HEAD_SIZE + ASF_HEAD_SIZE);
    return bytes;
  });
}
