import { type DataPacket, type Payload, parsePacket } from '../../asf/packet.js';
import { rebasePacket } from '../../asf/rebase.js';
import { readCutPacket, tidyPacket } from '../../asf/repair.js';
import { isObjectAt, type PacketScanner, SCAN_HEAD_SIZE } from '../../asf/scan.js';
import { splitPacket } from '../../asf/split.js';

/** How the packets of a part become those that players get. */
export interface PacketView {
  /** Bytes of the packets in the file. */
  readonly packetSize: number;
  readonly scanner: PacketScanner;
  /** Added to send times, ms. */
  readonly sendShift: number;
  /** Added to presentation times, ms. */
  readonly presentationShift: number;
  /** Where send times say nothing, they are the presentation times less this, ms; undefined nearly always. */
  readonly lead: number | undefined;
  /** Packets that players get for one in the file, because that is larger than the protocols carry; 1 nearly always. */
  readonly pieces: number;
  /** Bytes of the packets that players get. */
  readonly pieceSize: number;
}

export interface RunFields {
  readonly view: PacketView;
  /** `before` bytes, the places, and {@link RUN_TAIL_SIZE} bytes more; fewer at the end of the data. */
  readonly bytes: Buffer;
  /** Bytes before the first place: one packet size where packets are not where they are expected, else 0. */
  readonly before: number;
  /** The data ends with the bytes. */
  readonly last: boolean;
  /** Number of the first place. */
  readonly first: number;
  /** Places that packets may end in. */
  readonly slots: number;
  /** Number of the first packet that is wanted; in the first place. */
  readonly from: number;
  /** The file has become shorter: not all places could be read. */
  readonly short: boolean;
  readonly release?: () => void;
}

/** Bytes that are read behind the packets of a run, to see whether the last one is whole. */
export const RUN_TAIL_SIZE = SCAN_HEAD_SIZE;

/** Whether all packets of a run begin where they are expected, and something begins behind the last. */
export function isAligned(bytes: Buffer, slots: number, { packetSize, scanner }: PacketView): boolean {
  const end = slots * packetSize;
  for (let at = 0; at < end; at += packetSize) if (!scanner.looksRight(bytes, at)) return false;
  return bytes.length < end + RUN_TAIL_SIZE || scanner.looksRight(bytes, end) || isObjectAt(bytes, end);
}

/**
 * The packets in a piece of a file, one after the other. They have numbers by the place in which they end: the data is a row
 * of places of one packet size each. In a file without faults there is one packet in each; where bytes were lost or added,
 * the packets are found that are not where they are expected (asf.md 16.6), and still no number comes twice.
 */
export class PacketRun {
  /** Number of the first packet that is wanted. */
  readonly from: number;
  /** How many numbers the run covers. */
  readonly count: number;
  /** The file has become shorter: not all places could be read. */
  readonly short: boolean;
  /** The number behind the last place that could be read. */
  readonly end: number;
  readonly #fields: RunFields;
  readonly #view: PacketView;
  readonly #isAligned: boolean;
  #at = 0;
  /** Where the packet ends that was read last. */
  #packetEnd = 0;
  #place = -1;
  #location = -1;
  #isShifted = false;
  #isCut = false;
  /** Nothing is wrong in the packet that was judged last. */
  #isTidy = true;
  /** Packets that were made of one that is too large. */
  #pieces: DataPacket[] = [];

  constructor(fields: RunFields) {
    const { view, slots, first, from, bytes, before } = fields;
    this.#fields = fields;
    this.#view = view;
    this.#isAligned = before === 0 && isAligned(bytes, slots, view);
    this.from = from;
    this.count = first + slots * view.pieces - from;
    this.short = fields.short;
    const filled = Math.floor((bytes.length - before) / view.packetSize) * view.pieces;
    this.end = fields.short ? Math.max(first + filled, from) : from + this.count;
  }

  /** The number of the packet that {@link next} gave last. */
  get location(): number {
    return this.#location;
  }

  /** A packet was found that is not where it is expected. */
  get shifted(): boolean {
    return this.#isShifted;
  }

  /** The packet that was given last is cut: the data ends in it. */
  get cut(): boolean {
    return this.#isCut;
  }

