import { MmspError } from './base.js';

/*
 * TcpMessageHeader (MS-MMSP 2.2.3), 32 bytes before the messages; integers are little-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------+---------------+---------------+---------------+
 *  |    rep = 1    |  version = 0  |versionMinor 0 |    padding    |
 *  +---------------+---------------+---------------+---------------+
 *  |         sessionId = 2953575118 (bytes CE FA 0B B0)            |
 *  +---------------------------------------------------------------+
 *  |         messageLength: bytes of the messages, plus 16         |
 *  +---------------------------------------------------------------+
 *  |           seal = 0x20534D4D (bytes 4D 4D 53 20)               |
 *  +---------------------------------------------------------------+
 *  |       chunkCount: the whole packet in units of 8 bytes        |
 *  +-------------------------------+-------------------------------+
 *  |              seq              |            MBZ = 0            |
 *  +-------------------------------+-------------------------------+
 *  |           timeSent: ms since the sender's first packet        |
 *  |                                                               |
 *  +---------------------------------------------------------------+
 */

/** Bytes of TcpMessageHeader. */
export const TCP_HEADER_SIZE = 32;
/** Bytes of a Data packet's head (2.2.2). */
export const DATA_HEAD_SIZE = 8;

/** sessionId of every TcpMessageHeader. */
export const SESSION_ID = 0xb00bface;
const SEAL = 0x20534d4d;
// messageLength counts from the end of the seal.
const COUNTED_HEAD = 16;
// Bytes needed to tell Data from messages, to be certain of it, and to know the size.
const STEPS = [DATA_HEAD_SIZE, 16, TCP_HEADER_SIZE] as const;
/**
 * The largest packet that a server accepts. The longest legitimate one is a Logging message of 1504 bytes, or has names
 * and tokens.
 */
export const MAX_CONTROL_SIZE = 64 * 1024;

/**
 * Wraps messages in a TcpMessageHeader packet (2.2.3).
 *
 * @param messages a multiple of 8 bytes, as the builders of messages return them
 * @param seq counts a peer's packets from 0, modulo 65536
 * @param elapsed ms since the first packet
 */
export function wrapMessages(messages: Buffer, seq: number, elapsed: number): Buffer {
  const bytes = Buffer.alloc(TCP_HEADER_SIZE + messages.length);
  bytes[0] = 1;
  bytes.writeUInt32LE(SESSION_ID, 4);
  bytes.writeUInt32LE(messages.length + COUNTED_HEAD, 8);
  bytes.writeUInt32LE(SEAL, 12);
  bytes.writeUInt32LE(bytes.length / 8, 16);
  bytes.writeUInt16LE(seq & 0xffff, 20);
  bytes.writeBigUInt64LE(BigInt(Math.max(0, Math.floor(elapsed))), 24);
  messages.copy(bytes, TCP_HEADER_SIZE);
  return bytes;
}

/** A packet on the TCP connection of a session. */
export type TcpPacket =
  | { readonly type: 'messages'; readonly field: Buffer; readonly seq: number }
  /** A whole Data packet with its head; only servers send them. */
  | { readonly type: 'data'; readonly bytes: Buffer };

/**
 * Cuts packets out of a TCP stream that arrives in slices of any size. A packet inside one slice is a view of it; a
 * packet split over slices is copied once. Holds at most one packet: `limit` bytes, or 64 KiB of a Data packet.
 *
 * chunkCount and seq are not checked: clients in use count chunks without the first 16 bytes.
 */
export class TcpPacketReader {
  readonly #takesData: boolean;
  readonly #limit: number;
  #rest: Buffer | undefined;
  #restSize = 0;
  #failure: MmspError | undefined;

  /**
   * @param takesData true on the client's side; a server gets only messages (MS-MMSP 3.2.5.1)
   * @param limit the longest TcpMessageHeader packet, bytes
   */
  constructor({ takesData, limit = MAX_CONTROL_SIZE }: { takesData: boolean; limit?: number }) {
    this.#takesData = takesData;
    this.#limit = limit;
  }

