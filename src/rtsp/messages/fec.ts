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

/** Bytes of the header of an FEC packet, after that of RTP (2.2.2.4). */
export const FEC_HEAD_SIZE = 16;
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

/** The most FEC packets of a span; FecIndex has five bits (2.2.2.4). */
const MAX_PER_SPAN = 32;

const rowsBySpan: Uint8Array[][] = [];

/** All rows for spans of k packets, which are worked out once. */
function rowsOf(sources: number): readonly Uint8Array[] {
  return (rowsBySpan[sources] ??= makeRows(sources));
}

function makeRows(sources: number): Uint8Array[] {
  const vandermonde = (number: number) => {
    const row = new Uint8Array(sources);
    for (let column = 0, value = 1; column < sources; column++, value = multiply(value, number)) row[column] = value;
    return row;
  };
  const top = inverted(Array.from({ length: sources }, (_, index) => vandermonde(index + 1)))!;
  return Array.from({ length: MAX_PER_SPAN }, (_, index) => {
    const row = vandermonde(sources + index + 1);
    return Uint8Array.from({ length: sources }, (__, column) =>
      top.reduce((sum, each, at) => sum ^ multiply(row[at]!, each[column]!), 0),
    );
  });
}

/**
 * Returns the rows of the generator matrix that make FEC packets, those after the first `sources` ones, which are an
 * identity matrix (2.2.2.2.2).
 *
 * @param sources k, 1 to 24 @param count n - k, 1 to 32
 */
export function fecRows(sources: number, count: number): readonly Uint8Array[] {
  return rowsOf(sources).slice(0, count);
}

const products: Uint8Array[] = [];

/** All 256 products of a factor. */
function productsOf(factor: number): Uint8Array {
  return (products[factor] ??= Uint8Array.from({ length: 256 }, (_, value) => multiply(factor, value)));
}

/** Adds `times` times a vector to another one, from `at` on. */
function add(into: Uint8Array, vector: Uint8Array, times: number, at = 0): void {
  if (times === 0) return;
  const product = productsOf(times);
  for (let index = 0; index < vector.length; index++) into[at + index]! ^= product[vector[index]!]!;
}

/** What is protected of a source packet besides its payload: its length and its timestamp. */
function virtualOf({ payload, timestamp }: Pick<RtpPacket, 'payload' | 'timestamp'>): Buffer {
  const fields = Buffer.alloc(VIRTUAL_SIZE);
  fields.writeUInt16BE(payload.length & 0xffff, 0);
  fields.writeUInt32BE(timestamp >>> 0, 2);
  return fields;
}

/**
 * The FEC packets of one span in the making: source packets are added one by one, and nothing of them is kept (2.2.2.3,
 * 2.2.2.4).
 */
export class FecSpan {
  readonly count: number;
  readonly #sources: number;
  readonly #largest: number;
  readonly #rows: readonly Uint8Array[];
  readonly #sums: Buffer[];
  readonly #payloadTypes: number[];
  #base = 0;
  #mask = 0;
  #timestamp = 0;
  #longest = 0;
  #added = 0;

  /**
   * @param sources packets of the span, 1 to 24 @param count of FEC packets, 1 to 31
   * @param largest the largest payload of a source packet, in bytes
   */
  constructor(sources: number, count: number, largest: number) {
    this.count = count;
    this.#sources = sources;
    this.#largest = largest;
    this.#rows = fecRows(sources, count);
    this.#sums = this.#rows.map(() => Buffer.alloc(VIRTUAL_SIZE + largest));
    this.#payloadTypes = this.#rows.map(() => 0);
  }

  /** True once all source packets are added. */
  get complete(): boolean {
    return this.#added === this.#sources;
  }

