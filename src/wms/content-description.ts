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
