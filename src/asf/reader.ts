import { AsfError } from './error.js';
import { GUID } from './guid.js';
import { type AsfHeader, DATA_OBJECT_HEAD_SIZE, headerObjectSize, parseHeader } from './header.js';
import { OBJECT_HEAD_SIZE } from './object-tree.js';
import type { DataPacket, Payload } from './packet.js';
import { ByteQueue } from './queue.js';
import { readCutPacket, tidyPacket } from './repair.js';
import { declaredPackets, findObject, INDEX_GUIDS, isObjectAt, PacketScanner, SCAN_HEAD_SIZE } from './scan.js';
import { describeBytes } from './sniff.js';
import { findHeaderEnd, joinHeader } from './top-level.js';

/** The output of {@link AsfReader}, in the order of the input. @public */
export type AsfItem =
  | { readonly type: 'header'; readonly header: AsfHeader }
  | { readonly type: 'packet'; readonly packet: DataPacket }
  /** A whole top-level index object after the data of a file. */
  | { readonly type: 'index'; readonly bytes: Buffer };

/** The largest index object that is kept, in bytes; larger ones are skipped. */
const MAX_INDEX_SIZE = 16 * 1024 * 1024;

/** The chunk that ffmpeg writes at the very end of a pipe: "$E", twice a length of 8, nothing else (ffmpeg-asf.md). */
const END_CHUNK = Buffer.from('244508000000000000000800', 'hex');

const isEndChunk = (bytes: Buffer, at: number): boolean =>
  bytes[at] === END_CHUNK[0] && bytes.subarray(at, at + END_CHUNK.length).equals(END_CHUNK);

/**
 * Reads a file or a live pipe in chunks of any size and returns the header, the packets and the index objects. Packets
 * that lie inside one chunk are views of it, so a chunk must not be written to after it was pushed.
 *
 * The packets of a file end where the Data Object says. Those of a live pipe, or of a file that does not say, end at an
 * index or the end of the input. Another Header Object starts over with a new header item. Where bytes were lost or
 * added, the reader searches for the next packet. Packets are returned without their unreadable parts (asf.md 16.6,
 * 16.7).
 *
 * @public
 */
export class AsfReader {
  #queue = new ByteQueue();
  #state: 'header' | 'packets' | 'objects' | 'done' = 'header';
  #header: AsfHeader | undefined;
  #scanner: PacketScanner | undefined;
  /** True if packets are returned at once, without waiting to see what follows them. */
  #live = false;
  /** Bytes of data still to come, according to the header; undefined if it says nothing credible. */
  #dataLeft: number | undefined;
  /** Bytes to drop before anything else is read. */
  #skip = 0;
  /** Bytes since the last packet that do not belong to one. */
  #lostBytes = 0;
  #ended = false;
  #isCut = false;
  #damagedPackets = 0;
  #leftOutPackets = 0;
  #skippedBytes = 0;
  #truncated = false;

  /** Packets that were unreadable and left out, or that lost some of their payloads. */
  get damagedPackets(): number {
    return this.#damagedPackets;
  }

  /** The damaged packets of which nothing was returned. */
  get leftOutPackets(): number {
    return this.#leftOutPackets;
  }

  /** Bytes skipped between packets, where they are no more than half a packet. */
  get skippedBytes(): number {
    return this.#skippedBytes;
  }

  /** True if the input ended in the middle of something, or before all packets that the header promised. */
  get truncated(): boolean {
    return this.#truncated;
  }

  /** True if the input ended inside a packet. */
  get cutPacket(): boolean {
    return this.#isCut;
  }

  /** The last header that was read. */
  get header(): AsfHeader | undefined {
    return this.#header;
  }

