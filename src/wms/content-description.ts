import type { AsfHeader } from '../asf/header.js';

/** A 32-bit integer (MS-WMSP 2.2.4.1). */
export const VT_I4 = 3;
/** Text. */
const VT_LPWSTR = 31;

/** Name, value, and the type if it is not text. */
export type DescriptionItem = readonly [name: string, value: string, type?: typeof VT_I4 | typeof VT_LPWSTR];

/**
 * Formats one content description, which ends with CR LF (MS-WMSP 2.2.4). The lengths of names and values count bytes
 * of UTF-8.
 */
export function contentDescription(items: readonly DescriptionItem[]): string {
  const item = ([name, value, type = VT_LPWSTR]: DescriptionItem) =>
    `${Buffer.byteLength(name)},${name},${type},${Buffer.byteLength(value)},${value}`;
  return `${items.map(item).join(',')}\r\n`;
}

/** Returns the contents of the Content Description Object, under the names that Windows Media Services uses. */
export function describeContent(header: AsfHeader): Array<readonly [name: string, value: string]> {
  const object = header.objects.find((candidate) => candidate.type === 'contentDescription');
  if (!object) return [];
  const { title, author, copyright, description, rating } = object;
  const all: Array<readonly [string, string]> = [
    ['title', title],
    ['author', author],
    ['copyright', copyright],
    ['description', description],
    ['rating', rating],
  ];
  return all.filter(([, value]) => value !== '');
}

/** @public */
export interface Description {
  /** A language tag (RFC 2616 3.10); empty for no particular language. */
  readonly language: string;
  readonly name: string;
  readonly value: string;
}

const MAX_DESCRIPTIONS = 1000;
/** VT_I2, I4, CY, BSTR, ERROR, BOOL, I1, UI1, UI2, UI4, INT, UINT, LPWSTR (2.2.4.1). */
const KNOWN_TYPES: ReadonlySet<number> = new Set([2, 3, 6, 8, 10, 11, 16, 17, 18, 19, 22, 23, 31]);

/**
 * Reads a content description list (MS-WMSP 2.2.4): items `nameLength,name,type,valueLength,value`, with lengths in
 * bytes, separated by commas or line ends. Items of an unknown type are ignored, and so is everything after a malformed
 * one.
 */
export function* parseDescriptions(list: Buffer): Generator<Description> {
  let language = '';
  let at = 0;
  const number = (): number | undefined => {
    const comma = list.indexOf(0x2c, at);
    if (comma === -1 || comma - at > 10) return undefined;
    const digits = list.toString('latin1', at, comma);
    at = comma + 1;
    return /^\d+$/.test(digits) ? Number(digits) : undefined;
  };
  const text = (length: number | undefined): string | undefined => {
    if (length === undefined || length > list.length - at) return undefined;
    const start = at;
    at += length;
    return list.toString('utf8', start, at);
  };
  for (let count = 0; at < list.length && count < MAX_DESCRIPTIONS; count++) {
    const nameLength = number();
    // The grammar counts "language" as 7 letters.
    const isLanguage = nameLength === 7 && list.toString('latin1', at, at + 9) === 'language,';
    const name = text(isLanguage ? 8 : nameLength);
    if (name === undefined || list[at++] !== 0x2c) return;
    const type = number();
    const value = text(number());
    if (type === undefined || value === undefined) return;
    if (name === 'language') language = value;
    else if (KNOWN_TYPES.has(type)) yield { language, name, value };
    while (list[at] === 0x2c || list[at] === 0x0d || list[at] === 0x0a || list[at] === 0) at++;
  }
}
