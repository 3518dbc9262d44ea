import { type DataPacket, type Payload, parsePacket } from '../../asf/packet.js';
import { rebasePacket } from '../../asf/rebase.js';
import { readCutPacket, tidyPacket } from '../../asf/repair.js';
import { isObjectAt, type PacketScanner, SCAN_HEAD_SIZE } from '../../asf/scan.js';
import { splitPacket } from '../../asf/split.js';
import type { WholePackets } from './whole-packets.js';

/** How to turn the packets of a part into those for players. */
export interface PacketView {
  /** Bytes of a packet in the file. */
  readonly packetSize: number;
  readonly scanner: PacketScanner;
  /** Added to send times, in ms. */
  readonly sendShift: number;
  /** Added to presentation times, in ms. */
  readonly presentationShift: number;
  /**
   * If send times are unusable, they are replaced by the presentation times minus this many ms; nearly always
   * undefined.
   */
  readonly lead: number | undefined;
  /** Packets for players made of one in the file, if that is larger than the protocols carry; nearly always 1. */
  readonly pieces: number;
  /** Bytes of a packet for players. */
  readonly pieceSize: number;
  /** The packets that are known to go to players as they are, by their numbers; undefined if nobody asks. */
  readonly whole?: WholePackets | undefined;
}

/** A packet as it is in the file. */
export interface WholePacket {
  /** A view. */
  readonly bytes: Buffer;
  /** In ms. */
  readonly sendTime: number;
}

/** The bytes of one read, before packets are found in them. */
export interface RunFields {
  readonly view: PacketView;
  /** `before` bytes, the places, and {@link RUN_TAIL_SIZE} more bytes; fewer at the end of the data. */
  readonly bytes: Buffer;
  /** Bytes before the first place: one packet size if packets are not where they are expected, else 0. */
  readonly before: number;
  /** True if the data ends with the bytes. */
  readonly last: boolean;
  /** Number of the first place. */
  readonly first: number;
  /** Number of places that packets may end in. */
  readonly slots: number;
  /** Number of the first requested packet, which is in the first place. */
  readonly from: number;
  /** True if the file has become shorter and not all places could be read. */
  readonly short: boolean;
  readonly release?: () => void;
  /** True if the packets are known to begin where they are expected; undefined if that was not examined. */
  readonly aligned?: boolean;
  /** The memory in which `bytes` are; its start is free for packets that move. */
  readonly room?: Buffer;
}

/** Bytes read after the packets of a run, to see whether the last one is whole. */
export const RUN_TAIL_SIZE = SCAN_HEAD_SIZE;

/** True if all packets of a run begin where they are expected, and another begins after the last. */
export function isAligned(bytes: Buffer, slots: number, { packetSize, scanner }: PacketView): boolean {
  const end = slots * packetSize;
  for (let at = 0; at < end; at += packetSize) if (!scanner.looksRight(bytes, at)) return false;
  return bytes.length < end + RUN_TAIL_SIZE || scanner.looksRight(bytes, end) || isObjectAt(bytes, end);
}

/**
 * The packets in a piece of a file, in order. Packets are numbered by the place in which they end: the data is a row of
 * places of one packet size each. In a file without faults each place has one packet. Where bytes were lost or added,
 * packets are found that are not where they are expected (asf.md 16.6), and still no number occurs twice.
 */
export class PacketRun {
  /** Number of the first requested packet. */
  readonly from: number;
  /** Number of packet numbers that the run covers. */
  readonly count: number;
  /** True if the file has become shorter and not all places could be read. */
  readonly short: boolean;
  /** The number after the last place that could be read. */
  readonly end: number;
  readonly #fields: RunFields;
  readonly #view: PacketView;
  readonly #isAligned: boolean;
  #at = 0;
  /** Where the last packet read ends. */
  #packetEnd = 0;
  #place = -1;
  #location = -1;
  #isShifted = false;
  #isCut = false;
  #sendTime = 0;
  /** True if the last accepted packet has no fault. */
  #isTidy = true;
  /** The packets made of one that is too large. */
  #pieces: DataPacket[] = [];

  constructor(fields: RunFields) {
    const { view, slots, first, from, bytes, before } = fields;
    this.#fields = fields;
    this.#view = view;
    this.#isAligned = fields.aligned ?? (before === 0 && isAligned(bytes, slots, view));
    this.from = from;
    this.count = first + slots * view.pieces - from;
    this.short = fields.short;
    const filled = Math.floor((bytes.length - before) / view.packetSize) * view.pieces;
    this.end = fields.short ? Math.max(first + filled, from) : from + this.count;
  }

  /** The number of the packet that {@link next} last returned. */
  get location(): number {
    return this.#location;
  }

