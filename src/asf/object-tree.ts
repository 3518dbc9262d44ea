import {
  type Budget,
  ByteReader,
  ByteWriter,
  blob,
  type Codec,
  dword,
  guid,
  qword,
  readItems,
  struct,
  text,
  word,
} from './codec.js';
import { AsfError } from './error.js';
import { GUID } from './guid.js';
import { kind, leafKinds, type ObjectKind } from './object-codecs.js';
import type {
  ExtendedStreamProperties,
  HeaderExtension,
  HeaderObject,
  PayloadExtensionSystem,
  StreamName,
  StreamPropertiesObject,
} from './objects.js';

/** Bytes before the fields of an object: GUID and QWORD size. */
export const OBJECT_HEAD_SIZE = 24;

/** A Header Extension may contain one more, but not without end (asf.md 16). */
const MAX_DEPTH = 2;

/** Real headers have a few dozen objects. An object takes much more memory than its 24 bytes. */
const MAX_OBJECTS = 16_384;

/** Descriptors, records, markers and the like, limited for the same reason. */
const MAX_ITEMS = 32_768;

/**
 * The bytes from which an object was read, its head included. An edited copy has none. Unchanged objects are written
 * back from here byte for byte, with their reserved fields, missing NULs and trailing bytes.
 */
const originals = new WeakMap<HeaderObject, Buffer>();

function readHeaderExtension(reader: ByteReader, depth: number): HeaderExtension {
  guid.read(reader);
  word.read(reader);
  const size = Math.min(dword.read(reader), reader.remaining);
  const start = reader.skip(size);
  return { type: 'headerExtension', objects: readWithin(reader.bytes, start, start + size, depth + 1, reader.budget) };
}

const headerExtension: Codec<HeaderObject> = {
  read: (reader) => readHeaderExtension(reader, 0),
  write: (writer, object) => {
    const children = (object as HeaderExtension).objects.map(objectBytes);
    guid.write(writer, GUID.reserved1);
    word.write(writer, 6);
    dword.write(
      writer,
      children.reduce((sum, child) => sum + child.length, 0),
    );
    for (const child of children) writer.put(child);
  },
};

const streamName = struct<StreamName>({ languageIndex: word, name: text(word) });
const extensionSystem = struct<PayloadExtensionSystem>({ systemId: guid, dataSize: word, info: blob(dword) });
const extendedFixed = struct({
  startTime: qword,
  endTime: qword,
  dataBitrate: dword,
  bufferSize: dword,
  initialBufferFullness: dword,
  alternateDataBitrate: dword,
  alternateBufferSize: dword,
  alternateInitialBufferFullness: dword,
  maximumObjectSize: dword,
  flags: dword,
  streamNumber: word,
  languageIndex: word,
  averageTimePerFrame: qword,
});

/** Looks only for Stream Properties, so that nested objects cannot cause recursion. */
function readHiddenStream({ bytes, position, end, budget }: ByteReader): StreamPropertiesObject | undefined {
  if (bytes.toString('hex', position, Math.min(position + 16, end)) !== GUID.streamPropertiesObject) return undefined;
  const size = objectSizeAt(bytes, position, end);
  const object = size === undefined ? undefined : readObject(bytes, position, position + size, MAX_DEPTH, budget);
  return object?.type === 'streamProperties' ? object : undefined;
}

/** Both counts precede both lists; Stream Properties may follow as an object of its own. */
const extendedStreamProperties: Codec<Omit<ExtendedStreamProperties, 'type'>> = {
  read: (reader) => {
    const fixed = extendedFixed.read(reader);
    const nameCount = word.read(reader);
    const systemCount = word.read(reader);
    const names = readItems(reader, nameCount, streamName);
    const payloadExtensionSystems = readItems(reader, systemCount, extensionSystem);
    return { ...fixed, names, payloadExtensionSystems, streamProperties: readHiddenStream(reader) };
  },
  write: (writer, object) => {
    extendedFixed.write(writer, object);
    word.write(writer, object.names.length);
    word.write(writer, object.payloadExtensionSystems.length);
    for (const each of object.names) streamName.write(writer, each);
    for (const each of object.payloadExtensionSystems) extensionSystem.write(writer, each);
    if (object.streamProperties !== undefined) writer.put(objectBytes(object.streamProperties));
  },
};

const kinds: readonly ObjectKind[] = [
  ...leafKinds,
  { guid: GUID.headerExtensionObject, type: 'headerExtension', codec: headerExtension },
  kind<ExtendedStreamProperties>(
    GUID.extendedStreamPropertiesObject,
    'extendedStreamProperties',
    extendedStreamProperties,
  ),
];
const byGuid: ReadonlyMap<string, ObjectKind> = new Map(kinds.map((each) => [each.guid, each]));
const byType: ReadonlyMap<string, ObjectKind> = new Map(kinds.map((each) => [each.type, each]));

