import { type Metafile, type MetafileEntry, readMetafile } from './asx-read.js';
import { readM3u } from './m3u.js';

/** Whether a path or a URL is that of an announcement, by its ending. */
export function isAnnouncementLocation(text: string): boolean {
  const place = text.trim().split(/[?#]/, 1)[0]!;
  return /\.(?:asx|wax|wvx|wmx|m3u)$/i.test(place) && /^(?:https?:\/\/|(?![a-z][a-z0-9+.-]+:\/\/))/i.test(place);
}

/**
 * Reads an announcement, in any encoding that {@link decodeText} knows.
 *
 * @param isM3u its name says so; a text that begins with `#EXTM3U` is one anyhow
 * @returns undefined when it is none, or one of HLS
 */
export function readAnnouncement(bytes: Buffer, isM3u: boolean): Metafile | undefined {
  const text = decodeText(bytes);
  const found = readMetafile(text);
  if (found || !(isM3u || /^#EXTM3U/.test(text))) return found;
  if (/^#EXT-X-/m.test(text) || text.includes('\0')) return undefined;
  const entries = readM3u(text).map(({ url, title = '' }): MetafileEntry => ({ title, refs: [url] }));
  return { title: '', entries, entryRefs: [], items: entries, events: [] };
}

/** Text in whatever it is encoded: UTF-16 with a byte order mark, UTF-8, or else Windows-1252; without the mark. */
export function decodeText(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}
