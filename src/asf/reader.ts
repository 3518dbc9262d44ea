import { AsfError } from './error.js';
import { GUID } from './guid.js';
import { type AsfHeader, DATA_OBJECT_HEAD_SIZE, headerObjectSize, parseHeader } from './header.js';
import { OBJECT_HEAD_SIZE } from './object-tree.js';
import { type DataPacket, parsePacket } from './packet.js';
import { ByteQueue } from './queue.js';
import { describeBytes } from './sniff.js';

/** What {@link AsfReader} gives, in the order of the input. */
export type AsfItem =
  | { readonly type: 'header'; readonly header: AsfHeader }
  | { readonly type: 'packet'; readonly packet: DataPacket }
  /** A top-level index object behind the data of a file, whole. */
  | { readonly type: 'index'; readonly bytes: Buffer };

/** The largest index object that is kept, in bytes; a larger one is skipped. */
const MAX_INDEX_SIZE = 16 * 1024 * 1024;

const INDEX_GUIDS: ReadonlySet<string> = new Set([
  GUID.simpleIndexObject,
  GUID.indexObject,
  GUID.mediaObjectIndexObject,
  GUID.timecodeIndexObject,
]);

/** The chunk that ffmpeg writes behind everything on a pipe: "$E", a length of 8 twice, nothing else (ffmpeg-asf.md). */
const END_CHUNK = Buffer.from('244508000000000000000800', 'hex');

/** Error correction flags of practically all packets; nothing else that can stand at their place begins so. */
const COMMON_FIRST_BYTE = 0x82;

/** Bytes that tell the start of a common data packet: `82 00 00`, Length Type Flags, 0x5D. */
const PACKET_SIGNATURE_SIZE = 5;

function looksLikePacket(bytes: Buffer, at: number): boolean {
  return (
    bytes[at] === 0x82 && bytes[at + 1] === 0 && bytes[at + 2] === 0 && bytes[at + 3]! < 0x80 && bytes[at + 4] === 0x5d
  );
}

/** Where in the buffer behind its first byte a data packet seems to start, or -1. */
function findPacket(bytes: Buffer): number {
  for (let at = 1; (at = bytes.indexOf(COMMON_FIRST_BYTE, at)) !== -1; at++) {
    if (at + PACKET_SIGNATURE_SIZE > bytes.length) return -1;
    if (looksLikePacket(bytes, at)) return at;
  }
  return -1;
}

/**
 * Takes a file or a live pipe in chunks of any size and gives the header, the packets and the index objects. Packets that
 * lie inside one chunk are views of it, so a chunk must not be written to after it was pushed.
 *
 * A file (the Data Object says its size) has its packets counted, then its index objects read. A live pipe (Broadcast, or a
 * Data Object of no more than its head) has packets until it ends; index objects between and behind them are dropped, and
 * so is ffmpeg's end chunk. In both, another Header Object at the end of the data starts over with a new header item.
 */
export class AsfReader {
  #queue = new ByteQueue();
  #state: 'header' | 'packets' | 'objects' | 'done' = 'header';
  #header: AsfHeader | undefined;
  #live = false;
  /** Of a file: packets still to come. */
  #packetsLeft = 0;
  /** Bytes to drop before anything else is read. */
  #skip = 0;
  #ended = false;
  #damagedPackets = 0;
  #truncated = false;

  /** Packets that could not be read and were dropped, or of which payloads were dropped. */
  get damagedPackets(): number {
    return this.#damagedPackets;
  }

  /** The input ended in the middle of something. */
  get truncated(): boolean {
    return this.#truncated;
  }

  /** The last header that was read. */
  get header(): AsfHeader | undefined {
    return this.#header;
  }

