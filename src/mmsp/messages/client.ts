import {
  CLIENT_MID,
  HEAD_SIZE,
  MAX_BIT_RATE,
  MmspError,
  need,
  newMessage,
  type RawMessage,
  REVISION,
  readWideText,
  wideText,
} from './base.js';

/** Where a client wants its Data packets (MS-MMSP 2.2.4.18). */
export interface Funnel {
  readonly transport: 'tcp' | 'udp';
  /** As the client states it, an IPv4 or IPv6 address without brackets; servers ignore it (3.2.5.5). */
  readonly address: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** Where a StartPlaying or StartStriding begins; an unused field is undefined (2.2.4.25). */
export interface StartPlace {
  /** Seconds from the start of the content. */
  readonly position?: number | undefined;
  /** asfOffset: bytes from the start of the file. */
  readonly offset?: number | undefined;
  /** locationId: the number of an ASF packet. */
  readonly location?: number | undefined;
}

/** One STREAM_SWITCH_ENTRY (2.2.4.28.1); undefined means no stream, 0xFFFF on the wire. */
export interface SwitchEntry {
  readonly source: number | undefined;
  readonly destination: number | undefined;
  /** 0 all media objects, 1 key frames, 2 none. */
  readonly level: number;
}

/** A message from a client, parsed. */
export type ClientMessage =
  | {
      readonly type: 'connect';
      /** PACKET_PAIR.none or .possible; old clients send anything. */
      readonly incarnation: number;
      /** subscriberName up to its first null character. */
      readonly subscriber: string;
      /** `HOST: ` of a request that came through a proxy. */
      readonly host?: string | undefined;
      /** `VIA: `, the proxies that the request came through. */
      readonly via?: string | undefined;
    }
  | { readonly type: 'funnelInfo'; readonly incarnation: number }
  | { readonly type: 'connectFunnel'; readonly funnel: Funnel }
  | {
      readonly type: 'openFile';
      readonly incarnation: number;
      /** As received: a path without percent-encoding, with or without its leading slash. */
      readonly fileName: string;
      /** tokenData; may be empty. */
      readonly token: Buffer;
    }
  | { readonly type: 'securityResponse'; readonly incarnation: number; readonly cookie: number; readonly token: Buffer }
  | { readonly type: 'readBlock'; readonly openFileId: number; readonly incarnation: number }
  | { readonly type: 'cancelReadBlock'; readonly incarnation: number }
  | { readonly type: 'streamSwitch'; readonly entries: readonly SwitchEntry[] }
  | ({
      readonly type: 'startPlaying';
      readonly openFileId: number;
      readonly incarnation: number;
      /** frameOffset: when to stop, in ms; relative to the start of this request or to that of the content. */
      readonly stop?: { readonly milliseconds: number; readonly relative: boolean } | undefined;
      /** dwAccelBandwidth in bits per second and dwAccelDuration in ms. */
      readonly acceleration?: { readonly bitsPerSecond: number; readonly milliseconds: number } | undefined;
      /** dwLinkBandwidth, bits per second. */
      readonly linkBandwidth?: number | undefined;
    } & StartPlace)
  | ({
      readonly type: 'startStriding';
      readonly openFileId: number;
      readonly incarnation: number;
      /** -5 to 5 without 0. */
      readonly rate: number;
    } & StartPlace)
  | { readonly type: 'stopPlaying'; readonly openFileId: number; readonly incarnation: number }
  | { readonly type: 'closeFile'; readonly openFileId: number }
  | { readonly type: 'pong' }
  /** CLIENT_LOG, unparsed. */
  | { readonly type: 'logging'; readonly log: Buffer }
  /** A MID that no client message has. */
  | { readonly type: 'unknown'; readonly mid: number };

const NO_STREAM = 0xffff;
const NOT_USED = 0xffffffff;
/** The most entries of a StreamSwitch that can name ASF streams: 127 as source, 127 as destination. */
const MAX_ENTRIES = 254;
const RELATIVE = 0x80000000;

/** @param incarnation PACKET_PAIR.none or .possible */
export function buildConnect(
  incarnation: number,
  subscriber: string,
  { host, via }: { host?: string | undefined; via?: string | undefined } = {},
): Buffer {
  const texts = [wideText(host === undefined ? subscriber : `${subscriber}; Host: ${host}`)];
  if (host !== undefined) texts.push(wideText(`HOST: ${host}`));
  if (via !== undefined) texts.push(wideText(`VIA: ${via}`));
  const name = Buffer.concat(texts);
  const bytes = newMessage(CLIENT_MID.connect, 20 + name.length);
  bytes.writeUInt32LE(incarnation, 8);
  bytes.writeUInt32LE(REVISION.macToViewer, 12);
  bytes.writeUInt32LE(REVISION.viewerToMac, 16);
  name.copy(bytes, 20);
  return bytes;
}

/** @param incarnation one of PACKET_PAIR */
export function buildFunnelInfo(incarnation: number): Buffer {
  const bytes = newMessage(CLIENT_MID.funnelInfo, 12);
  bytes.writeUInt32LE(incarnation, 8);
  return bytes;
}

/** @throws MmspError for a port outside 1 to 65535 */
export function buildConnectFunnel({ transport, address, port }: Funnel): Buffer {
  if (!(port >= 1 && port <= 0xffff)) throw new MmspError(`${port} is not a port.`);
  const name = wideText(`\\\\${address}\\${transport.toUpperCase()}\\${port}`);
  const bytes = newMessage(CLIENT_MID.connectFunnel, 28 + name.length);
  bytes.writeUInt32LE(NOT_USED, 12);
  bytes.writeUInt32LE(MAX_BIT_RATE, 20);
  bytes.writeUInt32LE(2, 24);
  name.copy(bytes, 28);
  return bytes;
}

/** @param fileName the path of the URL, without percent-encoding */
export function buildOpenFile(incarnation: number, fileName: string, token: Buffer = Buffer.alloc(0)): Buffer {
  const name = wideText(fileName);
  const bytes = newMessage(CLIENT_MID.openFile, 24 + name.length + token.length);
  bytes.writeUInt32LE(incarnation, 8);
  if (token.length > 0) bytes.writeUInt32LE(name.length, 16);
  bytes.writeUInt32LE(token.length, 20);
  name.copy(bytes, 24);
  token.copy(bytes, 24 + name.length);
  return bytes;
}

/**
 * Builds a SecurityResponse (2.2.4.24).
 *
 * @param token the client's, at most 64 KB
 */
export function buildSecurityResponse(incarnation: number, cookie: number, token: Buffer): Buffer {
  const bytes = newMessage(CLIENT_MID.securityResponse, 20 + token.length);
  bytes.writeUInt32LE(incarnation, 8);
  bytes.writeUInt32LE(cookie >>> 0, 12);
  bytes.writeUInt32LE(token.length, 16);
  token.copy(bytes, 20);
  return bytes;
}

/** Builds a ReadBlock for the ASF header (2.2.4.23). */
export function buildReadBlock(openFileId: number, incarnation: number): Buffer {
  const bytes = newMessage(CLIENT_MID.readBlock, 56);
  bytes.writeUInt32LE(openFileId, 8);
  bytes.writeUInt32LE(0x8000, 20);
  bytes.writeUInt32LE(NOT_USED, 24);
  bytes.writeDoubleLE(3600, 40);
  bytes.writeUInt32LE(incarnation, 48);
  return bytes;
}

/** Builds a CancelReadBlock (2.2.4.15). */
export function buildCancelReadBlock(incarnation: number): Buffer {
  const bytes = newMessage(CLIENT_MID.cancelReadBlock, 12);
  bytes.writeUInt32LE(incarnation, 8);
  return bytes;
}

/** Builds a StreamSwitch (2.2.4.28). */
export function buildStreamSwitch(entries: readonly SwitchEntry[]): Buffer {
  const bytes = newMessage(CLIENT_MID.streamSwitch, 12 + entries.length * 6);
  bytes.writeUInt32LE(entries.length, 8);
  for (const [index, { source, destination, level }] of entries.entries()) {
    bytes.writeUInt16LE(source ?? NO_STREAM, 12 + index * 6);
    bytes.writeUInt16LE(destination ?? NO_STREAM, 14 + index * 6);
    bytes.writeUInt16LE(level, 16 + index * 6);
  }
  return bytes;
}

type Start = Omit<Extract<ClientMessage, { type: 'startPlaying' }>, 'type'>;

/** Builds a StartPlaying (2.2.4.25). */
export function buildStartPlaying(start: Start): Buffer {
  const { acceleration, linkBandwidth, stop } = start;
  const size = 40 + (acceleration ? (linkBandwidth === undefined ? 8 : 12) : 0);
  const bytes = newMessage(CLIENT_MID.startPlaying, size);
  writePlace(bytes, start);
  if (stop) bytes.writeUInt32LE((stop.milliseconds & 0x7fffffff) + (stop.relative ? RELATIVE : 0), 32);
  if (acceleration) {
    bytes.writeUInt32LE(acceleration.bitsPerSecond, 40);
    bytes.writeUInt32LE(acceleration.milliseconds, 44);
    if (linkBandwidth !== undefined) bytes.writeUInt32LE(linkBandwidth, 48);
  }
  return bytes;
}

/** @throws MmspError for a rate that is 0 or outside -5 to 5 */
export function buildStartStriding(start: Omit<Extract<ClientMessage, { type: 'startStriding' }>, 'type'>): Buffer {
  if (start.rate === 0 || !(Math.abs(start.rate) <= 5))
    throw new MmspError(`${start.rate} is not a rate from -5 to 5.`);
  const bytes = newMessage(CLIENT_MID.startStriding, 48);
  writePlace(bytes, start);
  bytes.writeDoubleLE(start.rate, 40);
  return bytes;
}

function writePlace(
  bytes: Buffer,
  { openFileId, incarnation, position, offset, location }: StartPlace & { openFileId: number; incarnation: number },
): void {
  const byField = offset !== undefined || location !== undefined;
  bytes.writeUInt32LE(openFileId, 8);
  bytes.writeDoubleLE(byField ? Number.MAX_VALUE : (position ?? 0), 16);
  bytes.writeUInt32LE(offset ?? NOT_USED, 24);
  bytes.writeUInt32LE(location ?? NOT_USED, 28);
  bytes.writeUInt32LE(incarnation, 36);
}

/** Builds a StopPlaying (2.2.4.27). */
export function buildStopPlaying(openFileId: number, incarnation: number): Buffer {
  const bytes = newMessage(CLIENT_MID.stopPlaying, 16);
  bytes.writeUInt32LE(openFileId, 8);
  bytes.writeUInt32LE(incarnation, 12);
  return bytes;
}

/** Builds a CloseFile (2.2.4.16). */
export function buildCloseFile(openFileId: number): Buffer {
  const bytes = newMessage(CLIENT_MID.closeFile, 16);
  bytes.writeUInt32LE(openFileId, 12);
  return bytes;
}

/** Builds the answer to a Ping (2.2.4.22). */
export function buildPong(): Buffer {
  return newMessage(CLIENT_MID.pong, 16);
}

/** @param log a CLIENT_LOG (2.2.1.1) */
export function buildLogging(log: Buffer): Buffer {
  const bytes = newMessage(CLIENT_MID.logging, HEAD_SIZE + log.length);
  log.copy(bytes, HEAD_SIZE);
  return bytes;
}

/**
 * Reads a message from a client.
 *
 * @throws MmspError if it is truncated, or one of its lengths reaches past its end
 */
export function readClientMessage(message: RawMessage): ClientMessage {
  const { mid, bytes } = message;
  switch (mid) {
    case CLIENT_MID.connect:
      return readConnect(need(message, 20));
    case CLIENT_MID.funnelInfo:
      return { type: 'funnelInfo', incarnation: need(message, 12).readUInt32LE(8) };
    case CLIENT_MID.connectFunnel:
      return { type: 'connectFunnel', funnel: readFunnel(readWideText(need(message, 30).subarray(28))) };
    case CLIENT_MID.openFile:
      return readOpenFile(need(message, 24));
    case CLIENT_MID.securityResponse: {
      need(message, 20);
      const token = sized(bytes, 20, bytes.readUInt32LE(16));
      return { type: 'securityResponse', incarnation: bytes.readUInt32LE(8), cookie: bytes.readUInt32LE(12), token };
    }
    case CLIENT_MID.readBlock:
      need(message, 52);
      return { type: 'readBlock', openFileId: bytes.readUInt32LE(8), incarnation: bytes.readUInt32LE(48) };
    case CLIENT_MID.cancelReadBlock:
      return { type: 'cancelReadBlock', incarnation: need(message, 12).readUInt32LE(8) };
    case CLIENT_MID.streamSwitch:
      return readStreamSwitch(need(message, 12));
    case CLIENT_MID.startPlaying:
      return readStartPlaying(need(message, 40));
    case CLIENT_MID.startStriding: {
      const rate = need(message, 48).readDoubleLE(40);
      return { type: 'startStriding', ...readStart(bytes), rate };
    }
    case CLIENT_MID.stopPlaying:
      need(message, 16);
      return { type: 'stopPlaying', openFileId: bytes.readUInt32LE(8), incarnation: bytes.readUInt32LE(12) };
    case CLIENT_MID.closeFile:
      return { type: 'closeFile', openFileId: need(message, 16).readUInt32LE(12) };
    case CLIENT_MID.pong:
      return { type: 'pong' };
    case CLIENT_MID.logging:
      return { type: 'logging', log: bytes.subarray(HEAD_SIZE) };
    default:
      return { type: 'unknown', mid };
  }
}

function readConnect(bytes: Buffer): ClientMessage {
  // The name; the strings that proxies add follow its null character (2.2.4.17).
  const [subscriber = '', ...more] = bytes.toString('utf16le', 20).split('\0', 8);
  const after = (name: string) => more.find((text) => text.startsWith(name))?.slice(name.length);
  return {
    type: 'connect',
    incarnation: bytes.readUInt32LE(8),
    subscriber,
    host: after('HOST: '),
    via: after('VIA: '),
  };
}

/** @throws MmspError for a malformed name, another protocol or a port out of range */
function readFunnel(name: string): Funnel {
  const parts = /^\\\\([^\\]{0,64})\\(TCP|UDP)\\(\d{1,5})$/i.exec(name);
  const port = Number(parts?.[3]);
  if (!parts || port < 1 || port > 0xffff) throw new MmspError('The name of a funnel cannot be read.');
  return { transport: parts[2]!.toLowerCase() as Funnel['transport'], address: parts[1]!, port };
}

function readOpenFile(bytes: Buffer): ClientMessage {
  const incarnation = bytes.readUInt32LE(8);
  const size = bytes.readUInt32LE(20);
  const offset = bytes.readUInt32LE(16);
  if (size === 0) {
    return { type: 'openFile', incarnation, fileName: readWideText(bytes.subarray(24)), token: Buffer.alloc(0) };
  }
  const token = sized(bytes, 24 + offset, size);
  return { type: 'openFile', incarnation, fileName: readWideText(bytes.subarray(24, 24 + offset)), token };
}

function readStreamSwitch(bytes: Buffer): ClientMessage {
  const count = bytes.readUInt32LE(8);
  if (count > MAX_ENTRIES || 12 + count * 6 > bytes.length) {
    throw new MmspError(`A StreamSwitch of ${bytes.length} bytes says that it has ${count} entries.`);
  }
  const stream = (at: number) => {
    const number = bytes.readUInt16LE(at);
    return number === NO_STREAM ? undefined : number;
  };
  const entries = Array.from({ length: count }, (_, index) => ({
    source: stream(12 + index * 6),
    destination: stream(14 + index * 6),
    level: bytes.readUInt16LE(16 + index * 6),
  }));
  return { type: 'streamSwitch', entries };
}

function readStartPlaying(bytes: Buffer): ClientMessage {
  const limit = bytes.readUInt32LE(32);
  const milliseconds = limit % RELATIVE;
  const hasAcceleration = bytes.length >= 48;
  return {
    type: 'startPlaying',
    ...readStart(bytes),
    // Open-source players send 0x00FFFFFF for "no limit"; they do not mean 4 hours 39 minutes.
    stop: milliseconds === 0 || limit === 0x00ffffff ? undefined : { milliseconds, relative: limit >= RELATIVE },
    acceleration: hasAcceleration
      ? { bitsPerSecond: bytes.readUInt32LE(40), milliseconds: bytes.readUInt32LE(44) }
      : undefined,
    linkBandwidth: bytes.length >= 56 ? bytes.readUInt32LE(48) : undefined,
  };
}

function readStart(bytes: Buffer): StartPlace & { openFileId: number; incarnation: number } {
  const position = bytes.readDoubleLE(16);
  const used = (at: number) => {
    const value = bytes.readUInt32LE(at);
    return value === NOT_USED || value === 0 ? undefined : value;
  };
  return {
    openFileId: bytes.readUInt32LE(8),
    incarnation: bytes.readUInt32LE(36),
    position: Number.isFinite(position) && position >= 0 && position < 2 ** 32 ? position : undefined,
    offset: used(24),
    location: used(28),
  };
}

/** @throws MmspError if there are fewer than `size` bytes */
function sized(bytes: Buffer, at: number, size: number): Buffer {
  if (size > bytes.length || at > bytes.length - size) {
    throw new MmspError(`A token of ${size} bytes reaches past the end of its message.`);
  }
  return bytes.subarray(at, at + size);
}
