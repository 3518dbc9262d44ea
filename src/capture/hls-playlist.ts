import { withPerformer } from './id3.js';

/** A segment of a media playlist. */
export interface HlsSegment {
  readonly url: string;
  /** Seconds. */
  readonly duration: number;
  readonly title: string | undefined;
  /** Wall clock time of its start, in ms since 1970; undefined if the playlist has none. */
  readonly startsAt: number | undefined;
}

/** A title that begins at a wall clock time. */
export interface HlsDateTitle {
  /** In ms since 1970. */
  readonly from: number;
  /** Infinity if it is not known. */
  readonly until: number;
  readonly title: string;
}

/** What a playlist of HLS says about titles (RFC 8216). */
export interface HlsPlaylist {
  readonly segments: readonly HlsSegment[];
  readonly dated: readonly HlsDateTitle[];
  /** Other playlists, if this is a master playlist. */
  readonly playlists: readonly string[];
  /** Seconds; 0 if it is not said. */
  readonly targetDuration: number;
}

const MOST_SEGMENTS = 20_000;
const MOST_PLAYLISTS = 16;
const MAX_LINE = 8192;

/** What packagers write where there is no title. */
const NOTHING = /^(?:|no desc|live|n\/a|unknown)$/i;

/** Reads a master or media playlist. Never throws. @param base its URL */
export function readHlsPlaylist(text: string, base: string): HlsPlaylist {
  const segments: HlsSegment[] = [];
  const dated: HlsDateTitle[] = [];
  const playlists: string[] = [];
  let targetDuration = 0;
  let about: { duration: number; title: string | undefined } | undefined;
  let clock: number | undefined;
  for (const raw of text.replace(/^\ufeff/, '').split(/\r?\n|\r/)) {
    const line = raw.slice(0, MAX_LINE).trim();
    const [, tag = '', value = ''] = /^#(EXT[A-Z0-9-]*)(?::(.*))?$/.exec(line) ?? [];
    if (tag === 'EXT-X-TARGETDURATION') targetDuration = Number(value) || 0;
    else if (tag === 'EXTINF') about = infoOf(value);
    else if (tag === 'EXT-X-PROGRAM-DATE-TIME') clock = dateOf(value);
    else if (tag === 'EXT-X-DATERANGE') dated.push(...datedTitle(attributesOf(value)));
    else if (tag === 'EXT-X-MEDIA') playlists.push(...urlOf(attributesOf(value).get('URI') ?? '', base));
    if (line === '' || line.startsWith('#')) continue;
    const [url] = urlOf(line, base);
    if (url === undefined) continue;
    if (about === undefined) playlists.push(url);
    else segments.push({ url, ...about, startsAt: clock });
    if (clock !== undefined && about) clock += about.duration * 1000;
    about = undefined;
    if (segments.length >= MOST_SEGMENTS) break;
  }
  return { segments, dated, playlists: [...new Set(playlists)].slice(0, MOST_PLAYLISTS), targetDuration };
}

function urlOf(text: string, base: string): string[] {
  return text !== '' && URL.canParse(text, base) ? [new URL(text, base).href] : [];
}

/** Reads `#EXTINF`: seconds and a title, which may be written as attributes (`title="…",artist="…"`). */
function infoOf(value: string): { duration: number; title: string | undefined } {
  const comma = value.indexOf(',');
  const duration = Number.parseFloat(comma < 0 ? value : value.slice(0, comma));
  const rest = comma < 0 ? '' : value.slice(comma + 1).trim();
  const named = /^[a-z]\w*="/i.test(rest) ? attributesOf(rest) : undefined;
  const title = named ? named.get('TITLE') : rest;
  return {
    duration: duration > 0 && duration < 86_400 ? duration : 0,
    title: title === undefined || NOTHING.test(title) ? undefined : withPerformer(named?.get('ARTIST'), title),
  };
}

/** Reads a list of attributes (RFC 8216 4.2); names in upper case. */
function attributesOf(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, name = '', quoted, plain] of text.matchAll(/([\w-]{1,100})=(?:"([^"]*)"|([^,"]*))/g)) {
    found.set(name.toUpperCase(), (quoted ?? plain ?? '').trim());
  }
  return found;
}

/** Attributes of date ranges are the publisher's own; these names are the usual ones. */
function datedTitle(attributes: ReadonlyMap<string, string>): HlsDateTitle[] {
  const title = attributes.get('X-TITLE') ?? attributes.get('X-SONG') ?? '';
  const from = dateOf(attributes.get('START-DATE') ?? '');
  if (title === '' || from === undefined) return [];
  const seconds = Number(attributes.get('DURATION') ?? attributes.get('PLANNED-DURATION') ?? 'none');
  const until = dateOf(attributes.get('END-DATE') ?? '') ?? (seconds >= 0 ? from + seconds * 1000 : undefined);
  return [{ from, until: until ?? Number.POSITIVE_INFINITY, title: withPerformer(attributes.get('X-ARTIST'), title) }];
}

function dateOf(text: string): number | undefined {
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}