  /**
   * Takes the next bytes; what became whole comes back.
   * @throws AsfError when the input is not ASF or its header cannot be used; the reader then takes nothing more
   */
  push(chunk: Buffer): AsfItem[] {
    if (this.#state === 'done') return [];
    this.#queue.push(chunk);
    return this.#run();
  }

  /**
   * Says that nothing more comes.
   * @throws AsfError when not even a header came
   */
  end(): AsfItem[] {
    if (this.#ended) return [];
    this.#ended = true;
    const items = this.#run();
    if (this.#state === 'header') this.#endInHeader(items);
    else if (this.#state === 'packets') this.#truncated = this.#live ? !this.#endsCleanly() : this.#packetsLeft > 0;
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

  /** Does one step; false when it needs more bytes. */
  #step(items: AsfItem[]): boolean {
    switch (this.#state) {
      case 'header':
        return this.#readHeader(items);
      case 'packets':
        return this.#live ? this.#readLive(items) : this.#readCounted(items);
      case 'objects':
        return this.#readObject(items);
      case 'done':
        this.#queue = new ByteQueue();
        return false;
    }
  }

  /** False while there is more to drop than has come. */
  #dropSkipped(): boolean {
    if (this.#skip > 0) this.#skip -= this.#queue.skip(this.#skip);
    return this.#skip === 0;
  }

  #readHeader(items: AsfItem[]): boolean {
    const head = this.#queue.peek(OBJECT_HEAD_SIZE);
    if (head === undefined) return false;
    const size = headerObjectSize(head);
    const bytes = this.#queue.peek(size + DATA_OBJECT_HEAD_SIZE);
    if (bytes === undefined) return false;
    if (bytes.toString('hex', size, size + 16) !== GUID.dataObject) {
      throw new AsfError('An ASF header is not followed by a Data Object.', size);
    }
    this.#queue.skip(bytes.length);
    this.#begin(parseHeader(bytes), items);
    return true;
  }

  #begin(header: AsfHeader, items: AsfItem[]): void {
    const dataSize = Number(header.dataObject.size) - DATA_OBJECT_HEAD_SIZE;
    this.#header = header;
    this.#live = header.broadcast || dataSize <= 0;
    this.#packetsLeft = Math.max(Math.floor(dataSize / header.packetSize), 0);
    this.#state = 'packets';
    items.push({ type: 'header', header });
  }

  #readCounted(items: AsfItem[]): boolean {
    const { packetSize, dataObject } = this.#header!;
    if (this.#packetsLeft === 0) {
      this.#skip = (Number(dataObject.size) - DATA_OBJECT_HEAD_SIZE) % packetSize;
      this.#state = 'objects';
      return true;
    }
    const bytes = this.#queue.peek(packetSize);
    if (bytes === undefined) return false;
    this.#queue.skip(packetSize);
    this.#packetsLeft--;
    this.#readPacket(bytes, items);
    return true;
  }

  #readLive(items: AsfItem[]): boolean {
    const { first } = this.#queue;
    if (first !== COMMON_FIRST_BYTE && first !== -1) {
      // Not enough bytes to tell an object from a packet; at the end of the input they are judged as they are.
      const head = this.#queue.peek(OBJECT_HEAD_SIZE);
      if (head === undefined) return false;
      if (this.#readBetweenPackets(head)) return true;
    }
    const size = this.#header!.packetSize;
    const bytes = this.#queue.peek(size);
    if (bytes === undefined) return false;
    if (this.#readPacket(bytes, items)) {
      this.#queue.skip(size);
      return true;
    }
    return this.#findNextPacket(bytes);
  }

  /** What may stand where a live packet should: an index object, a new header, the end chunk. */
  #readBetweenPackets(head: Buffer): boolean {
    const id = head.toString('hex', 0, 16);
    if (INDEX_GUIDS.has(id)) this.#skip = Math.max(Number(head.readBigUInt64LE(16)), OBJECT_HEAD_SIZE);
    else if (id === GUID.headerObject) this.#state = 'header';
    else if (head.subarray(0, END_CHUNK.length).equals(END_CHUNK)) this.#state = 'done';
    else return false;
    return true;
  }

  /** True when the packet could be used. */
  #readPacket(bytes: Buffer, items: AsfItem[]): boolean {
    try {
      const packet = parsePacket(bytes);
      if (packet.damaged) this.#damagedPackets++;
      items.push({ type: 'packet', packet });
      return true;
    } catch (error) {
      if (!(error instanceof AsfError)) throw error;
      this.#damagedPackets++;
      return false;
    }
  }

  /**
   * After a packet of a live pipe that could not be read: the next is expected one packet size on. Only when none is there
   * were bytes lost, and then the next one is looked for. Every step moves on, so that the work stays linear.
   */
  #findNextPacket(bytes: Buffer): boolean {
    const next = this.#queue.peek(bytes.length + PACKET_SIGNATURE_SIZE);
    const isAligned = next === undefined || looksLikePacket(next, bytes.length);
    const found = isAligned ? -1 : findPacket(bytes);
    this.#queue.skip(found === -1 ? bytes.length : found);
    return true;
  }

  /** Objects behind the data of a file. */
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
    if (bytes.length >= OBJECT_HEAD_SIZE && headerObjectSize(bytes) <= bytes.length) {
      this.#begin(parseHeader(bytes), items);
      return;
    }
    if (this.#header !== undefined) return;
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

  /** Whether a live pipe ends with nothing, or with what encoders leave behind the last packet. */
  #endsCleanly(): boolean {
    const left = this.#queue.length;
    const bytes = this.#queue.peek(left);
    if (left === 0 || bytes === undefined) return true;
    return this.#atIndex() || END_CHUNK.subarray(0, left).equals(bytes.subarray(0, END_CHUNK.length));
  }
}
