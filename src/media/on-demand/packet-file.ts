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
import { countPackets, type FoundParts, findParts, headerNearEnd } from './parts.js';
import { durationOf, servedHeader } from './served-header.js';
import type { PacketStore } from './store.js';
import { readTimeIndexes, type TimeIndex } from './time-index.js';

export type { PacketRun } from './packet-run.js';

/** The condition of a file, besides what players get of it. */
export interface FileCondition {
  /** Number of the readable data packets; if some in between are unreadable, the number up to the last readable one. */
  readonly packets: number;
  /** The packet count in the header of the first recording; undefined if it is not credible. */
  readonly promised: number | undefined;
  /** Bytes of a packet in the file. */
  readonly packetSize: number;
  /** True if the last packet is truncated. */
  readonly cut: boolean;
  /** True if the header is that of a live stream, or of a recording that was never finished. */
  readonly unfinished: boolean;
  /** Number of joined recordings, which are played as one. */
  readonly recordings: number;
  /** Media time in the file at which it begins, in ms; players get times from 0 on. */
  readonly startsAt: number;
}

/**
 * The data packets of an ASF file on disk, read on demand, as players get them: of one size, and with times that begin
 * at the start of the media. The packets of joined recordings follow one another, as far as these have the same streams
 * and packet size. What follows with others is another `PacketFile` of the same file.
 *
 * The Data Object gives their number if all of it is there. If the file is truncated, or has the header of a live
 * stream (a recording in progress, or one whose program was killed), it ends where the last packet ends, and may still
 * grow. Where bytes were lost or added, some numbers have no packet.
 */
export class PacketFile implements PacketStore {
  readonly path: string;
  /** The header in the file, without the parts of a large one that players do not need. */
  readonly stored: AsfHeader;
  /**
   * The header for players: that of a seekable file, not of a live stream. Otherwise unchanged, except that where it
   * does not match the packets it gets the counts, sizes and durations of what was there when the file was opened.
   */
  readonly header: AsfHeader;
  readonly durationMs: number;
  /** Size of the packets that players get, in bytes. */
  readonly packetSize: number;
  /** Bytes of the file for each packet number. */
  readonly packetSpan: number;
  /** Packets that one read takes for inspection. */
  readonly batchPackets: number;
  /** True if the header gives the number of packets, all of them are there, and nothing follows. */
  readonly complete: boolean;
  /** Size in bytes when the file was opened. */
  readonly size: number;
  readonly modified: Date;
  /** Differs if the file was changed or replaced. */
  readonly version: string;
  /** Where it begins, in bytes from the start of the file. */
  readonly at: number;
  #next: number | undefined;
  readonly #disk: DiskFile;
  readonly #parts: readonly Part[];
  readonly #measured: MediaTimes[];
  #times: MediaTimes;
  #knownSize: number;
  /** True if the last packet will not be completed. */
  #isCutFinal = false;
  #extending: Promise<boolean> | undefined;

  private constructor(disk: DiskFile, at: number, { parts, next }: FoundParts, measured: MediaTimes[]) {
    const [first] = parts;
    this.at = at;
    this.#next = next;
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
    this.header = servedHeader(this);
    this.durationMs = durationOf(this);
  }

  /**
   * Opens a file; reads the head and the tail of its data, and some places in between if the header does not give its
   * length.
   *
   * @param at where to begin, in bytes from the start of the file: {@link next} of what comes before
   * @throws WmError WM_NO_INPUT if it cannot be opened or read, WM_BAD_INPUT if it is empty, not a regular file or
   *   without a packet, WM_ASF_MALFORMED if it is not ASF
   */
  static async open(path: string, at = 0): Promise<PacketFile> {
    const disk = await DiskFile.open(path);
    try {
      const found = await findParts(disk, at);
      const { parts } = found;
      if (parts.length === 0) throw new WmError('WM_BAD_INPUT', `${path} holds a header but no packets.`);
      const measured: MediaTimes[] = [];
      for (const part of parts) measured.push(await measurePart(part));
      return new PacketFile(disk, at, found, measured);
    } catch (error) {
      await disk.close().catch(() => undefined);
      if (!(error instanceof AsfError)) throw error;
      throw new WmError(error.code, `${path} cannot be played: ${error.message}`, { cause: error });
    }
  }

  /**
   * Where a recording follows that is played by itself, in bytes from the start of the file; undefined without one. It
   * has other streams or another packet size, or was added after this was opened.
   */
  get next(): number | undefined {
    return this.#next;
  }

