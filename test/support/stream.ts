import { GUID, guidFromString } from '../../src/asf/guid.js';
import { type AsfHeader, buildHeader, type HeaderObject } from '../../src/asf/header.js';
import { type DataPacket, parsePacket } from '../../src/asf/packet.js';
import { buildPacket } from '../../src/asf/packet-build.js';

export const PACKET_SIZE = 400;
export const VIDEO = 1;
export const AUDIO = 2;

export interface TestHeaderOptions {
  readonly title?: string;
  readonly packetSize?: number;
  readonly preroll?: number;
  readonly video?: boolean;
  readonly fileId?: string;
  /** The number of a stream of script commands. */
  readonly commands?: number;
  /** The size of an object that players cannot do without, in bytes. */
  readonly ballast?: number;
}

function streamProperties(number: number, streamType: string, typeSpecificData: Buffer): HeaderObject {
  return {
    type: 'streamProperties',
    streamType,
    errorCorrectionType: GUID.noErrorCorrection,
    timeOffset: 0n,
    flags: number,
    reserved: 0,
    typeSpecificData,
    errorCorrectionData: Buffer.alloc(0),
  };
}

function waveFormat(): Buffer {
  const data = Buffer.alloc(18);
  data.writeUInt16LE(0x161, 0);
  data.writeUInt16LE(2, 2);
  data.writeUInt32LE(44_100, 4);
  data.writeUInt32LE(8_000, 8);
  data.writeUInt16LE(371, 12);
  data.writeUInt16LE(16, 14);
  return data;
}

function videoFormat(): Buffer {
  const data = Buffer.alloc(11 + 40);
  data.writeUInt32LE(640, 0);
  data.writeUInt32LE(360, 4);
  data[8] = 2;
  data.writeUInt16LE(40, 9);
  data.writeUInt32LE(40, 11);
  data.writeInt32LE(640, 15);
  data.writeInt32LE(360, 19);
  data.writeUInt16LE(1, 23);
  data.writeUInt16LE(24, 25);
  data.write('WMV2', 27, 'latin1');
  return data;
}

/** A small header as an encoder would send it: video 1 and audio 2, or audio 2 alone. */
export function testHeader(options: TestHeaderOptions = {}): AsfHeader {
  const { commands, packetSize = PACKET_SIZE, preroll = 1000, video = true, title = '', ballast = 0 } = options;
  const fileId = options.fileId ?? guidFromString('11111111-2222-3333-4444-555555555555');
  const objects: HeaderObject[] = [
    {
      type: 'fileProperties',
      fileId,
      fileSize: 0n,
      creationDate: 133_000_000_000_000_000n,
      dataPacketsCount: 0xffffffffn,
      playDuration: 0n,
      sendDuration: 0n,
      preroll,
      flags: 1,
      minimumPacketSize: packetSize,
      maximumPacketSize: packetSize,
      maximumBitrate: 364_000,
    },
    { type: 'headerExtension', objects: [] },
    ...(video ? [streamProperties(VIDEO, GUID.videoMedia, videoFormat())] : []),
    streamProperties(AUDIO, GUID.audioMedia, waveFormat()),
    ...(commands === undefined ? [] : [streamProperties(commands, GUID.commandMedia, Buffer.alloc(0))]),
    {
      type: 'streamBitrateProperties',
      records: [
        ...(video ? [{ flags: VIDEO, averageBitrate: 300_000 }] : []),
        { flags: AUDIO, averageBitrate: 64_000 },
      ],
    },
    ...(title === ''
      ? []
      : [{ type: 'contentDescription' as const, title, author: '', copyright: '', description: '', rating: '' }]),
    ...(ballast === 0
      ? []
      : [
          {
            type: 'errorCorrection' as const,
            errorCorrectionType: GUID.noErrorCorrection,
            data: Buffer.alloc(ballast),
          },
        ]),
  ];
  return buildHeader(objects, { fileId, size: 50n, packetCount: 0n });
}

export interface TestPacketOptions {
  readonly key?: boolean;
  readonly stream?: number;
  readonly dataSize?: number;
  readonly packetSize?: number;
  readonly number?: number;
  readonly preroll?: number;
}

/** A packet with one whole media object; padded with zeros to the packet size, as encoders make it. */
export function testPacket(sendTime: number, options: TestPacketOptions = {}): DataPacket {
  const {
    key = false,
    stream = VIDEO,
    dataSize = 300,
    packetSize = PACKET_SIZE,
    number = sendTime & 255,
    preroll = 1000,
  } = options;
  const replicated = Buffer.alloc(8);
  replicated.writeUInt32LE(dataSize, 0);
  replicated.writeUInt32LE((sendTime + preroll) >>> 0, 4);
  const data = Buffer.alloc(dataSize, 1 + (sendTime % 250));
  return parsePacket(
    buildPacket({
      sendTime: sendTime >>> 0,
      duration: 0,
      packetSize,
      payloads: [{ stream, key, mediaObjectNumber: number & 255, offset: 0, replicated, data }],
    }),
  );
}
