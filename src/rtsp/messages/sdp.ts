import { RtspError } from './error.js';

/** A media section of an SDP of RTSP Windows Media (MS-RTSP 2.2.5). */
export interface SdpMedia {
  readonly kind: 'audio' | 'video' | 'application';
  /** a=stream: an ASF stream number, or 65536 and above for a retransmission stream. */
  readonly stream: number;
  /** a=control: relative to that of the session, or an absolute URL. */
  readonly control: string;
  /** Of x-asf-pf, or x-wms-rtx. */
  readonly payloadType: number;
  readonly format: 'x-asf-pf' | 'x-wms-rtx';
  /** b=AS: the peak bit rate, or the only one, in bits per second. */
  readonly bitRate?: number | undefined;
  /** b=X-AV: the average bit rate in bits per second, if it differs. */
  readonly averageBitRate?: number | undefined;
  /** a=reliable */
  readonly reliable?: boolean | undefined;
  readonly fec?: SdpFec | undefined;
}

/** FEC of a media section (2.2.5.4). */
export interface SdpFec {
  readonly payloadType: number;
  readonly control: string;
  /** 1 to 24. */
  readonly span: number;
  /** 1 to `span`. */
  readonly perSpan: number;
}

/** The flags of a=type (2.2.5.2.6). @public */
export type SdpFeature =
  | 'broadcast'
  | 'lastentry'
  | 'notseekable'
  | 'notstridable'
  | 'playlist'
  | 'skipbackward'
  | 'skipforward';

/** The description of an entry (MS-RTSP 2.2.5). */
export interface Sdp {
  readonly title: string;
  /** o=: decimal digits that change with the content. */
  readonly sessionId: string;
  /** The server's address and its family. */
  readonly origin: { readonly family: 'IP4' | 'IP6'; readonly address: string };
  /** a=control of the session: an absolute URL that ends in a slash. */
  readonly control: string;
  /** a=maxps: the size of ASF packets, in bytes. */
  readonly maxPacketSize: number;
  readonly etag?: string | undefined;
  /** a=range, npt in ms; `end` is undefined for endless content. */
  readonly range?: { readonly start: number; readonly end: number | undefined } | undefined;
  readonly features: readonly SdpFeature[];
  /** The ASF file header: Header Object and the first 50 bytes of the Data Object. */
  readonly header: Buffer;
  /** A content description list as text ([MS-WMSP] 2.2.4). */
  readonly contentDescription?: string | undefined;
  readonly media: readonly SdpMedia[];
}

const FEATURES: ReadonlySet<string> = new Set<SdpFeature>([
  'broadcast',
  'lastentry',
  'notseekable',
  'notstridable',
  'playlist',
  'skipbackward',
  'skipforward',
]);
/** The stream number of the first retransmission stream (2.2.5.2.5). */
export const RTX_STREAM = 65_536;
const LAST_STREAM = 131_070;
const HEADER_TYPE = 'data:application/vnd.ms.wms-hdr.asfv1;base64,';
const DESCRIPTION_TYPE = 'data:application/x-wms-contentdesc,';
/** The longest SDP accepted, in characters. */
const MAX_SDP = 48 * 1024 * 1024;
const MAX_MEDIA = 256;

/** Writes an SDP in the order of a real server: audio, retransmission, other media, in the order of `media`. */
export function writeSdp(sdp: Sdp): string {
  const { origin, header, features, etag, range, contentDescription } = sdp;
  const total = sdp.media.reduce((sum, { bitRate = 0 }) => sum + bitRate, 0);
  const any = origin.family === 'IP6' ? '::' : '0.0.0.0';
  const lines = [
    'v=0',
    `o=- ${sdp.sessionId} ${sdp.sessionId} IN ${origin.family} ${origin.address}`,
    `s=${oneLine(sdp.title) || '-'}`,
    `c=IN ${origin.family} ${any}`,
    `b=AS:${kilobits(total)}`,
    `a=maxps:${sdp.maxPacketSize}`,
    't=0 0',
    `a=control:${sdp.control}`,
    ...(etag === undefined ? [] : [`a=etag:${etag}`]),
    ...(range ? [`a=range:npt=${seconds(range.start)}-${range.end === undefined ? '' : seconds(range.end)}`] : []),
    ...(features.length > 0 ? [`a=type:${features.join(',')}`] : []),
    'a=recvonly',
    ...(contentDescription === undefined ? [] : [`a=pgmpu:${DESCRIPTION_TYPE}${escapeText(contentDescription)}`]),
    `a=pgmpu:${HEADER_TYPE}${header.toString('base64')}`,
    ...sdp.media.flatMap(writeMedia),
  ];
  return `${lines.join('\r\n')}\r\n`;
}

