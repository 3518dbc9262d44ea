import { WmError } from '../errors.js';

/*
 * Framing header (MS-WMSP 2.2.3.1.1), the start of every packet in WMSP and WMHTTP; integers are little-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-+-------------+---------------+-------------------------------+
 *  |B| Frame 0x24  |   PacketID    |         PacketLength          |
 *  +-+-------------+---------------+-------------------------------+
 *  |  PacketLength bytes: Reason where the packet has one, payload |
 *  +---------------------------------------------------------------+
 *
 * B is the top bit of the first byte: 0x24 without it, 0xA4 with it.
 */

/** Size of the framing header in bytes. */
export const FRAME_HEADER_SIZE = 4;

/** The largest PacketLength: it is a 16-bit field. */
export const MAX_PACKET_LENGTH = 0xffff;

/** The PacketID of each packet type: an ASCII letter. */
export const PACKET_ID = {
  /** $C, Stream Change Notification */
  streamChange: 0x43,
  /** $D, Data */
  data: 0x44,
  /** $E, End-of-Stream Notification */
  endOfStream: 0x45,
  /** $F, Filler (WMHTTP only) */
  filler: 0x46,
  /** $H, Header */
  header: 0x48,
  /** $M, Metadata (WMSP only) */
  metadata: 0x4d,
  /** $P, Packet-Pair (WMSP only) */
  packetPair: 0x50,
  /** $T, Test Data Notification (WMSP only) */
  testData: 0x54,
} as const;

const FRAME = 0x24;
const B_BIT = 0x80;

/** The byte stream does not consist of framed packets. Nothing after the fault can be read. */
export class FramingError extends WmError {
  constructor(message: string) {
    super('WM_PROTOCOL', message);
    this.name = 'FramingError';
  }
}

/** One packet, without its framing header. */
export interface Frame {
  /** PacketID, see {@link PACKET_ID}; any byte is possible. */
  readonly id: number;
  /** The next packet follows without a pacing delay (MS-WMSP 2.2.3.1.1); never set in a push (MS-WMHTTP 2.2.3.1.1). */
  readonly b: boolean;
  /** The PacketLength bytes after the framing header, unchanged: Reason, MMS data packet header and payload. */
  readonly payload: Buffer;
}

/** Returns a packet's name as the specifications write it, for messages: `$D`, or the byte if it is not a letter. */
export function packetName(id: number): string {
  return id > 0x20 && id < 0x7f ? `$${String.fromCharCode(id)}` : `0x${id.toString(16).padStart(2, '0')}`;
}

/**
 * Returns the 4 bytes before a packet's content (MS-WMSP 2.2.3.1.1).
 * @param id PacketID
 * @param length PacketLength: bytes that follow the framing header, 0 to 65535
 * @param b the B bit; WMHTTP never sets it (MS-WMHTTP 2.2.3.1.1)
 * @throws FramingError if `length` does not fit the 16-bit field
 */
export function frameHeader(id: number, length: number, b = false): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_SIZE);
  writeFrameHeader(bytes, id, length, b);
  return bytes;
}

/**
 * Returns a whole packet in a new Buffer: the framing header and a copy of `payload`.
 * @throws FramingError if the payload is larger than 65535 bytes
 */
export function framePacket(id: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_SIZE + payload.length);
  writeFrameHeader(bytes, id, payload.length, false);
  payload.copy(bytes, FRAME_HEADER_SIZE);
  return bytes;
}

function writeFrameHeader(bytes: Buffer, id: number, length: number, b: boolean): void {
  if (!Number.isInteger(length) || length < 0 || length > MAX_PACKET_LENGTH) {
    throw new FramingError(`A ${packetName(id)} packet of ${length} bytes does not fit its length field.`);
  }
  bytes[0] = b ? FRAME | B_BIT : FRAME;
  bytes[1] = id;
  bytes.writeUInt16LE(length, 2);
}

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Reads framed packets from a byte stream: {@link push} slices of any size, then call {@link next} until it returns
 * undefined. A payload inside one slice is a view of that slice; a split one is copied once. So the reader itself never
 * holds more than one packet (65539 bytes) besides the slices it was given.
 */
export class FrameReader {
  #slice: Buffer = NOTHING;
  #at = 0;
  // Slices that wait after #slice, if the caller pushed before it had taken all packets.
  readonly #waiting: Buffer[] = [];
  readonly #head: Buffer = Buffer.alloc(FRAME_HEADER_SIZE);
  #headSize = 0;
  // A packet that is split over slices, and how many of its bytes have arrived.
  #payload: Buffer | undefined;
  #payloadSize = 0;
  #failure: FramingError | undefined;

  /** True if the bytes so far end in the middle of a packet. */
  get midPacket(): boolean {
    return this.#headSize > 0 || this.#at < this.#slice.length || this.#waiting.length > 0;
  }

  /** Adds the next bytes of the stream; they must not change while packets of them are in use. */
  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#at < this.#slice.length) {
      this.#waiting.push(bytes);
      return;
    }
    this.#slice = bytes;
    this.#at = 0;
  }

  /**
   * Returns the next whole packet, or undefined if more bytes are needed.
   * @throws FramingError if a packet does not start with 0x24 or 0xA4; from then on at every call
   */
  next(): Frame | undefined {
    if (this.#failure) throw this.#failure;
    while (this.#at < this.#slice.length || this.#advance()) {
      if (this.#headSize < FRAME_HEADER_SIZE) this.#takeHead();
      if (this.#headSize < FRAME_HEADER_SIZE) continue;
      const frame = this.#takePayload();
      if (frame) return frame;
    }
    return undefined;
  }

  #advance(): boolean {
    const slice = this.#waiting.shift();
    this.#slice = slice ?? NOTHING;
    this.#at = 0;
    return slice !== undefined;
  }

  #takeHead(): void {
    const size = Math.min(FRAME_HEADER_SIZE - this.#headSize, this.#slice.length - this.#at);
    this.#slice.copy(this.#head, this.#headSize, this.#at, this.#at + size);
    this.#headSize += size;
    this.#at += size;
    if ((this.#head[0]! & ~B_BIT) !== FRAME) {
      this.#failure = new FramingError(`A packet starts with 0x${this.#head[0]!.toString(16)} instead of 0x24.`);
      throw this.#failure;
    }
  }

  #takePayload(): Frame | undefined {
    const length = this.#head.readUInt16LE(2);
    const available = this.#slice.length - this.#at;
    if (this.#payload === undefined && available >= length) {
      const payload = this.#slice.subarray(this.#at, this.#at + length);
      this.#at += length;
      return this.#frame(payload);
    }
    this.#payload ??= Buffer.allocUnsafe(length);
    const size = Math.min(length - this.#payloadSize, available);
    this.#slice.copy(this.#payload, this.#payloadSize, this.#at, this.#at + size);
    this.#payloadSize += size;
    this.#at += size;
    return this.#payloadSize === length ? this.#frame(this.#payload) : undefined;
  }

  #frame(payload: Buffer): Frame {
    this.#headSize = 0;
    this.#payload = undefined;
    this.#payloadSize = 0;
    return { id: this.#head[1]!, b: (this.#head[0]! & B_BIT) !== 0, payload };
  }
}
