import { release } from 'node:os';
import { codecsValue, countValue, EMPTY, type LogField, type LogValues, textValue } from './fields.js';
import { buildLine, buildWebLog } from './line.js';
import { buildXmlLog, MEDIA_NAMES, type WmLog } from './log.js';
import type { LogPair, VendorData } from './xml.js';

/** What a client reports of content; the other kind of log, `connect-time`, is made by {@link connectTimeLogXml}. */
export type ClientLogKind = 'legacy' | 'streaming' | 'rendering';

/** What a client reports of content that it has streamed or rendered ([MS-WMLOG] 2.1); what is not known stays out. */
export interface ClientLogFields {
  /** When the log is made. */
  readonly now: Date;
  /** The URL that was used in the end, and the one that was asked for at first. */
  readonly usedUrl: string;
  readonly requestedUrl: string;
  /** Seconds: where in the content it started; 0 for a live broadcast. */
  readonly startTime: number;
  /** Milliseconds of content that were rendered. */
  readonly duration: number;
  /** Milliseconds that receiving it took. */
  readonly receiving: number;
  /** 1 normal, negative backwards, at the beginning of what is reported; in a Rendering Log that of playback, else of streaming. */
  readonly rate: number;
  /** True if the connection was lost and made again meanwhile. */
  readonly reconnected: boolean;
  /** Registry format, with braces. */
  readonly playerId: string;
  /** Of the User-Agent, such as 12.0.7680.0. */
  readonly playerVersion: string;
  readonly userAgent: string;
  /** RFC 3066; default en-US. */
  readonly language?: string | undefined;
  /** The web page that the player or its announcement came from. */
  readonly referer?: string | undefined;
  /** Of the whole file in seconds and bytes; 0 for a live broadcast. */
  readonly fileLength: number;
  readonly fileSize: number;
  /** Bits per second over the session; undefined when nothing came. */
  readonly averageBandwidth: number | undefined;
  readonly audioCodecs: readonly string[];
  readonly videoCodecs: readonly string[];
  readonly bytes: number;
  /** Packets that came at the first attempt (2.1.15). */
  readonly packets: number;
  /** Packets that did not, of what came by datagrams. */
  readonly losses?: LossLogFields | undefined;
  /** How often, and how many ms in all, playback waited for data. */
  readonly buffering?: { readonly count: number; readonly milliseconds: number } | undefined;
  /** By what it came; default over TCP by HTTP. */
  readonly protocol?: 'http' | 'rtsp' | 'mms' | undefined;
  readonly transport?: 'TCP' | 'UDP' | undefined;
  /** Of what came by multicast; it then names protocol and transport. */
  readonly multicast?: MulticastLogFields | undefined;
  /** The address of the server, which only web servers are told (2.1.43). */
  readonly serverAddress?: string | undefined;
  /** From the server's content description, by the names that it has there. */
  readonly descriptions: readonly LogPair[];
  /** What an announcement adds under names of its own (3.2). */
  readonly vendors?: readonly VendorData[] | undefined;
}

/** Packets that did not come at the first attempt ([MS-WMLOG] 2.1.12 to 2.1.17, 2.1.23). */
export interface LossLogFields {
  /** Packets that never came and stay lost. */
  readonly lost: number;
  /** The longest run of packets that never came, rebuilt or not. */
  readonly longestGap: number;
  /** Packets that never came and were rebuilt by error correction. */
  readonly recovered: number;
  /** Packets that came because they were sent again, or after a later one. */
  readonly resent: number;
  /** Requests to send packets again; undefined where there are none. */
  readonly resendRequests?: number | undefined;
}

/** Where a multicast came from. */
export interface MulticastLogFields {
  /** Where its .nsc file was found; undefined when that was no URL. */
  readonly channelUrl: string | undefined;
  /** The group. */
  readonly address: string;
}

const HOST_PROGRAM = 'wmcast';
const HOST_VERSION = '0.1';
const NO_LOSSES: LossLogFields = { lost: 0, longestGap: 0, recovered: 0, resent: 0 };

/** The values of a Legacy Log ([MS-WMLOG] 2.5.1) for a Windows Media server, which has no s-ip. */
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

/** What is empty in a Streaming Log ([MS-WMLOG] 2.6.1). */
const OF_RENDERING: readonly LogField[] = ['audiocodec', 'videocodec'];
/** What is empty in a Rendering Log ([MS-WMLOG] 2.7.1): nothing of it came from the network. */
const OF_STREAMING: readonly LogField[] = [
  ...(['avgbandwidth', 'transport', 'c-pkts-received', 'c-pkts-lost-client', 'c-pkts-lost-net'] as const),
  ...(['c-pkts-lost-cont-net', 'c-resendreqs', 'c-pkts-recovered-ECC', 'c-pkts-recovered-resent'] as const),
  ...(['c-buffercount', 'c-totalbuffertime'] as const),
];

/** A log of what a client reports. */
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
        // 2.1.8 governs it where the schema does not.
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
 * The Legacy Log in W3C format ([MS-WMLOG] 2.5.2, 2.2.1): 47 values with one space between them, visible ASCII only, so that it
 * can stand in a header field.
 */
export function legacyLogLine(log: ClientLogFields): string {
  return buildLine(legacyValues(log), 47);
}

/** A log in XML format ([MS-WMLOG] 2.4, 2.5.3, 2.6.2, 2.7.2): lines that end with CR LF. */
export function clientLogXml(kind: ClientLogKind, log: ClientLogFields): string {
  return buildXmlLog(clientLog(kind, log));
}

/**
 * A log as the body of a POST request to a web server ([MS-WMLOG] 2.5.4, 2.6.3, 2.7.3): 47 values. A Legacy or Streaming Log names the
 * server that the content came from, or the group of a multicast.
 */
export function clientLogForWeb(kind: ClientLogKind, log: ClientLogFields): string {
  const address = log.multicast?.address ?? log.serverAddress ?? EMPTY;
  return buildWebLog({ ...valuesOf(kind, log), ...(kind === 'rendering' ? {} : { 's-ip': textValue(address) }) });
}

/** What a client says when it begins, in case that it is cut off before it can say more ([MS-WMLOG] 2.8): XML with CR LF. */
export function connectTimeLogXml(now: Date, transport: 'TCP' | 'UDP'): string {
  const values: LogValues = { ...timeValues(now), ...systemValues(), transport };
  return buildXmlLog({ kind: 'connect-time', values, description: [], vendors: [] });
}

/** A c-playerid that names nobody: the fixed start, and 12 digits that are chosen for the session ([MS-WMLOG] 2.1.18). */
export function anonymousPlayerId(randomHex: string): string {
  return `{3300AD50-2C39-46c0-AE0A-${randomHex.slice(0, 12).padStart(12, '0')}}`;
}

/** UTC ([MS-WMLOG] 2.1.36, 2.1.49). */
function timeValues(now: Date): LogValues {
  const [date = '', time = ''] = now.toISOString().split('T');
  return { date, time: time.slice(0, 8) };
}

function systemValues(): LogValues {
  return {
    'c-os': osName(process.platform),
    'c-osversion': /^\d{1,2}\.\d{1,2}/.exec(release())?.[0] ?? '0.0',
    'c-cpu': process.arch,
  };
}

/** Whole seconds, rounded up ([MS-WMLOG] 2.1.52). */
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
