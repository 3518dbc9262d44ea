import type { FaultyProtocol, FrameCodec, FramedConnection, FrameKind } from '../../testing/frame-codec.js';
import { SERVER_MID } from '../messages/base.js';
import { AF_FLAGS, isLastHeaderPart, isPacketPair, MAX_PAYLOAD } from '../messages/data.js';
import { DATA_HEAD_SIZE, isMessages, SESSION_ID, TCP_HEADER_SIZE, wrapMessages } from '../messages/frame.js';
import { buildStreamChange } from '../messages/server.js';

/** The first bytes of an ASF Header Object. */
const HEADER_OBJECT = Buffer.from('3026b2758e66cf11', 'hex');
const FLAGS_AT = 5;
const SIZE_AT = 6;
const SEQ_AT = 20;
/** MID of the first message of a TcpMessageHeader packet. */
const MID_AT = TCP_HEADER_SIZE + 4;

/** Data packets as faults change them (MS-MMSP 2.2.2). */
class DataFrames implements FrameCodec {
  // True between the first part of a header and its last one, whose AFFlags mean something else.
  #inHeader = false;

  kind(frame: Buffer): FrameKind {
    if (frame.length < DATA_HEAD_SIZE) return 'other';
    const flags = frame[FLAGS_AT]!;
    if (isPacketPair({ location: frame.readUInt32LE(0), incarnation: frame[4]!, flags })) return 'other';
    this.#inHeader ||= frame.subarray(DATA_HEAD_SIZE, DATA_HEAD_SIZE + HEADER_OBJECT.length).equals(HEADER_OBJECT);
    if (!this.#inHeader) return 'data';
    this.#inHeader = !isLastHeaderPart(flags);
    // Only the last part ends the header.
    return this.#inHeader && flags === AF_FLAGS.more ? 'other' : 'header';
  }

  packet(frame: Buffer): Buffer {
    return frame.subarray(DATA_HEAD_SIZE);
  }

  withPacket(frame: Buffer, packet: Buffer): Buffer {
    const payload = packet.subarray(0, MAX_PAYLOAD);
    const bytes = Buffer.concat([frame.subarray(0, DATA_HEAD_SIZE), payload]);
    bytes.writeUInt16LE(bytes.length, SIZE_AT);
    return bytes;
  }

  withLength(frame: Buffer, lie: number): Buffer {
    const bytes = Buffer.from(frame);
    bytes.writeUInt16LE(Math.min(0xffff, Math.max(0, bytes.readUInt16LE(SIZE_AT) + lie)), SIZE_AT);
    return bytes;
  }

  withFlags(frame: Buffer, change: number): Buffer {
    const bytes = Buffer.from(frame);
    bytes[FLAGS_AT] = bytes[FLAGS_AT]! ^ change;
    return bytes;
  }

  withLocation(frame: Buffer, change: number): Buffer {
    const bytes = Buffer.from(frame);
    bytes.writeUInt32LE((bytes.readUInt32LE(0) + change) >>> 0, 0);
    return bytes;
  }

  withoutTail(frame: Buffer, bytes: number): Buffer {
    const end = Math.max(DATA_HEAD_SIZE, frame.length - bytes);
    return this.withPacket(frame, frame.subarray(DATA_HEAD_SIZE, end));
  }

  change(): Buffer {
    return wrapMessages(buildStreamChange({ packetSize: 0, headerSize: 0, bitRate: 0 }), 0, 0);
  }
}

/** What a server sends by TCP: Data packets, and messages in TcpMessageHeader packets (2.2.3), which are numbered. */
class TcpFrames extends DataFrames implements FramedConnection {
  #messages = 0;

  sizeOf(start: Buffer): number | undefined {
    if (start.length < TCP_HEADER_SIZE) return start.length >= DATA_HEAD_SIZE ? dataSize(start) : undefined;
    return isMessages(start) ? TCP_HEADER_SIZE - 16 + start.readUInt32LE(8) : dataSize(start);
  }

  override kind(frame: Buffer): FrameKind {
    if (!isMessages(frame)) return super.kind(frame);
    const mid = frame.length >= MID_AT + 4 ? frame.readUInt32LE(MID_AT) : 0;
    if (mid === SERVER_MID.endOfStream) return 'end';
    return mid === SERVER_MID.streamChange ? 'change' : 'other';
  }

  /** What was inserted or left out counts as well, or does not: seq stays right (2.2.3). */
  numbered(frame: Buffer): Buffer {
    if (!isMessages(frame)) return frame;
    const bytes = Buffer.from(frame);
    bytes.writeUInt16LE(this.#messages++ & 0xffff, SEQ_AT);
    return bytes;
  }
}

/** PacketSize; the bytes of messages are told apart once the whole TcpMessageHeader is there. */
function dataSize(start: Buffer): number | undefined {
  const mayBeMessages = start.length < TCP_HEADER_SIZE && start.readUInt32LE(4) === SESSION_ID;
  return mayBeMessages ? undefined : start.readUInt16LE(SIZE_AT);
}

/** How faults change what a server of MMSP sends. */
export const MMSP_FAULTS: FaultyProtocol = {
  connection: () => new TcpFrames(),
  datagrams: () => new DataFrames(),
};
