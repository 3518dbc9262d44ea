import { release } from 'node:os';
import { codecsValue, countValue, EMPTY, type LogField, type LogValues, textValue } from './fields.js';
import { buildLine, buildWebLog } from './line.js';
import { buildXmlLog, MEDIA_NAMES, type WmLog } from './log.js';
import type { LogPair, VendorData } from './xml.js';

/** The kinds of log about content; the other kind, `connect-time`, is made by {@link connectTimeLogXml}. */
export type ClientLogKind = 'legacy' | 'streaming' | 'rendering';

/** A client's report on content that it has streamed or rendered ([MS-WMLOG] 2.1); unknown fields are absent. */
export interface ClientLogFields {
  /** When the log is made. */
  readonly now: Date;
  /** The URL that was used in the end, and the one that was requested first. */
  readonly usedUrl: string;
  readonly requestedUrl: string;
  /** Where in the content it started, in seconds; 0 for a live broadcast. */
  readonly startTime: number;
  /** How much content was rendered, in ms. */
  readonly duration: number;
  /** How long receiving it took, in ms. */
  readonly receiving: number;
  /**
   * The rate at the beginning of the reported period: 1 is normal, negative is backwards. In a Rendering Log that of
   * playback, otherwise of streaming.
   */
  readonly rate: number;
  /** True if the connection was lost and re-established meanwhile. */
  readonly reconnected: boolean;
  /** In registry format, with braces. */
  readonly playerId: string;
  /** From the User-Agent, such as 12.0.7680.0. */
  readonly playerVersion: string;
  readonly userAgent: string;
  /** RFC 3066; default en-US. */
  readonly language?: string | undefined;
  /** The web page that linked to the player or its announcement. */
  readonly referer?: string | undefined;
  /** Of the whole file, in seconds and in bytes; 0 for a live broadcast. */
  readonly fileLength: number;
  readonly fileSize: number;
  /** Bits per second over the session; undefined if nothing was received. */
  readonly averageBandwidth: number | undefined;
  readonly audioCodecs: readonly string[];
  readonly videoCodecs: readonly string[];
  readonly bytes: number;
  /** Packets received at the first attempt (2.1.15). */
  readonly packets: number;
  /** Packets not received at the first attempt; for datagrams only. */
  readonly losses?: LossLogFields | undefined;
  /** How often playback waited for data, and for how many ms in all. */
  readonly buffering?: { readonly count: number; readonly milliseconds: number } | undefined;
  /** The protocol used; default: HTTP over TCP. */
  readonly protocol?: 'http' | 'rtsp' | 'mms' | undefined;
  readonly transport?: 'TCP' | 'UDP' | undefined;
  /** For content received by multicast; determines protocol and transport. */
  readonly multicast?: MulticastLogFields | undefined;
  /** The address of the server, reported only to web servers (2.1.43). */
  readonly serverAddress?: string | undefined;
  /** From the server's content description, under the names used there. */
  readonly descriptions: readonly LogPair[];
  /** Data from an announcement, under vendors' own names (3.2). */
  readonly vendors?: readonly VendorData[] | undefined;
}

/** Packets not received at the first attempt ([MS-WMLOG] 2.1.12 to 2.1.17, 2.1.23). */
export interface LossLogFields {
  /** Packets never received nor recovered. */
  readonly lost: number;
  /** The longest run of packets that never arrived, recovered or not. */
  readonly longestGap: number;
  /** Packets that never arrived and were recovered by error correction. */
  readonly recovered: number;
  /** Packets that arrived because they were resent, or after a later one. */
  readonly resent: number;
  /** Requests to resend packets; undefined if the protocol has none. */
  readonly resendRequests?: number | undefined;
}

/** The source of a multicast. */
export interface MulticastLogFields {
  /** The URL of its .nsc file; undefined if that was not a URL. */
  readonly channelUrl: string | undefined;
  /** The multicast group. */
  readonly address: string;
}

