import {
  MAX_BIT_RATE,
  MmspError,
  need,
  newMessage,
  PACKET_PAIR,
  type RawMessage,
  REVISION,
  readWideText,
  SERVER_MID,
  wideText,
} from './base.js';
import { STREAM_CHANGE_INCARNATION } from './data.js';

/** fileAttributes (MS-MMSP 2.2.4.7). */
export const FILE_ATTRIBUTE = {
  canStride: 0x00800000,
  canSeek: 0x01000000,
  broadcast: 0x02000000,
  live: 0x04000000,
  playlist: 0x40000000,
} as const;

/** ReportOpenFile's description of the content (2.2.4.7). */
export interface FileFacts {
  /** FILE_ATTRIBUTE, combined. */
  readonly attributes: number;
  /** Seconds; 0 for live content. */
  readonly duration: number;
  /** The largest ASF packet, bytes. */
  readonly packetSize: number;
  /** 0 if unknown. */
  readonly packetCount: number;
  /** The sum of the streams' maximum bit rates, bits per second. */
  readonly bitRate: number;
  /** Bytes of the ASF file header, including 50 bytes of the Data Object. */
  readonly headerSize: number;
}

/** A server's description of itself (2.2.4.2). */
export interface ServerFacts {
  /** ServerVersionInfo, for example 9.0.0.3372. */
  readonly version: string;
  /** AuthenPackage: the scheme of challenges; undefined if there will be none. */
  readonly scheme: 'BASIC' | 'NTLM' | undefined;
}

/** A message from a server, parsed. `hr` is an HRESULT; failures have their top bit set. */
export type ServerMessage =
  | {
      readonly type: 'connectedEx';
      readonly hr: number;
      /** PACKET_PAIR.possible or .none. */
      readonly incarnation: number;
      readonly serverVersion: string;
      /** The client version to upgrade to, and where to get it. */
      readonly upgrade: { readonly version: string; readonly url: string } | undefined;
      readonly scheme: string;
    }
  | {
      readonly type: 'funnelInfo';
      readonly hr: number;
      readonly incarnation: number;
      /** nCubs. */
      readonly clientId: number;
      /** The random bytes of a packet pair. */
      readonly pair: Buffer;
    }
  | { readonly type: 'connectedFunnel'; readonly hr: number }
  | { readonly type: 'disconnectedFunnel'; readonly hr: number }
  | ({
      readonly type: 'openFile';
      readonly hr: number;
      readonly incarnation: number;
      readonly openFileId: number;
    } & FileFacts)
  | { readonly type: 'redirect'; readonly hr: number; readonly proxy: boolean; readonly location: string }
  | {
      readonly type: 'securityChallenge';
      readonly incarnation: number;
      readonly cookie: number;
      readonly token: Buffer;
    }
  | { readonly type: 'readBlock'; readonly hr: number; readonly incarnation: number }
  | { readonly type: 'streamSwitch'; readonly hr: number }
  | { readonly type: 'startedPlaying'; readonly hr: number; readonly incarnation: number }
  | { readonly type: 'startStriding'; readonly hr: number; readonly incarnation: number }
  | { readonly type: 'endOfStream'; readonly hr: number; readonly incarnation: number }
  | {
      readonly type: 'streamChange';
      readonly packetSize: number;
      readonly headerSize: number;
      readonly bitRate: number;
    }
  | { readonly type: 'ping' }
  /** A MID that no server message has. */
  | { readonly type: 'unknown'; readonly mid: number };

const FUNNEL_NAME = 'Funnel Of The Gods';
/** Fixed fields such as nCubs; the random bytes of a packet pair follow. */
const FUNNEL_INFO_SIZE = 48;
/**
 * Random bytes in the three ReportFunnelInfo messages of a packet pair: packets of 512, 512 and 1056 bytes (3.2.5.4).
 */
export const TCP_PAIR_SIZES = [432, 432, 976] as const;

