import { WmError } from '../errors.js';

/** CRC, Key and Length of the EncodedDataHeader, in bytes. */
const HEAD_SIZE = 9;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz{}';
// Both alphabets encode six bits at a time, most significant first; only the characters differ.
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const toBase64 = new Map([...ALPHABET].map((char, index) => [char.charCodeAt(0), BASE64.charCodeAt(index)]));
const fromBase64 = new Map([...BASE64].map((char, index) => [char.charCodeAt(0), ALPHABET.charCodeAt(index)]));

/** An encoded value of an .nsc file. */
export interface EncodedBlock {
  /** The Format ID of an ASF header, 0 for everything else. */
  readonly key: number;
  readonly data: Buffer;
  /** True if the CRC is correct. */
  readonly intact: boolean;
}

/**
 * Encodes bytes for an .nsc file, starting with the "02" that marks an encoded value ([MS-MSB] 2.2.1.3).
 *
 * +-----------------------------+----------+
 * | CRC                         | BYTE     |  the XOR of all bytes that follow
 * | Key                         | DWORD    |  big-endian
 * | Length of the data in bytes | DWORD    |  big-endian
 * | data                        |          |
 * +-----------------------------+----------+
 *
 * These bytes are read as one string of bits. Each six bits make one character; the last ones are padded with zeros.
 */
export function encodeBlock(data: Buffer, key = 0): string {
  const bytes = Buffer.alloc(HEAD_SIZE + data.length);
  bytes.writeUInt32BE(key, 1);
  bytes.writeUInt32BE(data.length, 5);
  data.copy(bytes, HEAD_SIZE);
  bytes[0] = checksum(bytes);
  const text = Buffer.from(bytes.toString('base64').replace(/={1,2}$/, ''), 'latin1');
  return `02${translated(text, fromBase64).toString('latin1')}`;
}

/**
 * Decodes the result of {@link encodeBlock} ([MS-MSB] 2.2.1.3.2).
 *
 * @returns undefined if the text lacks the "02", has other characters, is too short, or its Length does not match its
 *   data
 */
export function decodeBlock(text: string): EncodedBlock | undefined {
  if (!/^02[0-9A-Za-z{}]{12,}$/.test(text)) return undefined;
  const bytes = Buffer.from(translated(Buffer.from(text.slice(2), 'latin1'), toBase64).toString('latin1'), 'base64');
  if (bytes.length < HEAD_SIZE || bytes.readUInt32BE(5) !== bytes.length - HEAD_SIZE) return undefined;
  return { key: bytes.readUInt32BE(1), data: bytes.subarray(HEAD_SIZE), intact: bytes[0] === checksum(bytes) };
}

/** Returns the XOR of all bytes but the first. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 1; at < bytes.length; at++) sum ^= bytes[at]!;
  return sum;
}

function translated(text: Buffer, letters: ReadonlyMap<number, number>): Buffer {
  for (let at = 0; at < text.length; at++) text[at] = letters.get(text[at]!)!;
  return text;
}

/**
 * Encodes a string for an .nsc file: literally if it consists of visible ASCII only (VCHAR), otherwise as UTF-16LE with
 * a terminating null. A blank is not a VCHAR, and some readers reject it in a literal string. A string that would
 * be taken for an encoded one is encoded, too ([MS-MSB] 2.2.1.1, 2.2.1.2).
 */
export function encodeString(text: string): string {
  if (/^(?!02)[\x21-\x7e]+$/.test(text)) return text;
  return encodeBlock(Buffer.from(`${text}\0`, 'utf16le'));
}

/**
 * Decodes a string of an .nsc file, encoded or not ([MS-MSB] 2.2.1.1). A string that begins with "02" but cannot be
 * decoded is taken literally.
 *
 * @param onDamage called if the checksum is wrong; may throw
 * @returns undefined if it is empty, which means the same as absent
 */
export function decodeString(value: string, onDamage: () => void): string | undefined {
  const block = decodeBlock(value);
  if (!block) return value === '' ? undefined : value;
  if (!block.intact) onDamage();
  const text = block.data.toString('utf16le', 0, block.data.length & ~1);
  const end = text.indexOf('\0');
  return (end < 0 ? text : text.slice(0, end)) || undefined;
}

/**
 * Encodes an integer for an .nsc file: `0x` and 8 hexadecimal digits. @throws WmError WM_FAILED if it exceeds 32 bits
 */
export function encodeInteger(value: number, name: string): string {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new WmError('WM_FAILED', `${name} cannot be ${value} in an .nsc file.`);
  }
  return `0x${value.toString(16).toUpperCase().padStart(8, '0')}`;
}

/** Decodes the result of {@link encodeInteger}, always as hexadecimal. @returns undefined if it is not an integer */
export function decodeInteger(value: string): number | undefined {
  return /^0x[0-9a-f]{1,8}$/i.test(value) ? Number.parseInt(value.slice(2), 16) : undefined;
}