  /** The next packet that is believed, its times and size as players get them; undefined at the end. */
  next(): DataPacket | undefined {
    for (;;) {
      const packet = this.#pieces.shift() ?? this.#nextInPlace();
      if (packet === undefined) return undefined;
      this.#location++;
      if (this.#location >= this.from) return packet;
    }
  }

  /** The bytes are not needed any more; once. Packets that were given are not valid any more then. */
  release(): void {
    this.#fields.release?.();
  }

  #nextInPlace(): DataPacket | undefined {
    const { packetSize, pieces, pieceSize } = this.#view;
    const { before, slots, first } = this.#fields;
    while (this.#at < before + slots * packetSize) {
      const at = this.#at;
      const packet = this.#isAligned ? this.#readAligned() : this.#read();
      if (packet === undefined || packet.payloads.length === 0) continue;
      const place = Math.floor((this.#packetEnd - 1 - before) / packetSize);
      if (place >= slots) return undefined;
      // Two packets cannot have one number: of what is left of a packet that follows a whole one nothing is given.
      if (place <= this.#place) continue;
      if (at % packetSize !== 0) this.#isShifted = true;
      this.#place = place;
      this.#location = first + place * pieces - 1;
      const placed = this.#placed(packet);
      if (pieces === 1) return placed;
      this.#pieces = splitPacket(placed, pieceSize).slice(0, pieces);
      const piece = this.#pieces.shift();
      if (piece !== undefined) return piece;
    }
    return undefined;
  }

  #readAligned(): DataPacket | undefined {
    const { packetSize, scanner } = this.#view;
    if (this.#at + packetSize > this.#fields.bytes.length) return this.#readLast();
    const packet = scanner.read(this.#fields.bytes, this.#at);
    this.#goTo(this.#at + packetSize);
    return packet !== undefined && this.#isBelieved(packet, this.#at) ? this.#tidy(packet) : undefined;
  }

  /** As {@link #readAligned}, where packets may begin anywhere. */
  #read(): DataPacket | undefined {
    const { packetSize, scanner } = this.#view;
    const { bytes } = this.#fields;
    const at = this.#at;
    const next = at + packetSize;
    if (next > bytes.length) return this.#readLast();
    const packet = scanner.read(bytes, at);
    const isBelieved = packet !== undefined && this.#isBelieved(packet, next);
    if (isBelieved && this.#mayFollow(next)) {
      this.#goTo(next);
      return this.#tidy(packet);
    }
    const found = scanner.find(bytes, at + 1, isBelieved ? next : bytes.length);
    if (isBelieved && found !== -1 && found < next) return this.#readCut(found);
    // Where nothing is found, what is left may still be a packet that the data ends in.
    this.#goTo(isBelieved ? next : found !== -1 ? found : this.#lastStart(at));
    return isBelieved ? this.#tidy(packet) : undefined;
  }

  /** Of a packet that goes beyond the bytes, what is there if the data ends with them. */
  #readLast(): DataPacket | undefined {
    const { bytes, last } = this.#fields;
    const next = this.#at + this.#view.packetSize;
    const left = last ? this.#readCut(bytes.length) : undefined;
    this.#isCut = left !== undefined;
    this.#at = next;
    return left;
  }

  /** The next expected place for a packet when nothing was found behind `at`: the last one, in which the data may end. */
  #lastStart(at: number): number {
    const { packetSize } = this.#view;
    const { bytes, last } = this.#fields;
    const start = Math.floor(bytes.length / packetSize) * packetSize;
    return last && start > at ? start : Math.max(bytes.length, at + 1);
  }

  #goTo(at: number): void {
    this.#at = at;
    this.#packetEnd = at;
  }

  /** What is whole of a packet that ends too early. */
  #readCut(end: number): DataPacket | undefined {
    const { packetSize, scanner } = this.#view;
    const start = this.#at;
    this.#goTo(Math.max(end, start + 1));
    if (!scanner.looksRight(this.#fields.bytes, start)) return undefined;
    const left = readCutPacket(this.#fields.bytes.subarray(start, end), packetSize);
    return left !== undefined && scanner.judge(left.packet) === 'good' ? left.packet : undefined;
  }

  #mayFollow(at: number): boolean {
    const { scanner } = this.#view;
    const { bytes } = this.#fields;
    if (bytes.length < at + SCAN_HEAD_SIZE || scanner.looksRight(bytes, at) || isObjectAt(bytes, at)) return true;
    const next = scanner.read(bytes, at);
    return next !== undefined && scanner.judge(next) === 'good';
  }

  #isBelieved(packet: DataPacket, next: number): boolean {
    const { scanner } = this.#view;
    if (packet.parity) return false;
    const verdict = scanner.judge(packet);
    this.#isTidy = !packet.damaged && packet.emptyPayloads === 0 && !scanner.hasFar;
    if (verdict !== 'far') return verdict === 'good';
    const follower = scanner.read(this.#fields.bytes, next);
    return follower !== undefined && scanner.judge(follower) !== 'foreign' && scanner.agree(packet, follower);
  }

  /** The packet that was believed last, without what is wrong in it. */
  #tidy(packet: DataPacket): DataPacket | undefined {
    if (this.#isTidy) return packet;
    const { packetSize, scanner } = this.#view;
    if (scanner.judge(packet) === 'far') return tidyPacket(packet, packetSize);
    return tidyPacket(packet, packetSize, (payload: Payload) => scanner.isNear(packet, payload));
  }

  #placed(packet: DataPacket): DataPacket {
    const { sendShift, presentationShift, lead, scanner } = this.#view;
    if (sendShift === 0 && presentationShift === 0 && lead === undefined) return packet;
    const bytes = rebasePacket(packet, sendShift, { prerollDelta: presentationShift - sendShift });
    const time = lead === undefined ? undefined : scanner.timeOf(packet);
    if (time !== undefined) bytes.writeUInt32LE((time + presentationShift - lead!) >>> 0, packet.sendTimeStart);
    return parsePacket(bytes);
  }
}
