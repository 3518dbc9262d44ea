import { listOf, looksLikeMetafile, MAX_METAFILE_SIZE, type Metafile, readMetafile } from './asx-read.js';
import { type M3uEntry, readM3u } from './m3u.js';
import { looksLikeNsc } from './nsc.js';
import { looksLikePls, readPls } from './pls.js';

/** An announcement, read or found unreadable. */
export type Announcement =
  /** An .asx file, `[Reference]` text, .m3u or .pls playlist, or list of URLs. */
  | { readonly kind: 'list'; readonly metafile: Metafile }
  /** An .nsc file. */
  | { readonly kind: 'nsc'; readonly text: string }
  /** An announcement that cannot be read. */
  | { readonly kind: 'unreadable'; readonly why: string };

/** What is known about some bytes apart from the bytes themselves. */
export interface AnnouncementHints {
  /** Where they were found. */
  readonly location?: string | undefined;
  /** Their media type (Content-Type), if stated. */
  readonly type?: string | undefined;
}

/** The maximum size of an announcement, in bytes: the limit of .nsc files, which may be the largest. */
export const MAX_ANNOUNCEMENT_SIZE = 4 * 1024 * 1024;
/** How many bytes it takes to recognize an announcement. */
export const ANNOUNCEMENT_START_SIZE = 128 * 1024;
const MAX_LISTED = 1000;
const MAX_URL = 2048;
const ENDING = /\.(?:asx|wax|wvx|wmx|m3u|pls)$/i;
const URL_LINE = /^(?:https?|mms[htu]?|httpt?|rtsp[tu]?|msbd):\/\/\S/i;

/** True if a path or URL has the extension of an announcement. */
export function isAnnouncementLocation(text: string): boolean {
  return ENDING.test(placeOf(text)) && /^(?:https?:\/\/|(?![a-z][a-z0-9+.-]+:\/\/))/i.test(text.trim());
}

/**
 * Reads an announcement from its bytes, in any encoding that {@link decodeText} knows. The hints matter only where the
 * bytes leave a doubt: a list of relative names without `#EXTM3U` is an .m3u playlist if it is named like one, and a
 * text that is named like an announcement but has none of their forms is `unreadable`. Never throws.
 *
 * @returns undefined if it is not an announcement
 */
export function readAnnouncement(bytes: Buffer, hints: AnnouncementHints = {}): Announcement | undefined {
  if (!looksLikeText(bytes)) return undefined;
  const text = decodeText(bytes).replace(/^\ufeff/, '');
  const isNamedM3u = /\.m3u8?$/i.test(placeOf(hints.location ?? '')) || /\bmpegurl\b/i.test(hints.type ?? '');
  if (looksLikeNsc(text)) return { kind: 'nsc', text };
  const isNamed = isNamedM3u || isNamedAnnouncement(hints);
  if (text.length > MAX_METAFILE_SIZE) {
    if (!isNamed && !looksLikeMetafile(text) && !isM3u(text)) return undefined;
    return { kind: 'unreadable', why: `it is longer than ${MAX_METAFILE_SIZE} characters` };
  }
  const metafile = readMetafile(text);
  if (metafile) return { kind: 'list', metafile };
  if (looksLikeMetafile(text)) return { kind: 'unreadable', why: 'it declares entities' };
  if (isM3u(text) || (isNamedM3u && !/^\s*</.test(text))) return readPlaylist(text, readM3u);
  if (looksLikePls(text)) return readPlaylist(text, readPls);
  const urls = urlLines(text);
  if (urls) return { kind: 'list', metafile: listOf(urls.map((url) => ({ title: '', refs: [url] }))) };
  return isNamed ? { kind: 'unreadable', why: 'it has none of the forms of an announcement' } : undefined;
}

/** True if the bytes are the start of a text in an encoding that {@link decodeText} knows. */
export function looksLikeText(bytes: Buffer): boolean {
  if (utf16Of(bytes) !== undefined) return true;
  const start = bytes.subarray(0, 512);
  return start.length > 0 && start.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte === 0x1b);
}

/** Decodes UTF-16 (with or without a byte order mark), UTF-8, or otherwise Windows-1252; removes the mark. */
export function decodeText(bytes: Buffer): string {
  const utf16 = utf16Of(bytes);
  if (utf16 !== undefined) return new TextDecoder(utf16).decode(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}

function utf16Of(bytes: Buffer): 'utf-16le' | 'utf-16be' | undefined {
  const [first = 0, second = 0, third = 0, fourth = 0] = bytes;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  // No byte order mark: every announcement begins with ASCII.
  if (first !== 0 && second === 0 && third !== 0 && fourth === 0) return 'utf-16le';
  if (first === 0 && second !== 0 && third === 0 && fourth !== 0) return 'utf-16be';
  return undefined;
}

function placeOf(location: string): string {
  return location.trim().split(/[?#]/, 1)[0]!;
}

/** Announcements and ASF share `video/x-ms-asf`; a text of this type is an announcement. */
function isNamedAnnouncement({ location = '', type = '' }: AnnouncementHints): boolean {
  if (ENDING.test(placeOf(location))) return true;
  return /^(?:video|audio|application)\/(?:x-ms-(?:asf|asx|wax|wvx|wmx)|x-scpls|pls\+xml|vnd\.ms-asf)\s*(?:;|$)/i.test(
    type.slice(0, 100).trim(),
  );
}

function isM3u(text: string): boolean {
  return /^\s{0,200}#EXTM3U/.test(text);
}

function readPlaylist(text: string, read: (text: string) => M3uEntry[]): Announcement {
  if (/^#EXT-X-/m.test(text)) return { kind: 'unreadable', why: 'it is a playlist of HLS, which is another protocol' };
  const entries = read(text).filter(({ url }) => url.length <= MAX_URL);
  const listed = entries.slice(0, MAX_LISTED).map(({ url, title = '' }) => ({ title, refs: [url] }));
  return { kind: 'list', metafile: listOf(listed) };
}

/** Returns the URLs of a text whose lines are all URLs or comments. */
function urlLines(text: string): string[] | undefined {
  const urls: string[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (line.length > MAX_URL || !URL_LINE.test(line) || urls.length >= MAX_LISTED) return undefined;
    urls.push(line);
  }
  return urls.length === 0 ? undefined : urls;
}
