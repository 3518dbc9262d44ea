import { GUID } from './guid.js';
import { OBJECT_HEAD_SIZE } from './object-tree.js';
import { type StreamKind, streamKindOf } from './stream.js';

const STREAM_PROPERTIES = Buffer.from(GUID.streamPropertiesObject, 'hex');

/**
 * Returns the kinds of streams that a header declares. Finds them by their GUIDs only, so it works even if the header
 * is cut, too large to read, or otherwise wrong. Good enough to name a file, not to process it.
 * @param bytes the beginning of a file
 */
export function streamKindsIn(bytes: Buffer): ReadonlySet<StreamKind> {
  const kinds = new Set<StreamKind>();
  for (let at = bytes.indexOf(STREAM_PROPERTIES); at !== -1; at = bytes.indexOf(STREAM_PROPERTIES, at + 1)) {
    const type = at + OBJECT_HEAD_SIZE;
    if (type + 16 <= bytes.length) kinds.add(streamKindOf(bytes.toString('hex', type, type + 16)));
  }
  return kinds;
}
