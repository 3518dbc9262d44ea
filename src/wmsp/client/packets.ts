import { GUID } from '../../asf/guid.js';
import { DATA_OBJECT_HEAD_SIZE, MAX_HEADER_SIZE } from '../../asf/header.js';
import { ByteQueue } from '../../asf/queue.js';
import { FRAME_HEADER_SIZE, FramingError, PACKET_ID, packetName } from '../../framing/framing.js';
import { type Description, parseDescriptions } from '../../wms/content-description.js';
import { MAX_PAIRED_HEAD, PACKET_PAIR_LENGTHS, packetPairPayloads } from '../../wms/packet-pair.js';
import { PragmaTokens } from '../messages/pragma.js';

/** One packet of a response body (MS-WMSP 2.2.3). */
export interface WmspPacket {
  /** The PacketID, see {@link PACKET_ID}; any byte is possible. */
  readonly id: number;
  /** $C and $E: an HRESULT; $P: a number of bytes; otherwise 0. */
  readonly reason: number;
  /** $D: the number of the ASF packet; $H and $M: that of the piece; otherwise 0. */
  readonly location: number;
  /** $D: a sequence number; $H and $M: the place of the piece in its object; otherwise 0. */
  readonly afFlags: number;
  /** $D: an ASF packet; $H and $M: a piece of an object; otherwise the bytes after the fields. */
  readonly payload: Buffer;
}

const DATA_HEAD_SIZE = 12;
const REASON_SIZE = 4;
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * Reads the packets of a response body, given in slices of any size (MS-WMSP 2.2.3). A packet within one slice is a
 * view of it. Memory: one packet (65539 bytes) in addition to the last slice.
 *
 *      0        1        2                 4
 *     +--------+--------+-----------------+-----------------------------------+
 *     |B| 0x24 |PacketID|  PacketLength   |  LocationId ($D, $H, $M)          |   little-endian
 *     +--------+--------+-----------------+  Reason ($C, $E, $P)              |
 *     |Incarn. |AFFlags |   PacketSize    |-----------------------------------+
 *     +--------+--------+-----------------+  Payload, PacketLength - 8 bytes …
 *      8        9        10                12
 */
export class WmspPacketReader {
  readonly #queue = new ByteQueue();
  readonly #strict: boolean;
  #packetPairs = 0;

  /** @param strict true to reject contradictory lengths instead of using the one that matters */
  constructor(strict = false) {
    this.#strict = strict;
  }

  /** True if the bytes so far end in the middle of a packet. */
  get midPacket(): boolean {
    return this.#queue.length > 0;
  }

  /** Adds the next bytes of the body, which must not change while packets of them are in use. */
  push(bytes: Buffer): void {
    this.#queue.push(bytes);
  }

  /**
   * Returns the next whole packet, or undefined if more bytes are needed.
   *
   * @throws FramingError for anything that is not a packet; nothing after it can be read
   */
  next(): WmspPacket | undefined {
    const head = this.#queue.peek(FRAME_HEADER_SIZE);
    if (!head) {
      const { first } = this.#queue;
      if (first !== -1) this.#checkFrame(first);
      return undefined;
    }
    this.#checkFrame(head[0]!);
    const id = head[1]!;
    const length = head.readUInt16LE(2);
    if (id === PACKET_ID.packetPair) return this.#packetPair(length);
    const bytes = this.#queue.peek(FRAME_HEADER_SIZE + length);
    if (!bytes) return undefined;
    this.#queue.skip(bytes.length);
    switch (id) {
      case PACKET_ID.data:
      case PACKET_ID.header:
      case PACKET_ID.metadata:
        return this.#dataPacket(id, bytes);
      case PACKET_ID.streamChange:
      case PACKET_ID.endOfStream:
        return this.#reasonPacket(id, bytes);
      default:
        return { id, reason: 0, location: 0, afFlags: 0, payload: bytes.subarray(FRAME_HEADER_SIZE) };
    }
  }

