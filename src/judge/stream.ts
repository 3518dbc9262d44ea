import { type AsfHeader, DATA_OBJECT_HEAD_SIZE, headerObjectSize, parseHeader } from '../asf/header.js';
import { type DataPacket, parsePacket } from '../asf/packet.js';
import { messageOf } from '../errors.js';
import { PACKET_ID } from '../framing/framing.js';
import type { Part } from './exchanges.js';
import { readFrames, type TimedFrame } from './frames.js';
import type { Finding } from './rule.js';

/** One data packet of a stream. */
export interface PacketRecord {
  readonly at: number;
  /** Counted from 1, over all entries. */
  readonly number: number;
  readonly bytes: Buffer;
  /** Undefined if it cannot be read; `fault` says why. */
  readonly packet: DataPacket | undefined;
  readonly fault: string | undefined;
  /** The MMS data packet header (MS-WMSP 2.2.3.1.2); undefined in a push, which has none. */
  readonly mms?: MmsHead | undefined;
}

/** The MMS data packet header of $D, $H and $M (MS-WMSP 2.2.3.1.2). */
export interface MmsHead {
  readonly location: number;
  readonly incarnation: number;
  readonly flags: number;
  /** PacketSize, in bytes. */
  readonly size: number;
}

/** A header and what follows it, up to the next one. */
export interface EntryRecord {
  readonly at: number;
  readonly headerBytes: Buffer;
  readonly header: AsfHeader | undefined;
  readonly headerFault: string | undefined;
  /** The payload of $M before the header; undefined if there was none. */
  readonly metadata: Buffer | undefined;
  readonly packets: readonly PacketRecord[];
}

/** A stream as it was received. */
export interface StreamRecord {
  /** Push: packets have no MMS data packet header (MS-WMHTTP 2.2.3). */
  readonly carrier: 'wmsp' | 'push';
  readonly frames: readonly TimedFrame[];
  readonly framingFault: string | undefined;
  /** Bytes of a packet that never became whole. */
  readonly rest: number;
  readonly entries: readonly EntryRecord[];
  /** Reason of each $E, and the place of the frame. */
  readonly ends: ReadonlyArray<{ readonly at: number; readonly reason: number; readonly frame: number }>;
  /** Breaches of the pieces of $H and $M. */
  readonly pieceFaults: readonly Finding[];
  /** When the observation ended, in ms. */
  readonly until: number;
  /** True if the sender ended it, or the connection. */
  readonly closed: boolean;
}

/** Bytes of the MMS data packet header. */
export const MMS_HEAD = 8;
const FIRST_PIECE = 0x04;
const LAST_PIECE = 0x08;

/** Returns the MMS data packet header of a frame; undefined if it is too short for one. */
export function mmsHead({ payload }: TimedFrame): MmsHead | undefined {
  if (payload.length < MMS_HEAD) return undefined;
  return {
    location: payload.readUInt32LE(0),
    incarnation: payload[4]!,
    flags: payload[5]!,
    size: payload.readUInt16LE(6),
  };
}

interface OpenEntry {
  entry: EntryRecord;
  packets: PacketRecord[];
}

/** Reads a stream of frames, in one or more bodies that follow each other. */
export function readStream(
  carrier: StreamRecord['carrier'],
  bodies: ReadonlyArray<readonly Part[]>,
  end: { readonly until: number; readonly closed: boolean },
): StreamRecord {
  const read = bodies.map((body) => readFrames(body));
  const frames = read.flatMap((each) => each.frames);
  const reader = new EntryReader(carrier);
  for (const [index, frame] of frames.entries()) reader.take(frame, index);
  return {
    carrier,
    frames,
    framingFault: read.find(({ fault }) => fault !== undefined)?.fault,
    rest: read.at(-1)?.rest ?? 0,
    entries: reader.entries.map(({ entry }) => entry),
    ends: reader.ends,
    pieceFaults: reader.faults,
    ...end,
  };
}

class EntryReader {
  readonly entries: OpenEntry[] = [];
  readonly ends: Array<{ at: number; reason: number; frame: number }> = [];
  readonly faults: Finding[] = [];
  readonly #isPush: boolean;
  #pieces: { readonly id: number; readonly parts: Buffer[] } | undefined;
  #metadata: Buffer | undefined;
  #packets = 0;

  constructor(carrier: StreamRecord['carrier']) {
    this.#isPush = carrier === 'push';
  }

  take(frame: TimedFrame, index: number): void {
    const { id, payload, at } = frame;
    if (id === PACKET_ID.data) this.#data(frame);
    else if (id === PACKET_ID.endOfStream && payload.length >= 4) {
      this.ends.push({ at, reason: payload.readUInt32LE(0), frame: index });
    } else if (this.#isPush) {
      if (id === PACKET_ID.header) this.#header(at, payload);
      if (id === PACKET_ID.streamChange) this.#header(at, payload.subarray(4));
    } else if (id === PACKET_ID.header || id === PACKET_ID.metadata) this.#piece(frame);
  }

  #piece(frame: TimedFrame): void {
    const { id, name, payload, at } = frame;
    const head = mmsHead(frame);
    if (!head) {
      this.faults.push({
        seen: `${name} of ${payload.length} bytes`,
        expected: 'an MMS data packet header of 8 bytes',
      });
      return;
    }
    const open = this.#pieces?.id === id ? this.#pieces : { id, parts: [] };
    const first = open.parts.length === 0;
    if (head.location !== open.parts.length) {
      const expected = `LocationId ${open.parts.length}`;
      this.faults.push({ seen: `LocationId ${head.location} in piece ${open.parts.length} of ${name}`, expected });
    }
    if ((head.flags & FIRST_PIECE) !== (first ? FIRST_PIECE : 0) || (head.flags & ~0x0c) !== 0) {
      const expected = first ? '0x0C for a whole object, 0x04 for a first piece' : '0x00 or 0x08';
      this.faults.push({ seen: `AFFlags 0x${head.flags.toString(16)} in ${name}`, expected });
    }
    open.parts.push(payload.subarray(MMS_HEAD));
    this.#pieces = open;
    if ((head.flags & LAST_PIECE) === 0) return;
    this.#pieces = undefined;
    const object = Buffer.concat(open.parts);
    if (id === PACKET_ID.metadata) this.#metadata = object;
    else this.#header(at, object);
  }

  #header(at: number, headerBytes: Buffer): void {
    const packets: PacketRecord[] = [];
    const read = readHeader(headerBytes);
    this.entries.push({ entry: { at, headerBytes, ...read, metadata: this.#metadata, packets }, packets });
    this.#metadata = undefined;
  }

  #data(frame: TimedFrame): void {
    const mms = this.#isPush ? undefined : mmsHead(frame);
    const bytes = this.#isPush ? frame.payload : frame.payload.subarray(MMS_HEAD);
    let packet: DataPacket | undefined;
    let fault: string | undefined;
    try {
      packet = parsePacket(bytes);
    } catch (error) {
      fault = messageOf(error);
    }
    const record = { at: frame.at, number: ++this.#packets, bytes, packet, fault, mms };
    this.entries.at(-1)?.packets.push(record);
  }
}

function readHeader(bytes: Buffer): Pick<EntryRecord, 'header' | 'headerFault'> {
  try {
    const size = headerObjectSize(bytes) + DATA_OBJECT_HEAD_SIZE;
    const header = parseHeader(bytes);
    return { header, headerFault: bytes.length === size ? undefined : `${bytes.length} bytes instead of ${size}` };
  } catch (error) {
    return { header: undefined, headerFault: messageOf(error) };
  }
}
