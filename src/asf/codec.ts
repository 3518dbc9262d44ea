import { AsfError } from './error.js';

/** What readers may still create; all readers of one header share it. */
export interface Budget {
  /** Objects in the header. */
  objects: number;
  /** List items, over all objects. */
  items: number;
  /** Bytes that may still be searched for the ends of objects with an impossible size. */
  searched: number;
}

/** Reads little-endian fields from part of a buffer and checks each read. The buffers it returns are views. */
export class ByteReader {
  readonly bytes: Buffer;
  position: number;
  readonly end: number;
  readonly budget: Budget;

  constructor(
    bytes: Buffer,
    start = 0,
    end = bytes.length,
    budget: Budget = { objects: 0, items: Infinity, searched: 0 },
  ) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
    this.budget = budget;
  }

  get remaining(): number {
    return this.end - this.position;
  }

  /** Skips `size` bytes and returns their offset. @throws AsfError if there are fewer */
  skip(size: number): number {
    if (size > this.remaining) throw new AsfError('A field goes beyond the end of its object.', this.position);
    const at = this.position;
    this.position += size;
    return at;
  }

  uint(size: number): number {
    return this.bytes.readUIntLE(this.skip(size), size);
  }

  uint64(): bigint {
    return this.bytes.readBigUInt64LE(this.skip(8));
  }

  take(size: number): Buffer {
    const at = this.skip(size);
    return this.bytes.subarray(at, at + size);
  }
}

/** Collects little-endian fields; grows as needed. */
export class ByteWriter {
  #buffer = Buffer.alloc(256);
  #length = 0;

