import { checkedValues, countValue, EMPTY, type LogField, textValue } from './fields.js';
import { WmLogError } from './line.js';
import type { WmLog } from './log.js';

/*
 * CLIENT_LOG ([MS-MMSP] 2.2.1.1), 1490 bytes, and CLIENT_LOG_INFO (2.2.1.2) within it, 1142 bytes; integers are
 * little-endian. Texts are in the ANSI code page of the client, here Latin-1, and end with a null; an empty one is a
 * hyphen.
 *
 * +--------------------------+-------+      CLIENT_LOG_INFO, from offset 4:
 * | cbSize = 1490            |    4  |      +--------------------------+-------+
 * | info: CLIENT_LOG_INFO    | 1142  |      | cbSize = 1142            |    4  |
 * | dwSourceId               |    4  |      | szURL                    |  260  |
 * | dwIPAddress              |    4  |      | szChannelURL             |  260  |
 * | szComputerDNS            |  260  |      | szUserAgent              |   64  |
 * | szOS                     |   16  |      | szHostingWebPage         |  260  |
 * | qwOSVersion              |    8  |      | qwClientVersion          |    8  |
 * | szCPU                    |   16  |      | szLang                   |   16  |
 * | szProto                  |    8  |      | szUniquePID              |   40  |
 * | szTransport              |    8  |      | szHostExe                |   32  |
 * | dwPacketsLostNet         |    4  |      | qwHostExeVer             |    8  |
 * | dwPacketsLostContNet     |    4  |      | msFileDuration           |    4  |
 * | dwResendRequests         |    4  |      | qwFileSize               |    8  |
 * | dwPacketsRecoveredResent |    4  |      | dwAvgBandwidthBps        |    4  |
 * | dwPacketsResent          |    4  |      | szAudioCodec             |   64  |
 * +--------------------------+-------+      | szVideoCodec             |   64  |
 *                                           | msStartTime              |    4  |
 *                                           | msPlayed                 |    4  |
 *                                           | rate, signed             |    2  |
 *                                           | dwBufferingCount         |    4  |
 *                                           | msBufferingTime          |    4  |
 *                                           | qwBytesReceived          |    8  |
 *                                           | dwPacketsReceived        |    4  |
 *                                           | dwPacketsLostClient      |    4  |
 *                                           | dwPacketsRecoveredECC    |    4  |
 *                                           | dwMinReceptionQuality    |    4  |
 *                                           | hr                       |    4  |
 *                                           +--------------------------+-------+
 */

/** Bytes of a CLIENT_LOG. */
export const CLIENT_LOG_SIZE = 1490;
const INFO_SIZE = 1142;

/** An MMSP client's report when a stream stops ([MS-MMSP] 2.2.1). Texts that the client lacks are empty. */
export interface MmsClientLog {
  readonly url: string;
  readonly channelUrl: string;
  readonly userAgent: string;
  readonly hostingWebPage: string;
  /** Four numbers separated by dots, like all versions here. */
  readonly clientVersion: string;
  readonly language: string;
  readonly playerId: string;
  readonly hostProgram: string;
  readonly hostVersion: string;
  /** Milliseconds; 0 for a live stream. */
  readonly fileDuration: number;
  /** Bytes, at most 2^53 - 1; 0 for a live stream. */
  readonly fileSize: number;
  /** Bits per second. */
  readonly averageBandwidth: number;
  readonly audioCodec: string;
  readonly videoCodec: string;
  /** Where in the content it started, and how much of it was played, in ms. */
  readonly startTime: number;
  readonly played: number;
  readonly rate: number;
  readonly bufferingCount: number;
  /** Milliseconds. */
  readonly bufferingTime: number;
  readonly bytesReceived: number;
  readonly packetsReceived: number;
  readonly packetsLostClient: number;
  readonly packetsRecoveredEcc: number;
  /** Percentage of the packets of the last 30 seconds. */
  readonly quality: number;
  readonly hr: number;
  /** The openFileId from the server's report. */
  readonly sourceId: number;
  /** IPv4; undefined if the client does not state it. */
  readonly address: string | undefined;
  readonly computerDns: string;
  readonly os: string;
  readonly osVersion: string;
  readonly cpu: string;
  readonly protocol: string;
  readonly transport: string;
  readonly packetsLostNet: number;
  /** The longest run of lost packets. */
  readonly packetsLostContNet: number;
  readonly resendRequests: number;
  readonly packetsRecoveredResent: number;
  readonly packetsResent: number;
}

