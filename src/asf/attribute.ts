import { decodeText, encodeText } from './codec.js';
import type { AttributeValue } from './objects.js';

const KINDS = ['string', 'bytes', 'bool', 'dword', 'qword', 'word', 'guid'] as const;
const SIZES = { dword: 4, qword: 8, word: 2, guid: 16 } as const;

/**
 * Decodes the value of a content descriptor (asf.md 3.10) or a metadata record (4.4). A value whose length does not fit
 * its type keeps its bytes.
 * @param boolSize bytes of a BOOL: 4 in Extended Content Description, 2 in Metadata
 */
export function decodeAttribute(dataType: number, bytes: Buffer, boolSize: 2 | 4): AttributeValue {
  const kind = KINDS[dataType];
  if (kind === 'string') return { kind, value: decodeText(bytes) };
  if (kind === 'bytes') return { kind, value: bytes };
  if (kind === 'bool' && bytes.length === boolSize) return { kind, value: bytes.readUIntLE(0, boolSize) !== 0 };
  if (kind === undefined || kind === 'bool' || bytes.length !== SIZES[kind]) {
    return { kind: 'other', dataType, value: bytes };
  }
  if (kind === 'qword') return { kind, value: bytes.readBigUInt64LE(0) };
  if (kind === 'guid') return { kind, value: bytes.toString('hex') };
  return { kind, value: bytes.readUIntLE(0, SIZES[kind]) };
}

function numberBytes(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntLE(size === 4 ? value >>> 0 : value & 0xffff, 0, size);
  return bytes;
}

function valueBytes(attribute: AttributeValue, boolSize: 2 | 4): Buffer {
  switch (attribute.kind) {
    case 'string':
      return encodeText(attribute.value);
    case 'bytes':
    case 'other':
      return attribute.value;
    case 'bool':
      return numberBytes(attribute.value ? 1 : 0, boolSize);
    case 'qword': {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt.asUintN(64, attribute.value));
      return bytes;
    }
    case 'guid':
      return Buffer.from(attribute.value, 'hex');
    default:
      return numberBytes(attribute.value, SIZES[attribute.kind]);
  }
}

/** Returns the data type and the bytes of a value; the inverse of {@link decodeAttribute}. */
export function encodeAttribute(attribute: AttributeValue, boolSize: 2 | 4): { dataType: number; bytes: Buffer } {
  const dataType = attribute.kind === 'other' ? attribute.dataType : KINDS.indexOf(attribute.kind);
  return { dataType, bytes: valueBytes(attribute, boolSize) };
}
