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
