import { headLength } from '../../framing/text-head.js';
import type { FaultyProtocol, FrameCodec, FramedConnection, FrameKind } from '../../testing/frame-codec.js';
import { serialiseRequest, writeFrameHead } from '../messages/message.js';
import { type AsfPlaces, asfPlaces } from '../messages/rtp.js';
import { withoutHeaderTail } from '../messages/sdp.js';
import { PAYLOAD_TYPE } from './wire.js';

const FRAME_HEAD = 4;
const SEQUENCE_AT = 2;
const SSRC_AT = 8;
const DOLLAR = 0x24;
const MAX_FRAME = 0xffff;
/** CSeq of what is inserted: no request of the server has it. */
const CSEQ = 900_000_000;

/** RTP packets as faults change them (MS-RTSP 2.2.1). @param head bytes before the RTP packet */
class RtpFrames implements FrameCodec {
  protected readonly head: number;

  constructor(head: number) {
    this.head = head;
  }

  /** FEC, RTCP and what is sent again are left alone. */
  kind(frame: Buffer): FrameKind {
    const rtp = frame.subarray(this.head);
    const isMedia = asfPlaces(rtp) !== undefined && (rtp[1]! & 0x7f) === PAYLOAD_TYPE;
    return isMedia ? 'data' : 'other';
  }

  packet(frame: Buffer): Buffer {
    return frame.subarray(this.#places(frame).start);
  }

  withPacket(frame: Buffer, packet: Buffer): Buffer {
    const { start, sizeAt, hasLength } = this.#places(frame);
    const bytes = Buffer.concat([frame.subarray(0, start), packet]);
    // A fragment says where it is, not how long.
    if (hasLength) bytes.writeUIntBE(bytes.readUIntBE(sizeAt, 3) + bytes.length - frame.length, sizeAt, 3);
    return this.sized(bytes);
  }

  /** Length or Offset of the payload header (MS-RTSP 2.2.1.3). */
  withLength(frame: Buffer, lie: number): Buffer {
    const bytes = Buffer.from(frame);
    const { sizeAt } = this.#places(frame);
    bytes.writeUIntBE((bytes.readUIntBE(sizeAt, 3) + lie + 0x1000000) % 0x1000000, sizeAt, 3);
    return bytes;
  }

  /** The sequence number. */
  withFlags(frame: Buffer, change: number): Buffer {
    const bytes = Buffer.from(frame);
    const at = this.head + SEQUENCE_AT;
    bytes.writeUInt16BE(bytes.readUInt16BE(at) ^ change, at);
    return bytes;
  }

  /** SSRC. */
  withLocation(frame: Buffer, change: number): Buffer {
    const bytes = Buffer.from(frame);
    const at = this.head + SSRC_AT;
    bytes.writeUInt32BE((bytes.readUInt32BE(at) + change) >>> 0, at);
    return bytes;
  }

  /** There are no headers in RTP. */
  withoutTail(frame: Buffer, _bytes: number): Buffer {
    return frame;
  }

  change(): Buffer {
    return Buffer.alloc(0);
  }

  protected sized(frame: Buffer): Buffer {
    return frame;
  }

  #places(frame: Buffer): AsfPlaces {
    const { sizeAt, hasLength, start } = asfPlaces(frame.subarray(this.head))!;
    return { sizeAt: this.head + sizeAt, hasLength, start: this.head + start };
  }
}

/** What a server sends on a connection: `$` frames (RFC 2326 10.12), responses and requests. */
class InterleavedFrames extends RtpFrames implements FramedConnection {
  #session: string | undefined;
  #inserted = 0;

  constructor() {
    super(FRAME_HEAD);
  }

  sizeOf(start: Buffer): number | undefined {
    if (start[0] === DOLLAR) return start.length < FRAME_HEAD ? undefined : FRAME_HEAD + start.readUInt16BE(2);
    const head = headLength(start);
    if (head === 0) return undefined;
    const length = /\r\ncontent-length: *(\d{1,9})\r\n/i.exec(start.toString('latin1', 0, head))?.[1];
    return head + Number(length ?? 0);
  }

  override kind(frame: Buffer): FrameKind {
    if (frame[0] === DOLLAR) return super.kind(frame);
    const head = frame.toString('latin1', 0, headLength(frame));
    this.#session = /\r\nsession: *([^;\r\n]+)/i.exec(head)?.[1] ?? this.#session;
    if (/\r\nx-notice: *2101\b/i.test(head)) return 'end';
    return /\r\ncontent-type: *application\/sdp/i.test(head) ? 'header' : 'other';
  }

  /** The Length of the `$` frame. */
  override withLength(frame: Buffer, lie: number): Buffer {
    const bytes = Buffer.from(frame);
    bytes.writeUInt16BE(Math.min(MAX_FRAME, Math.max(0, bytes.readUInt16BE(2) + lie)), 2);
    return bytes;
  }

  /** The ASF header in an SDP loses its end; Content-Length is right. */
  override withoutTail(frame: Buffer, bytes: number): Buffer {
    const end = headLength(frame);
    const body = Buffer.from(withoutHeaderTail(frame.toString('utf8', end), bytes), 'utf8');
    const head = frame.toString('latin1', 0, end).replace(/(\r\ncontent-length: *)\d+/i, `$1${body.length}`);
    return Buffer.concat([Buffer.from(head, 'latin1'), body]);
  }

  /** ANNOUNCE of an entry, without its description (MS-RTSP 2.2.7.1). */
  override change(): Buffer {
    return serialiseRequest('ANNOUNCE', '*', [
      ['CSeq', `${CSEQ + this.#inserted++}`],
      ...(this.#session === undefined ? [] : [['Session', this.#session] as const]),
      ['Content-Type', 'application/sdp'],
      ['Content-Length', '0'],
    ]);
  }

  protected override sized(frame: Buffer): Buffer {
    writeFrameHead(frame, 0, frame[1]!, frame.length - FRAME_HEAD);
    return frame;
  }
}

/** How faults change what a server of RTSP sends. */
export const RTSP_FAULTS: FaultyProtocol = {
  connection: () => new InterleavedFrames(),
  datagrams: () => new RtpFrames(0),
};
