import { withoutNuls } from '../../asf/codec.js';
import type { AsfHeader } from '../../asf/header.js';
import { isErrorResult } from '../../hresult.js';
import { BASE_SIZE, type Base, HR, MESSAGE_ID, MsbdError, newMessage } from './base.js';

/*
 * MSB_MSG_RES_STREAMINFO and MSB_MSG_IND_STREAMINFO (MS-MSBD 2.2.5, 2.2.6); integers are little-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+
 *  |           MSBMSGBASE, 16 bytes, wMessageId 4 or 5             |
 *  +-------------------------------+-------------------------------+
 *  |           wStreamId           |         cbPacketSize          |
 *  +-------------------------------+-------------------------------+
 *  |                         cTotalPackets                         |
 *  +---------------------------------------------------------------+
 *  |                           dwBitRate                           |
 *  +---------------------------------------------------------------+
 *  |                          msDuration                           |
 *  +---------------------------------------------------------------+
 *  |                            cbTitle                            |
 *  +---------------------------------------------------------------+
 *  |                         cbDescription                         |
 *  +---------------------------------------------------------------+
 *  |                            cbLink                             |
 *  +---------------------------------------------------------------+
 *  |                           cbHeader                            |
 *  +---------------------------------------------------------------+
 *  |    bBinaryData: title, description, link, header (ASF: the    |
 *  |    Header Object and the first 50 bytes of the Data Object)   |
 *  +---------------------------------------------------------------+
 */

/** Bytes between MSBMSGBASE and bBinaryData. */
export const STREAM_INFO_HEAD = 32;
/** The largest bBinaryData, in bytes (2.2.6). */
export const MAX_BINARY_DATA = 0xffcf;
const UNKNOWN_DURATION = 0xffff_ffff;
const NOTHING = Buffer.alloc(0);

/** The description of a stream. */
export interface StreamInfo {
  /** 0 to 0x7FF or 0x8000 to 0x87FF, different for each stream. */
  readonly streamId: number;
  /** The largest payload of an IND_PACKET, in bytes. */
  readonly packetSize: number;
  /** 0 if unknown. */
  readonly totalPackets: number;
  /** Bits per second. */
  readonly bitRate: number;
  /** In ms; undefined if unknown, as for a live stream. */
  readonly duration: number | undefined;
  /** The sender chooses the encoding of the texts (2.2.6); this server uses UTF-16LE. */
  readonly title: Buffer;
  readonly description: Buffer;
  readonly link: Buffer;
  /** The Header Object and the first 50 bytes of the Data Object. */
  readonly header: Buffer;
}

/** True if a number is a valid wStreamId (2.2.6). */
export function isStreamId(value: number): boolean {
  return value <= 0x87ff && (value & 0x7800) === 0;
}

/** Returns the wStreamId of the nth stream of a broadcast: all 4096 in turn. @param index from 0 */
export function streamIdOf(index: number): number {
  return (index & 0x7ff) | ((index & 0x800) << 4);
}

/**
 * Describes a stream by its ASF header (2.2.6): dwBitRate is its Maximum Bitrate, msDuration its Play Duration.
 * Duration and number of packets are unknown for a live stream.
 */
export function streamInfoOf(header: AsfHeader, streamId: number): StreamInfo {
  const { fileProperties: file, packetSize, broadcast, dataObject, bytes } = header;
  const duration = Number(file.playDuration / 10_000n);
  const described = header.objects.find((object) => object.type === 'contentDescription');
  const text = (value: string | undefined) => Buffer.from((value ?? '').slice(0, 255), 'utf16le');
  return {
    streamId,
    packetSize,
    totalPackets: broadcast ? 0 : Number(dataObject.packetCount & 0xffff_ffffn),
    bitRate: file.maximumBitrate,
    duration: broadcast || duration >= UNKNOWN_DURATION ? undefined : duration,
    title: text(described?.title),
    description: text(described?.description),
    link: NOTHING,
    header: bytes,
  };
}

