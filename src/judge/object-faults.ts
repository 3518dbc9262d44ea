import type { Payload } from '../asf/packet.js';
import { readMarkedObject } from '../testing/marked-object.js';
import type { Finding, Verdict } from './rule.js';
import type { PacketRecord, StreamRecord } from './stream.js';

/** What is wrong with the media objects of a stream. */
export interface ObjectFaults {
  /** Parts that are missing, come twice, or are in the wrong order. */
  readonly fragments: Verdict;
  /** Numbers that do not follow each other. */
  readonly numbers: Verdict;
  /** Objects of a synthetic stream that have changed. */
  readonly marks: Verdict;
}

/** Follows the media objects of all streams. The first of a stream may have begun before. */
export function objectFaults({ entries }: StreamRecord): ObjectFaults {
  const found: Found = { fragments: [], numbers: [], marks: [], objects: 0, marked: 0 };
  for (const { packets } of entries) {
    const streams = new Map<number, ObjectReader>();
    for (const record of packets) {
      for (const payload of record.packet?.payloads ?? []) {
        const reader = streams.get(payload.stream) ?? new ObjectReader(found);
        streams.set(payload.stream, reader);
        reader.take(payload, record);
      }
    }
  }
  const none = { untested: 'no media object came' };
  return {
    fragments: found.objects === 0 ? none : found.fragments,
    numbers: found.objects === 0 ? none : found.numbers,
    marks: found.marked === 0 ? { untested: 'the stream is not a synthetic one' } : found.marks,
  };
}

interface Found {
  readonly fragments: Finding[];
  readonly numbers: Finding[];
  readonly marks: Finding[];
  objects: number;
  marked: number;
}

/** Bits of a Media Object Number by its code. */
const NUMBER_BITS = [0, 8, 16, 32];

/** The objects of one stream. */
class ObjectReader {
  readonly #found: Found;
  #latest: number | undefined;
  #open: { readonly number: number; readonly size: number; length: number; readonly parts: Buffer[] } | undefined;

  constructor(found: Found) {
    this.#found = found;
  }

  take(payload: Payload, record: PacketRecord): void {
    const { mediaObjectNumber: number, offset, objectSize, compressed } = payload;
    const before = this.#latest;
    const isNew = before !== number || offset === 0;
    this.#latest = number;
    if (isNew) this.#begin(payload, record, before);
    if (compressed || objectSize < 0) return;
    if (isNew && offset === 0) this.#open = { number, size: objectSize, length: 0, parts: [] };
    else if (isNew && before !== undefined) {
      this.#fragment(`object ${number} of stream ${payload.stream} begins at byte ${offset}`, 'its beginning', record);
    }
    if (this.#open) this.#part(payload, record);
  }

  #begin({ mediaObjectNumber: number, stream, compressed }: Payload, record: PacketRecord, before: number | undefined) {
    this.#found.objects++;
    const bits = NUMBER_BITS[(record.packet!.propertyFlags >> 4) & 3]!;
    if (before !== undefined && bits > 0 && !compressed) {
      const expected = (before + 1) % 2 ** bits;
      const seen = `object ${number} of stream ${stream} in packet ${record.number}`;
      if (number !== expected) this.#found.numbers.push({ seen, expected: `object ${expected}` });
    }
    const left = this.#open;
    this.#open = undefined;
    if (!left) return;
    const seen = `${left.length} of ${left.size} bytes of object ${left.number} of stream ${stream}`;
    this.#fragment(seen, 'all of them', record);
  }

  #part({ stream, offset, dataStart, dataLength }: Payload, record: PacketRecord): void {
    const object = this.#open!;
    if (offset !== object.length) {
      this.#open = undefined;
      const seen = `byte ${offset} of object ${object.number} of stream ${stream}`;
      this.#fragment(seen, `byte ${object.length}`, record);
      return;
    }
    object.parts.push(record.packet!.bytes.subarray(dataStart, dataStart + dataLength));
    object.length += dataLength;
    if (object.length < object.size) return;
    this.#open = undefined;
    const data = Buffer.concat(object.parts);
    if (data.toString('latin1', 0, 4) !== 'WMST') return;
    this.#found.marked++;
    if (readMarkedObject(data)) return;
    const seen = `object ${object.number} of stream ${stream} has changed, up to packet ${record.number}`;
    this.#found.marks.push({ seen, expected: 'its bytes' });
  }

  #fragment(seen: string, expected: string, { number }: PacketRecord): void {
    this.#found.fragments.push({ seen: `${seen}, in packet ${number}`, expected });
  }
}
