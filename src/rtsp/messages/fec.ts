import { RtspError } from './error.js';
import { RTP_HEAD_SIZE, type RtpHead, type RtpPacket, writeRtpHead } from './rtp.js';

/*
 * Forward error correction of RTP packets (MS-RTSP 2.2.2): Reed-Solomon codes over GF(2^8) from a Vandermonde matrix. An FEC packet is an
 * RTP packet whose payload begins with this header; integers are big-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-------------------------------+-------------------------------+
 *  |            SN Base            |        Length Recovery        |
 *  +-+-------------+---------------+-------------------------------+
 *  |E| PT Recovery |                     Mask                      |
 *  +-+-------------+-----------------------------------------------+
 *  |                          TS Recovery                          |
 *  +-----+---------+-----+---------+-----+---------+---------------+
 *  |  0  |FecIndex |  0  |PktSpan  |  0  | ExFlags |   Reserved    |
 *  +-----+---------+-----+---------+-----+---------+---------------+
 */

/** Source packets that one FEC packet can protect (2.2.2.1). */
export const MAX_SPAN = 24;

const HEAD_SIZE = 16;
/** Length and timestamp, which are protected with the payload. */
const VIRTUAL_SIZE = 6;
const POLYNOMIAL = 0x11d;

const exp = new Uint8Array(510);
const log = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power++) {
  exp[power] = value;
  exp[power + 255] = value;
  log[value] = power;
  value = value & 0x80 ? (value << 1) ^ POLYNOMIAL : value << 1;
}

/** Multiplies in GF(2^8) with the polynomial 0x11D (4.2). */
export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : exp[log[a]! + log[b]!]!;
}

function inverse(a: number): number {
  return exp[255 - log[a]!]!;
}

/** @returns the inverse of a square matrix; undefined if it has none */
function inverted(matrix: readonly Uint8Array[]): Uint8Array[] | undefined {
  const size = matrix.length;
  const work = matrix.map((row, index) => {
    const wide = new Uint8Array(size * 2);
    wide.set(row);
    wide[size + index] = 1;
    return wide;
  });
  for (let column = 0; column < size; column++) {
    const pivot = work.findIndex((row, index) => index >= column && row[column] !== 0);
    if (pivot < 0) return undefined;
    [work[column], work[pivot]] = [work[pivot]!, work[column]!];
    const row = work[column]!;
    const factor = inverse(row[column]!);
    for (let at = 0; at < size * 2; at++) row[at] = multiply(row[at]!, factor);
    for (const other of work) {
      const times = other[column]!;
      if (other !== row && times !== 0) for (let at = 0; at < size * 2; at++) other[at]! ^= multiply(times, row[at]!);
    }
  }
  return work.map((row) => row.subarray(size));
}

/**
 * Returns the rows of the generator matrix that make FEC packets, those after the first `sources` ones, which are an
 * identity matrix (2.2.2.2.2).
 *
 * @param sources k, 1 to 24 @param count n - k
 */
export function fecRows(sources: number, count: number): Uint8Array[] {
  const vandermonde = (number: number) => {
    const row = new Uint8Array(sources);
    for (let column = 0, value = 1; column < sources; column++, value = multiply(value, number)) row[column] = value;
    return row;
  };
  const top = inverted(Array.from({ length: sources }, (_, index) => vandermonde(index + 1)))!;
  return Array.from({ length: count }, (_, index) => {
    const row = vandermonde(sources + index + 1);
    return Uint8Array.from({ length: sources }, (__, column) =>
      top.reduce((sum, each, at) => sum ^ multiply(row[at]!, each[column]!), 0),
    );
  });
}

/** Adds `times` times a vector to another one. */
function add(into: Uint8Array, vector: Uint8Array, times: number): void {
  if (times === 0) return;
  for (let at = 0; at < vector.length; at++) into[at]! ^= multiply(times, vector[at]!);
}

/** What is protected of a source packet: its length, its timestamp, its payload. */
function vectorOf({ payload, timestamp }: RtpPacket): Buffer {
  const vector = Buffer.alloc(VIRTUAL_SIZE + payload.length);
  vector.writeUInt16BE(payload.length & 0xffff, 0);
  vector.writeUInt32BE(timestamp >>> 0, 2);
  payload.copy(vector, VIRTUAL_SIZE);
  return vector;
}

/**
 * Builds the FEC packets of a span of source packets (2.2.2.3, 2.2.2.4).
 *
 * @param sources in the order of their numbers, at most 24 of them within 24 numbers
 * @param head of the first FEC packet; its timestamp and marker are set here
 */
