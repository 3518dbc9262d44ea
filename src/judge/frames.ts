import { FRAME_HEADER_SIZE, PACKET_ID, packetName } from '../framing/framing.js';
import type { Part } from './exchanges.js';

/** A `$` packet of WMSP or WMHTTP, and when its last byte came. */
export interface TimedFrame {
  readonly at: number;
  /** Where it starts in the body, in bytes. */
  readonly offset: number;
  readonly id: number;
  /** `$D` and the like. */
  readonly name: string;
  readonly b: boolean;
  /** PacketLength as written. */
  readonly length: number;
  /** Everything after the framing header. */
  readonly payload: Buffer;
}

export interface FramesRead {
  readonly frames: readonly TimedFrame[];
  /** Why the rest could not be read; undefined if it is whole, or only begun. */
  readonly fault: string | undefined;
  /** Bytes of a packet that is not whole. */
  readonly rest: number;
}

/** Bytes after PacketLength of the three packets of a packet pair, without their Reason (MS-WMSP 2.2.3.7). */
const PAIR_SIZES: ReadonlyArray<(reason: number) => number> = [
  (reason) => 504 - reason,
  () => 504,
  (reason) => 1048 + reason,
];

/** Reads the packets of a body. PacketLength of $P is not that of the packet (MS-WMSP 2.2.3.7). */
export function readFrames(body: readonly Part[]): FramesRead {
  const bytes = Buffer.concat(body.map((part) => part.bytes));
  const ends = endsOf(body);
  const frames: TimedFrame[] = [];
  let offset = 0;
  let pairs = 0;
  let part = 0;
  while (bytes.length - offset >= FRAME_HEADER_SIZE) {
    const first = bytes[offset]!;
    const id = bytes[offset + 1]!;
    const length = bytes.readUInt16LE(offset + 2);
    if ((first & 0x7f) !== 0x24) {
      return { frames, fault: `byte ${offset} is 0x${first.toString(16)}, not 0x24`, rest: bytes.length - offset };
    }
    const start = offset + FRAME_HEADER_SIZE;
    let size = length;
    if (id === PACKET_ID.packetPair && bytes.length - start >= 4) {
      size = 4 + (PAIR_SIZES[pairs++]?.(Math.min(504, bytes.readUInt32LE(start))) ?? length);
    }
    if (bytes.length - start < size) break;
    const end = start + size;
    while (ends[part]! < end) part++;
    const payload = bytes.subarray(start, end);
    frames.push({ at: body[part]!.at, offset, id, name: packetName(id), b: first >= 0x80, length, payload });
    offset = end;
  }
  return { frames, fault: undefined, rest: bytes.length - offset };
}

function endsOf(body: readonly Part[]): number[] {
  let end = 0;
  return body.map(({ bytes }) => (end += bytes.length));
}