/** Reads the fields of one whole object; one that is unknown or unreadable stays as bytes. */
function readObject(bytes: Buffer, start: number, end: number, depth: number, budget: Budget): HeaderObject {
  const id = bytes.toString('hex', start, start + 16);
  const raw = bytes.subarray(start, end);
  const reader = new ByteReader(bytes, start + OBJECT_HEAD_SIZE, end, budget);
  let object: HeaderObject = { type: 'unknown', guid: id, bytes: raw };
  try {
    if (id !== GUID.headerExtensionObject) object = byGuid.get(id)?.codec.read(reader) ?? object;
    else if (depth < MAX_DEPTH) object = readHeaderExtension(reader, depth);
  } catch (error) {
    if (!(error instanceof AsfError)) throw error;
  }
  originals.set(object, withSize(raw));
  return object;
}

/** Returns an object that says its true size. */
function withSize(object: Buffer): Buffer {
  const size = BigInt(object.length);
  if (object.readBigUInt64LE(16) === size) return object;
  const corrected = Buffer.from(object);
  corrected.writeBigUInt64LE(size, 16);
  return corrected;
}

/** The size of the object at an offset; undefined if it is smaller than its head or exceeds the end (asf.md 16.1). */
function objectSizeAt(bytes: Buffer, at: number, end: number): number | undefined {
  if (end - at < OBJECT_HEAD_SIZE) return undefined;
  const size = bytes.readBigUInt64LE(at + 16);
  return size < OBJECT_HEAD_SIZE || size > end - at ? undefined : Number(size);
}

/** Bytes of a header that are searched for the ends of objects with a wrong size; once for each known kind. */
const MAX_SEARCHED = 2 * 1024 * 1024;
const OBJECT_IDS = kinds.map(({ guid: id }) => Buffer.from(id, 'hex'));

/**
 * The size of an object whose own is impossible: up to where the next one of a known kind begins, or the end. Undefined
 * if it is of no known kind, or if too much was searched already.
 */
function sizeBySearch(bytes: Buffer, at: number, end: number, budget: Budget): number | undefined {
  if (!byGuid.has(bytes.toString('hex', at, at + 16)) || budget.searched <= 0) return undefined;
  const from = at + OBJECT_HEAD_SIZE;
  const window = bytes.subarray(from, Math.min(end, from + budget.searched));
  const places = OBJECT_IDS.map((id) => window.indexOf(id)).filter(
    (place) => place !== -1 && objectSizeAt(bytes, from + place, end) !== undefined,
  );
  budget.searched -= window.length;
  return OBJECT_HEAD_SIZE + Math.min(end - from, ...places);
}

/**
 * Reads the objects that follow one another from `start` to `end`. One with an impossible size ends where the next one
 * of a known kind begins. The buffers in them
 * are views. An object whose lists would fill the memory stays as bytes.
 * @throws AsfError if there are more than 16,384
 */
export function readObjects(bytes: Buffer, start: number, end: number): HeaderObject[] {
  return readWithin(bytes, start, end, 0, { objects: MAX_OBJECTS, items: MAX_ITEMS, searched: MAX_SEARCHED });
}

function readWithin(bytes: Buffer, start: number, end: number, depth: number, budget: Budget): HeaderObject[] {
  const spans: { readonly at: number; readonly size: number; readonly place: number }[] = [];
  for (let at = start; end - at >= OBJECT_HEAD_SIZE; ) {
    const size = objectSizeAt(bytes, at, end) ?? sizeBySearch(bytes, at, end, budget);
    if (size === undefined) break;
    if (--budget.objects < 0) throw new AsfError(`An ASF header has more than ${MAX_OBJECTS} objects.`, at);
    spans.push({ at, size, place: spans.length });
    at += size;
  }
  const objects = new Array<HeaderObject>(spans.length);
  // Small objects first, so that a huge one cannot use up the budget of those that describe the streams.
  const bySize = spans.toSorted((a, b) => a.size - b.size);
  for (const { at, size, place } of bySize) objects[place] = readObject(bytes, at, at + size, depth, budget);
  return objects;
}

/** Prepends GUID and size to the body of an object. */
export function frameObject(id: string, body: Buffer): Buffer {
  const writer = new ByteWriter();
  guid.write(writer, id);
  qword.write(writer, BigInt(OBJECT_HEAD_SIZE + body.length));
  writer.put(body);
  return writer.finish();
}

/**
 * Returns the bytes of an object, its head included: those it was read from, or, for a new object or a copy, its
 * encoded fields.
 * @throws AsfError if a value does not fit its field
 */
export function objectBytes(object: HeaderObject): Buffer {
  const original = originals.get(object);
  if (original !== undefined) return original;
  if (object.type === 'unknown') return object.bytes;
  const { guid: id, codec } = byType.get(object.type)!;
  const writer = new ByteWriter();
  codec.write(writer, object);
  return frameObject(id, writer.finish());
}
