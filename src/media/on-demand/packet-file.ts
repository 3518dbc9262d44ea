import { AsfError } from '../../asf/error.js';
import { type AsfHeader, DATA_OBJECT_HEAD_SIZE } from '../../asf/header.js';
import type { DataPacket } from '../../asf/packet.js';
import { declaredPackets } from '../../asf/scan.js';
import { WmError } from '../../errors.js';
import { isGrowing } from '../growing.js';
import { DiskFile, versionOf } from './disk-file.js';
import { type MediaTimes, measurePart, placeParts } from './measure.js';
import type { PacketRun } from './packet-run.js';
import type { Part } from './part.js';
import { countPackets, findParts } from './parts.js';
import { durationOf, servedHeader } from './served-header.js';
import type { PacketStore } from './store.js';
import { readTimeIndexes, type TimeIndex } from './time-index.js';

export type { PacketRun } from './packet-run.js';

/** What a file is like, beside what players get of it. */
export interface FileCondition {
  /** Data packets that can be read from it, and, with some that cannot, those up to the last. */
  readonly packets: number;
  /** Those that the header of the first recording promises; undefined when it says nothing that can be believed. */
  readonly promised: number | undefined;
  /** Bytes of the packets in the file. */
  readonly packetSize: number;
  /** The last packet is not whole. */
  readonly cut: boolean;
  /** The header is one of a live stream, or of a recording that was never finished. */
  readonly unfinished: boolean;
  /** Recordings that were joined, and are played as one. */
  readonly recordings: number;
  /** Another recording follows that is not played, because its streams or its packet size are others. */
  readonly foreign: boolean;
  /** Media time in the file at which it begins, ms; players get it from 0 on. */
  readonly startsAt: number;
}

/**
 * The data packets of an ASF file on disk, read when they are asked for, as players get them: of one size, and with times
 * that begin at the start of the media. The packets of recordings that were joined follow one another.
 *
 * How many there are is said by the Data Object when all of it is here. The end of a file that is cut, or that has the
 * header of a live stream (a recording that goes on, or whose program was killed), is where the last packet ends; such a file
 * may still grow. Where bytes were lost or added, some numbers have no packet.
 */
export class PacketFile implements PacketStore {
  readonly path: string;
  /** As it stands in the file, but for what players can do without in a large one. */
  readonly stored: AsfHeader;
  /**
   * As players get it: of a file, not live, and Seekable; otherwise as it stands in the file, or, where that is not right for
   * what they get, with the counts, sizes and durations of what was there when it was opened.
   */
  readonly header: AsfHeader;
  readonly durationMs: number;
  /** Of the packets that players get, bytes. */
  readonly packetSize: number;
  /** Bytes of the file in which there is one packet. */
  readonly packetSpan: number;
  /** Packets that one read takes to look at them. */
  readonly batchPackets: number;
  /** The header says how many packets there are, and they are, and that is all. */
  readonly complete: boolean;
  /** Bytes when the file was opened. */
  readonly size: number;
  readonly modified: Date;
  /** Differs when the file was changed or replaced. */
  readonly version: string;
  /** Another recording follows that cannot be played as one with this one. */
  readonly #foreign: boolean;
  readonly #disk: DiskFile;
  readonly #parts: readonly Part[];
  readonly #measured: MediaTimes[];
  #times: MediaTimes;
  #knownSize: number;
  /** The last packet will not become whole. */
  #isCutFinal = false;
  #extending: Promise<boolean> | undefined;

  private constructor(disk: DiskFile, parts: readonly Part[], measured: MediaTimes[], foreign: boolean) {
    const [first] = parts;
    this.path = disk.path;
    this.#disk = disk;
    this.#parts = parts;
    this.#measured = measured;
    this.#times = placeParts(parts, measured);
    this.stored = first!.header;
    this.packetSize = first!.pieceSize;
    this.packetSpan = first!.packetSize / first!.pieces;
    this.batchPackets = first!.batch * first!.pieces;
    this.complete = parts.length === 1 && first!.complete;
    this.size = disk.stats.size;
    this.#knownSize = disk.stats.size;
    this.modified = disk.stats.mtime;
    this.version = versionOf(disk.stats);
    this.#foreign = foreign;
    this.header = servedHeader(this);
    this.durationMs = durationOf(this);
  }

  /**
   * Opens a file; of its data the head and the tail are read, and where the header does not say how long it is, some places
   * in between.
   * @throws WmError WM_NO_INPUT when it cannot be opened or read, WM_BAD_INPUT when it is empty, not a regular file or
   *   without a packet, WM_ASF_MALFORMED when it is not ASF
   */
  static async open(path: string): Promise<PacketFile> {
    const disk = await DiskFile.open(path);
    try {
      const { parts, foreign } = await findParts(disk);
      if (parts.length === 0) throw new WmError('WM_BAD_INPUT', `${path} holds a header but no packets.`);
      const measured: MediaTimes[] = [];
      for (const part of parts) measured.push(await measurePart(part));
      return new PacketFile(disk, parts, measured, foreign);
    } catch (error) {
      await disk.close().catch(() => undefined);
      if (!(error instanceof AsfError)) throw error;
      throw new WmError(error.code, `${path} cannot be played: ${error.message}`, { cause: error });
    }
  }

  /** Rises while the file grows. */
  get packetCount(): number {
    const last = this.#parts.at(-1)!;
    return last.first + last.count;
  }

  /** The last packet is not whole yet, or never will be. */
  get cut(): boolean {
    return this.#parts.at(-1)!.cut;
  }

  /** As players get them; of a file that grows those up to the last look. */
  get times(): MediaTimes {
    return this.#times;
  }