type Kind = 'u32' | 'i16' | 'u64' | 'version' | 'address' | number;

/** Name and form of each value, in order; a number is the size of a text. `cbSize` precedes each of the two parts. */
const INFO: ReadonlyArray<readonly [keyof MmsClientLog, Kind]> = [
  ['url', 260],
  ['channelUrl', 260],
  ['userAgent', 64],
  ['hostingWebPage', 260],
  ['clientVersion', 'version'],
  ['language', 16],
  ['playerId', 40],
  ['hostProgram', 32],
  ['hostVersion', 'version'],
  ['fileDuration', 'u32'],
  ['fileSize', 'u64'],
  ['averageBandwidth', 'u32'],
  ['audioCodec', 64],
  ['videoCodec', 64],
  ['startTime', 'u32'],
  ['played', 'u32'],
  ['rate', 'i16'],
  ['bufferingCount', 'u32'],
  ['bufferingTime', 'u32'],
  ['bytesReceived', 'u64'],
  ['packetsReceived', 'u32'],
  ['packetsLostClient', 'u32'],
  ['packetsRecoveredEcc', 'u32'],
  ['quality', 'u32'],
  ['hr', 'u32'],
];
const REST: ReadonlyArray<readonly [keyof MmsClientLog, Kind]> = [
  ['sourceId', 'u32'],
  ['address', 'address'],
  ['computerDns', 260],
  ['os', 16],
  ['osVersion', 'version'],
  ['cpu', 16],
  ['protocol', 8],
  ['transport', 8],
  ['packetsLostNet', 'u32'],
  ['packetsLostContNet', 'u32'],
  ['resendRequests', 'u32'],
  ['packetsRecoveredResent', 'u32'],
  ['packetsResent', 'u32'],
];
const SIZES = { u32: 4, i16: 2, u64: 8, version: 8, address: 4 } as const;
const NO_ADDRESS = 0xffff_ffff;

function sizeOf(kind: Kind): number {
  return typeof kind === 'number' ? kind : SIZES[kind];
}

/** The offset of each value. */
const LAYOUT: ReadonlyArray<{ readonly name: keyof MmsClientLog; readonly kind: Kind; readonly at: number }> = (() => {
  let at = 8;
  const place = ([name, kind]: readonly [keyof MmsClientLog, Kind]) => {
    const placed = { name, kind, at };
    at += sizeOf(kind);
    return placed;
  };
  return [...INFO.map(place), ...REST.map(place)];
})();

/** Builds a CLIENT_LOG. Texts that are too long are cut; numbers that are too large become the maximum. */
export function buildClientLog(log: MmsClientLog): Buffer {
  const bytes = Buffer.alloc(CLIENT_LOG_SIZE);
  bytes.writeUInt32LE(CLIENT_LOG_SIZE, 0);
  bytes.writeUInt32LE(INFO_SIZE, 4);
  for (const { name, kind, at } of LAYOUT) writeValue(bytes, at, kind, log[name]);
  return bytes;
}

function writeValue(bytes: Buffer, at: number, kind: Kind, value: string | number | undefined): void {
  const whole = typeof value === 'number' ? Math.trunc(value) : 0;
  switch (kind) {
    case 'u32':
      bytes.writeUInt32LE(Math.min(Math.max(whole, 0), 0xffff_ffff), at);
      break;
    case 'i16':
      bytes.writeInt16LE(Math.min(Math.max(whole, -0x8000), 0x7fff), at);
      break;
    case 'u64':
      bytes.writeBigUInt64LE(BigInt(Math.min(Math.max(whole, 0), Number.MAX_SAFE_INTEGER)), at);
      break;
    case 'version': {
      const parts = String(value ?? '').split('.');
      // The most significant part comes last in the bytes.
      for (let part = 0; part < 4; part++)
        bytes.writeUInt16LE(Math.min(Number(parts[part]) || 0, 0xffff), at + 6 - 2 * part);
      break;
    }
    case 'address':
      if (value === undefined) bytes.writeUInt32LE(NO_ADDRESS, at);
      else bytes.set(String(value).split('.', 4).map(Number), at);
      break;
    default:
      bytes.write(String(value ?? '') || EMPTY, at, kind - 1, 'latin1');
  }
}

/**
 * Parses a CLIENT_LOG. Extra bytes are ignored, also those that a later version may append to each part.
 *
 * @throws WmLogError if it is truncated or its sizes are impossible
 */
