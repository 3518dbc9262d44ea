import { RtspError } from './error.js';

/** One transport of a Transport header (RFC 2326 12.39, MS-RTSP 2.2.6.11). */
export interface Transport {
  readonly protocol: 'udp' | 'tcp';
  /** False for multicast, which is not supported. */
  readonly unicast: boolean;
  /** client_port: the first port, and the second one of a pair. */
  readonly clientPort?: Ports | undefined;
  readonly serverPort?: Ports | undefined;
  readonly interleaved?: Ports | undefined;
  /** 32 bits, 8 hexadecimal digits on the wire. */
  readonly ssrc?: number | undefined;
  readonly fec?: FecParameters | undefined;
}

/** A port or channel, or a pair. */
export type Ports = readonly [first: number, second?: number | undefined];

/** fec-parameters (MS-RTSP 2.2.6.11); hexadecimal on the wire. */
export interface FecParameters {
  /** 1 to 24 source packets. */
  readonly span: number;
  /** 1 to `span` FEC packets. */
  readonly perSpan: number;
  /** 1 to 12: the distance between packets of one span. */
  readonly burstMargin: number;
}

const MAX_TRANSPORTS = 16;

/**
 * Reads a Transport header: the transports that a client accepts, in its order of preference.
 *
 * @returns those that are RTP/AVP and well-formed, at most 16
 */
export function readTransports(value: string): Transport[] {
  return value
    .split(',', MAX_TRANSPORTS)
    .map(readTransport)
    .filter((transport) => transport !== undefined);
}

function readTransport(text: string): Transport | undefined {
  const [name = '', ...parameters] = text.split(';', 32).map((part) => part.trim());
  const protocol = /^RTP\/AVP(?:\/(UDP|TCP))?$/i.exec(name);
  if (!protocol) return undefined;
  const of = (key: string) =>
    parameters
      .find((part) => part.toLowerCase().startsWith(`${key}=`))
      ?.slice(key.length + 1)
      .trim();
  const ssrc = /^[0-9a-f]{1,8}$/i.exec(of('ssrc') ?? '')?.[0];
  return {
    protocol: protocol[1]?.toUpperCase() === 'TCP' ? 'tcp' : 'udp',
    unicast: parameters.some((part) => part.toLowerCase() === 'unicast'),
    clientPort: readPorts(of('client_port'), 1, 0xffff),
    serverPort: readPorts(of('server_port'), 1, 0xffff),
    interleaved: readPorts(of('interleaved'), 0, 0xff),
    ssrc: ssrc === undefined ? undefined : Number.parseInt(ssrc, 16),
    fec: readFec(of('fecspan'), of('fecperspan'), of('fecburstmargin')),
  };
}

function readPorts(text: string | undefined, least: number, most: number): Ports | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text ?? '');
  if (!match) return undefined;
  const ports = [Number(match[1]), match[2] === undefined ? undefined : Number(match[2])] as const;
  const isGood = ports.every((port) => port === undefined || (port >= least && port <= most));
  return isGood ? ports : undefined;
}

function readFec(...texts: Array<string | undefined>): FecParameters | undefined {
  const [span = 0, perSpan = 0, burstMargin = 0] = texts.map((text) =>
    /^[0-9a-f]{1,2}$/i.test(text ?? '') ? Number.parseInt(text!, 16) : 0,
  );
  const fits = span >= 1 && span <= 24 && perSpan >= 1 && perSpan <= span && burstMargin >= 1 && burstMargin <= 12;
  return fits && (span - 1) * burstMargin <= 24 ? { span, perSpan, burstMargin } : undefined;
}

/** Writes a Transport header for one transport, with parameters in the order of a real server's. */
export function writeTransport({
  protocol,
  clientPort,
  serverPort,
  interleaved,
  ssrc,
  fec,
}: Omit<Transport, 'unicast'>): string {
  const parts = [`RTP/AVP/${protocol.toUpperCase()}`, 'unicast'];
  if (serverPort) parts.push(`server_port=${writePorts(serverPort)}`);
  if (clientPort) parts.push(`client_port=${writePorts(clientPort)}`);
  if (interleaved) parts.push(`interleaved=${writePorts(interleaved)}`);
  if (ssrc !== undefined) parts.push(`ssrc=${writeSsrc(ssrc)}`);
  parts.push('mode=PLAY');
  if (fec) parts.push(writeFec(fec));
  return parts.join(';');
}

/** Writes fec-parameters (MS-RTSP 2.2.6.11). */
export function writeFec({ span, perSpan, burstMargin }: FecParameters): string {
  const hex = (number: number) => number.toString(16);
  return `FecSpan=${hex(span)};FecPerSpan=${hex(perSpan)};FecBurstMargin=${hex(burstMargin)}`;
}