  /** True if the bytes so far end in the middle of a packet. */
  get midPacket(): boolean {
    return this.#restSize > 0;
  }

  /**
   * Takes the next bytes of the stream, which must not change while packets from them are in use.
   *
   * @returns the packets that they complete
   * @throws MmspError for bytes that are not a packet; after that, at every call
   */
  *push(slice: Buffer): Generator<TcpPacket, void, undefined> {
    let at = 0;
    while (at < slice.length) {
      if (this.#failure) throw this.#failure;
      if (this.#restSize === 0) {
        const size = this.#sizeOf(slice.subarray(at));
        if (size !== undefined && slice.length - at >= size) {
          yield packetOf(slice.subarray(at, at + size));
          at += size;
          continue;
        }
      }
      at += this.#collect(slice, at);
      const whole = this.#whole();
      if (whole) yield packetOf(whole);
    }
  }

  /** Collects a packet that is split over slices. @returns the bytes taken */
  #collect(slice: Buffer, at: number): number {
    const known = this.#rest && this.#sizeOf(this.#rest.subarray(0, this.#restSize));
    const wanted = known ?? STEPS.find((step) => step > this.#restSize)!;
    if (!this.#rest || this.#rest.length < wanted) {
      const bigger = Buffer.allocUnsafe(wanted);
      this.#rest?.copy(bigger, 0, 0, this.#restSize);
      this.#rest = bigger;
    }
    const taken = slice.copy(this.#rest, this.#restSize, at, at + Math.min(slice.length - at, wanted - this.#restSize));
    this.#restSize += taken;
    return taken;
  }

  #whole(): Buffer | undefined {
    const head = this.#rest!.subarray(0, this.#restSize);
    const size = this.#sizeOf(head);
    if (size === undefined || this.#restSize < size) return undefined;
    this.#rest = undefined;
    this.#restSize = 0;
    return head;
  }

  /** Returns the size of the packet that begins with these bytes; undefined if more bytes are needed. */
  #sizeOf(start: Buffer): number | undefined {
    if (start.length < DATA_HEAD_SIZE) return undefined;
    const mayBeHeader = start.readUInt32LE(4) === SESSION_ID && (start.length < 16 || isHeader(start));
    if (!mayBeHeader) {
      return this.#takesData ? this.#dataSize(start) : this.#fail('A packet is not a TcpMessageHeader packet.');
    }
    if (start.length < TCP_HEADER_SIZE) return undefined;
    const length = start.readUInt32LE(8);
    const size = length - COUNTED_HEAD + TCP_HEADER_SIZE;
    if (length < COUNTED_HEAD || size > this.#limit) {
      return this.#fail(`A TcpMessageHeader packet says that it has ${size} bytes.`);
    }
    return size;
  }

  #dataSize(start: Buffer): number {
    const size = start.readUInt16LE(6);
    return size < DATA_HEAD_SIZE ? this.#fail(`A Data packet says that it has ${size} bytes.`) : size;
  }

  #fail(message: string): never {
    this.#failure = new MmspError(message);
    throw this.#failure;
  }
}

/** True if a packet holds messages, not Data (MS-MMSP 3.1.5.2). */
export function isMessages(packet: Buffer): boolean {
  return packet.length >= TCP_HEADER_SIZE && isHeader(packet);
}

function isHeader(start: Buffer): boolean {
  return start.readUInt32LE(4) === SESSION_ID && start.readUInt32LE(12) === SEAL && start[0] === 1;
}

function packetOf(bytes: Buffer): TcpPacket {
  if (!isMessages(bytes)) return { type: 'data', bytes };
  return { type: 'messages', field: bytes.subarray(TCP_HEADER_SIZE), seq: bytes.readUInt16LE(20) };
}