  #checkFrame(byte: number): void {
    if ((byte & 0x7f) === 0x24) return;
    throw new FramingError(`A packet starts with 0x${byte.toString(16).padStart(2, '0')} instead of 0x24.`);
  }

  #dataPacket(id: number, bytes: Buffer): WmspPacket {
    if (bytes.length < DATA_HEAD_SIZE) {
      throw new FramingError(`A ${packetName(id)} packet of ${bytes.length} bytes is too short for its head.`);
    }
    // Some servers count PacketSize in their own way; only PacketLength tells where the next packet starts.
    if (this.#strict && bytes.readUInt16LE(10) !== bytes.length - FRAME_HEADER_SIZE) {
      throw new FramingError(`A ${packetName(id)} packet states two different sizes.`);
    }
    return {
      id,
      reason: 0,
      location: bytes.readUInt32LE(4),
      afFlags: bytes[9]!,
      payload: bytes.subarray(DATA_HEAD_SIZE),
    };
  }

  #reasonPacket(id: number, bytes: Buffer): WmspPacket {
    const size = bytes.length - FRAME_HEADER_SIZE;
    if (size < REASON_SIZE || (this.#strict && size !== REASON_SIZE)) {
      throw new FramingError(`A ${packetName(id)} packet of ${bytes.length} bytes is malformed.`);
    }
    // Some servers send 8 bytes, of which the first four count packets; they mean a normal end.
    const reason = size === REASON_SIZE ? bytes.readUInt32LE(FRAME_HEADER_SIZE) : 0;
    return { id, reason, location: 0, afFlags: 0, payload: NOTHING };
  }

  /**
   * Reads a $P packet. Its size follows from its Reason R, the number of bytes of the HTTP head: 4 + 504 - R, 4 + 504
   * and 4 + 1048 + R bytes after the length in the first, second and third packet (MS-WMSP 2.2.3.7).
   */
  #packetPair(length: number): WmspPacket | undefined {
    const expected = PACKET_PAIR_LENGTHS[this.#packetPairs];
    if (length !== expected) throw new FramingError(`A $P packet with a length of ${length} was not expected.`);
    const start = this.#queue.peek(FRAME_HEADER_SIZE + REASON_SIZE);
    if (!start) return undefined;
    const reason = start.readUInt32LE(FRAME_HEADER_SIZE);
    if (reason > MAX_PAIRED_HEAD) throw new FramingError(`A $P packet counts ${reason} bytes of the head.`);
    const padding = packetPairPayloads(reason)[this.#packetPairs]!;
    const bytes = this.#queue.peek(start.length + padding);
    if (!bytes) return undefined;
    this.#queue.skip(bytes.length);
    this.#packetPairs++;
    return { id: PACKET_ID.packetPair, reason, location: 0, afFlags: 0, payload: bytes.subarray(start.length) };
  }
}

const FIRST_PIECE = 0x04;
const LAST_PIECE = 0x08;
const MARKS = FIRST_PIECE | LAST_PIECE;
const MAX_PIECES = 0x10000;

/** How an object shows where it begins and ends, for servers whose AFFlags are wrong. */
export interface ObjectShape {
  /** The bytes that an object begins with. */
  readonly start: Buffer;
  /** Returns the size of the object in bytes, according to its first 24 bytes. */
  size(first: Buffer): number;
}

const SIZE_END = 24;

/**
 * The shape of $H packets: a Header Object, whose size is in bytes 16 to 23, and the first 50 bytes of the Data Object.
 */
export const HEADER_SHAPE: ObjectShape = {
  start: Buffer.from(GUID.headerObject, 'hex'),
  size: (first) => Number(first.readBigUInt64LE(16)) + DATA_OBJECT_HEAD_SIZE,
};

/**
 * Joins the pieces of an object that arrived in several $H or $M packets (MS-WMSP 2.2.3.1.2).
 *
 * AFFlags marks the first and the last piece. Some servers leave it 0, or set both marks in every piece. With a shape
 * these can be read as well: an object without a first mark ends where its own size says. An object that is still too
 * short at a doubtful last mark is held until {@link end}, which the owner calls when anything other than another piece
 * follows.
 */
export class ObjectAssembler {
  readonly #name: string;
  readonly #shape: ObjectShape | undefined;
  readonly #limit: number;
  #pieces: Buffer[] = [];
  #size = 0;
  #ownSize: number | undefined;
  #firstFlags = 0;
  // True if the last object ended by its own size, so that pieces that do not begin another one are the rest of it.
  #skipRest = false;

