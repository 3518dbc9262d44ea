import { signedObjects } from './edit.js';
import { type AsfHeader, buildHeader, headerLength } from './header.js';
import { objectBytes } from './object-tree.js';
import type { AttributeValue, ContentDescription, HeaderObject } from './objects.js';

/** The largest ASF header that every player and push server accepts, in bytes (docs/server.md, "Large headers"). */
export const PLAYER_HEADER_SIZE = 8 * 1024;

/** The largest that all but a few old players accept, in bytes. */
const COMMON_HEADER_SIZE = 16 * 1024;

/** The largest that fits in one $H packet (MS-WMSP 2.2.3.1.2), in bytes; some players accept only one. */
export const CARRIED_HEADER_SIZE = 65_527;

/** The length to which long texts of the Content Description are cut, in characters. */
const KEPT_TEXT = 250;

/** A descriptor of Extended Content Description or a record of Metadata. */
interface Attribute {
  readonly name: string;
  readonly value: AttributeValue;
}

/** Something that a player can do without. */
interface Omissible {
  readonly what: HeaderObject | Attribute;
  /** Lower ones go first. */
  readonly rank: number;
  /** Bytes, approximately. */
  readonly size: number;
}

const RANK = { padding: 0, picture: 1, attribute: 2, text: 3, list: 4 } as const;

/** Bytes of a descriptor and of a record, without name and value. */
const DESCRIPTOR_FIELDS = 6;
const RECORD_FIELDS = 12;

/** Attributes that players need to decode or buffer the streams; they are removed last. */
const TECHNICAL =
  /^(?:IsVBR|WMFSDK\w*|ASFLeakyBucketPairs|AspectRatio[XY]|DeviceConformanceTemplate|DVR \w.*|WM\/WM\w+)$/i;

const PICTURE = /^WM\/Picture$/i;

const lean = new WeakMap<AsfHeader, AsfHeader>();

/**
 * Shrinks a header for players, and for servers that a stream is pushed to, by removing what they can do without.
 * Padding goes first, then pictures, then other attributes and unknown objects (largest first), then the ends of long
 * texts, then lists of commands, markers and codecs. Only as much goes as is needed to fit {@link PLAYER_HEADER_SIZE},
 * or the next limit up to {@link CARRIED_HEADER_SIZE} if that cannot be reached. Objects that a Digital Signature
 * covers stay. Sizes in the header are updated. The same header always returns the same result.
 *
 * @public
 */
export function playerHeader(header: AsfHeader): AsfHeader {
  const known = lean.get(header);
  if (known !== undefined) return known;
  const made = headerWithin(header, [PLAYER_HEADER_SIZE, COMMON_HEADER_SIZE, CARRIED_HEADER_SIZE]);
  lean.set(header, made);
  return made;
}

/**
 * Removes as little as possible to reach the first of `limits` (in bytes) that can be reached; else returns the
 * smallest header.
 */
function headerWithin(header: AsfHeader, limits: readonly number[]): AsfHeader {
  const { length } = header.bytes;
  if (length <= limits[0]!) return header;
  const all = omissible(header.objects);
  const smallest = without(header, new Set(all.map(({ what }) => what)));
  const limit = limits.find((each) => smallest.bytes.length <= each);
  if (limit === undefined) return smallest;
  if (length <= limit) return header;
  const omitted = new Set<HeaderObject | Attribute>();
  let [made, next] = [header, 0];
  // Objects written from their fields may be some bytes longer than they were, so one round may not be enough.
  while (made.bytes.length > limit && next < all.length) {
    for (let left = made.bytes.length - limit; left > 0 && next < all.length; next++) {
      left -= all[next]!.size;
      omitted.add(all[next]!.what);
    }
    made = without(header, omitted);
  }
  return made.bytes.length <= limit ? made : smallest;
}

function valueSize(attribute: AttributeValue): number {
  if (attribute.kind === 'string') return encodedSize(attribute.value);
  return attribute.kind === 'bytes' || attribute.kind === 'other' ? attribute.value.length : 4;
}

/** Bytes of a text with its NUL. */
const encodedSize = (text: string): number => (text === '' ? 0 : 2 * text.length + 2);