export function buildFec(
  sources: readonly RtpPacket[],
  count: number,
  head: Pick<RtpHead, 'payloadType' | 'sequence' | 'ssrc'>,
): Buffer[] {
  const base = sources[0]!.sequence;
  const vectors = sources.map(vectorOf);
  const longest = Math.max(...vectors.map(({ length }) => length));
  const mask = sources.reduce((bits, { sequence }) => bits | (1 << ((sequence - base) & 0xffff)), 0) >>> 0;
  const { timestamp } = sources.at(-1)!;
  return fecRows(sources.length, count).map((row, index) => {
    const sum = Buffer.alloc(longest);
    let payloadType = 0;
    for (const [at, vector] of vectors.entries()) {
      add(sum, vector, row[at]!);
      payloadType ^= multiply(row[at]!, sources[at]!.payloadType);
    }
    const bytes = Buffer.alloc(RTP_HEAD_SIZE + HEAD_SIZE + longest - VIRTUAL_SIZE);
    const at = writeRtpHead(bytes, 0, { ...head, marker: true, timestamp, sequence: head.sequence + index });
    bytes.writeUInt16BE(base, at);
    sum.copy(bytes, at + 2, 0, 2);
    bytes[at + 4] = payloadType & 0x7f;
    bytes.writeUIntBE(mask, at + 5, 3);
    sum.copy(bytes, at + 8, 2, 6);
    bytes[at + 12] = index & 0x1f;
    bytes[at + 13] = count & 0x1f;
    sum.copy(bytes, at + HEAD_SIZE, VIRTUAL_SIZE);
    return bytes;
  });
}

/** An FEC packet, as received. */
export interface FecPacket {
  /** The 16-bit numbers of the source packets, in order. */
  readonly sequences: readonly number[];
  readonly index: number;
  /** Length, timestamp and payload, encoded. */
  readonly vector: Buffer;
}

/**
 * Reads the payload of an FEC packet.
 *
 * @throws RtspError if it is truncated, or protects nothing
 */
export function readFec(payload: Buffer): FecPacket {
  if (payload.length < HEAD_SIZE) throw new RtspError(400, `An FEC packet of ${payload.length} bytes is truncated.`);
  const base = payload.readUInt16BE(0);
  const mask = payload.readUIntBE(5, 3);
  const sequences: number[] = [];
  for (let bit = 0; bit < MAX_SPAN; bit++) if (mask & (1 << bit)) sequences.push((base + bit) & 0xffff);
  if (sequences.length === 0) throw new RtspError(400, 'An FEC packet protects nothing.');
  const vector = Buffer.concat([payload.subarray(2, 4), payload.subarray(8, 12), payload.subarray(HEAD_SIZE)]);
  return { sequences, index: payload[12]! & 0x1f, vector };
}

/**
 * Rebuilds the source packets of a span that are missing (3.1.5.12.1); their markers are not known.
 *
 * @param sequences of the span @param known its source packets that are there, by number
 * @param fec packets of that span @param head what the rebuilt packets have in common
 * @returns undefined if too little is there, or if it does not fit together
 */
export function rebuild(
  sequences: readonly number[],
  known: ReadonlyMap<number, RtpPacket>,
  fec: readonly FecPacket[],
  head: Pick<RtpHead, 'payloadType' | 'ssrc'>,
): RtpPacket[] | undefined {
  const missing = sequences.filter((sequence) => !known.has(sequence));
  const used = fec.slice(0, missing.length);
  if (missing.length === 0 || used.length < missing.length) return undefined;
  const rows = fecRows(sequences.length, Math.max(...used.map(({ index }) => index)) + 1);
  const longest = Math.max(...used.map(({ vector }) => vector.length));
  // What remains of each FEC packet without the source packets that are there.
  const rests = used.map(({ index, vector }) => {
    const rest = Buffer.alloc(longest);
    vector.copy(rest);
    for (const [at, sequence] of sequences.entries()) {
      const packet = known.get(sequence);
      if (packet) add(rest, vectorOf(packet).subarray(0, longest), rows[index]![at]!);
    }
    return rest;
  });
  const columns = missing.map((sequence) => sequences.indexOf(sequence));
  const solved = inverted(used.map(({ index }) => Uint8Array.from(columns, (column) => rows[index]![column]!)));
  if (!solved) return undefined;
  const packets = missing.map((sequence, at): RtpPacket | undefined => {
    const vector = Buffer.alloc(longest);
    for (const [each, rest] of rests.entries()) add(vector, rest, solved[at]![each]!);
    const length = vector.readUInt16BE(0);
    if (length > longest - VIRTUAL_SIZE) return undefined;
    const payload = vector.subarray(VIRTUAL_SIZE, VIRTUAL_SIZE + length);
    return { ...head, sequence, timestamp: vector.readUInt32BE(2), marker: true, payload };
  });
  return packets.every((packet) => packet !== undefined) ? packets : undefined;
}