function withResult(mid: number, size: number, hr: number, incarnation: number): Buffer {
  const bytes = newMessage(mid, size);
  bytes.writeUInt32LE(hr >>> 0, 8);
  bytes.writeUInt32LE(incarnation >>> 0, 12);
  return bytes;
}

/** @param packetPair true if the server can measure the bandwidth with a packet pair */
export function buildConnectedEx({ version, scheme }: ServerFacts, packetPair: boolean): Buffer {
  // Counted in characters, with their null characters (2.2.4.2).
  const texts = [version, undefined, undefined, scheme].map((text) =>
    text === undefined ? Buffer.alloc(0) : wideText(text),
  );
  const incarnation = packetPair ? PACKET_PAIR.possible : PACKET_PAIR.none;
  const bytes = withResult(SERVER_MID.connectedEx, 64 + Buffer.concat(texts).length, 0, incarnation);
  bytes.writeUInt32LE(REVISION.macToViewer, 16);
  bytes.writeUInt32LE(REVISION.viewerToMac, 20);
  bytes.writeDoubleLE(1, 24);
  bytes.writeUInt32LE(1, 32);
  bytes.writeUInt32LE(1, 36);
  bytes.writeUInt32LE(0x8000, 40);
  bytes.writeUInt32LE(MAX_BIT_RATE, 44);
  let at = 64;
  for (const [index, text] of texts.entries()) {
    bytes.writeUInt32LE(text.length / 2, 48 + index * 4);
    at += text.copy(bytes, at);
  }
  return bytes;
}

/**
 * @param incarnation one of PACKET_PAIR
 * @param clientId nCubs, chosen at random for the session
 * @param pair random bytes, for PACKET_PAIR.tcp
 */
export function buildReportFunnelInfo(incarnation: number, clientId: number, pair: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = withResult(SERVER_MID.funnelInfo, FUNNEL_INFO_SIZE + pair.length, 0, incarnation);
  bytes.writeUInt32LE(8, 16);
  bytes.writeUInt32LE(1, 20);
  bytes.writeUInt32LE(0x00010000, 24);
  bytes.writeUInt32LE(clientId >>> 0, 28);
  bytes.writeUInt32LE(1, 36);
  pair.copy(bytes, FUNNEL_INFO_SIZE);
  return bytes;
}

/** Builds a ReportConnectedFunnel (2.2.4.3). */
export function buildConnectedFunnel(): Buffer {
  const name = Buffer.from(FUNNEL_NAME, 'utf16le');
  const bytes = withResult(SERVER_MID.connectedFunnel, 20 + name.length, 0, 0);
  name.copy(bytes, 20);
  return bytes;
}

/** @param hr a failure */
export function buildDisconnectedFunnel(hr: number): Buffer {
  return withResult(SERVER_MID.disconnectedFunnel, 16, hr, 0);
}

/** @param incarnation that of the OpenFile or SecurityResponse that this answers */
export function buildReportOpenFile(incarnation: number, openFileId: number, facts: FileFacts): Buffer {
  const bytes = withResult(SERVER_MID.openFile, 116, 0, incarnation);
  bytes.writeUInt32LE(openFileId, 16);
  bytes.writeUInt32LE(facts.attributes >>> 0, 28);
  bytes.writeDoubleLE(facts.duration, 32);
  bytes.writeUInt32LE(Math.min(0xffffffff, Math.ceil(facts.duration)), 40);
  bytes.writeUInt32LE(facts.packetSize, 60);
  bytes.writeBigUInt64LE(BigInt(facts.packetCount), 64);
  bytes.writeUInt32LE(Math.min(0xffffffff, facts.bitRate), 72);
  bytes.writeUInt32LE(facts.headerSize, 76);
  return bytes;
}

/** Builds a ReportOpenFile that says why the file cannot be opened. @param hr a failure */
export function buildOpenFileFailure(incarnation: number, hr: number): Buffer {
  return withResult(SERVER_MID.openFile, 116, hr, incarnation);
}

