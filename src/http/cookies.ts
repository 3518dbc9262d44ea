import { trimBlanks } from '../framing/text-head.js';

/** A cookie from a Cookie or Set-Cookie header. @public */
export interface Cookie {
  readonly name: string;
  readonly value: string;
}

// The size of a head already limits field values; this limits the work on them too.
const MAX_COOKIES = 64;

/**
 * Index of the next separator from `at` on, or the length of `text`. Separators inside a quoted value do not count, but
 * an unmatched quotation mark does not swallow the cookies after it.
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
 * Parses the Cookie headers of a request; keeps order and duplicates. Cookies are separated by `;` or `,`, values may
 * be quoted, and names that start with `$` are attributes, which are ignored (RFC 2109 4.3.4). Anything but a name and
 * a value is skipped.
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
  /**
   * By name in lower case, without quotation marks around the values; empty for those without a value, such as Secure.
   */
  readonly attributes: ReadonlyMap<string, string>;
}

/**
 * Parses one Set-Cookie header (RFC 2109 4.2.2); undefined if it has no name and value. The value is kept as it is,
 * quotation marks included, since it is only sent back.
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

/** Returns the cookies that the Set-Cookie headers of a response set, in order, without their attributes. */
export function parseSetCookies(values: readonly string[]): Cookie[] {
  return values.slice(0, MAX_COOKIES).flatMap((text) => {
    const cookie = parseSetCookie(text);
    return cookie ? [{ name: cookie.name, value: cookie.value }] : [];
  });
}
