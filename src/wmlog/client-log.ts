import { release } from 'node:os';

/**
 * What a log tells of: `legacy` of streaming and rendering at once ([MS-WMLOG] 2.5); or, where a client gets content faster than it
 * renders it, `streaming` of the one (2.6) and `rendering` of the other (2.7).
 */
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
  /** 1 normal, negative backwards. */
  readonly rate: number;
  /** The connection was lost and made again meanwhile. */
  readonly reconnected: boolean;
  /** Registry format, with braces. */
  readonly playerId: string;
  /** Of the User-Agent, such as 12.0.7680.0. */
  readonly playerVersion: string;
  readonly userAgent: string;
  /** Of the whole file in seconds and bytes; 0 for a live broadcast. */
  readonly fileLength: number;
  readonly fileSize: number;
  /** Bits per second over the time of receiving; undefined when nothing came. */
  readonly averageBandwidth: number | undefined;
  readonly audioCodecs: readonly string[];
  readonly videoCodecs: readonly string[];
  readonly bytes: number;
  /** That came at the first attempt (2.1.15). */
  readonly packets: number;
  /** Of what came by multicast; without it, it came over TCP by HTTP. */
  readonly multicast?: MulticastLogFields | undefined;
  /** From the server's content description, by the names that it has there. */
  readonly descriptions: ReadonlyArray<{ readonly name: string; readonly value: string }>;
}

/** What a client reports of a multicast ([MS-WMLOG] 2.3). */
export interface MulticastLogFields {
  /** Where its .nsc file was found; undefined when that was no URL. */
  readonly channelUrl: string | undefined;
  /** The group. */
  readonly address: string;
  /** Packets that never came and stay lost. */
  readonly lost: number;
  /** The longest run of packets that never came, rebuilt or not. */
  readonly longestGap: number;
  /** Packets that never came and were rebuilt from parity packets. */
  readonly recovered: number;
  /** Packets that came after a later one. */
  readonly reordered: number;
}

const EMPTY = '-';
const HOST_PROGRAM = 'wmcast';
const HOST_VERSION = '0.1';
const MAX_CODECS = 256;
const LARGEST = 0xffffffff;
/** Of a content description, which the server may make as long as it likes, no more is given back. */
const MAX_DESCRIPTIONS = 64;
const MAX_DESCRIPTION = 1024;
const PLAYLIST_ENTRY_URL = 'WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_URL';
const ROLE = 'WMS_CONTENT_DESCRIPTION_ROLE';

type LogField = readonly [name: string, value: string];

/** Name and value of all fields, in the order of [MS-WMLOG] 2.2.1; the last three are the optional ones. */
function fieldsOf(log: ClientLogFields): LogField[] {
  const { multicast, packets } = log;
  // TCP loses nothing.
  const { lost = 0, longestGap = 0, recovered = 0, reordered = 0 } = multicast ?? {};
  const rendered = packets + recovered + reordered;
  const [date = '', time = ''] = log.now.toISOString().split('T');
  return [
    ['c-ip', '0.0.0.0'],
    ['date', date],
    ['time', time.slice(0, 8)],
    ['c-dns', EMPTY],
    ['cs-uri-stem', log.usedUrl.split('?')[0]!],
    ['c-starttime', count(log.startTime)],
    ['x-duration', count(Math.ceil(log.duration / 1000))],
    ['c-rate', String(Math.trunc(log.rate))],
    ['c-status', log.reconnected ? '210' : '200'],
    ['c-playerid', log.playerId],
    ['c-playerversion', log.playerVersion],
    ['c-playerlanguage', 'en-US'],
    ['cs-User-Agent', log.userAgent],
    ['cs-Referer', EMPTY],
    ['c-hostexe', HOST_PROGRAM],
    ['c-hostexever', HOST_VERSION],
    ['c-os', osName(process.platform)],
    ['c-osversion', /^\d{1,2}\.\d{1,2}/.exec(release())?.[0] ?? '0.0'],
    ['c-cpu', process.arch],
    ['filelength', count(log.fileLength)],
    ['filesize', count(log.fileSize)],
    ['avgbandwidth', log.averageBandwidth === undefined ? EMPTY : count(log.averageBandwidth)],
    ['protocol', multicast ? 'asfm' : 'http'],
    ['transport', multicast ? 'UDP' : 'TCP'],
    ['audiocodec', codecs(log.audioCodecs)],
    ['videocodec', codecs(log.videoCodecs)],
    ['c-channelURL', multicast?.channelUrl ?? EMPTY],
    ['sc-bytes', EMPTY],
    ['c-bytes', count(log.bytes)],
    ['s-pkts-sent', EMPTY],
    ['c-pkts-received', count(packets)],
    ['c-pkts-lost-client', count(lost)],
    ['c-pkts-lost-net', count(lost + recovered)],
    ['c-pkts-lost-cont-net', count(longestGap)],
    ['c-resendreqs', EMPTY],
    ['c-pkts-recovered-ECC', count(recovered)],
    ['c-pkts-recovered-resent', count(reordered)],
    ['c-buffercount', '0'],
    ['c-totalbuffertime', '0'],
    ['c-quality', rendered + lost === 0 ? '100' : count((100 * rendered) / (rendered + lost))],
    ['s-ip', multicast?.address ?? EMPTY],
    ['s-dns', EMPTY],
    ['s-totalclients', EMPTY],
    ['s-cpu-util', EMPTY],
    ['cs-url', log.requestedUrl],
    ['cs-media-name', described(log, PLAYLIST_ENTRY_URL)],
    ['cs-media-role', described(log, ROLE)],
  ].map(([name = '', value = '']) => [name, clean(value)]);
}

