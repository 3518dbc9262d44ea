import { GUID } from './guid.js';
import { OBJECT_HEAD_SIZE } from './object-tree.js';
import { type StreamKind, streamKindOf } from './stream.js';

const STREAM_PROPERTIES = Buffer.from(GUID.streamPropertiesObject, 'hex');

/**
 * The kinds of streams that a header declares, found by their GUIDs alone: also where the header is cut, too large to be read, or
 * wrong otherwise. For what a file is called, not for what is done with it.
 *
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
