import { createHash } from 'node:crypto';
import type { NscFormat } from '../../announce/nsc.js';
import { type LiveHeaderOptions, liveHeader } from '../../asf/edit.js';
import type { AsfHeader } from '../../asf/header.js';
import { inParitySpan } from '../../asf/layout.js';
import { playerHeader } from '../../asf/lean-header.js';
import { type DataPacket, parsePacket } from '../../asf/packet.js';
import { markLength, stripPadding } from '../../asf/padding.js';
import {
  FORMAT_ID_MASK,
  MAX_UDP_PAYLOAD,
  MSB_HEAD_SIZE,
  MsbError,
  serialiseMsbPacket,
  streamIdOf,
} from '../messages/packet.js';
import { markPacket, ParitySpan, withErrorCorrection } from '../messages/parity.js';

/** Parity, and the number that a transmission begins with. */
export interface TransmissionOptions {
  /** Data packets for each parity packet, 1 to 15; 0 or undefined sends none. */
  readonly span?: number | undefined;
  /** dwPacketID of the first packet; default 0. */
  readonly firstId?: number | undefined;
}

const ZERO_FILE_ID = '0'.repeat(32);

/**
 * Fills in the identity of a header without a File ID or a date. It is the same each time, so that receivers that have
 * the .nsc file recognise the header after the sender restarts.
 */
function identityOf({ bytes, fileId }: AsfHeader): LiveHeaderOptions {
  const digest = createHash('sha256').update(bytes).digest('hex');
  return { now: new Date(0), ...(fileId === ZERO_FILE_ID ? { fileId: digest.slice(0, 32) } : {}) };
}

/** ASF headers that are announced; a client that joins late needs only the newest. */
const MAX_FORMATS = 32;

/**
 * The sending side of a multicast without its socket ([MS-MSB] 3.1): turns headers and packets into the datagrams of
 * MSB packets, with their ids, stream ids, cycles and parity packets.
 */
export class MsbTransmission {
  readonly #span: ParitySpan | undefined;
  #id: number;
  #formats: NscFormat[] = [];
  #current: NscFormat | undefined;
  #packetSize = 0;
  #toggle = false;
  /** Number of datagrams with parity packets. */
  parityPackets = 0;

  /** @throws MsbError for a span out of range */
  constructor({ span = 0, firstId = 0 }: TransmissionOptions = {}) {
    this.#span = span === 0 ? undefined : new ParitySpan(span);
    this.#id = firstId >>> 0;
  }

  /** The ASF headers for an .nsc file, oldest first, each with a Format ID of its own. */
  get formats(): readonly NscFormat[] {
    return this.#formats;
  }

  /** The current wStreamID. @throws MsbError before the first header */
  get streamId(): number {
    if (!this.#current) throw new MsbError('A data packet came before the header.');
    return streamIdOf(this.#current.id, this.#toggle);
  }

  /**
   * Begins another file or playlist entry, or one with another header: the wStreamID changes ([MS-MSB] 3.1.5.1).
   *
   * @returns the parity packet that ends the last span, if one is open
   */
  header(header: AsfHeader): Buffer[] {
    const closing = this.end();
    const live = playerHeader(liveHeader(header, identityOf(header)));
    this.#packetSize = live.packetSize;
    if (this.#current) this.#toggle = !this.#toggle;
    this.#current = this.#formatOf(live);
    return closing;
  }

  /**
   * Returns the datagrams for an ASF data packet: the packet without padding, and the parity packet if it ends a span.
   * Returns none for a parity packet from another sender.
   *
   * @throws MsbError before the first header, or if the packet does not fit a datagram
   */
  packet(packet: DataPacket): Buffer[] {
    const { streamId } = this;
    if (packet.parity) return [];
    const plain = this.#unpadded(packet);
    const span = this.#span;
    // A packet without room for its place in a span goes unprotected, between two spans.
    const guarded = span && withErrorCorrection(plain, this.#packetSize);
    const payload = guarded ?? plain.bytes;
    if (payload.length > MAX_UDP_PAYLOAD) {
      throw new MsbError(`An ASF packet of ${payload.length} bytes does not fit a datagram.`);
    }
    if (!span) return [this.#datagram(streamId, payload)];
    if (!guarded) return [...this.end(), this.#datagram(streamId, payload)];
    const datagram = this.#datagram(streamId, payload);
    span.add(datagram.subarray(MSB_HEAD_SIZE));
    return span.full ? [datagram, ...this.end()] : [datagram];
  }

  /** Ends the open span ([MS-MSB] 3.1.5.3). @returns its parity packet, which has the id of the packet before it */
  end(): Buffer[] {
    const parity = this.#span?.close();
    if (!parity) return [];
    this.parityPackets++;
    return [serialiseMsbPacket(this.#id - 1, this.streamId, parity)];
  }

  #datagram(streamId: number, payload: Buffer): Buffer {
    const datagram = serialiseMsbPacket(this.#id, streamId, payload);
    this.#id = (this.#id + 1) >>> 0;
    return datagram;
  }

  /**
   * Rewrites a packet to belong to no span, without padding, and with an explicit length if it is shorter than others.
   */
  #unpadded(packet: DataPacket): DataPacket {
    let plain = packet;
    if (inParitySpan(plain)) plain = parsePacket(markPacket(plain.bytes));
    const stripped = stripPadding(plain);
    if (stripped !== plain.bytes) plain = parsePacket(stripped);
    const marked = markLength(plain, this.#packetSize);
    return marked === plain.bytes ? plain : parsePacket(marked);
  }

  #formatOf({ bytes, objects }: AsfHeader): NscFormat {
    const known = this.#formats.find(({ header }) => header.equals(bytes));
    if (known) return known;
    if (this.#formats.length >= MAX_FORMATS) this.#formats = this.#formats.slice(1);
    const taken = new Set(this.#formats.map(({ id }) => id));
    let id = createHash('sha256').update(bytes).digest().readUInt16BE(0) & FORMAT_ID_MASK;
    while (taken.has(id)) id = (id + 1) & FORMAT_ID_MASK;
    const title = objects.find((object) => object.type === 'contentDescription')?.title;
    const format = { id, header: bytes, ...(title ? { description: title } : {}) };
    this.#formats = [...this.#formats, format];
    return format;
  }
}