function writePorts([first, second]: Ports): string {
  return second === undefined ? `${first}` : `${first}-${second}`;
}

/** Formats an SSRC as 8 hexadecimal digits. */
export function writeSsrc(ssrc: number): string {
  return (ssrc >>> 0).toString(16).padStart(8, '0');
}

/** The range that a Range header requests (MS-RTSP 2.2.6.7). */
export type Range =
  /** In ms from the start of the content; `start` is undefined if it is absent or `now`: the current position. */
  | { readonly unit: 'time'; readonly start: number | undefined; readonly end: number | undefined }
  | { readonly unit: 'byte' | 'packet'; readonly start: number; readonly end: number | undefined };

const FRAME_RATES = { smpte: 30_000 / 1_001, 'smpte-30-drop': 30_000 / 1_001, 'smpte-25': 25 } as const;

/**
 * Reads a Range header: npt, smpte, x-asf-byte or x-asf-packet (RFC 2326 3.5 and 3.6, MS-RTSP 2.2.6.7).
 *
 * @throws RtspError 457 for another unit, several ranges, or numbers that cannot be read
 */
export function readRange(value: string): Range {
  const [specifier = ''] = value.trim().split(';', 1);
  const blankless = specifier.replace(/\s{1,20}(?=[-=])|(?<=[-=])\s{1,20}/g, '').trim();
  const match = /^([a-z0-9-]{1,20})=([^-,;\s]{0,40})-([^-,;\s]{0,40})$/i.exec(blankless);
  const unit = match?.[1]?.toLowerCase();
  const [start = '', end = ''] = [match?.[2], match?.[3]];
  if (unit === 'npt') return { unit: 'time', start: start === 'now' ? undefined : npt(start), end: npt(end) };
  if (unit !== undefined && unit in FRAME_RATES) {
    const rate = FRAME_RATES[unit as keyof typeof FRAME_RATES];
    return { unit: 'time', start: smpte(start, rate), end: smpte(end, rate) };
  }
  if (unit === 'x-asf-byte' || unit === 'x-asf-packet') {
    const from = count(start);
    if (from !== undefined) return { unit: unit === 'x-asf-byte' ? 'byte' : 'packet', start: from, end: count(end) };
  }
  throw bad();
}

const bad = () => new RtspError(457, 'The Range header cannot be understood.');

/** @returns ms; undefined for an empty text */
function npt(text: string): number | undefined {
  if (text === '') return undefined;
  const clock = /^(?:(\d{1,9}):([0-5]?\d):)?(\d{1,15})(?:\.(\d{0,9}))?$/.exec(text);
  if (!clock) throw bad();
  const [, hours = '0', minutes = '0', seconds = '0', fraction = ''] = clock;
  return Math.round((Number(hours) * 3_600 + Number(minutes) * 60 + Number(`${seconds}.${fraction || 0}`)) * 1_000);
}

function smpte(text: string, rate: number): number | undefined {
  if (text === '') return undefined;
  const clock = /^(\d{1,2}):([0-5]?\d):([0-5]?\d)(?::(\d{1,2})(?:\.\d{1,2})?)?$/.exec(text);
  if (!clock) throw bad();
  const [, hours, minutes, seconds, frames = '0'] = clock.map(Number);
  return Math.round((hours! * 3_600 + minutes! * 60 + seconds! + Number(frames || 0) / rate) * 1_000);
}

function count(text: string): number | undefined {
  if (text === '') return undefined;
  if (!/^\d{1,20}$/.test(text) || !Number.isSafeInteger(Number(text))) throw bad();
  return Number(text);
}

/**
 * Writes a range as npt, in seconds with three decimals.
 *
 * @param start in ms
 * @param end in ms; Infinity for endless content
 */
export function writeNpt(start: number, end?: number): string {
  const seconds = (milliseconds: number) => (milliseconds / 1_000).toFixed(3);
  return `npt=${seconds(start)}-${end === undefined || !Number.isFinite(end) ? '' : seconds(end)}`;
}

/** A stream of an RTP-Info or X-RTP-Info header (MS-RTSP 2.2.6.8, 2.2.6.27). */
export interface RtpInfo {
  readonly url: string;
  /** The 16-bit sequence number of the next RTP packet. */
  readonly sequence?: number | undefined;
  readonly rtpTime?: number | undefined;
  readonly ssrc?: number | undefined;
  /** thinlevel; 0 if absent. */
  readonly thinning: 0 | 1 | 2;
}

const MAX_STREAMS = 128;

/**
 * Reads RTP-Info or X-RTP-Info. URLs may be in quotes, with or without `url=`; unknown parameters are ignored.
 *
 * @throws RtspError 400 if it names no URL, or more streams than ASF allows
 */