/** What is not told in a Streaming Log ([MS-WMLOG] 2.6.1). */
const OF_RENDERING: ReadonlySet<string> = new Set(['audiocodec', 'videocodec']);
/** What a Rendering Log does not tell, but as constants ([MS-WMLOG] 2.7.1); nothing of it came from the network. */
const OF_STREAMING: readonly string[] = [
  ...['avgbandwidth', 'transport', 'c-pkts-received', 'c-pkts-lost-client', 'c-pkts-lost-net', 'c-pkts-lost-cont-net'],
  ...['c-resendreqs', 'c-pkts-recovered-ECC', 'c-pkts-recovered-resent', 'c-buffercount', 'c-totalbuffertime'],
];
const RENDERED: ReadonlyMap<string, string> = new Map([
  ...OF_STREAMING.map((name) => [name, EMPTY] as const),
  ['protocol', 'Cache'],
  ['c-bytes', '0'],
]);

function fieldsOfKind(kind: ClientLogKind, log: ClientLogFields): LogField[] {
  switch (kind) {
    case 'legacy':
      return fieldsOf(log);
    case 'streaming':
      return fieldsOf({ ...log, duration: log.receiving }).map(([name, value]) => [
        name,
        OF_RENDERING.has(name) ? EMPTY : value,
      ]);
    case 'rendering':
      return fieldsOf(log).map(([name, value]) => [name, RENDERED.get(name) ?? value]);
  }
}

/**
 * The line of 52 values that a Rendering Log to a server has ([MS-WMLOG] 2.2.2): the others are for servers and proxies. Its c-ip
 * is not that of the schema's element (2.1.8).
 */
function extended(fields: readonly LogField[]): LogField[] {
  const values = new Map([...fields, ['c-ip', EMPTY] as const]);
  const names = [
    ...fields.slice(0, -3).map(([name]) => name),
    ...['cs-user-name', 's-session-id', 's-content-path', 'cs-url', 'cs-media-name', 'c-max-bandwidth'],
    ...['cs-media-role', 's-proxied'],
  ];
  values.set('s-proxied', '0');
  return names.map((name) => [name, values.get(name) ?? EMPTY]);
}

/**
 * The Legacy Log in W3C format ([MS-WMLOG] 2.5.2, 2.2.1): 47 values with one space between them, visible ASCII only, so that it
 * can stand in a header field.
 */
export function legacyLogLine(log: ClientLogFields): string {
  return fieldsOf(log)
    .map(([, value]) => value)
    .join(' ');
}

/** A log in XML format ([MS-WMLOG] 2.4, 2.5.3, 2.6.2, 2.7.2): lines that end with CR LF. */
export function clientLogXml(kind: ClientLogKind, log: ClientLogFields): string {
  const fields = fieldsOfKind(kind, log);
  const line = kind === 'rendering' ? extended(fields) : fields;
  const summary = escapeXml(line.map(([, value]) => value).join(' '));
  // The schema has no elements for the last two; the content description says the same.
  const elements = fields.slice(0, -2).map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`);
  const described = log.descriptions.filter(({ name }) => /^[A-Za-z_][\w.-]{0,127}$/.test(name));
  const description = described
    .slice(0, MAX_DESCRIPTIONS)
    .map(({ name, value }) => `<${name}>${escapeXml(value.slice(0, MAX_DESCRIPTION))}</${name}>`);
  return [
    '<XML>',
    `<Summary>${summary}</Summary>`,
    ...elements,
    ...(description.length === 0 ? [] : ['<ContentDescription>', ...description, '</ContentDescription>']),
    '</XML>',
    '',
  ].join('\r\n');
}

/** A c-playerid that names nobody: the fixed start, and 12 digits that are chosen for the session ([MS-WMLOG] 2.1.18). */
export function anonymousPlayerId(randomHex: string): string {
  return `{3300AD50-2C39-46c0-AE0A-${randomHex.slice(0, 12).padStart(12, '0')}}`;
}

function count(value: number): string {
  return String(Math.min(Math.max(Math.trunc(value), 0), LARGEST));
}

/** Each name once, as many of them as fit (2.1.1). */
function codecs(names: readonly string[]): string {
  let text = '';
  for (const name of new Set(names.map((each) => clean(each)))) {
    const longer = text === '' ? name : `${text};${name}`;
    if (name !== EMPTY && longer.length <= MAX_CODECS) text = longer;
  }
  return text === '' ? EMPTY : text;
}

function described({ descriptions }: ClientLogFields, wanted: string): string {
  return descriptions.find(({ name }) => name === wanted)?.value ?? EMPTY;
}

function osName(platform: string): string {
  const names: Readonly<Record<string, string>> = { win32: 'Windows', darwin: 'macOS', linux: 'Linux' };
  return names[platform] ?? platform;
}

/** Blanks become underscores and what is not visible ASCII is percent-encoded ([MS-WMLOG] 2.2). */
function clean(value: string): string {
  const text = value.replace(/\s/g, '_').replace(/[^\x21-\x7e]/gu, (char) => percentEncoded(char));
  return text === '' ? EMPTY : text;
}

function percentEncoded(char: string): string {
  return [...Buffer.from(char, 'utf8')].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

function escapeXml(text: string): string {
  const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  // Control characters cannot stand in XML 1.0 at all.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be removed
  return text.replace(/[\u0000-\u001f]/g, '').replace(/[&<>"]/g, (char) => named[char]!);
}