/** Returns an SDP whose ASF header lacks its last bytes; as it is if it has none. */
export function withoutHeaderTail(sdp: string, bytes: number): string {
  const at = sdp.indexOf(HEADER_TYPE);
  if (at < 0) return sdp;
  const start = at + HEADER_TYPE.length;
  const end = sdp.indexOf('\r\n', start);
  const header = Buffer.from(sdp.slice(start, end < 0 ? undefined : end), 'base64');
  const left = header.subarray(0, Math.max(0, header.length - bytes)).toString('base64');
  return sdp.slice(0, start) + left + (end < 0 ? '' : sdp.slice(end));
}

function writeMedia(media: SdpMedia): string[] {
  const { kind, payloadType, format, control, stream, bitRate, averageBitRate, reliable, fec } = media;
  return [
    `m=${kind} 0 RTP/AVP ${fec ? `${payloadType} ${fec.payloadType}` : payloadType}`,
    ...(bitRate === undefined ? [] : [`b=AS:${kilobits(bitRate)}`]),
    ...(averageBitRate === undefined ? [] : [`b=X-AV:${kilobits(averageBitRate)}`]),
    'b=RS:0',
    'b=RR:0',
    // FFmpeg takes a stream for what the last line of this kind says.
    ...(fec
      ? [
          `a=rtpmap:${fec.payloadType} x-wms-fec/1000`,
          `a=fmtp:${fec.payloadType} ${fec.control} ${fec.span} ${fec.perSpan}`,
        ]
      : []),
    `a=rtpmap:${payloadType} ${format}/1000`,
    `a=control:${control}`,
    ...(reliable ? ['a=reliable'] : []),
    `a=stream:${stream}`,
  ];
}

const kilobits = (bitsPerSecond: number) => Math.ceil(bitsPerSecond / 1_000);
const seconds = (milliseconds: number) => (milliseconds / 1_000).toFixed(3);
const oneLine = (text: string) => text.replace(/[\0\r\n]+/g, ' ').trim();

/**
 * Percent-encodes characters that a URI may not contain, in UTF-8 (2.2.5.2.3.2). Commas stay, as in real servers' SDPs.
 */
function escapeText(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9\-._~!*'();:@&=+$,/?]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

function unescapeText(text: string): string {
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const hex = text[at] === '%' ? /^[0-9a-f]{2}$/i.exec(text.slice(at + 1, at + 3))?.[0] : undefined;
    if (hex === undefined) bytes.push(text.charCodeAt(at) & 0xff);
    else {
      bytes.push(Number.parseInt(hex, 16));
      at += 2;
    }
  }
  return Buffer.from(bytes).toString('utf8');
}

/**
 * Reads an SDP. Ignores unknown lines and attributes, and media without a valid ASF stream number.
 *
 * @throws RtspError 400 without an ASF header, for a header that is not base64, or for an excessive size
 */
export function readSdp(text: string): Sdp {
  if (text.length > MAX_SDP) throw new RtspError(400, 'The SDP is too long.');
  const [session = [], ...sections] = sectionsOf(text);
  if (sections.length > MAX_MEDIA) throw new RtspError(400, `The SDP describes ${sections.length} media.`);
  const of = (start: string) => session.find((line) => line.startsWith(start))?.slice(start.length);
  const data = (type: string) => of(`a=pgmpu:${type}`);
  const encoded = data(HEADER_TYPE);
  if (encoded === undefined || !/^[A-Za-z0-9+/\s]*(?:={1,2}\s*)?$/.test(encoded.slice(0, 1024))) {
    throw new RtspError(400, 'The SDP holds no ASF header.');
  }
  const origin = /^\S+ (\S{1,64}) \S+ IN (IP[46]) (\S{1,64})$/.exec(of('o=') ?? '');
  const description = data(DESCRIPTION_TYPE);
  return {
    title: of('s=') ?? '',
    sessionId: origin?.[1] ?? '0',
    origin: { family: origin?.[2] === 'IP6' ? 'IP6' : 'IP4', address: origin?.[3] ?? '' },
    control: of('a=control:')?.trim() ?? '',
    maxPacketSize: Number(/^\d{1,10}$/.exec(of('a=maxps:')?.trim() ?? '')?.[0] ?? 0),
    etag: of('a=etag:'),
    range: readSdpRange(of('a=range:') ?? ''),
    features: (of('a=type:') ?? '')
      .split(',', 32)
      .map((feature) => feature.trim().toLowerCase())
      .filter((feature): feature is SdpFeature => FEATURES.has(feature)),
    header: Buffer.from(encoded, 'base64'),
    contentDescription: description === undefined ? undefined : unescapeText(description),
    media: sections.map(readMedia).filter((media) => media !== undefined),
  };
}

