/* The names of media files, and their media types in HTTP. */

/** The endings of media files, without the dot. */
export const MEDIA_SUFFIXES = ['asf', 'wmv', 'wma'] as const;

const SUFFIX = new RegExp(`\\.(${MEDIA_SUFFIXES.join('|')})$`, 'i');

/** True if a name ends like that of a media file, in any case. */
export function isMediaName(name: string): boolean {
  return SUFFIX.test(name);
}

/** Returns a name without the ending of a media file, which some players insist on. */
export function withoutMediaSuffix(name: string): string {
  return name.replace(SUFFIX, '');
}

/** The Content-Type of playlists and announcements, and of media of unknown kind. */
export const ASF_TYPE = 'video/x-ms-asf';

/**
 * Returns the Content-Type of plain ASF.
 *
 * @param kinds the types of its streams; `audio` without a picture makes it sound, whatever its name
 * @param name of the file, if it has one
 */
export function mediaType(kinds: Iterable<string>, name = ''): string {
  const all = new Set(kinds);
  if (all.has('audio') && !['video', 'image'].some((kind) => all.has(kind))) return 'audio/x-ms-wma';
  const [, suffix] = SUFFIX.exec(name.toLowerCase()) ?? [];
  if (suffix === 'wma' && all.size === 0) return 'audio/x-ms-wma';
  return suffix === 'wmv' ? 'video/x-ms-wmv' : ASF_TYPE;
}