  /**
   * @param name the name of the packets in messages
   * @param shape the shape of the object, to tolerate wrong flags
   * @param limit the maximum size of an object in bytes; default: that of the largest ASF header
   */
  constructor(name: string, shape?: ObjectShape, limit = MAX_HEADER_SIZE + DATA_OBJECT_HEAD_SIZE) {
    this.#name = name;
    this.#shape = shape;
    this.#limit = limit;
  }

  /** True if some but not all pieces have arrived. */
  get pending(): boolean {
    return this.#pieces.length > 0;
  }

  /**
   * @returns the whole object with its last piece, else undefined
   * @throws FramingError if it becomes larger than the limit
   */
  add({ afFlags, payload }: WmspPacket): Buffer | undefined {
    const begins = this.#begins(afFlags, payload);
    if (begins) this.#clear();
    if (this.#skipRest && !begins) return undefined;
    this.#skipRest = false;
    if (!this.pending) this.#firstFlags = afFlags;
    // A copy, because the object may outlive the slice.
    this.#pieces.push(Buffer.from(payload));
    this.#size += payload.length;
    if (this.#size > this.#limit || this.#pieces.length > MAX_PIECES) {
      throw new FramingError(`The ${this.#name} packets hold more than ${this.#limit} bytes.`);
    }
    const isLast = (afFlags & LAST_PIECE) !== 0;
    // Flags that begin correctly are trusted at the end, too.
    if (!this.#shape || (isLast && (this.#firstFlags & MARKS) === FIRST_PIECE)) return isLast ? this.take() : undefined;
    const isMarked = (this.#firstFlags & FIRST_PIECE) !== 0;
    if (!this.#isWhole(this.#shape) || (isMarked && !isLast)) return undefined;
    this.#skipRest = !isLast;
    return this.take();
  }

  /**
   * Ends the object, since no further piece follows. @returns the pieces so far as the whole; undefined if there are
   * none
   */
  end(): Buffer | undefined {
    this.#skipRest = false;
    return this.pending ? this.take() : undefined;
  }

  /** Returns the pieces so far as the whole object. */
  take(): Buffer {
    const object = Buffer.concat(this.#pieces);
    this.#clear();
    return object;
  }

  #begins(afFlags: number, payload: Buffer): boolean {
    const isFirst = (afFlags & FIRST_PIECE) !== 0;
    if (!this.#shape) return isFirst;
    const { start } = this.#shape;
    if (payload.length >= start.length && payload.subarray(0, start.length).equals(start)) return true;
    // A first mark in the middle of an object is meaningless.
    return isFirst && !this.pending;
  }

  #isWhole(shape: ObjectShape): boolean {
    if (this.#ownSize === undefined && this.#size >= SIZE_END) this.#ownSize = shape.size(Buffer.concat(this.#pieces));
    return this.#ownSize !== undefined && this.#size >= this.#ownSize;
  }

  #clear(): void {
    this.#pieces = [];
    this.#size = 0;
    this.#ownSize = undefined;
  }
}

/** The contents of the $M packets of a playlist entry (MS-WMSP 2.2.3.6). @public */
export interface ReceivedMetadata {
  readonly playlistGenId: number;
  /** 0 for content that is not live. */
  readonly broadcastId: number;
  readonly features: readonly string[];
  /** The content descriptions (2.2.4): name and value, with a language tag if they have their own language. */
  readonly descriptions: readonly Description[];
}

/**
 * Reads the object of $M packets: `playlist-gen-id=N, broadcast-id=N, features="…"`, a NUL, Content Description Lists.
 * Descriptions of an unknown type are ignored, and so is everything after a malformed one.
 */
export function parseMetadata(object: Buffer): ReceivedMetadata {
  const nul = object.indexOf(0);
  const fixed = object.toString('latin1', 0, nul === -1 ? object.length : nul);
  const tokens = new PragmaTokens([fixed]);
  return {
    playlistGenId: tokens.number('playlist-gen-id') ?? 0,
    broadcastId: tokens.number('broadcast-id') ?? 0,
    features: parseFeatures(tokens.text('features')),
    descriptions: nul === -1 ? [] : [...parseDescriptions(object.subarray(nul + 1))],
  };
}

/** Returns the features of a Pragma or a $M packet, in lower case (MS-WMSP 2.2.1.4.8). */
export function parseFeatures(text: string | undefined): string[] {
  const tokens = (text ?? '').split(',').map((token) => token.trim().toLowerCase());
  return tokens.filter((token) => /^[a-z]{1,32}$/.test(token));
}
