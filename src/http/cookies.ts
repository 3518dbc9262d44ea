import { trimBlanks } from '../framing/text-head.js';

/** A cookie of a Cookie or Set-Cookie header. */
export interface Cookie {
  readonly name: string;
  readonly value: string;
}

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
  const name = trimBlanks(text.slice(0, Math.max(equals, 0)));
  return name === '' ? undefined : { name, value: trimBlanks(text.slice(equals + 1)) };
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

/** A cookie as a Set-Cookie header sets it. */
export interface SetCookie extends Cookie {
  /** By name in lower case, without quotation marks around the values; empty for those that have none, such as Secure. */
  readonly attributes: ReadonlyMap<string, string>;
}

/**
 * The cookie that one Set-Cookie header sets (RFC 2109 4.2.2); undefined when it is no pair. The value stays as it is, quotation marks
 * included, since it is only given back.
 */
export function parseSetCookie(text: string): SetCookie | undefined {
  const attributes = new Map<string, string>();
  let pair: Cookie | undefined;
  for (let at = 0; at <= text.length; ) {
    const end = nextSeparator(text, at, ';');
    const part = text.slice(at, end);
    const split = splitPair(part);
    if (at === 0 && !split) return undefined;
    if (at === 0) pair = split;
    else if (split) attributes.set(split.name.toLowerCase(), unquote(split.value));
    else attributes.set(trimBlanks(part).toLowerCase(), '');
    at = end + 1;
  }
  return pair && { ...pair, attributes };
}

/** The cookies that the Set-Cookie headers of a response set, in order, without their attributes. */
export function parseSetCookies(values: readonly string[]): Cookie[] {
  return values.slice(0, MAX_COOKIES).flatMap((text) => {
    const cookie = parseSetCookie(text);
    return cookie ? [{ name: cookie.name, value: cookie.value }] : [];
  });
}