  /** True if a packet was found that is not where it is expected. */
  get shifted(): boolean {
    return this.#isShifted;
  }

  /** True if the last packet returned is truncated: the data ends in it. */
  get cut(): boolean {
    return this.#isCut;
  }

  /** Returns the next credible packet, with times and size for players; undefined at the end. */
  next(): DataPacket | undefined {
    for (;;) {
      const packet = this.#pieces.shift() ?? this.#nextInPlace();
      if (packet === undefined) return undefined;
      this.#location++;
      if (this.#location >= this.from) return packet;
    }
  }

  /**
   * Returns the next packet without parsing it, if it is known to need no change and has no padding; else undefined,
   * and {@link next} returns it.
   */
  nextWhole(): WholePacket | undefined {
    const at = this.#takeWhole();
    if (at === -1) return undefined;
    const { bytes } = this.#fields;
    return { bytes: bytes.subarray(at, at + this.#view.packetSize), sendTime: this.#sendTime };
  }

  /** Like {@link nextWhole}, but returns where in {@link room} the packet is, or -1. */
  nextWholeAt(): number {
    const at = this.#takeWhole();
    const { bytes, room = bytes } = this.#fields;
    return at === -1 ? -1 : at + bytes.byteOffset - room.byteOffset;
  }

  /** The send time of the packet that {@link nextWholeAt} last returned, in ms. */
  get sendTime(): number {
    return this.#sendTime;
  }

  /** The memory of the packets, if each is where it is expected and is one for players. */
  get room(): Buffer | undefined {
    return this.#isAligned && this.#view.pieces === 1 ? this.#fields.room : undefined;
  }

  #takeWhole(): number {
    const { whole, packetSize, pieces } = this.#view;
    if (!whole || !this.#isAligned || pieces !== 1) return -1;
    const { bytes, first, slots } = this.#fields;
    const at = this.#at;
    const place = at / packetSize;
    if (place >= slots || at + packetSize > bytes.length) return -1;
    const sendTimeStart = whole.sendTimeStart(first + place);
    if (sendTimeStart === 0) return -1;
    this.#goTo(at + packetSize);
    this.#place = place;
    this.#location = first + place;
    this.#sendTime = bytes.readUInt32LE(at + sendTimeStart);
    return at;
  }

  /** Gives the bytes back; call once. The packets returned are invalid after that. */
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
      // Two packets cannot share a number: the remains of a packet that end in the place of a whole one are dropped.
      if (place <= this.#place) continue;
      if (at % packetSize !== 0) this.#isShifted = true;
      this.#place = place;
      this.#location = first + place * pieces - 1;
      const placed = this.#placed(packet);
      if (placed === packet) this.#noteWhole(packet, first + place);
      if (pieces === 1) return placed;
      this.#pieces = splitPacket(placed, pieceSize).slice(0, pieces);
      const piece = this.#pieces.shift();
      if (piece !== undefined) return piece;
    }
    return undefined;
  }

  /** Notes a packet that others need not parse again. */
  #noteWhole(packet: DataPacket, location: number): void {
    const { whole, packetSize, pieces } = this.#view;
    if (!whole || !this.#isAligned || !this.#isTidy || this.#isCut || pieces !== 1 || packet.parity) return;
    if (packet.paddingLength === 0 && packet.length === packetSize) whole.note(location, packet.sendTimeStart);
  }

  #readAligned(): DataPacket | undefined {
    const { packetSize, scanner } = this.#view;
    if (this.#at + packetSize > this.#fields.bytes.length) return this.#readLast();
    const packet = scanner.read(this.#fields.bytes, this.#at);
    this.#goTo(this.#at + packetSize);
    return packet !== undefined && this.#isBelieved(packet, this.#at) ? this.#tidy(packet) : undefined;
  }

  /** Like {@link #readAligned}, for packets that may begin anywhere. */
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
    // If nothing is found, the rest may still be a packet that the data ends in.
    this.#goTo(isBelieved ? next : found !== -1 ? found : this.#lastStart(at));
    return isBelieved ? this.#tidy(packet) : undefined;
  }

  /** Reads the available part of a packet that goes beyond the bytes, if the data ends with them. */
  #readLast(): DataPacket | undefined {
    const { bytes, last } = this.#fields;
    const next = this.#at + this.#view.packetSize;
    const left = last ? this.#readCut(bytes.length) : undefined;
    this.#isCut = left !== undefined;
    this.#at = next;
    return left;
  }

  /**
   * Returns the next expected place for a packet if nothing was found after `at`: the last one, in which the data may
   * end.
   */
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

  /** Returns the complete payloads of a packet that ends too early. */
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

  /** Returns the last accepted packet without its faults. */
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