  /** Grows with the file. */
  get packetCount(): number {
    const last = this.#parts.at(-1)!;
    return last.first + last.count;
  }

  /** True if the last packet is incomplete, for now or forever. */
  get cut(): boolean {
    return this.#parts.at(-1)!.cut;
  }

  /** The times as players get them; for a growing file, up to the last look. */
  get times(): MediaTimes {
    return this.#times;
  }

  /** How much later presentation times are than media times, in ms. */
  get preroll(): number {
    return this.#times.preroll;
  }

  /** Number of joined recordings. */
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
      startsAt: 0 - presentationShift,
    };
  }

  /** Size in bytes at the last look. */
  get knownSize(): number {
    return this.#knownSize;
  }

  /** True if the packets are exactly those in the file, unchanged. */
  get untouched(): boolean {
    const [part] = this.#parts;
    const isMoved = part!.sendShift !== 0 || part!.presentationShift !== 0;
    return this.#parts.length === 1 && part!.pieces === 1 && !isMoved;
  }

  /** Position in bytes where index objects may begin that match the packets; undefined if there can be none. */
  get indexStart(): number | undefined {
    const [part] = this.#parts;
    if (!this.untouched) return undefined;
    if (!part!.complete) return part!.dataStart + part!.slots * part!.packetSize;
    return part!.dataStart + Number(this.stored.dataObject.size) - DATA_OBJECT_HEAD_SIZE;
  }

  /** Bytes of everything except the header, as in the file. */
  get dataSize(): number {
    return (this.next ?? this.size) - this.#parts[0]!.dataStart;
  }

  /**
   * Returns the packets with some numbers, or the first of them: those of one recording.
   *
   * @param count at least 1
   * @param reserve bytes of free memory before the packets
   * @throws WmError WM_NO_INPUT if the disk fails or the file was closed
   */
  async borrow(from: number, count: number, reserve = 0): Promise<PacketRun> {
    const part = this.#parts.findLast(({ first }) => first <= from) ?? this.#parts[0]!;
    const inside = from - part.first;
    const slot = Math.floor(inside / part.pieces);
    const wanted = Math.ceil((inside + count) / part.pieces);
    const slots = Math.min(wanted, part.slots) - slot;
    return part.borrow(slot, Math.max(slots, 0), from, reserve);
  }

  /**
   * Calls `visit` with each readable packet among some numbers, valid only during the call. `visit` may return false to
   * stop.
   *
   * @throws WmError WM_NO_INPUT if the disk fails or the file was closed
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
   * Reads bytes from anywhere in the file; fewer than requested at its end.
   *
   * @throws WmError WM_NO_INPUT if the disk fails or the file was closed
   */
  readBytes(position: number, length: number): Promise<Buffer> {
    return this.#disk.read(position, length);
  }

  available(from: number, count: number): number {
    const left = Math.min(count, this.packetCount - from);
    // An incomplete last packet is passed on only if it will not be completed.
    const isLastCut = this.cut && from + left >= this.packetCount && !this.#isCutFinal;
    return Math.max(isLastCut ? left - 1 : left, 0);
  }

  /** @throws WmError WM_NO_INPUT */
  async want(from: number): Promise<'there' | 'later' | 'end'> {
    const isGoingOn = this.next === undefined && isGrowing(this.#disk.stats);
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

  /** Checks whether an incomplete file has grown. @throws WmError WM_NO_INPUT */
  extend(): Promise<boolean> {
    if (this.complete || this.next !== undefined) return Promise.resolve(false);
    this.#extending ??= this.#extend().finally(() => {
      this.#extending = undefined;
    });
    return this.#extending;
  }

  /** Waits for pending reads, then closes the file; may be called more than once. */
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
    const next = await headerNearEnd(this.#disk, last);
    await countPackets(this.#disk, last, next ?? size);
    this.#next = next;
    this.#knownSize = size;
    last.slots = Math.max(last.slots, before);
    if (last.slots === before && last.cut === wasCut) return false;
    this.#measured[this.#measured.length - 1] = await measurePart(last);
    this.#times = placeParts(this.#parts, this.#measured);
    return last.slots > before;
  }

  /** True if there is now a packet after the last one, in space that was reserved. */
  async #isWritten(last: Part): Promise<boolean> {
    if (last.cut || last.complete) return false;
    const run = await last.borrowRaw(last.slots, 1);
    const packet = run.next();
    run.release();
    return packet !== undefined && last.raw.scanner.looksRight(packet.bytes, 0);
  }
}