/**
 * @param proxy true if `location` is a proxy to go through; '' means to use none
 * @param location mms://, mmst:// or mmsu://, without percent-encoding
 * @throws MmspError for a location of more than 65533 bytes
 */
export function buildRedirect(location: string, proxy: boolean): Buffer {
  const text = wideText(location);
  if (text.length > 0xffff) throw new MmspError('The location of a redirect is too long.');
  const bytes = newMessage(SERVER_MID.redirect, 16 + text.length);
  bytes.writeUInt16LE(proxy ? 2 : 1, 12);
  bytes.writeUInt16LE(text.length, 14);
  text.copy(bytes, 16);
  return bytes;
}

/** @param incarnation that of the OpenFile or SecurityResponse that this answers */
export function buildSecurityChallenge(incarnation: number, cookie: number, token: Buffer): Buffer {
  const bytes = newMessage(SERVER_MID.securityChallenge, 20 + token.length);
  bytes.writeUInt32LE(incarnation >>> 0, 8);
  bytes.writeUInt32LE(cookie >>> 0, 12);
  bytes.writeUInt32LE(token.length, 16);
  token.copy(bytes, 20);
  return bytes;
}

/** @param incarnation that of the ReadBlock */
export function buildReportReadBlock(incarnation: number, hr = 0): Buffer {
  return withResult(SERVER_MID.readBlock, 20, hr, incarnation);
}

/** Builds a ReportStreamSwitch (2.2.4.13). */
export function buildReportStreamSwitch(hr = 0): Buffer {
  const bytes = newMessage(SERVER_MID.streamSwitch, 12);
  bytes.writeUInt32LE(hr >>> 0, 8);
  return bytes;
}

/** @param incarnation that of the StartPlaying */
export function buildStartedPlaying(incarnation: number, openFileId: number, hr = 0): Buffer {
  const bytes = withResult(SERVER_MID.startedPlaying, 36, hr, incarnation);
  bytes.writeUInt32LE(openFileId, 16);
  return bytes;
}

/** @param incarnation that of the StartStriding */
export function buildReportStartStriding(incarnation: number, hr = 0): Buffer {
  return withResult(SERVER_MID.startStriding, 20, hr, incarnation);
}

/** @param hr 0 at the end or after a StopPlaying, 1 when a ReportStreamChange follows, or a failure */
export function buildEndOfStream(incarnation: number, hr: number): Buffer {
  return withResult(SERVER_MID.endOfStream, 16, hr, incarnation);
}

/** Builds a ReportStreamChange (2.2.4.12). */
export function buildStreamChange({
  packetSize,
  headerSize,
  bitRate,
}: Omit<FileFacts, 'attributes' | 'duration' | 'packetCount'>): Buffer {
  const bytes = withResult(SERVER_MID.streamChange, 32, 0, STREAM_CHANGE_INCARNATION);
  bytes.writeUInt32LE(packetSize, 16);
  bytes.writeUInt32LE(headerSize, 20);
  bytes.writeUInt32LE(Math.min(0xffffffff, bitRate), 24);
  return bytes;
}

/** Builds a Ping (2.2.4.1). */
export function buildPing(): Buffer {
  return newMessage(SERVER_MID.ping, 16);
}

/**
 * Reads a message from a server.
 *
 * @throws MmspError if it is truncated, or one of its lengths reaches past its end
 */