  /** Returns a copy: what is added to one of the two does not change the other. */
  copy(): FecSpan {
    const copy = new FecSpan(this.#sources, this.count, this.#largest);
    for (const [index, sum] of this.#sums.entries()) sum.copy(copy.#sums[index]!);
    for (const [index, type] of this.#payloadTypes.entries()) copy.#payloadTypes[index] = type;
    [copy.#base, copy.#mask, copy.#timestamp] = [this.#base, this.#mask, this.#timestamp];
    [copy.#longest, copy.#added] = [this.#longest, this.#added];
    return copy;
  }

  /** Adds the next source packet, whose number is at most 23 above that of the first one. */
  add(packet: Pick<RtpPacket, 'payload' | 'payloadType' | 'sequence' | 'timestamp'>): void {
    const fields = virtualOf(packet);
    if (this.#added === 0) this.#base = packet.sequence;
    for (const [index, row] of this.#rows.entries()) {
      const factor = row[this.#added]!;
      const sum = this.#sums[index]!;
      add(sum, fields, factor);
      add(sum, packet.payload, factor, VIRTUAL_SIZE);
      this.#payloadTypes[index]! ^= multiply(factor, packet.payloadType);
    }
    this.#mask = (this.#mask | (1 << ((packet.sequence - this.#base) & 0xffff))) >>> 0;
    this.#timestamp = packet.timestamp;
    this.#longest = Math.max(this.#longest, packet.payload.length);
    this.#added++;
  }

  /** Returns the FEC packet with an index. @param head its timestamp and marker are set here */
  packet(index: number, head: Pick<RtpHead, 'payloadType' | 'sequence' | 'ssrc'>): Buffer {
    const sum = this.#sums[index]!;
    const bytes = Buffer.alloc(RTP_HEAD_SIZE + FEC_HEAD_SIZE + this.#longest);
    const at = writeRtpHead(bytes, 0, { ...head, marker: true, timestamp: this.#timestamp });
    bytes.writeUInt16BE(this.#base, at);
    sum.copy(bytes, at + 2, 0, 2);
    bytes[at + 4] = this.#payloadTypes[index]! & 0x7f;
    bytes.writeUIntBE(this.#mask, at + 5, 3);
    sum.copy(bytes, at + 8, 2, VIRTUAL_SIZE);
    bytes[at + 12] = index & 0x1f;
    bytes[at + 13] = this.count & 0x1f;
    sum.copy(bytes, at + FEC_HEAD_SIZE, VIRTUAL_SIZE, VIRTUAL_SIZE + this.#longest);
    return bytes;
  }
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
  const span = new FecSpan(sources.length, count, Math.max(...sources.map(({ payload }) => payload.length)));
  for (const packet of sources) span.add(packet);
  return Array.from({ length: count }, (_, index) => span.packet(index, { ...head, sequence: head.sequence + index }));
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
  if (payload.length < FEC_HEAD_SIZE)
    throw new RtspError(400, `An FEC packet of ${payload.length} bytes is truncated.`);
  const base = payload.readUInt16BE(0);
  const mask = payload.readUIntBE(5, 3);
  const sequences: number[] = [];
  for (let bit = 0; bit < MAX_SPAN; bit++) if (mask & (1 << bit)) sequences.push((base + bit) & 0xffff);
  if (sequences.length === 0) throw new RtspError(400, 'An FEC packet protects nothing.');
  const vector = Buffer.concat([payload.subarray(2, 4), payload.subarray(8, 12), payload.subarray(FEC_HEAD_SIZE)]);
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
  const rows = rowsOf(sequences.length);
  const longest = Math.max(...used.map(({ vector }) => vector.length));
  // What remains of each FEC packet without the source packets that are there.
  const rests = used.map(({ index, vector }) => {
    const rest = Buffer.alloc(longest);
    vector.copy(rest);
    for (const [at, sequence] of sequences.entries()) {
      const packet = known.get(sequence);
      if (!packet) continue;
      add(rest, virtualOf(packet), rows[index]![at]!);
      add(rest, packet.payload.subarray(0, longest - VIRTUAL_SIZE), rows[index]![at]!, VIRTUAL_SIZE);
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