/**
 * Builds a whole STREAMINFO packet. Title and description make way for a header that needs their room.
 *
 * @throws MsbdError if the header is larger than 65487 bytes, or a value does not fit its field
 */
export function buildStreamInfo(kind: 'RES_STREAMINFO' | 'IND_STREAMINFO', info: StreamInfo): Buffer {
  const { streamId, packetSize, totalPackets, bitRate, duration = UNKNOWN_DURATION, header } = info;
  if (!isStreamId(streamId)) throw new MsbdError(`${streamId} is not a wStreamId.`);
  if (header.length > MAX_BINARY_DATA) throw new MsbdError(`An ASF header of ${header.length} bytes is too large.`);
  if (packetSize > 0xfff7) throw new MsbdError(`Packets of ${packetSize} bytes are too large.`);
  const texts = [info.title, info.description, info.link];
  const room = MAX_BINARY_DATA - header.length;
  const fits = texts.reduce((sum, { length }) => sum + length, 0) <= room;
  const parts = [...(fits ? texts : [NOTHING, NOTHING, NOTHING]), header];
  const bytes = newMessage(MESSAGE_ID[kind], STREAM_INFO_HEAD + parts.reduce((sum, { length }) => sum + length, 0));
  bytes.writeUInt16LE(streamId, 16);
  bytes.writeUInt16LE(packetSize, 18);
  bytes.writeUInt32LE(totalPackets, 20);
  bytes.writeUInt32LE(bitRate, 24);
  bytes.writeUInt32LE(duration, 28);
  let at = BASE_SIZE + STREAM_INFO_HEAD;
  for (const [index, part] of parts.entries()) {
    bytes.writeUInt32LE(part.length, 32 + 4 * index);
    at += part.copy(bytes, at);
  }
  return bytes;
}

/** Builds the IND_STREAMINFO that says that nothing follows (3.1.5.3): 48 bytes, hr 0xC00D0033, zeros. */
export function buildEmptyStreamInfo(): Buffer {
  return newMessage(MESSAGE_ID.IND_STREAMINFO, STREAM_INFO_HEAD, HR.noStream);
}

/**
 * Reads what follows MSBMSGBASE. A packet without bBinaryData, or whose hr is a failure, counts as "empty", and its
 * other fields are ignored: Windows does not set them (3.2.5.2, note 4). Accepts any wStreamId: it is only compared.
 *
 * @returns undefined for an empty one
 * @throws MsbdError if the sizes do not add up
 */
export function readStreamInfo(bytes: Buffer, { hr }: Base): StreamInfo | undefined {
  const start = BASE_SIZE + STREAM_INFO_HEAD;
  if (isErrorResult(hr) || bytes.length === start) return undefined;
  if (bytes.length < start) throw new MsbdError(`A STREAMINFO packet has ${bytes.length} bytes.`);
  const duration = bytes.readUInt32LE(28);
  const sizes = [32, 36, 40, 44].map((at) => bytes.readUInt32LE(at));
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (sum > bytes.length - start) {
    throw new MsbdError(`A STREAMINFO packet of ${bytes.length} bytes says that it carries ${sum}.`);
  }
  let at = start;
  const [title, description, link, header] = sizes.map((size) => bytes.subarray(at, (at += size)));
  return {
    streamId: bytes.readUInt16LE(16),
    packetSize: bytes.readUInt16LE(18),
    totalPackets: bytes.readUInt32LE(20),
    bitRate: bytes.readUInt32LE(24),
    duration: duration === UNKNOWN_DURATION ? undefined : duration,
    title: title!,
    description: description!,
    link: link!,
    header: header!,
  };
}

/** Decodes a text of a STREAMINFO for display, whatever encoding its sender used: UTF-16LE or an 8-bit code. */
export function textOf(bytes: Buffer): string {
  const isWide = bytes.length % 2 === 0 && bytes.some((byte, index) => index % 2 === 1 && byte === 0);
  return withoutNuls(bytes.toString(isWide ? 'utf16le' : 'latin1'));
}
