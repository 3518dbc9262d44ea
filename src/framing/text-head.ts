import { WmError } from '../errors.js';

/** The largest request or response head; anything longer is refused with 431. */
export const MAX_HEAD_SIZE = 16 * 1024;

/** Header fields in their order, with duplicates; names are compared without regard to case (RFC 9110 5.1). @public */
export class HeaderFields {
  readonly entries: ReadonlyArray<readonly [name: string, value: string]>;

  constructor(entries: ReadonlyArray<readonly [string, string]> = []) {
    this.entries = entries;
  }

  /** Returns the values of all fields of that name, in order. */
  all(name: string): string[] {
    const wanted = name.toLowerCase();
    return this.entries.filter(([field]) => field.toLowerCase() === wanted).map(([, value]) => value);
  }

  /** Returns the first field of that name. */
  get(name: string): string | undefined {
    const wanted = name.toLowerCase();
    return this.entries.find(([field]) => field.toLowerCase() === wanted)?.[1];
  }

  /**
   * Returns all elements of a comma-separated list field, lower-cased and trimmed, as in Connection and Cache-Control.
   * A comma in a quoted string does not separate (RFC 9110 5.6.1).
   */
  tokens(name: string): string[] {
    return this.all(name)
      .flatMap(splitList)
      .map((token) => trimBlanks(token).toLowerCase())
      .filter((token) => token !== '');
  }
}

/**
 * Splits at the commas outside of quoted strings (RFC 9110 5.6.4). After a quote that is never closed, all commas
 * count.
 */
function splitList(value: string): string[] {
  if (!value.includes('"')) return value.split(',');
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < value.length; at++) {
    if (value[at] === ',') {
      parts.push(value.slice(start, at));
      start = at + 1;
    } else if (value[at] === '"') {
      const end = endOfQuoted(value, at);
      if (end === undefined) return [...parts, ...value.slice(start).split(',')];
      at = end;
    }
  }
  return [...parts, value.slice(start)];
}

function endOfQuoted(value: string, start: number): number | undefined {
  for (let at = start + 1; at < value.length; at++) {
    if (value[at] === '\\') at++;
    else if (value[at] === '"') return at;
  }
  return undefined;
}

/**
 * Returns the size in bytes of the head at the start of `bytes`, its empty line included, or 0 if the empty line has
 * not arrived. A bare LF counts as a line end (RFC 9112 2.2).
 */
export function headLength(bytes: Buffer): number {
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) {
    if (bytes[at + 1] === 10) return at + 2;
    if (bytes[at + 1] === 13 && bytes[at + 2] === 10) return at + 3;
  }
  return 0;
}

/**
 * Removes blanks and tabs around a text. HTTP has no other white space (RFC 9110 5.6.3): `trim()` would also remove a
 * no-break space, which another program on the way takes for part of the value.
 */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** A token of HTTP and RTSP (RFC 9110 5.6.2), such as a method or a field name. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Latin-1 without control characters: the characters of a field value (RFC 9110 5.5).
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Returns the lines of a head, without empty ones. */
export function headLines(bytes: Buffer): string[] {
  const lines: string[] = [];
  for (let start = 0; start < bytes.length; ) {
    const feed = bytes.indexOf(10, start);
    const next = feed === -1 ? bytes.length : feed + 1;
    let end = feed === -1 ? bytes.length : feed;
    if (end > start && bytes[end - 1] === 13) end--;
    // Each line is a string of its own, so that a value kept for hours does not keep the whole head.
    if (end > start) lines.push(bytes.toString('latin1', start, end));
    start = next;
  }
  return lines;
}

/**
 * Parses the lines of a head after the first one.
 * @param malformed creates the error for a line that is not a header field
 */
export function parseFields(lines: readonly string[], malformed: (message: string) => Error): HeaderFields {
  const entries: Array<[string, string]> = [];
  for (const line of lines) {
    const last = entries.at(-1);
    if (line.startsWith(' ') || line.startsWith('\t')) {
      // Windows Media Services folds its responses in the samples of the specifications.
      if (!last) throw malformed('The first header line starts with a blank.');
      if (!FIELD_VALUE.test(line)) throw malformed('A header line is malformed.');
      last[1] = `${last[1]} ${trimBlanks(line)}`;
      continue;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    const value = trimBlanks(line.slice(colon + 1));
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) throw malformed('A header line is malformed.');
    entries.push([name, value]);
  }
  return new HeaderFields(entries);
}

/** @public */
export type Field = readonly [name: string, value: string];

/** Serialises a head. @throws WmError WM_FAILED for a field that HTTP forbids */
export function serialiseHead(firstLine: string, fields: readonly Field[]): Buffer {
  let text = `${firstLine}\r\n`;
  for (const [name, value] of fields) {
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) {
      throw new WmError('WM_FAILED', `The header field ${name} would have held a character that HTTP forbids.`);
    }
    text += `${name}: ${value}\r\n`;
  }
  return Buffer.from(`${text}\r\n`, 'latin1');
}