  /** Milliseconds that presentation times are later than media times. */
  get preroll(): number {
    return this.#times.preroll;
  }

  /** Recordings that were joined. */
  get recordings(): number {
    return this.#parts.length;
  }

  get condition(): FileCondition {
    const [first] = this.#parts;
    const { packetSize, presentationShift } = first!;
    const promised = declaredPackets(this.stored);
    return {
      packets: this.#parts.reduce((sum, { slots }) => sum + slots, 0),
      promised,
      packetSize,
      cut: this.cut,
      unfinished: promised === undefined,
      recordings: this.#parts.length,
      foreign: this.#foreign,
      startsAt: -presentationShift,
    };
  }

  /** Bytes at the last look. */
  get knownSize(): number {
    return this.#knownSize;
  }

  /** The packets are as they stand in the file, and no others. */
  get untouched(): boolean {
    const [part] = this.#parts;
    const isMoved = part!.sendShift !== 0 || part!.presentationShift !== 0;
    return this.#parts.length === 1 && part!.pieces === 1 && !isMoved;
  }

  /** Where index objects may stand that are right for the packets as they are, bytes; undefined when none can be. */
  get indexStart(): number | undefined {
    const [part] = this.#parts;
    if (!this.untouched) return undefined;
    if (!part!.complete) return part!.dataStart + part!.slots * part!.packetSize;
    return part!.dataStart + Number(this.stored.dataObject.size) - DATA_OBJECT_HEAD_SIZE;
  }

  /** Bytes of everything but the header, as it is in the file. */
  get dataSize(): number {
    return this.size - this.#parts[0]!.dataStart;
  }

  /**
   * The packets with some numbers, or the first of them: those of one recording.
   * @param count at least 1
   * @throws WmError WM_NO_INPUT when the disk fails or the file was closed
   */
  async borrow(from: number, count: number): Promise<PacketRun> {
    const part = this.#parts.findLast(({ first }) => first <= from) ?? this.#parts[0]!;
    const inside = from - part.first;
    const slot = Math.floor(inside / part.pieces);
    const wanted = Math.ceil((inside + count) / part.pieces);
    const slots = Math.min(wanted, part.slots) - slot;
    return part.borrow(slot, Math.max(slots, 0), from);
  }

  /**
   * Calls `visit` with the packets that can be read of some numbers; they are valid during the call. It may end the visit by
   * returning false.
   * @throws WmError WM_NO_INPUT when the disk fails or the file was closed
   */
  async visit(from: number, count: number, visit: (packet: DataPacket, location: number) => unknown): Promise<void> {
    const end = Math.min(from + count, this.packetCount);
    for (let at = from; at < end; ) {
      const run = await this.borrow(at, end - at);
      let goesOn = true;
      for (let packet = run.next(); packet !== undefined && goesOn; packet = run.next()) {
        goesOn = visit(packet, run.location) !== false;
      }
      run.release();
      if (!goesOn || run.count === 0) return;
      at += run.count;
    }
  }

  /**
   * Bytes from anywhere in the file; fewer than asked for at its end.
   * @throws WmError WM_NO_INPUT when the disk fails or the file was closed
   */
  readBytes(position: number, length: number): Promise<Buffer> {
    return this.#disk.read(position, length);
  }

  available(from: number, count: number): number {
    const left = Math.min(count, this.packetCount - from);
    // A last one that is not whole comes only when it does not become so.
    const isLastCut = this.cut && from + left >= this.packetCount && !this.#isCutFinal;
    return Math.max(isLastCut ? left - 1 : left, 0);
  }

  /** @throws WmError WM_NO_INPUT */
  async want(from: number): Promise<'there' | 'later' | 'end'> {
    const isGoingOn = isGrowing(this.#disk.stats);
    await this.extend();
    if (this.available(from, 1) > 0) return 'there';
    if (isGoingOn) return 'later';
    if (!this.cut) return 'end';
    this.#isCutFinal = true;
    return this.available(from, 1) > 0 ? 'there' : 'end';
  }

  readIndexes(): Promise<ReadonlyMap<number, TimeIndex>> {
    return readTimeIndexes(this);
  }

  /** Looks whether a file that was not complete has more packets by now. @throws WmError WM_NO_INPUT */
  extend(): Promise<boolean> {
    if (this.complete) return Promise.resolve(false);
    this.#extending ??= this.#extend().finally(() => {
      this.#extending = undefined;
    });
    return this.#extending;
  }

  /** Waits for reads under way; may be called more than once. */
  close(): Promise<void> {
    return this.#disk.close();
  }

  async #extend(): Promise<boolean> {
    const last = this.#parts.at(-1)!;
    const size = await this.#disk.size();
    const before = last.slots;
    const wasCut = last.cut;
    if (size === this.#knownSize && !(await this.#isWritten(last))) return false;
    if (size < this.#knownSize) return false;
    this.#isCutFinal = false;
    await countPackets(this.#disk, last, size);
    this.#knownSize = size;
    last.slots = Math.max(last.slots, before);
    if (last.slots === before && last.cut === wasCut) return false;
    this.#measured[this.#measured.length - 1] = await measurePart(last);
    this.#times = placeParts(this.#parts, this.#measured);
    return last.slots > before;
  }

  /** Whether there is a packet behind the last one by now, in space that was reserved. */
  async #isWritten(last: Part): Promise<boolean> {
    if (last.cut || last.complete) return false;
    const run = await last.borrowRaw(last.slots, 1);
    const packet = run.next();
    run.release();
    return packet !== undefined && last.raw.scanner.looksRight(packet.bytes, 0);
  }
}