export function parseClientLog(bytes: Buffer): MmsClientLog {
  if (bytes.length < CLIENT_LOG_SIZE) throw new WmLogError(`A CLIENT_LOG has ${bytes.length} bytes.`);
  const [size, infoSize] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
  if (size < CLIENT_LOG_SIZE || size > bytes.length || infoSize !== INFO_SIZE) {
    throw new WmLogError(`A CLIENT_LOG says that it has ${size} bytes, ${infoSize} of them CLIENT_LOG_INFO.`);
  }
  return Object.fromEntries(
    LAYOUT.map(({ name, kind, at }) => [name, readValue(bytes, at, kind)]),
  ) as unknown as MmsClientLog;
}

function readValue(bytes: Buffer, at: number, kind: Kind): string | number | undefined {
  switch (kind) {
    case 'u32':
      return bytes.readUInt32LE(at);
    case 'i16':
      return bytes.readInt16LE(at);
    case 'u64':
      return Math.min(Number(bytes.readBigUInt64LE(at)), Number.MAX_SAFE_INTEGER);
    case 'version':
      return [6, 4, 2, 0].map((offset) => bytes.readUInt16LE(at + offset)).join('.');
    case 'address':
      return bytes.readUInt32LE(at) === NO_ADDRESS ? undefined : bytes.subarray(at, at + 4).join('.');
    default: {
      const end = bytes.indexOf(0, at);
      const text = bytes.toString('latin1', at, end < 0 ? at + kind : Math.min(end, at + kind));
      return text === EMPTY ? '' : text;
    }
  }
}

/**
 * Turns an MMSP client's report into a Legacy Log, dated at its arrival.
 *
 * @param now the time of arrival
 */
export function logOfMmsClient(log: MmsClientLog, now: Date): WmLog {
  const [date = '', time = ''] = now.toISOString().split('T');
  const seconds = (milliseconds: number) => countValue(Math.ceil(milliseconds / 1000));
  const found: ReadonlyArray<readonly [LogField, string]> = [
    ['c-ip', log.address ?? EMPTY],
    ['date', date],
    ['time', time.slice(0, 8)],
    ['c-dns', textValue(log.computerDns)],
    ['cs-uri-stem', textValue(log.url.split('?')[0]!)],
    ['c-starttime', countValue(log.startTime / 1000)],
    ['x-duration', seconds(log.played)],
    ['c-rate', String(log.rate)],
    ['c-status', '200'],
    ['c-playerid', textValue(log.playerId)],
    ['c-playerversion', log.clientVersion],
    ['c-playerlanguage', textValue(log.language)],
    ['cs-User-Agent', textValue(log.userAgent)],
    ['cs-Referer', textValue(log.hostingWebPage)],
    ['c-hostexe', textValue(log.hostProgram)],
    ['c-hostexever', log.hostVersion],
    ['c-os', textValue(log.os)],
    ['c-osversion', log.osVersion],
    ['c-cpu', textValue(log.cpu)],
    ['filelength', countValue(log.fileDuration / 1000)],
    ['filesize', countValue(log.fileSize)],
    ['avgbandwidth', countValue(log.averageBandwidth)],
    ['protocol', textValue(log.protocol)],
    ['transport', textValue(log.transport)],
    ['audiocodec', textValue(log.audioCodec)],
    ['videocodec', textValue(log.videoCodec)],
    ['c-channelURL', textValue(log.channelUrl)],
    ['c-bytes', countValue(log.bytesReceived)],
    ['c-pkts-received', countValue(log.packetsReceived)],
    ['c-pkts-lost-client', countValue(log.packetsLostClient)],
    ['c-pkts-lost-net', countValue(log.packetsLostNet)],
    ['c-pkts-lost-cont-net', countValue(log.packetsLostContNet)],
    ['c-resendreqs', countValue(log.resendRequests)],
    ['c-pkts-recovered-ECC', countValue(log.packetsRecoveredEcc)],
    ['c-pkts-recovered-resent', countValue(log.packetsRecoveredResent)],
    ['c-buffercount', countValue(log.bufferingCount)],
    ['c-totalbuffertime', seconds(log.bufferingTime)],
    ['c-quality', countValue(log.quality)],
    ['cs-url', textValue(log.url)],
  ];
  return { kind: 'legacy', ...checkedValues(found), description: [], vendors: [] };
}
