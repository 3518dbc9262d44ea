import { liveHeader } from '../asf/edit.js';
import { type AsfHeader, DATA_OBJECT_HEAD_SIZE } from '../asf/header.js';
import { playerHeader } from '../asf/lean-header.js';
import type { Field } from '../http/message.js';
import type { Broadcast } from '../media/broadcast.js';
import type { ContentInfo, Program } from '../playback/content.js';
import type { Entry } from '../playback/entry.js';
import { FEATURES, formatSupported } from '../wms/features.js';
import { describeContent, headerPackets, metadataPackets } from './packets.js';
import type { ClientProfile } from './profiles.js';

/** What this server calls itself: versions are those of the table of MS-WMSP 2.2.1.5 alone. */
export const SERVER_NAME = 'Cougar/9.5.6001.18281';

/** What an encoder that is pulled calls itself. */
export const ENCODER_NAME = 'Rex/11.0.6001.7000';

/** How a server presents itself. */
export interface ServerIdentity {
  /** For the Server header. */
  readonly name: string;
  /** An encoder that is pulled: it sends no $M and offers no extensions (MS-WMSP 4.11). */
  readonly encoder: boolean;
  /** It wants to be told of remote events (MS-WMSP 2.2.1.1.10). */
  readonly events?: boolean;
}

/** The fields of every response (MS-WMSP 3.2.5.2). */
export function commonFields(
  identity: ServerIdentity,
  profile: ClientProfile | undefined,
  tokens: readonly string[],
  cacheControl = 'no-cache',
): Field[] {
  const fields: Field[] = [
    ['Server', identity.name],
    ['Cache-Control', cacheControl],
    ['Pragma', ['no-cache', ...tokens].join(', ')],
  ];
  if (profile?.version9 && !identity.encoder) fields.push(['Supported', formatSupported(FEATURES)]);
  return fields;
}

// How long caches may keep a file before they ask again, in seconds; what Windows Media Services gives.
const MAX_AGE = 86_399;

/** Cache-Control and what belongs to it (MS-WMSP 2.2.1.1): broadcasts are not kept, files are, and asked about. */
export function cacheFields(
  { live, playlist, file }: ContentInfo,
  { events = false }: Pick<ServerIdentity, 'events'> = {},
): { readonly cacheControl: string; readonly validators: Field[] } {
  const subscription = events ? ', x-wms-event-subscription="remote-open,remote-close,remote-log"' : '';
  if (!file) {
    const types = [...(live ? ['broadcast'] : []), ...(playlist ? ['playlist'] : [])].join(',');
    return { cacheControl: `no-cache, x-wms-stream-type="${types}"${subscription}`, validators: [] };
  }
  const { size, modified, version } = file;
  const keep = 'user-public, must-revalidate, proxy-public, proxy-revalidate';
  return {
    cacheControl: `no-cache, x-wms-content-size=${size}, max-age=${MAX_AGE}, ${keep}${subscription}`,
    validators: [
      ['Last-Modified', modified.toUTCString()],
      ['Etag', `"${version}"`],
    ],
  };
}

/** The features of an entry (MS-WMSP 2.2.1.4.8) for a client. */
export function featuresOf(entry: Entry, program: Program, profile: ClientProfile): string[] {
  const features: string[] = [];
  if (entry.kind === 'live') return program.playlist ? ['broadcast', 'playlist'] : [...profile.liveFeatures];
  const { seekable, stridable } = entry.file;
  if (program.playlist) {
    // For clients below 9.0 a playlist is a broadcast, in which nobody seeks (2.2.1.4.8.1).
    if (!profile.version9) return ['broadcast', 'playlist'];
    features.push('playlist');
    if (program.canSkip(1)) features.push('skipforward');
    if (program.canSkip(-1)) features.push('skipbackward');
  }
  if (seekable && !entry.noSkip) features.push('seekable');
  if (stridable && !entry.noSkip) features.push('stridable');
  // At least one has to stand there; a file that cannot be sought is played like a broadcast.
  return features.length > 0 ? features : ['broadcast'];
}

const broadcastHeaders = new WeakMap<AsfHeader, AsfHeader>();

/**
 * The header of a playlist's entry for clients that take a playlist for a broadcast: with the counts and durations of a file
 * they would end with the first entry. What would change from one call to the next stays as it is, since Describe and Play
 * have to give the same bytes.
 */
function broadcastHeader(header: AsfHeader): AsfHeader {
  const known = broadcastHeaders.get(header);
  if (known) return known;
  const made = liveHeader(header, { fileId: header.fileId, now: new Date(0) });
  broadcastHeaders.set(header, made);
  return made;
}

/** What opens a Play body and every later entry: [$M] $H (MS-WMSP 2.2.2.6). */
export function entryHead(
  header: AsfHeader,
  entry: Entry,
  program: Program,
  profile: ClientProfile,
  identity: ServerIdentity,
): Buffer {
  const asBroadcast = program.playlist && !profile.version9;
  const isFile = entry.kind === 'file' && !asBroadcast;
  const told = playerHeader(asBroadcast ? broadcastHeader(header) : header);
  const asfHeader = headerPackets(isFile && profile.dataSize === 'large' ? withLargeData(told) : told.bytes);
  if (!profile.metadata || identity.encoder) return asfHeader;
  const metadata = metadataPackets({
    playlistGenId: genIdOf(entry),
    broadcastId: entry.kind === 'live' ? broadcastIdOf(entry.broadcast) : 0,
    features: featuresOf(entry, program, profile),
    descriptions: describe(entry, header),
  });
  return Buffer.concat([metadata, asfHeader]);
}

// As large as fits into the 32 bits that xine takes; libmms does not seek where it is that of an empty Data Object.
const LARGE_DATA = 2n ** 30n;

/** A header with a Data Object whose end hardly anybody reaches; the number of its packets stays. */
function withLargeData({ bytes, dataObject }: AsfHeader): Buffer {
  if (dataObject.size >= LARGE_DATA) return bytes;
  const copy = Buffer.from(bytes);
  copy.writeBigUInt64LE(LARGE_DATA, copy.length - DATA_OBJECT_HEAD_SIZE + 16);
  return copy;
}

const broadcastIds = new WeakMap<Broadcast, number>();
let lastBroadcastId = 0;

/** broadcast-id: the same in all entries that have this source, and another one for each source (MS-WMSP 2.2.3.6). */
function broadcastIdOf(broadcast: Broadcast): number {
  const id = broadcastIds.get(broadcast) ?? (lastBroadcastId = (lastBroadcastId % 0xffffffff) + 1);
  broadcastIds.set(broadcast, id);
  return id;
}

/** What is told about an entry: what its playlist says, and what else its header has. */
function describe(entry: Entry, header: AsfHeader): Array<readonly [string, string]> {
  const all = new Map([...describeContent(header), ...(entry.descriptions ?? [])]);
  return [...all];
}

// Far more than a playlist has entries in practice, so that two entries hardly ever get the same number.
const GENERATION_STEP = 65_536;

/**
 * playlist-gen-id of an entry: a live entry becomes another one with each header that its source sends, so the two numbers are
 * put together.
 */
export function genIdOf(entry: Entry): number {
  if (entry.kind === 'file') return entry.id;
  return (entry.id + (entry.broadcast.generation - 1) * GENERATION_STEP) % 2 ** 32 || 1;
}
