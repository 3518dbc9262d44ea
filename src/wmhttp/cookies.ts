/** A cookie as it stands in a Cookie or Set-Cookie header. */
export interface Cookie {
  readonly name: string;
  readonly value: string;
}

/** The name of the cookie that carries the session (MS-WMHTTP 2.2.1.3.1). */
export const PUSH_ID = 'push-id';

// Field values cannot be longer than a head, but the number of cookies that are looked at is kept small all the same.
const MAX_COOKIES = 64;

/**
 * Index of the next separator from `at` on; the length of `text` when there is none. Separators inside a quoted value do
 * not count, but a lone quotation mark does not swallow the cookies behind it.
 */
function nextSeparator(text: string, at: number, separators: string): number {
  for (let index = at; index < text.length; index++) {
    if (text[index] === '=' && text[index + 1] === '"') {
      const close = text.indexOf('"', index + 2);
      if (close !== -1) index = close;
    } else if (separators.includes(text[index]!)) {
      return index;
    }
  }
  return text.length;
}

function splitPair(text: string): Cookie | undefined {
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(equals, 0)).trim();
  return name === '' ? undefined : { name, value: text.slice(equals + 1).trim() };
}

function unquote(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/**
 * The cookies of the Cookie headers of a request, in order and with duplicates (RFC 2109 4.3.4: `;` or `,` between them,
 * values may be quoted, names that start with `$` are attributes and are left out). What is no pair is skipped.
 */
export function parseCookies(values: readonly string[]): Cookie[] {
  const cookies: Cookie[] = [];
  for (const text of values) {
    for (let at = 0; at < text.length && cookies.length < MAX_COOKIES; ) {
      const end = nextSeparator(text, at, ';,');
      const pair = splitPair(text.slice(at, end));
      if (pair && !pair.name.startsWith('$')) cookies.push({ name: pair.name, value: unquote(pair.value) });
      at = end + 1;
    }
  }
  return cookies;
}

/**
 * The cookies that the Set-Cookie headers of a response set, without their attributes (RFC 2109 4.2.2). Values stay as they
 * are, quotes included, since they are only given back.
 */
export function parseSetCookies(values: readonly string[]): Cookie[] {
  const cookies: Cookie[] = [];
  for (const text of values.slice(0, MAX_COOKIES)) {
    const pair = splitPair(text.slice(0, nextSeparator(text, 0, ';')));
    if (pair) cookies.push(pair);
  }
  return cookies;
}

/** Whether a value can be a push-id: 1 to 255 visible ASCII characters (MS-WMHTTP 2.2.1.3.1, 3.2.3). */
export function isPushId(value: string): boolean {
  return /^[\x21-\x7e]{1,255}$/.test(value);
}
