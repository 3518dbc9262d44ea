import { FRAME_HEADER_SIZE, PACKET_ID } from '../framing/framing.js';
import type { FrameCodec, FrameKind } from './frame-codec.js';

/** Bytes of the MMS data packet header in a $D frame: LocationId (4), playIncarnation, AFFlags, PacketSize (2). */
const DATA_HEAD = 8;
const AF_FLAGS = 5;
const DATA_PACKET_SIZE = 6;

const KINDS: Readonly<Record<number, FrameKind>> = {
  [PACKET_ID.data]: 'data',
  [PACKET_ID.header]: 'header',
  [PACKET_ID.endOfStream]: 'end',
};

/** The `$` frames of WMSP and WMHTTP. */
class DollarFrames implements FrameCodec {
  // Bytes before the packet in a $D frame.
  readonly #head: number;

  /** @param head bytes before a data packet: none in a push, where frames have no MMS data packet header */
  constructor(head: number) {
    this.#head = head;
  }

  kind(frame: Buffer): FrameKind {
    return KINDS[frame[1]!] ?? 'change';
  }

  packet(frame: Buffer): Buffer {
    return frame.subarray(FRAME_HEADER_SIZE + this.#head);
  }

  withPacket(frame: Buffer, packet: Buffer): Buffer {
    return this.#sized(Buffer.concat([frame.subarray(0, FRAME_HEADER_SIZE + this.#head), packet]));
  }

  withLength(frame: Buffer, lie: number): Buffer {
    const bytes = Buffer.from(frame);
    const length = bytes.readUInt16LE(2) + lie;
    bytes.writeUInt16LE(Math.min(0xffff, Math.max(0, length)), 2);
    return bytes;
  }

  withFlags(frame: Buffer, change: number): Buffer | undefined {
    if (!this.#hasHead(frame)) return undefined;
    const bytes = Buffer.from(frame);
    const at = FRAME_HEADER_SIZE + AF_FLAGS;
    bytes[at] = bytes[at]! ^ change;
    return bytes;
  }

  withLocation(frame: Buffer, change: number): Buffer | undefined {
    if (!this.#hasHead(frame)) return undefined;
    const bytes = Buffer.from(frame);
    bytes.writeUInt32LE((bytes.readUInt32LE(FRAME_HEADER_SIZE) + change) >>> 0, FRAME_HEADER_SIZE);
    return bytes;
  }

  withoutTail(frame: Buffer, bytes: number): Buffer {
    const left = Buffer.from(frame.subarray(0, Math.max(FRAME_HEADER_SIZE, frame.length - bytes)));
    left.writeUInt16LE(left.length - FRAME_HEADER_SIZE, 2);
    return left;
  }

  /** $C with Reason 0 (MS-WMSP 2.2.3.1.2). */
  change(): Buffer {
    return Buffer.from([0x24, PACKET_ID.streamChange, 4, 0, 0, 0, 0, 0]);
  }

  #hasHead(frame: Buffer): boolean {
    return this.#head > 0 && frame.length >= FRAME_HEADER_SIZE + this.#head;
  }

  #sized(frame: Buffer): Buffer {
    const length = frame.length - FRAME_HEADER_SIZE;
    frame.writeUInt16LE(length, 2);
    if (this.#hasHead(frame)) frame.writeUInt16LE(length, FRAME_HEADER_SIZE + DATA_PACKET_SIZE);
    return frame;
  }
}

/** Frames that a player gets. */
export const PULLED_FRAMES: FrameCodec = new DollarFrames(DATA_HEAD);
/** Frames of a push, whose packets follow the head at once (MS-WMHTTP 2.2.3). */
export const PUSHED_FRAMES: FrameCodec = new DollarFrames(0);