const HOST_PROGRAM = 'wmcast';
const HOST_VERSION = '0.1';
const NO_LOSSES: LossLogFields = { lost: 0, longestGap: 0, recovered: 0, resent: 0 };

/** Returns the values of a Legacy Log for a Windows Media server, which has no s-ip ([MS-WMLOG] 2.5.1). */
function legacyValues(log: ClientLogFields): LogValues {
  const { multicast, packets, losses = NO_LOSSES, buffering = { count: 0, milliseconds: 0 } } = log;
  const rendered = packets + losses.recovered + losses.resent;
  const quality = rendered + losses.lost === 0 ? 100 : (100 * rendered) / (rendered + losses.lost);
  return {
    'c-ip': '0.0.0.0',
    ...timeValues(log.now),
    'cs-uri-stem': textValue(log.usedUrl.split('?')[0]!),
    'c-starttime': countValue(log.startTime),
    'x-duration': seconds(log.duration),
    'c-rate': String(Math.trunc(Math.min(Math.max(log.rate, -99), 99))),
    'c-status': log.reconnected ? '210' : '200',
    'c-playerid': textValue(log.playerId),
    'c-playerversion': textValue(log.playerVersion),
    'c-playerlanguage': textValue(log.language ?? 'en-US'),
    'cs-User-Agent': textValue(log.userAgent),
    'cs-Referer': textValue(log.referer ?? EMPTY),
    'c-hostexe': HOST_PROGRAM,
    'c-hostexever': HOST_VERSION,
    ...systemValues(),
    filelength: countValue(log.fileLength),
    filesize: countValue(log.fileSize),
    avgbandwidth: log.averageBandwidth === undefined ? EMPTY : countValue(log.averageBandwidth),
    protocol: multicast ? 'asfm' : (log.protocol ?? 'http'),
    transport: multicast ? 'UDP' : (log.transport ?? 'TCP'),
    audiocodec: codecsValue(log.audioCodecs),
    videocodec: codecsValue(log.videoCodecs),
    'c-channelURL': textValue(multicast?.channelUrl ?? EMPTY),
    'c-bytes': countValue(log.bytes),
    'c-pkts-received': countValue(packets),
    'c-pkts-lost-client': countValue(losses.lost),
    'c-pkts-lost-net': countValue(losses.lost + losses.recovered),
    'c-pkts-lost-cont-net': countValue(losses.longestGap),
    'c-resendreqs': losses.resendRequests === undefined ? EMPTY : countValue(losses.resendRequests),
    'c-pkts-recovered-ECC': countValue(losses.recovered),
    'c-pkts-recovered-resent': countValue(losses.resent),
    'c-buffercount': countValue(buffering.count),
    'c-totalbuffertime': seconds(buffering.milliseconds),
    'c-quality': countValue(quality),
    'cs-url': textValue(log.requestedUrl),
    'cs-media-name': described(log, 'cs-media-name'),
    'cs-media-role': described(log, 'cs-media-role'),
  };
}

/** Fields that are empty in a Streaming Log ([MS-WMLOG] 2.6.1). */
const OF_RENDERING: readonly LogField[] = ['audiocodec', 'videocodec'];
/** Fields that are empty in a Rendering Log, because none of it came from the network ([MS-WMLOG] 2.7.1). */
const OF_STREAMING: readonly LogField[] = [
  ...(['avgbandwidth', 'transport', 'c-pkts-received', 'c-pkts-lost-client', 'c-pkts-lost-net'] as const),
  ...(['c-pkts-lost-cont-net', 'c-resendreqs', 'c-pkts-recovered-ECC', 'c-pkts-recovered-resent'] as const),
  ...(['c-buffercount', 'c-totalbuffertime'] as const),
];

/** Makes a log of a client's report. */
function clientLog(kind: ClientLogKind, log: ClientLogFields): WmLog {
  const { descriptions: description, vendors = [] } = log;
  return { kind, values: valuesOf(kind, log), invalid: [], description, vendors };
}

