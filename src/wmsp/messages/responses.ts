import { liveHeader } from '../../asf/edit.js';
import { type AsfHeader, DATA_OBJECT_HEAD_SIZE } from '../../asf/header.js';
import { playerHeader } from '../../asf/lean-header.js';
import type { Field } from '../../http/message.js';
import type { ContentInfo, Program } from '../../playback/content.js';
import type { Entry } from '../../playback/entry.js';
import { broadcastIdOf, genIdOf } from '../../playback/entry-ids.js';
import { describeContent } from '../../wms/content-description.js';
import { FEATURES, formatSupported } from '../../wms/features.js';
import type { ClientProfile } from '../server/profiles.js';
import { headerPackets, metadataPackets } from './packets.js';

/** The name of this server; only the versions in the table of MS-WMSP 2.2.1.5 are allowed. */
export const SERVER_NAME = 'Cougar/9.5.6001.18281';

/** The name of an encoder that is pulled. */
export const ENCODER_NAME = 'Rex/11.0.6001.7000';

/** How a server presents itself. */
export interface ServerIdentity {
  /** The product in the Server header. */
  readonly name: string;
  /** True for an encoder that is pulled: it sends no $M and offers no extensions (MS-WMSP 4.11). */
  readonly encoder: boolean;
  /** True if it subscribes to remote events (MS-WMSP 2.2.1.1.10). */
  readonly events?: boolean;
  /** What caches may do with its files; default: as Windows Media Services. */
  readonly caching?: Caching | undefined;
}

/** What caches may do with files. */
export interface Caching {
  /** How long a copy may be used without asking, in seconds. */
  readonly maxAge: number;
  /** True if caches have to ask before each use nevertheless. */
  readonly revalidate: boolean;
}

/** Returns the fields of every response (MS-WMSP 3.2.5.2). */
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

/** As Windows Media Services has it. */
export const DEFAULT_CACHING: Caching = { maxAge: 86_399, revalidate: true };

/**
 * Returns Cache-Control and the validators (MS-WMSP 2.2.1.1): broadcasts are not cached; files are, but revalidated.
 */
export function cacheFields(
  { live, playlist, split, file, origin }: ContentInfo,
  { events = false, caching = DEFAULT_CACHING }: Pick<ServerIdentity, 'events' | 'caching'> = {},
): { readonly cacheControl: string; readonly validators: Field[] } {
  if (origin) {
    const { cacheControl, lastModified, etag } = origin;
    const validators: Field[] = [];
    if (lastModified !== undefined) validators.push(['Last-Modified', lastModified]);
    if (etag !== undefined) validators.push(['Etag', etag]);
    return { cacheControl, validators };
  }
  const subscription = events ? ', x-wms-event-subscription="remote-open,remote-close,remote-log"' : '';
  if (!file) {
    const types = [...(live ? ['broadcast'] : []), ...(playlist ? ['playlist'] : [])].join(',');
    const splits = split && live && !playlist ? ', x-wms-proxy-split' : '';
    return { cacheControl: `no-cache, x-wms-stream-type="${types}"${splits}${subscription}`, validators: [] };
  }
  const { size, modified, version } = file;
  const { maxAge, revalidate } = caching;
  const keep = revalidate
    ? 'user-public, must-revalidate, proxy-public, proxy-revalidate'
    : 'user-public, proxy-public';
  return {
    cacheControl: `no-cache, x-wms-content-size=${size}, max-age=${maxAge}, ${keep}${subscription}`,
    validators: [
      ['Last-Modified', modified.toUTCString()],
      ['Etag', `"${version}"`],
    ],
  };
}

/** Returns the features of an entry for a client (MS-WMSP 2.2.1.4.8). */
export function featuresOf(entry: Entry, program: Program, profile: ClientProfile): string[] {
  const features: string[] = [];
  if (entry.kind === 'live') return program.playlist ? ['broadcast', 'playlist'] : [...profile.liveFeatures];
  const { seekable, stridable } = entry.file;
  if (program.playlist) {
    // For clients below 9.0 a playlist is a broadcast, which cannot be seeked (2.2.1.4.8.1).
    if (!profile.version9) return ['broadcast', 'playlist'];
    features.push('playlist');
    if (program.canSkip(1)) features.push('skipforward');
    if (program.canSkip(-1)) features.push('skipbackward');
  }
  if (seekable && !entry.noSkip) features.push('seekable');
  if (stridable && !entry.noSkip) features.push('stridable');
  // At least one feature is required; a file that is not seekable is played like a broadcast.
  return features.length > 0 ? features : ['broadcast'];
}

const broadcastHeaders = new WeakMap<AsfHeader, AsfHeader>();

/**
 * Returns the header of a playlist's entry for clients that treat a playlist as a broadcast. With the counts and
 * durations of a file they would stop after the first entry. Values that would differ between calls are fixed, since
 * Describe and Play have to return the same bytes.
 */
function broadcastHeader(header: AsfHeader): AsfHeader {
  const known = broadcastHeaders.get(header);
  if (known) return known;
  const made = liveHeader(header, { fileId: header.fileId, now: new Date(0) });
  broadcastHeaders.set(header, made);
  return made;
}

/** Builds the beginning of a Play body and of every later entry: [$M] $H (MS-WMSP 2.2.2.6). */
export function entryHead(
  header: AsfHeader,
  entry: Entry,
  program: Program,
  profile: ClientProfile,
  identity: ServerIdentity,
): Buffer {
  const asBroadcast = program.playlist && !profile.version9;
  const isFile = entry.kind === 'file' && !asBroadcast;
  const lean = playerHeader(asBroadcast ? broadcastHeader(header) : header);
  const asfHeader = headerPackets(isFile && profile.dataSize === 'large' ? withLargeData(lean) : lean.bytes);
  if (!profile.metadata || identity.encoder) return asfHeader;
  const metadata = metadataPackets({
    playlistGenId: genIdOf(entry),
    broadcastId: entry.kind === 'live' ? broadcastIdOf(entry.broadcast) : 0,
    features: featuresOf(entry, program, profile),
    descriptions: describe(entry, header),
  });
  return Buffer.concat([metadata, asfHeader]);
}

// Fits 32 bits, which is all that some players read. With the size of an empty Data Object others would not seek.
const LARGE_DATA = 2n ** 30n;

/** Returns a header with a Data Object so large that its end is hardly ever reached; the number of packets stays. */
function withLargeData({ bytes, dataObject }: AsfHeader): Buffer {
  if (dataObject.size >= LARGE_DATA) return bytes;
  const copy = Buffer.from(bytes);
  copy.writeBigUInt64LE(LARGE_DATA, copy.length - DATA_OBJECT_HEAD_SIZE + 16);
  return copy;
}

/** Returns the descriptions of an entry: those of its playlist, and the others of its header. */
function describe(entry: Entry, header: AsfHeader): Array<readonly [string, string]> {
  const all = new Map([...describeContent(header), ...(entry.descriptions ?? [])]);
  return [...all];
}