  /**
   * Takes the next bytes; returns the items that they complete.
   * @throws AsfError if the input is not ASF or its first header is unusable; the reader then accepts no more input
   */
  push(chunk: Buffer): AsfItem[] {
    if (this.#state === 'done') return [];
    this.#queue.push(chunk);
    return this.#run();
  }

  /**
   * Ends the input.
   * @throws AsfError if not even a header came
   */
  end(): AsfItem[] {
    if (this.#ended) return [];
    this.#ended = true;
    const items = this.#run();
    if (this.#state === 'header') this.#endInHeader(items);
    else if (this.#state === 'packets') this.#endInPackets();
    else if (this.#state === 'objects') this.#truncated = this.#queue.length > 0 && this.#atIndex();
    this.#state = 'done';
    return items;
  }

  #run(): AsfItem[] {
    const items: AsfItem[] = [];
    try {
      while (this.#dropSkipped() && this.#step(items));
    } catch (error) {
      this.#state = 'done';
      throw error;
    }
    return items;
  }

  /** Does one step; false if it needs more bytes. */
  #step(items: AsfItem[]): boolean {
    switch (this.#state) {
      case 'header':
        return this.#readHeader(items);
      case 'packets':
        return this.#readPacket(items);
      case 'objects':
        return this.#readObject(items);
      case 'done':
        this.#queue = new ByteQueue();
        return false;
    }
  }

  /** False while there is more to drop than has arrived. */
  #dropSkipped(): boolean {
    if (this.#skip > 0) this.#skip -= this.#queue.skip(this.#skip);
    return this.#skip === 0;
  }

  #readHeader(items: AsfItem[]): boolean {
    try {
      let bytes = this.#queue.peek(Math.min(this.#queue.length, OBJECT_HEAD_SIZE));
      for (;;) {
        const end = findHeaderEnd(bytes ?? Buffer.alloc(0));
        if ('data' in end) {
          const header = parseHeader(joinHeader(bytes!, end.data));
          this.#queue.skip(end.data + DATA_OBJECT_HEAD_SIZE);
          this.#begin(header, items);
          return true;
        }
        bytes = this.#queue.peek(end.needed);
        if (bytes === undefined) return false;
      }
    } catch (error) {
      // In the middle of the input it is only damage.
      if (this.#header === undefined || !(error instanceof AsfError)) throw error;
      this.#lose(OBJECT_HEAD_SIZE);
      this.#state = 'packets';
      return true;
    }
  }

  #begin(header: AsfHeader, items: AsfItem[]): void {
    const packets = header.broadcast ? undefined : declaredPackets(header);
    this.#header = header;
    this.#scanner = new PacketScanner(header);
    this.#live = packets === undefined;
    this.#dataLeft = packets === undefined ? undefined : Number(header.dataObject.size) - DATA_OBJECT_HEAD_SIZE;
    this.#lostBytes = 0;
    this.#state = 'packets';
    items.push({ type: 'header', header });
  }

  #readPacket(items: AsfItem[]): boolean {
    const { packetSize } = this.#scanner!;
    if (this.#dataLeft !== undefined && this.#dataLeft < packetSize) {
      this.#advance(this.#dataLeft);
      this.#state = 'objects';
      return true;
    }
    const head = this.#queue.peek(SCAN_HEAD_SIZE);
    if (head === undefined) return this.#ended && this.#readCut(items);
    if (!this.#scanner!.looksRight(head, 0) && this.#readBetweenPackets(head)) return true;
    const bytes = this.#queue.peek(packetSize);
    if (bytes === undefined) return this.#ended && this.#readCut(items);
    const packet = this.#scanner!.read(bytes, 0);
    const isGood = packet !== undefined && this.#scanner!.judge(packet) === 'good';
    if (!isGood) return this.#resynchronise(packet, false, items);
    const next = this.#whatFollows();
    if (next === 'unknown') return false;
    if (next === 'nothing') return this.#resynchronise(packet, true, items);
    this.#give(packet, items);
    this.#advance(packetSize);
    return true;
  }

  /** Reads what may take the place of a packet: an index object, a new header, the end chunk. */
  #readBetweenPackets(head: Buffer): boolean {
    const id = head.toString('hex', 0, 16);
    if (id === GUID.headerObject) this.#state = 'header';
    else if (isEndChunk(head, 0)) this.#state = 'done';
    else if (!INDEX_GUIDS.has(id)) return false;
    else if (this.#live) this.#skip = Math.max(Number(head.readBigUInt64LE(16)), OBJECT_HEAD_SIZE);
    else this.#state = 'objects';
    return true;
  }

  /** Tells what follows the packet at the front: something that may follow a packet, or nothing of the kind. */
  #whatFollows(): 'something' | 'nothing' | 'unknown' {
    const { packetSize } = this.#scanner!;
    if (this.#dataLeft !== undefined && this.#dataLeft - packetSize < packetSize) return 'something';
    const bytes = this.#queue.peek(packetSize + SCAN_HEAD_SIZE);
    if (bytes === undefined) return this.#live || this.#ended ? 'something' : 'unknown';
    const isRight =
      this.#scanner!.looksRight(bytes, packetSize) || isObjectAt(bytes, packetSize) || isEndChunk(bytes, packetSize);
    return isRight ? 'something' : 'nothing';
  }

  /**
   * Handles a packet of unusual form, or one that is not followed as expected. The next packet is expected one packet
   * size on. If it is not there, bytes were lost or added, and the search begins in between. Every step advances, so
   * that the work stays linear.
   */
  #resynchronise(packet: DataPacket | undefined, isGood: boolean, items: AsfItem[]): boolean {
    const scanner = this.#scanner!;
    const size = scanner.packetSize;
    const wanted = 2 * size + SCAN_HEAD_SIZE;
    const window = this.#queue.peek(this.#ended ? Math.min(wanted, this.#queue.length) : wanted);
    if (window === undefined) return false;
    const next = scanner.read(window, size);
    const isFollowed = next !== undefined && scanner.judge(next) === 'good';
    const isBelieved = isGood || (packet !== undefined && this.#isOtherTime(packet, next));
    if (isFollowed || (isBelieved && next === undefined && window.length < 2 * size)) {
      if (isBelieved) this.#give(packet!, items);
      else this.#lostBytes += size;
      this.#advance(size);
      return true;
    }
    const found = this.#findNext(window);
    if (found === -1 || found >= size) {
      if (isBelieved) this.#give(packet!, items);
      else this.#lostBytes += size;
      this.#advance(size);
      return true;
    }
    // The header was wrong about the size of the data.
    this.#dataLeft = undefined;
    const left = isBelieved || packet === undefined ? readCutPacket(window.subarray(0, found), size) : undefined;
    if (left !== undefined && scanner.judge(left.packet) === 'good') {
      this.#give(left.packet, items);
      if (!left.whole) this.#damagedPackets++;
    } else {
      this.#lostBytes += found;
    }
    this.#advance(found);
    return true;
  }

  /** True if the times of a recording jump here: the next packet agrees with this one. */
  #isOtherTime(packet: DataPacket, next: DataPacket | undefined): boolean {
    if (next === undefined || this.#scanner!.judge(packet) !== 'far') return false;
    return this.#scanner!.judge(next) !== 'foreign' && this.#scanner!.agree(packet, next);
  }

  /** The next place after the front where a packet or an object begins, or -1. */
  #findNext(window: Buffer): number {
    const size = this.#scanner!.packetSize;
    const packet = this.#scanner!.find(window, 1, size);
    const object = findObject(window, 1, packet === -1 ? size : packet);
    return object === -1 ? packet : object;
  }

  #advance(bytes: number): void {
    this.#skip += bytes;
    if (this.#dataLeft !== undefined) this.#dataLeft -= bytes;
  }

  #lose(bytes: number): void {
    this.#lostBytes += bytes;
    this.#advance(bytes);
  }

  #give(packet: DataPacket, items: AsfItem[]): void {
    const scanner = this.#scanner!;
    this.#countLost();
    if (scanner.judge(packet) === 'far') scanner.follow(packet);
    const isNear = (payload: Payload): boolean => scanner.isNear(packet, payload);
    const tidy = tidyPacket(packet, scanner.packetSize, isNear);
    if (packet.damaged || tidy?.payloads.length !== packet.payloads.length) this.#damagedPackets++;
    if (tidy === undefined) return;
    scanner.follow(tidy);
    if (tidy.payloads.length > 0 || tidy.parity) items.push({ type: 'packet', packet: tidy });
  }