export function readServerMessage(message: RawMessage): ServerMessage {
  const { mid, bytes } = message;
  const hr = bytes.length >= 12 ? bytes.readUInt32LE(8) : 0;
  const incarnation = bytes.length >= 16 ? bytes.readUInt32LE(12) : 0;
  switch (mid) {
    case SERVER_MID.connectedEx:
      return readConnectedEx(message, hr, incarnation);
    case SERVER_MID.funnelInfo:
      need(message, hr === 0 ? FUNNEL_INFO_SIZE : 16);
      return {
        type: 'funnelInfo',
        hr,
        incarnation,
        clientId: hr === 0 ? bytes.readUInt32LE(28) : 0,
        pair: bytes.subarray(FUNNEL_INFO_SIZE),
      };
    case SERVER_MID.connectedFunnel:
      need(message, 12);
      return { type: 'connectedFunnel', hr };
    case SERVER_MID.disconnectedFunnel:
      need(message, 12);
      return { type: 'disconnectedFunnel', hr };
    case SERVER_MID.openFile:
      return readOpenFile(message, hr, incarnation);
    case SERVER_MID.redirect:
      return readRedirect(need(message, 16), hr);
    case SERVER_MID.securityChallenge:
      return readChallenge(need(message, 20));
    case SERVER_MID.streamSwitch:
      need(message, 12);
      return { type: 'streamSwitch', hr };
    case SERVER_MID.readBlock:
      need(message, 16);
      return { type: 'readBlock', hr, incarnation };
    case SERVER_MID.startedPlaying:
      need(message, 16);
      return { type: 'startedPlaying', hr, incarnation };
    case SERVER_MID.startStriding:
      need(message, 16);
      return { type: 'startStriding', hr, incarnation };
    case SERVER_MID.endOfStream:
      need(message, 16);
      return { type: 'endOfStream', hr, incarnation };
    case SERVER_MID.streamChange:
      need(message, 28);
      return {
        type: 'streamChange',
        packetSize: bytes.readUInt32LE(16),
        headerSize: bytes.readUInt32LE(20),
        bitRate: bytes.readUInt32LE(24),
      };
    case SERVER_MID.ping:
      return { type: 'ping' };
    default:
      return { type: 'unknown', mid };
  }
}

function readConnectedEx(message: RawMessage, hr: number, incarnation: number): ServerMessage {
  const bytes = need(message, 64);
  let at = 64;
  const [serverVersion, version, url, scheme] = [48, 52, 56, 60].map((place) => {
    const size = bytes.readUInt32LE(place) * 2;
    if (size > bytes.length - at) throw new MmspError('A text of ReportConnectedEX reaches past its end.');
    const text = readWideText(bytes.subarray(at, at + size));
    at += size;
    return text;
  }) as [string, string, string, string];
  const upgrade = version === '' ? undefined : { version, url };
  return { type: 'connectedEx', hr, incarnation, serverVersion, upgrade, scheme };
}

function readOpenFile(message: RawMessage, hr: number, incarnation: number): ServerMessage {
  // A failure may omit the remaining fields.
  const bytes = need(message, hr >= 0x80000000 ? 16 : 80);
  const at = (place: number) => (bytes.length >= place + 4 ? bytes.readUInt32LE(place) : 0);
  const duration = bytes.length >= 40 ? bytes.readDoubleLE(32) : 0;
  return {
    type: 'openFile',
    hr,
    incarnation,
    openFileId: at(16),
    attributes: at(28),
    duration: duration > 0 && duration < 2 ** 32 ? duration : 0,
    packetSize: at(60),
    packetCount: at(64) + at(68) * 2 ** 32,
    bitRate: at(72),
    headerSize: at(76),
  };
}

function readRedirect(bytes: Buffer, hr: number): ServerMessage {
  const size = bytes.readUInt16LE(14);
  if (size > bytes.length - 16) throw new MmspError('The location of a redirect reaches past its end.');
  return {
    type: 'redirect',
    hr,
    proxy: bytes.readUInt16LE(12) === 2,
    location: readWideText(bytes.subarray(16, 16 + size)),
  };
}

function readChallenge(bytes: Buffer): ServerMessage {
  const size = bytes.readUInt32LE(16);
  if (size > bytes.length - 20) throw new MmspError('The token of a challenge reaches past its end.');
  return {
    type: 'securityChallenge',
    incarnation: bytes.readUInt32LE(8),
    cookie: bytes.readUInt32LE(12),
    token: bytes.subarray(20, 20 + size),
  };
}
