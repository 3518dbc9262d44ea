import { AsfError } from '../../asf/error.js';
import { type DataPacket, parsePacket } from '../../asf/packet.js';
import { buildPacket, packetFields } from '../../asf/packet-build.js';
import { MsbError } from './packet.js';

/** The most data packets that one parity packet may cover ([MS-MSB] 2.2.2). */
export const MAX_SPAN = 15;
/** The span that [MS-MSB] 2.2.2 recommends. */
export const DEFAULT_SPAN = 10;

/** Error Correction Flags and two bytes of Error Correction Data. The parity covers everything after them. */
const FIELD_LENGTH = 3;
const DATA_FLAGS = 0x82;
const PARITY_FLAGS = 0x92;
const TYPE_DATA = 1;
const TYPE_PARITY = 2;
/** Number has four bits, so the parity packet of a span of 15 would have no number. */
const LARGEST_NUMBER = 15;

/** The Error Correction Data of an ASF packet, as MSB uses it. */
export interface Protection {
  readonly parity: boolean;
  /** The packet's place in its span, counted from 1, with the parity packet last; or 1 in all of them. */
  readonly number: number;
  /** The same for all packets of a span; compared for equality only. */
  readonly cycle: number;
}

/**
 * Reads the Error Correction Data of an ASF packet ([MS-MSB] 2.2.2, asf.md 7.1).
 *
 *  0                   1                   2
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Length|O|LT |P| Type  | Number|     Cycle     |  P: Error Correction Present, O: Opaque Data Present
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * @returns undefined when the packet belongs to no span
 */
export function protectionOf(packet: Buffer): Protection | undefined {
  if (packet.length < FIELD_LENGTH) return undefined;
  const parity = packet[0] === PARITY_FLAGS;
  if (!parity && packet[0] !== DATA_FLAGS) return undefined;
  if ((packet[1]! & 0x0f) !== (parity ? TYPE_PARITY : TYPE_DATA)) return undefined;
  return { parity, number: packet[1]! >> 4, cycle: packet[2]! };
}

/** True if an ASF packet has room for the three bytes that describe its span, whatever they contain. */
export function canBeProtected(packet: Buffer): boolean {
  return packet.length > FIELD_LENGTH && packet[0] === DATA_FLAGS;
}

/**
 * Returns the packet with Error Correction Flags and two bytes of Error Correction Data, which all packets of a span
 * must have; they mark it as unprotected. Returns the same packet if it already has them.
 *
 * @param packetSize upper limit of the result, in bytes
 * @returns undefined if there is no room for them
 */
export function withErrorCorrection(packet: DataPacket, packetSize: number): Buffer | undefined {
  if (canBeProtected(packet.bytes)) return packet.bytes;
  if (packet.damaged || packet.parity || packet.emptyPayloads > 0 || packet.payloads.length === 0) return undefined;
  const fields = packetFields(packet);
  const bytes = buildPacket({ ...fields, errorCorrection: Buffer.from([DATA_FLAGS, 0, 0]), filler: NONE });
  return bytes.length > packetSize ? undefined : bytes;
}

/**
 * Returns a copy of a packet for which {@link canBeProtected} holds, with other Error Correction Data; without
 * `protection` the copy belongs to no span.
 */
export function markPacket(packet: Buffer, protection?: Protection): Buffer {
  const out = Buffer.from(packet);
  mark(out, protection);
  return out;
}

function mark(packet: Buffer, protection: Protection | undefined): void {
  packet[1] = protection ? TYPE_DATA | ((protection.number & 0x0f) << 4) : 0;
  packet[2] = protection ? protection.cycle & 0xff : 0;
}

const NONE = Buffer.alloc(0);

/** XORs the bytes after a packet's Error Correction Data into `sum`, which is at least as long. */
function addTo(sum: Buffer, packet: Buffer): void {
  for (let at = FIELD_LENGTH; at < packet.length; at++) sum[at]! ^= packet[at]!;
}

/**
 * The packets between two parity packets, on the sending side. Shorter packets count as if padded with zeros, so the
 * parity packet is as long as the longest ([MS-MSB] 2.2.2).
 */
export class ParitySpan {
  readonly #span: number;
  readonly #numbered: boolean;
  #sum: Buffer = Buffer.alloc(0);
  #length = 0;
  #count = 0;
  #cycle = 0;

  /**
   * @param span data packets for each parity packet, 1 to 15
   * @throws MsbError for another number
   */
  constructor(span: number = DEFAULT_SPAN) {
    if (!Number.isInteger(span) || span < 1 || span > MAX_SPAN) {
      throw new MsbError(`A parity packet covers 1 to ${MAX_SPAN} packets, not ${span}.`);
    }
    this.#span = span;
    this.#numbered = span < LARGEST_NUMBER;
  }

  /** Number of data packets in the open span; 0 if no span is open. */
  get open(): number {
    return this.#count;
  }

  /** True if the parity packet is due. */
  get full(): boolean {
    return this.#count === this.#span;
  }

  /** Adds the next packet, for which {@link canBeProtected} holds, and writes its place in the span into it. */
  add(packet: Buffer): void {
    this.#count++;
    mark(packet, { parity: false, number: this.#numbered ? this.#count : 1, cycle: this.#cycle });
    if (packet.length > this.#length) this.#grow(packet.length);
    addTo(this.#sum, packet);
  }

  /** Ends the span, full or not. @returns its parity packet; undefined if the span is empty */
  close(): Buffer | undefined {
    if (this.#count === 0) return undefined;
    const parity = Buffer.from(this.#sum.subarray(0, this.#length));
    parity[0] = PARITY_FLAGS;
    parity[1] = TYPE_PARITY | ((this.#numbered ? this.#count + 1 : 1) << 4);
    parity[2] = this.#cycle;
    this.#sum.fill(0, 0, this.#length);
    this.#length = 0;
    this.#count = 0;
    this.#cycle = (this.#cycle + 1) & 0xff;
    return parity;
  }

  #grow(length: number): void {
    if (length > this.#sum.length) {
      const sum = Buffer.alloc(Math.min(0xffff, length * 2));
      this.#sum.copy(sum, 0, 0, this.#length);
      this.#sum = sum;
    }
    this.#length = length;
  }
}

/**
 * Rebuilds the only lost packet of a span, as long as its own fields say, with the Error Correction Data of a packet
 * outside any span ([MS-MSB] 3.2.5.3).
 *
 * @param received the other data packets of the span
 * @throws AsfError if the result is not an ASF packet: the packets did not belong to one span
 */
export function recoverPacket(parity: Buffer, received: readonly Buffer[]): DataPacket {
  const sum = Buffer.from(parity);
  for (const packet of received) {
    if (packet.length > sum.length) throw new AsfError('A packet is longer than the parity packet of its span.');
    addTo(sum, packet);
  }
  sum.set([DATA_FLAGS, 0, 0]);
  const packet = parsePacket(sum);
  return packet.length === sum.length ? packet : parsePacket(sum.subarray(0, packet.length));
}