export function readRtpInfo(value: string): RtpInfo[] {
  const streams = splitOutsideQuotes(value, ',').filter((text) => text.trim() !== '');
  if (streams.length === 0 || streams.length > MAX_STREAMS) throw new RtspError(400, 'RTP-Info names no streams.');
  return streams.map(readStream);
}

function readStream(text: string): RtpInfo {
  const [first = '', ...parameters] = splitOutsideQuotes(text, ';').map((part) => part.trim());
  // Both url="…" and "url=…" occur in practice.
  const url = first.replace(/^"?(?:url=)?"?/i, '').replace(/"$/, '');
  if (!/^[^\s"]{1,4096}$/.test(url)) throw new RtspError(400, 'RTP-Info names a stream without a URL.');
  const of = (key: string) =>
    parameters
      .find((part) => part.toLowerCase().startsWith(`${key}=`))
      ?.slice(key.length + 1)
      .trim();
  const number = (key: string, most: number) => {
    const digits = of(key);
    return digits !== undefined && /^\d{1,10}$/.test(digits) && Number(digits) <= most ? Number(digits) : undefined;
  };
  const ssrc = of('ssrc');
  const thinning = number('thinlevel', 2) ?? 0;
  return {
    url,
    sequence: number('seq', 0xffff),
    rtpTime: number('rtptime', 0xffffffff),
    ssrc: ssrc !== undefined && /^[0-9a-f]{1,8}$/i.test(ssrc) ? Number.parseInt(ssrc, 16) : undefined,
    thinning: thinning as RtpInfo['thinning'],
  };
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '"') quoted = !quoted;
    else if (text[at] === separator && !quoted) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

/** Writes a URL for RTP-Info: in quotes if it contains a separator. */
export function writeStreamUrl(url: string): string {
  return /[,;]/.test(url) ? `"${url}"` : url;
}

/** Writes the RTP-Info of the streams in a PLAY response or an EndOfStream. @param rtpTime omitted if undefined */
export function writeRtpInfo(streams: ReadonlyArray<Pick<RtpInfo, 'url' | 'sequence' | 'rtpTime'>>): string {
  return streams
    .map(({ url, sequence, rtpTime }) => {
      const parts = [`url=${writeStreamUrl(url)}`];
      if (sequence !== undefined) parts.push(`seq=${sequence & 0xffff}`);
      if (rtpTime !== undefined) parts.push(`rtptime=${rtpTime}`);
      return parts.join(';');
    })
    .join(', ');
}

/**
 * Writes X-RTP-Info of an Announce: the streams that go on, and how they travel (MS-RTSP 2.2.6.27).
 *
 * @param transport as in the response to their SETUP
 * @param blockSize the largest RTP packet by UDP, in bytes
 */
export function writeXRtpInfo(
  streams: readonly RtpInfo[],
  transport: Omit<Transport, 'unicast'> | undefined,
  blockSize: number,
): string {
  return streams
    .map(({ url, sequence = 0, rtpTime = 0, ssrc, thinning }) => {
      const parts = [`url=${writeStreamUrl(url)}`, 'unicast'];
      if (transport) {
        const { protocol, serverPort, clientPort, interleaved } = transport;
        parts.push(`transport=RTP/AVP/${protocol.toUpperCase()}`);
        if (serverPort) parts.push(`server_port=${writePorts(serverPort)}`);
        if (clientPort) parts.push(`client_port=${writePorts(clientPort)}`);
        if (interleaved) parts.push(`interleaved=${writePorts(interleaved)}`);
        if (protocol === 'udp') parts.push(`blocksize=${blockSize}`);
      }
      if (ssrc !== undefined) parts.push(`ssrc=${writeSsrc(ssrc)}`);
      parts.push('mode=PLAY', `seq=${sequence & 0xffff}`, `rtptime=${rtpTime}`, `thinlevel=${thinning}`);
      if (transport?.fec) parts.push(writeFec(transport.fec));
      return parts.join(';');
    })
    .join(', ');
}

/** The value of X-Accelerate-Streaming or X-Burst-Streaming (MS-RTSP 2.2.6.13, 2.2.6.17). */
export interface Burst {
  readonly bitsPerSecond: number;
  readonly milliseconds: number;
}

/** @param kind Accel or Burst @returns undefined if one of the two values is missing or not a number */
export function readBurst(kind: 'Accel' | 'Burst', value: string): Burst | undefined {
  const most = kind === 'Accel' ? 0xffffffff : 0x7fffffff;
  const number = (name: string) => {
    const digits = new RegExp(`(?:^|;)\\s*${kind}${name}\\s*=\\s*(\\d{1,10})\\s*(?:;|$)`, 'i').exec(
      value.slice(0, 200),
    )?.[1];
    return digits === undefined || Number(digits) > most ? undefined : Number(digits);
  };
  const [milliseconds, bitsPerSecond] = [number('Duration'), number('Bandwidth')];
  return milliseconds === undefined || bitsPerSecond === undefined ? undefined : { bitsPerSecond, milliseconds };
}

/** Writes the value of X-Accelerate-Streaming or X-Burst-Streaming (MS-RTSP 2.2.6.13, 2.2.6.17). */
export function writeBurst(kind: 'Accel' | 'Burst', { bitsPerSecond, milliseconds }: Burst): string {
  return `${kind}Bandwidth=${bitsPerSecond};${kind}Duration=${milliseconds}`;
}

/** Returns the id of a Session header, and its timeout in seconds (RFC 2326 12.37; default 60). */
export function readSession(value: string): { readonly id: string; readonly timeout: number } {
  const [id = '', ...parameters] = value.split(';', 8).map((part) => part.trim());
  const timeout = parameters
    .map((part) => /^timeout=(\d{1,6})$/i.exec(part)?.[1])
    .find((digits) => digits !== undefined);
  return { id, timeout: timeout === undefined || Number(timeout) === 0 ? 60 : Number(timeout) };
}

/** Reads a header that is one decimal number, such as X-Playlist-Gen-Id; undefined if it is not. */
export function readNumber(value: string | undefined, most = 0xffffffff): number | undefined {
  return value !== undefined && /^\s*\d{1,10}\s*$/.test(value) && Number(value) <= most ? Number(value) : undefined;
}

/** Reads Scale or Speed (RFC 2326 12.34, 12.35); undefined if it is not a number. */
export function readRate(value: string | undefined): number | undefined {
  if (value === undefined || !/^\s*-?\d{1,6}(?:\.\d{0,6})?\s*$/.test(value)) return undefined;
  return Number(value);
}

/** A line of a stream switch (MS-RTSP 2.2.7.10); undefined means no stream. */
export interface StreamReplacement {
  readonly old: number | undefined;
  readonly new: number | undefined;
  readonly thinning: 0 | 1 | 2;
  readonly oldUrl: string | undefined;
  readonly newUrl: string | undefined;
}

const NO_STREAM = 0xffffffff;

/**
 * Reads the body of a SelectStream, with or without "SSEntry:".
 *
 * @throws RtspError 400 if it is malformed
 */
export function readStreamSwitch(body: string): StreamReplacement {
  const words = body
    .slice(0, 16_384)
    .replace(/^\s*SSEntry:/i, '')
    .trim()
    .split(/\s+/, 8);
  const [old, next, thinning] = words.slice(0, 3).map((word) => readNumber(word));
  if (old === undefined || next === undefined || thinning === undefined || thinning > 2) {
    throw new RtspError(400, 'The body is not a stream switch.');
  }
  const urls = words.slice(3);
  return {
    old: old === NO_STREAM ? undefined : old,
    new: next === NO_STREAM ? undefined : next,
    thinning: thinning as StreamReplacement['thinning'],
    oldUrl: old === NO_STREAM ? undefined : urls[0],
    newUrl: next === NO_STREAM ? undefined : urls[old === NO_STREAM ? 0 : 1],
  };
}

/** Writes the body of a SET_PARAMETER that switches a stream, with its line end (MS-RTSP 2.2.7.10.3). */
export function writeStreamSwitch({ old, new: next, thinning, oldUrl, newUrl }: StreamReplacement): string {
  const urls = [oldUrl, newUrl].filter((url) => url !== undefined);
  return `SSEntry: ${[old ?? NO_STREAM, next ?? NO_STREAM, thinning, ...urls].join(' ')}\r\n`;
}

/** A server's reason for EndOfStream (MS-RTSP 2.2.7.3). */
export type EndReason = 'end' | 'more-entries' | 'rewound' | 'kicked';

const END_LINES = {
  'more-entries': 'End-Of-Playlist-Entry',
  rewound: 'RecedingEos',
  kicked: 'AdministrativeDisconnection',
} as const;

/** Writes the body of an EndOfStream. */
export function writeEndOfStream(session: string, reason: EndReason): string {
  const line = reason === 'end' ? '' : `${END_LINES[reason]}: true\r\n`;
  return `Session: ${session}\r\nEOF: true\r\n${line}`;
}

/** Reads the body of a server's SET_PARAMETER; undefined if it does not announce an end. */
export function readEndOfStream(body: string): EndReason | undefined {
  const lines = body.slice(0, 4_096).toLowerCase().split(/\r?\n/);
  const says = (name: string) => lines.some((line) => line.replace(/\s/g, '') === `${name.toLowerCase()}:true`);
  if (!says('EOF')) return undefined;
  const reason = Object.entries(END_LINES).find(([, name]) => says(name));
  return (reason?.[0] as EndReason | undefined) ?? 'end';
}