  #reserve(size: number): number {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(this.#length, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    return at;
  }

  /** @throws AsfError if the value does not fit in `size` bytes */
  uint(value: number, size: number): void {
    if (!(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size))) {
      throw new AsfError(`${value} does not fit a field of ${size} bytes.`, this.#length);
    }
    const at = this.#reserve(size);
    this.#buffer.writeUIntLE(value, at, size);
  }

  /** @throws AsfError if the value does not fit in 8 bytes */
  uint64(value: bigint): void {
    if (value < 0n || value >= 1n << 64n) throw new AsfError(`${value} does not fit a QWORD.`, this.#length);
    const at = this.#reserve(8);
    this.#buffer.writeBigUInt64LE(value, at);
  }

  put(bytes: Buffer): void {
    const at = this.#reserve(bytes.length);
    bytes.copy(this.#buffer, at);
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

/** How a value is encoded. Reading throws AsfError if the bytes end too early, writing if a value does not fit. */
export interface Codec<T> {
  read(reader: ByteReader): T;
  write(writer: ByteWriter, value: T): void;
}

const unsigned = (size: number): Codec<number> => ({
  read: (reader) => reader.uint(size),
  write: (writer, value) => writer.uint(value, size),
});

/** A BYTE: 1 byte. */
export const byte = unsigned(1);
/** A WORD: 2 bytes, little-endian. */
export const word = unsigned(2);
/** A DWORD: 4 bytes, little-endian. */
export const dword = unsigned(4);

/** A QWORD: 8 bytes, little-endian. */
export const qword: Codec<bigint> = {
  read: (reader) => reader.uint64(),
  write: (writer, value) => writer.uint64(value),
};

const LARGEST_QWORD = 2n ** 64n - 1n;

/** A QWORD as a number, for fields whose sensible values are small. */
export const qwordNumber: Codec<number> = {
  read: (reader) => Number(reader.uint64()),
  write: (writer, value) => {
    if (!(Number.isInteger(value) && value >= 0 && value <= 2 ** 64))
      throw new AsfError(`${value} does not fit a QWORD.`);
    // The largest values are read as 2^64, the nearest number.
    writer.uint64(value === 2 ** 64 ? LARGEST_QWORD : BigInt(value));
  },
};

/** A GUID: 16 bytes on the wire, 32 lower-case hex characters of them in that order in memory. */
export const guid: Codec<string> = {
  read: (reader) => reader.take(16).toString('hex'),
  write: (writer, value) => {
    const bytes = Buffer.from(value, 'hex');
    if (bytes.length !== 16) throw new AsfError(`"${value}" is not a GUID of 32 hex characters.`);
    writer.put(bytes);
  },
};

/** Decodes UTF-16LE without its terminating NULs; an odd last byte is ignored. */
export function decodeText(bytes: Buffer): string {
  return withoutNuls(bytes.subarray(0, bytes.length & ~1).toString('utf16le'));
}

/** Removes the NULs at the end of a text, in linear time however many there are elsewhere. */
export function withoutNuls(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === '\0') end--;
  return text.slice(0, end);
}

/** The characters that fill a field of 65,535 bytes without a NUL. */
const FULL_FIELD = 32_767;

/**
 * Encodes UTF-16LE with one terminating NUL. An empty text takes no bytes, as in ffmpeg; one that fills its field has
 * no NUL.
 */
export function encodeText(text: string): Buffer {
  if (text === '') return Buffer.alloc(0);
  return Buffer.from(text.length === FULL_FIELD ? text : `${text}\0`, 'utf16le');
}

/**
 * Bytes preceded by their length. A length that exceeds the object is cut to the bytes that are left (asf.md 16.3).
 * @param unit bytes per unit of the length
 */
export const blob = (length: Codec<number>, unit = 1): Codec<Buffer> => ({
  read: (reader) => reader.take(Math.min(length.read(reader) * unit, reader.remaining)),
  write: (writer, value) => {
    length.write(writer, value.length / unit);
    writer.put(value);
  },
});

function mapped<A, B>(codec: Codec<A>, decode: (value: A) => B, encode: (value: B) => A): Codec<B> {
  return {
    read: (reader) => decode(codec.read(reader)),
    write: (writer, value) => codec.write(writer, encode(value)),
  };
}

/** UTF-16LE text preceded by its length in bytes. */
export const text = (length: Codec<number>): Codec<string> => mapped(blob(length), decodeText, encodeText);

/** UTF-16LE text preceded by its length in characters. */
export const textInCharacters = (length: Codec<number>): Codec<string> =>
  mapped(blob(length, 2), decodeText, encodeText);

/** Single-byte text preceded by its length in bytes. */
export const narrowText = (length: Codec<number>): Codec<string> =>
  mapped(
    blob(length),
    (bytes) => withoutNuls(bytes.toString('latin1')),
    (value) => Buffer.from(`${value}\0`, 'latin1'),
  );

/** The rest of the object. */
export const rest: Codec<Buffer> = {
  read: (reader) => reader.take(reader.remaining),
  write: (writer, value) => writer.put(value),
};

/**
 * Reads up to `count` items; the first one that exceeds the object ends the list (asf.md 16.3).
 * @throws AsfError if there are more than the reader's budget allows
 */
export function readItems<T>(reader: ByteReader, count: number, item: Codec<T>): T[] {
  const items: T[] = [];
  for (let i = 0; i < count && reader.remaining > 0; i++) {
    if (--reader.budget.items < 0) throw new AsfError('A header has too many attributes.', reader.position);
    try {
      items.push(item.read(reader));
    } catch (error) {
      if (!(error instanceof AsfError)) throw error;
      break;
    }
  }
  return items;
}

/** Items preceded by their count. */
export const list = <T>(count: Codec<number>, item: Codec<T>): Codec<readonly T[]> => ({
  read: (reader) => readItems(reader, count.read(reader), item),
  write: (writer, value) => {
    count.write(writer, value.length);
    for (const each of value) item.write(writer, each);
  },
});

/** Fields, encoded in the order in which they are given. */
export function struct<T extends object>(fields: { readonly [K in keyof T]-?: Codec<T[K]> }): Codec<T> {
  const keys = Object.keys(fields) as (keyof T)[];
  return {
    read: (reader) => {
      const value: Partial<T> = {};
      for (const key of keys) value[key] = fields[key].read(reader);
      return value as T;
    },
    write: (writer, value) => {
      for (const key of keys) fields[key].write(writer, value[key]);
    },
  };
}