function* ofAttributes(attributes: readonly Attribute[], fixedSize: number): Generator<Omissible> {
  // Of equals, the later ones go first.
  for (const what of attributes.toReversed()) {
    const size = fixedSize + encodedSize(what.name) + valueSize(what.value);
    const rank = PICTURE.test(what.name) ? RANK.picture : TECHNICAL.test(what.name) ? RANK.list : RANK.attribute;
    yield { what, rank, size };
  }
}

function textsSize(texts: ContentDescription): number {
  return objectBytes(texts).length - objectBytes(shortened(texts)).length;
}

function* ofObject(object: HeaderObject): Generator<Omissible> {
  switch (object.type) {
    case 'padding':
    case 'indexPlaceholder':
      yield { what: object, rank: RANK.padding, size: objectBytes(object).length };
      break;
    case 'contentBranding':
      yield { what: object, rank: RANK.picture, size: objectBytes(object).length };
      break;
    case 'extendedContentDescription':
      yield* ofAttributes(object.descriptors, DESCRIPTOR_FIELDS);
      break;
    case 'metadata':
    case 'metadataLibrary':
      yield* ofAttributes(object.records, RECORD_FIELDS);
      break;
    case 'unknown':
      yield { what: object, rank: RANK.attribute, size: object.bytes.length };
      break;
    case 'contentDescription':
      yield { what: object, rank: RANK.text, size: textsSize(object) };
      break;
    case 'scriptCommand':
    case 'marker':
    case 'codecList':
      yield { what: object, rank: RANK.list, size: objectBytes(object).length };
      break;
    case 'headerExtension':
      for (const each of object.objects) yield* ofObject(each);
      break;
  }
}

/** In the order of removal. */
function omissible(objects: readonly HeaderObject[]): Omissible[] {
  const signed = signedObjects(objects);
  const all = objects.flatMap((object) => (signed.has(object) ? [] : [...ofObject(object)]));
  return all.sort((a, b) => a.rank - b.rank || b.size - a.size);
}

function shortened(texts: ContentDescription): ContentDescription {
  // Half a surrogate pair at the end is not a character.
  const cut = (text: string): string =>
    text.length <= KEPT_TEXT ? text : `${text.slice(0, KEPT_TEXT - 1).replace(/[\ud800-\udbff]$/, '')}…`;
  const { type, title, author, copyright, description, rating } = texts;
  return {
    type,
    title: cut(title),
    author: cut(author),
    copyright: cut(copyright),
    description: cut(description),
    rating: cut(rating),
  };
}

type Omitted = ReadonlySet<HeaderObject | Attribute>;

/** The attributes that remain; the same array if all do. */
function remaining<T extends Attribute>(attributes: readonly T[], omitted: Omitted): readonly T[] {
  const kept = attributes.filter((each) => !omitted.has(each));
  return kept.length === attributes.length ? attributes : kept;
}

/** The object without what was omitted: the same object if that is nothing, undefined if nothing remains. */
function reduced(object: HeaderObject, omitted: Omitted): HeaderObject | undefined {
  if (object.type === 'contentDescription') return omitted.has(object) ? shortened(object) : object;
  if (omitted.has(object)) return undefined;
  switch (object.type) {
    case 'extendedContentDescription': {
      const descriptors = remaining(object.descriptors, omitted);
      return descriptors === object.descriptors ? object : { ...object, descriptors };
    }
    case 'metadata':
    case 'metadataLibrary': {
      const records = remaining(object.records, omitted);
      return records === object.records ? object : { ...object, records };
    }
    case 'headerExtension': {
      const objects = reducedAll(object.objects, omitted);
      const same = objects.length === object.objects.length && objects.every((each, at) => each === object.objects[at]);
      return same ? object : { ...object, objects };
    }
    default:
      return object;
  }
}

function reducedAll(objects: readonly HeaderObject[], omitted: Omitted): HeaderObject[] {
  return objects.map((object) => reduced(object, omitted)).filter((object) => object !== undefined);
}

/** The header without what was omitted; File Size is reduced accordingly. */
function without(header: AsfHeader, omitted: Omitted): AsfHeader {
  const objects = reducedAll(header.objects, omitted);
  const less = BigInt(Math.max(header.bytes.length - headerLength(objects), 0));
  const resized = objects.map((object) =>
    object.type === 'fileProperties' && object.fileSize >= less
      ? { ...object, fileSize: object.fileSize - less }
      : object,
  );
  return buildHeader(resized, header.dataObject);
}