  /** Counts what was lost between two packets. */
  #countLost(): void {
    if (this.#lostBytes === 0) return;
    const { packetSize } = this.#scanner!;
    const packets = Math.round(this.#lostBytes / packetSize);
    this.#leftOutPackets += packets;
    this.#damagedPackets += packets;
    if (packets === 0) this.#skippedBytes += this.#lostBytes;
    this.#lostBytes = 0;
  }

  /** The rest of the input is less than a packet; some or all of its payloads may still be whole. */
  #readCut(items: AsfItem[]): boolean {
    const size = this.#scanner!.packetSize;
    const bytes = this.#queue.peek(this.#queue.length) ?? Buffer.alloc(0);
    if (bytes.length === 0 || bytes.length >= size) return false;
    const left = readCutPacket(bytes, size);
    const isGood = left !== undefined && this.#scanner!.judge(left.packet) === 'good';
    if (isGood) {
      this.#give(left.packet, items);
      this.#advance(size);
    } else {
      this.#skip += bytes.length;
    }
    this.#isCut = !(isGood && left.whole) && !this.#isTrailer(bytes);
    this.#state = 'packets';
    return false;
  }

  /** True for what encoders leave after the last packet. */
  #isTrailer(bytes: Buffer): boolean {
    if (this.#atIndex() || END_CHUNK.subarray(0, bytes.length).equals(bytes.subarray(0, END_CHUNK.length))) return true;
    return !this.#scanner!.mayBegin(bytes);
  }

