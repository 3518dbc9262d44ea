import { parsePacket } from '../../asf/packet.js';
import type { WireFormat, WirePacket } from '../../media/wire.js';
import { FEC_HEAD_SIZE } from '../messages/fec.js';
import { writeFrameHead } from '../messages/message.js';
import { type AsfFraming, type AsfUnit, rtpUnitSize, rtpUnits, writeRtpUnit } from '../messages/rtp.js';

/** Bytes of an RTP packet by UDP, with its header: what a real server calls its Blocksize. */
export const BLOCK_SIZE = 1_452;
/** Bytes of an RTP packet on the connection of RTSP; clients have buffers of 8 KiB for a frame. */
const LARGEST_FRAME = 8_000;
const FRAME_HEAD = 4;

/** The payload type of media in every SDP. */
export const PAYLOAD_TYPE = 96;

/** What is constant in the RTP packets of a player. */
export interface RtpConstants {
  /** The interleaved channel; undefined by UDP. */
  readonly channel: number | undefined;
  readonly ssrc: number;
  /** The client listed com.microsoft.wm.locid (MS-RTSP 2.2.6.10.3). */
  readonly withLocation: boolean;
  /** True if FEC packets protect them, which are larger by their header and have to fit a datagram as well. */
  readonly isProtected: boolean;
}

/**
 * Writes ASF packets as RTP packets (MS-RTSP 2.2.1), by UDP or interleaved. The lane numbers them; RTP-Info has the first
 * number.
 */
export function rtpWire({ channel, ssrc, withLocation, isProtected }: RtpConstants): WireFormat {
  const datagram = BLOCK_SIZE - (isProtected ? FEC_HEAD_SIZE : 0);
  const largest = channel === undefined ? datagram : LARGEST_FRAME;
  const framing: AsfFraming = { payloadType: PAYLOAD_TYPE, ssrc, largest, withLocation };
  const frameHead = channel === undefined ? 0 : FRAME_HEAD;
  // The units of a packet follow each other.
  let last: { readonly bytes: Buffer; readonly unit: AsfUnit } | undefined;
  const unitOf = ({ bytes, location }: WirePacket): AsfUnit => {
    // The same buffer may hold another packet later, but never in the middle of one.
    if (last?.bytes === bytes && last.unit.location === location) return last.unit;
    const { sendTime, payloads } = parsePacket(bytes);
    const unit = { bytes, location, sendTime, keyFrame: payloads.some(({ key }) => key) };
    last = { bytes, unit };
    return unit;
  };
  return {
    key: `rtsp ${channel ?? 'udp'} ${ssrc}${withLocation ? ' located' : ''}${isProtected ? ' protected' : ''}`,
    numbers: 'lane',
    mask: 0xffff,
    units: ({ bytes }) => rtpUnits(bytes.length, framing),
    size: ({ bytes }, unit) => frameHead + rtpUnitSize(bytes.length, unit, framing),
    write: (into, at, packet, unit, number) => {
      const size = rtpUnitSize(packet.bytes.length, unit, framing);
      const start = channel === undefined ? at : writeFrameHead(into, at, channel, size);
      return writeRtpUnit(into, start, unitOf(packet), unit, number, framing) - at;
    },
  };
}