function valuesOf(kind: ClientLogKind, log: ClientLogFields): LogValues {
  switch (kind) {
    case 'legacy':
      return legacyValues(log);
    case 'streaming':
      return without(legacyValues({ ...log, duration: log.receiving }), OF_RENDERING);
    case 'rendering':
      return {
        ...without(legacyValues(log), OF_STREAMING),
        // 2.1.8 governs this field where the schema does not.
        'c-ip': EMPTY,
        protocol: 'Cache',
        'c-bytes': '0',
        'c-quality': '100',
        's-proxied': '0',
      };
  }
}

function without(values: LogValues, fields: readonly LogField[]): LogValues {
  return { ...values, ...Object.fromEntries(fields.map((field) => [field, EMPTY])) };
}

/**
 * Builds the Legacy Log in W3C format ([MS-WMLOG] 2.5.2, 2.2.1): 47 values separated by single spaces, in visible ASCII
 * only, so that it fits in a header field.
 */
export function legacyLogLine(log: ClientLogFields): string {
  return buildLine(legacyValues(log), 47);
}

/** Builds a log in XML format, with CR LF line ends ([MS-WMLOG] 2.4, 2.5.3, 2.6.2, 2.7.2). */
export function clientLogXml(kind: ClientLogKind, log: ClientLogFields): string {
  return buildXmlLog(clientLog(kind, log));
}

/**
 * Builds a log as the body of a POST request to a web server ([MS-WMLOG] 2.5.4, 2.6.3, 2.7.3): 47 values. A Legacy or
 * Streaming Log names the server that the content came from, or the multicast group.
 */
export function clientLogForWeb(kind: ClientLogKind, log: ClientLogFields): string {
  const address = log.multicast?.address ?? log.serverAddress ?? EMPTY;
  return buildWebLog({ ...valuesOf(kind, log), ...(kind === 'rendering' ? {} : { 's-ip': textValue(address) }) });
}

/**
 * Builds the log that a client sends when it begins, in case it is cut off before it can report more: XML with CR LF
 * line ends ([MS-WMLOG] 2.8).
 */
export function connectTimeLogXml(now: Date, transport: 'TCP' | 'UDP'): string {
  const values: LogValues = { ...timeValues(now), ...systemValues(), transport };
  return buildXmlLog({ kind: 'connect-time', values, description: [], vendors: [] });
}

/**
 * Returns a c-playerid that identifies nobody: the fixed start and 12 digits chosen for the session ([MS-WMLOG]
 * 2.1.18).
 */
export function anonymousPlayerId(randomHex: string): string {
  return `{3300AD50-2C39-46c0-AE0A-${randomHex.slice(0, 12).padStart(12, '0')}}`;
}

/** Returns date and time in UTC ([MS-WMLOG] 2.1.36, 2.1.49). */
function timeValues(now: Date): LogValues {
  const [date = '', time = ''] = now.toISOString().split('T');
  return { date, time: time.slice(0, 8) };
}

function systemValues(): LogValues {
  const { os, osVersion, cpu } = hostProgram();
  return { 'c-os': os, 'c-osversion': osVersion, 'c-cpu': cpu };
}

/** Returns what all logs say of this program and the system that it runs on. */
export function hostProgram() {
  return {
    program: HOST_PROGRAM,
    programVersion: HOST_VERSION,
    os: osName(process.platform),
    osVersion: /^\d{1,2}\.\d{1,2}/.exec(release())?.[0] ?? '0.0',
    cpu: process.arch,
  };
}

/** Returns whole seconds, rounded up ([MS-WMLOG] 2.1.52). */
function seconds(milliseconds: number): string {
  return countValue(Math.ceil(milliseconds / 1000));
}

function described({ descriptions }: ClientLogFields, field: keyof typeof MEDIA_NAMES): string {
  return textValue(descriptions.find(({ name }) => name === MEDIA_NAMES[field])?.value ?? EMPTY);
}

function osName(platform: string): string {
  const names: Readonly<Record<string, string>> = { win32: 'Windows', darwin: 'macOS', linux: 'Linux' };
  return names[platform] ?? platform;
}
