/** A 32-bit integer (MS-WMSP 2.2.4.1). */
export const VT_I4 = 3;
/** Text. */
const VT_LPWSTR = 31;

/** Name, value, and its type if it is no text. */
export type DescriptionItem = readonly [name: string, value: string, type?: typeof VT_I4 | typeof VT_LPWSTR];

/** One content description (MS-WMSP 2.2.4): the lengths of names and values are bytes of UTF-8; it ends with CR LF. */
export function contentDescription(items: readonly DescriptionItem[]): string {
  const item = ([name, value, type = VT_LPWSTR]: DescriptionItem) =>
    `${Buffer.byteLength(name)},${name},${type},${Buffer.byteLength(value)},${value}`;
  return `${items.map(item).join(',')}\r\n`;
}
