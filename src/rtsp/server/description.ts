import { randomUUID } from 'node:crypto';
import type { AsfHeader } from '../../asf/header.js';
import { playerHeader } from '../../asf/lean-header.js';
import type { StreamProperties } from '../../asf/stream.js';
import type { Broadcast } from '../../media/broadcast.js';
import type { Program } from '../../playback/content.js';
import type { Entry, FileEntry } from '../../playback/entry.js';
import { contentDescription, type DescriptionItem, describeContent, VT_I4 } from '../../wms/content-description.js';
import { RTX_STREAM, type Sdp, type SdpFeature, type SdpMedia } from '../messages/sdp.js';
import { FEC_PAYLOAD_TYPE } from './fec-output.js';
import { PAYLOAD_TYPE } from './wire.js';

/** The retransmission stream has this name in all deployed servers (MS-RTSP, product behaviour 3). */
const RTX_CONTROL = 'rtx';
const BRANDING = 'WMServer/9.5';

/** Where a description is told. */
export interface Teller {
  /** The URL of the presentation, which ends in a slash. */
  readonly base: string;
  /** The path of the content, for names. */
  readonly path: string;
  /** This host's address on the connection. */
  readonly address: string;
  /** FEC is offered, with an FEC packet for so many packets; 0 for none. */
  readonly fecSpan: number;
}

/** The SDP of an entry under a header (MS-RTSP 2.2.5), in the order of a real server's. */
export function describeEntry(header: AsfHeader, entry: Entry, program: Program, teller: Teller): Sdp {
  const { base, path, address, fecSpan } = teller;
  const texts = new Map([...describeContent(header), ...(entry.descriptions ?? [])]);
  const isFile = entry.kind === 'file';
  return {
    title: texts.get('title') ?? '',
    sessionId: stamp(isFile ? entry.file.modified : new Date()),
    origin: address.includes(':') ? { family: 'IP6', address: '::1' } : { family: 'IP4', address: '127.0.0.1' },
    control: base,
    maxPacketSize: header.packetSize,
    etag: isFile ? `"${entry.file.version}"` : `{${etagOf(entry.broadcast).toUpperCase()}}`,
    // A broadcast has no length: what comes now is played once the preroll is there.
    range: isFile ? { start: 0, end: durationOf(entry) } : { start: header.preroll, end: header.preroll },
    features: featuresOf(entry, program),
    header: playerHeader(header).bytes,
    contentDescription: listOf(texts, header, entry, path),
    media: mediaOf(header, fecSpan),
  };
}

/** Bits per second of a media section, the peak and the average. */
function ratesOf(header: AsfHeader, { number, extended }: StreamProperties) {
  const average = header.streamBitrates.get(number);
  const peak = Math.max(average ?? 0, extended?.dataBitrate ?? 0);
  if (peak === 0) return {};
  return average === undefined || average === peak ? { bitRate: peak } : { bitRate: peak, averageBitRate: average };
}

/** Audio first, then video, the retransmission stream, and the rest. */
function mediaOf(header: AsfHeader, fecSpan: number): SdpMedia[] {
  const media = (kind: SdpMedia['kind'], stream: StreamProperties, control: string): SdpMedia => ({
    kind,
    stream: stream.number,
    control,
    payloadType: PAYLOAD_TYPE,
    format: 'x-asf-pf',
    ...ratesOf(header, stream),
    reliable: ((stream.extended?.flags ?? 0) & 1) !== 0,
    // All streams come in one sequence of RTP packets, so FEC of one protects all.
    ...(fecSpan > 0
      ? { fec: { payloadType: FEC_PAYLOAD_TYPE, control: `${control}-fec`, span: fecSpan, perSpan: 1 } }
      : {}),
  });
  const of = (type: 'audio' | 'video') =>
    header.streams
      .filter((stream) => stream.type === type)
      .map((stream, index) => media(type, stream, index === 0 ? type : `stream=${stream.number}`));
  const others = header.streams
    .filter(({ type }) => type !== 'audio' && type !== 'video')
    .map((stream) => media('application', stream, `stream=${stream.number}`));
  const rtx: SdpMedia = {
    kind: 'application',
    stream: RTX_STREAM,
    control: RTX_CONTROL,
    payloadType: PAYLOAD_TYPE,
    format: 'x-wms-rtx',
  };
  return [...of('audio'), ...of('video'), rtx, ...others];
}

function featuresOf(entry: Entry, program: Program): SdpFeature[] {
  const features: SdpFeature[] = [];
  if (entry.kind === 'live') features.push('broadcast');
  else {
    if (entry.noSkip || !entry.file.seekable) features.push('notseekable');
    if (entry.noSkip || !entry.file.stridable) features.push('notstridable');
  }
  if (program.playlist) features.push('playlist');
  if (program.canSkip(-1)) features.push('skipbackward');
  if (program.canSkip(1)) features.push('skipforward');
  return features;
}

/** ms */
function durationOf({ file, begin = 0, duration = Number.POSITIVE_INFINITY }: FileEntry): number {
  return begin + Math.max(0, Math.min(file.durationMs - begin, duration));
}

function listOf(texts: ReadonlyMap<string, string>, header: AsfHeader, entry: Entry, path: string): string {
  const duration = entry.kind === 'file' ? Math.min(durationOf(entry), 0x7fffffff) : 0;
  const description = texts.get('description');
  const items: DescriptionItem[] = [
    ['language', ''],
    ['WMS_CONTENT_DESCRIPTION_SERVER_BRANDING_INFO', BRANDING],
    ...(description === undefined ? [] : [['WMS_CONTENT_DESCRIPTION_DESCRIPTION', description] as const]),
    ...[...texts].filter(([name]) => name !== 'description').reverse(),
    ['WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_START_OFFSET', `${header.preroll}`, VT_I4],
    ['WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_DURATION', `${Math.round(duration)}`, VT_I4],
    ['WMS_CONTENT_DESCRIPTION_COPIED_METADATA_FROM_PLAYLIST_FILE', '1', VT_I4],
    ['WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_URL', path.slice(path.lastIndexOf('/') + 1)],
  ];
  return contentDescription(items);
}

const etags = new WeakMap<Broadcast, { readonly header: AsfHeader | undefined; readonly tag: string }>();

/** Another one with each header of a broadcast. */
function etagOf(broadcast: Broadcast): string {
  const known = etags.get(broadcast);
  if (known && known.header === broadcast.header) return known.tag;
  const tag = randomUUID();
  etags.set(broadcast, { header: broadcast.header, tag });
  return tag;
}

/** Digits of a moment: year to seconds, then 4 of milliseconds. */
function stamp(date: Date): string {
  const time = Number.isFinite(date.getTime()) ? date : new Date(0);
  const digits = time.toISOString().replace(/\D/g, '');
  return `${digits.slice(0, 14)}0${digits.slice(14, 17)}`;
}
