/** Tags that a field may hold (MS-RTSP 2.2.6.5, 2.2.6.6). */
const MAX_TAGS = 32;

/** The tags of If-Match or If-None-Match; `*` means any. */
export type EntityTags = '*' | readonly string[];

/**
 * Reads If-Match or If-None-Match (RFC 2616 14.24, 14.26): `*`, or 1 to 32 tags in quotes.
 *
 * @returns the tags without quotes; undefined if the value is malformed
 */
export function readEntityTags(value: string): EntityTags | undefined {
  const text = value.trim();
  if (text === '*') return '*';
  const tags: string[] = [];
  const tag = /\s*(?:W\/)?"([^"]{0,256})"\s*(,|$)/y;
  while (tag.lastIndex < text.length) {
    const match = tag.exec(text);
    if (!match || tags.push(match[1]!) > MAX_TAGS) return undefined;
    if (match[2] === '') return tags;
  }
  return undefined;
}

/** True if the tags are those of an entity. @param tag of the entity, in quotes or not; undefined if it has none */
export function matchesTag(tags: EntityTags, tag: string | undefined): boolean {
  if (tag === undefined) return false;
  return tags === '*' || tags.includes(tag.replace(/^"|"$/g, ''));
}
