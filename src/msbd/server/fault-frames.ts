import type { FaultyProtocol, FramedConnection, FrameKind } from '../../testing/frame-codec.js';
import { BASE_SIZE, MAX_MESSAGE_SIZE, MESSAGE_ID, newMessage, readBase } from '../messages/base.js';
import { PACKET_HEAD_SIZE } from '../messages/packet.js';
import { STREAM_INFO_HEAD } from '../messages/stream-info.js';

const SIZE_AT = 8;
const PACKET_ID_AT = 16;
const STREAM_ID_AT = 20;
const PACKET_SIZE_AT = 22;
/** cbHeader of a STREAMINFO, whose header ends the packet (MS-MSBD 2.2.6). */
const HEADER_SIZE_AT = BASE_SIZE + STREAM_INFO_HEAD - 4;

const KINDS: Readonly<Record<number, FrameKind>> = {
  [MESSAGE_ID.IND_PACKET]: 'data',
  [MESSAGE_ID.IND_EOS]: 'end',
  [MESSAGE_ID.RES_STREAMINFO]: 'header',
  [MESSAGE_ID.IND_STREAMINFO]: 'header',
};

/** Packets of MSBD on a connection, as faults change them. */
class MsbdFrames implements FramedConnection {
  sizeOf(start: Buffer): number | undefined {
    return start.length < BASE_SIZE ? undefined : readBase(start).size;
  }

  kind(frame: Buffer): FrameKind {
    const kind = KINDS[readBase(frame).id] ?? 'other';
    if (kind === 'data') return frame.length < PACKET_HEAD_SIZE ? 'other' : kind;
    // An answer that nothing follows has no header.
    return kind === 'header' && frame.length < BASE_SIZE + STREAM_INFO_HEAD ? 'other' : kind;
  }

  packet(frame: Buffer): Buffer {
    return frame.subarray(PACKET_HEAD_SIZE);
  }

  withPacket(frame: Buffer, packet: Buffer): Buffer {
    const payload = packet.subarray(0, MAX_MESSAGE_SIZE - PACKET_HEAD_SIZE);
    const bytes = Buffer.concat([frame.subarray(0, PACKET_HEAD_SIZE), payload]);
    bytes.writeUInt32LE(bytes.length, SIZE_AT);
    bytes.writeUInt16LE(payload.length + 8, PACKET_SIZE_AT);
    return bytes;
  }

  /** cbMessage; wPacketSize stays right. */
  withLength(frame: Buffer, lie: number): Buffer {
    const bytes = Buffer.from(frame);
    bytes.writeUInt32LE(Math.max(0, bytes.readUInt32LE(SIZE_AT) + lie), SIZE_AT);
    return bytes;
  }

  /** wStreamId. */
  withFlags(frame: Buffer, change: number): Buffer {
    const bytes = Buffer.from(frame);
    bytes.writeUInt16LE(bytes.readUInt16LE(STREAM_ID_AT) ^ change, STREAM_ID_AT);
    return bytes;
  }

  /** dwPacketId. */
  withLocation(frame: Buffer, change: number): Buffer {
    const bytes = Buffer.from(frame);
    bytes.writeUInt32LE((bytes.readUInt32LE(PACKET_ID_AT) + change) >>> 0, PACKET_ID_AT);
    return bytes;
  }

  withoutTail(frame: Buffer, bytes: number): Buffer {
    const header = frame.readUInt32LE(HEADER_SIZE_AT);
    const cut = Math.min(bytes, header, frame.length - BASE_SIZE - STREAM_INFO_HEAD);
    const left = Buffer.from(frame.subarray(0, frame.length - cut));
    left.writeUInt32LE(left.length, SIZE_AT);
    left.writeUInt32LE(header - cut, HEADER_SIZE_AT);
    return left;
  }

  /** IND_STREAMINFO without a header (MS-MSBD 2.2.6). */
  change(): Buffer {
    return newMessage(MESSAGE_ID.IND_STREAMINFO, STREAM_INFO_HEAD);
  }
}

/** How faults change what a server of MSBD sends; its datagrams go to groups. */
export const MSBD_FAULTS: FaultyProtocol = { connection: () => new MsbdFrames() };
