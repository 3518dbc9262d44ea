import type { AsfHeader } from '../../asf/header.js';
import { PacketScanner } from '../../asf/scan.js';
import { piecesOf, SPLIT_SIZE } from '../../asf/split.js';
import { buffers } from './buffer-pool.js';
import type { DiskFile } from './disk-file.js';
import type { FileHead } from './file-head.js';
import { isAligned, PacketRun, type PacketView, RUN_TAIL_SIZE } from './packet-run.js';
import { WholePackets } from './whole-packets.js';

/** Bytes of packets that one read takes for inspection, or one packet if that is larger. */
const BATCH_SIZE = 32 * 1024;

/**
 * A header and its data packets in a file. A file may have several: recordings are joined by concatenating them. Places
 * are counted from the first packet of a part: place i is at `dataStart + i × packetSize`.
 */
export class Part implements PacketView {
  readonly header: AsfHeader;
  readonly dataStart: number;
  readonly packetSize: number;
  readonly pieces: number;
  readonly pieceSize: number;
  /** Accepts packets around the measured times. */
  readonly scanner: PacketScanner;
  readonly whole = new WholePackets();
  /** The packets as in the file, of any time. */
  readonly raw: PacketView;
  /** Places that one read takes for inspection. */
  readonly batch: number;
  /** Number of places that hold packets; grows while a recording is in progress. */
  slots = 0;
  /** The latest position where the data can end, in bytes. */
  end = Number.POSITIVE_INFINITY;
  /** True if the last place is incomplete: the file ends in it. */
  cut = false;
  /** True if the header gives the number of packets, and all are there. */
  complete = false;
  /** Number of the first packet, counted over all parts. */
  first = 0;
  sendShift = 0;
  presentationShift = 0;
  lead: number | undefined;
  readonly #disk: DiskFile;

  constructor(disk: DiskFile, { header, dataStart }: FileHead) {
    this.#disk = disk;
    this.header = header;
    this.dataStart = dataStart;
    this.packetSize = header.packetSize;
    this.pieces = piecesOf(header.packetSize);
    this.pieceSize = this.pieces === 1 ? header.packetSize : SPLIT_SIZE;
    this.scanner = new PacketScanner(header);
    const { packetSize } = this;
    const scanner = new PacketScanner(header);
    const asIs = { sendShift: 0, presentationShift: 0, lead: undefined, pieces: 1, pieceSize: packetSize };
    this.raw = { packetSize, scanner, ...asIs };
    this.batch = Math.max(1, Math.floor(BATCH_SIZE / header.packetSize));
  }

  /** Number of packet numbers for all its places. */
  get count(): number {
    return this.slots * this.pieces;
  }

  /**
   * Returns the packets that begin in some places, as players get them, in pooled memory.
   *
   * @param from number of the first requested packet, which begins in the first place
   * @param reserve bytes of free memory before the packets
   * @throws WmError WM_NO_INPUT if the disk fails or the file was closed
   */
  borrow(slot: number, slots: number, from: number, reserve = 0): Promise<PacketRun> {
    return this.#borrow(this, this.first + slot * this.pieces, from, slot, slots, reserve);
  }

  /** Like {@link borrow}, but as in the file; the packets have the numbers of their places. */
  borrowRaw(slot: number, slots: number): Promise<PacketRun> {
    return this.#borrow(this.raw, slot, slot, slot, slots, 0);
  }

  async #borrow(
    view: PacketView,
    first: number,
    from: number,
    slot: number,
    slots: number,
    reserve: number,
  ): Promise<PacketRun> {
    const { packetSize, end } = this;
    const position = this.dataStart + slot * packetSize;
    const size = slots * packetSize;
    const wanted = Math.max(0, Math.min(size + RUN_TAIL_SIZE, end - position));
    let room = buffers.take(reserve + wanted);
    let filled = await this.#disk.fill(room, position, wanted, reserve);
    const last = filled < size + RUN_TAIL_SIZE;
    let before = 0;
    const aligned = isAligned(room.subarray(reserve, reserve + filled), slots, view);
    if (slot > 0 && !aligned) {
      // A packet that ends in the first place may begin before it.
      before = packetSize;
      const larger = buffers.take(reserve + before + filled);
      room.copy(larger, reserve + before, reserve, reserve + filled);
      buffers.give(room);
      room = larger;
      filled += await this.#disk.fill(room, position - before, before, reserve);
    }
    const bytes = room.subarray(reserve, reserve + filled);
    // The data may end anywhere in the last place: in a packet, or with one that begins in the place before.
    const least = !this.complete && slot + slots >= this.slots ? size - packetSize : size;
    const short = filled - before < least;
    const release = () => buffers.give(room);
    return new PacketRun({ view, bytes, before, last, first, slots, from, short, release, room, aligned });
  }
}