/** Splits the lines into those of the session and those of each media section. */
function sectionsOf(text: string): string[][] {
  const sections: string[][] = [[]];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('m=')) sections.push([]);
    sections.at(-1)!.push(line);
  }
  return sections;
}

function readSdpRange(value: string): Sdp['range'] {
  const range = /^npt=(\d{1,15}(?:\.\d{0,9})?)-(\d{0,15}(?:\.\d{0,9})?)$/.exec(value.trim());
  if (!range) return undefined;
  const end = range[2] === '' || range[2] === undefined ? undefined : Math.round(Number(range[2]) * 1_000);
  return { start: Math.round(Number(range[1]) * 1_000), end };
}

function readMedia(lines: readonly string[]): SdpMedia | undefined {
  const of = (start: string) =>
    lines
      .find((line) => line.startsWith(start))
      ?.slice(start.length)
      .trim();
  const kind = /^m=(audio|video|application)\b/.exec(lines[0] ?? '')?.[1] as SdpMedia['kind'] | undefined;
  const stream = Number(/^\d{1,10}$/.exec(of('a=stream:') ?? '')?.[0] ?? 0);
  const map = lines
    .map((line) => /^a=rtpmap:\s*(\d{1,3})\s+(x-asf-pf|x-wms-rtx)\/1000/i.exec(line))
    .find((match) => match !== null);
  if (!kind || !map || stream < 1 || stream > LAST_STREAM) return undefined;
  const rate = (name: string) => {
    const kbits = /^\d{1,9}$/.exec(of(`b=${name}:`) ?? '')?.[0];
    return kbits === undefined ? undefined : Number(kbits) * 1_000;
  };
  return {
    kind,
    stream,
    control: of('a=control:') ?? '',
    payloadType: Number(map[1]) & 0x7f,
    format: map[2]!.toLowerCase() as SdpMedia['format'],
    bitRate: rate('AS'),
    averageBitRate: rate('X-AV'),
    reliable: lines.includes('a=reliable'),
    fec: readSdpFec(lines),
  };
}

function readSdpFec(lines: readonly string[]): SdpFec | undefined {
  const map = lines
    .map((line) => /^a=rtpmap:\s*(\d{1,3})\s+x-wms-fec\/1000/i.exec(line))
    .find((match) => match !== null);
  if (!map) return undefined;
  const fmtp = lines
    .map((line) => /^a=fmtp:\s*(\d{1,3}) (\S{1,4096}) (\d{1,2}) (\d{1,2})\s*$/.exec(line))
    .find((match) => match?.[1] === map[1]);
  const [span, perSpan] = [Number(fmtp?.[3]), Number(fmtp?.[4])];
  if (!fmtp || !(span >= 1 && span <= 24 && perSpan >= 1 && perSpan <= span)) return undefined;
  return { payloadType: Number(map[1]), control: fmtp[2]!, span, perSpan };
}

/**
 * Returns the URL of a stream: its control, resolved against that of the session (2.2.5.2.1).
 *
 * @param request the URL of the DESCRIBE, for a session without a control
 */
export function controlUrl(sdp: Pick<Sdp, 'control'>, control: string, request: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(control)) return control;
  const base = sdp.control === '' || sdp.control === '*' ? request : sdp.control;
  return `${base.replace(/\/?$/, '/')}${control.replace(/^\//, '')}`;
}