  #endInPackets(): void {
    const isMissing = this.#dataLeft !== undefined && this.#dataLeft >= this.#scanner!.packetSize;
    this.#truncated = this.#isCut || isMissing;
  }

  /** Reads the objects after the data of a file. */
  #readObject(items: AsfItem[]): boolean {
    const head = this.#queue.peek(OBJECT_HEAD_SIZE);
    if (head === undefined) return false;
    const id = head.toString('hex', 0, 16);
    const size = Number(head.readBigUInt64LE(16));
    if (id === GUID.headerObject) {
      this.#state = 'header';
      return true;
    }
    if (size < OBJECT_HEAD_SIZE) {
      this.#state = 'done';
      return true;
    }
    if (!INDEX_GUIDS.has(id) || size > MAX_INDEX_SIZE) {
      this.#skip = size;
      return true;
    }
    const bytes = this.#queue.peek(size);
    if (bytes === undefined) return false;
    this.#queue.skip(size);
    items.push({ type: 'index', bytes });
    return true;
  }

  #endInHeader(items: AsfItem[]): void {
    const bytes = this.#queue.peek(this.#queue.length) ?? Buffer.alloc(0);
    this.#truncated = true;
    if (this.#header !== undefined) return;
    if (bytes.length >= OBJECT_HEAD_SIZE && headerObjectSize(bytes) <= bytes.length) {
      this.#begin(parseHeader(bytes), items);
      return;
    }
    const isStart = bytes.length > 0 && GUID.headerObject.startsWith(bytes.toString('hex', 0, 16));
    throw new AsfError(
      isStart ? 'The input ends inside the ASF header.' : `This is not ASF but ${describeBytes(bytes)}.`,
      bytes.length,
    );
  }

  #atIndex(): boolean {
    const start = this.#queue.peek(16);
    return start !== undefined && INDEX_GUIDS.has(start.toString('hex'));
  }
}
