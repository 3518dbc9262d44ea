/* The parts of a request-target (RFC 9112 3.2). Request lines are read as Latin-1, so each character is a byte. */

const SCHEME = /^[a-z][a-z0-9+.-]*$/i;

/**
 * Returns a request-target without scheme and host, which clients send if they take this server for a proxy: `/a?b` of
 * `http://host/a?b`.
 */
export function originForm(target: string): string {
  const scheme = target.indexOf('://');
  if (scheme <= 0 || !SCHEME.test(target.slice(0, scheme))) return target;
  let at = scheme + 3;
  while (at < target.length && !'/?#'.includes(target[at]!)) at++;
  return target.slice(at);
}

/**
 * Returns the path of a request-target as received: percent-encoded, without scheme, host and query. Empty if a URL has
 * none.
 */
export function rawPathOf(target: string): string {
  const path = originForm(target);
  let end = 0;
  while (end < path.length && path[end] !== '?' && path[end] !== '#') end++;
  return path.slice(0, end);
}

/** Returns the query of a request-target as received, without the question mark; undefined if it has none. */
export function rawQueryOf(target: string): string | undefined {
  const start = target.indexOf('?');
  return start === -1 ? undefined : target.slice(start + 1).split('#', 1)[0];
}

/** Returns the query of a request-target, without the question mark. */
export function queryOf(target: string): URLSearchParams {
  const start = target.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : target.slice(start + 1));
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Percent-decodes a path. Its bytes are UTF-8, escaped or not. Invalid UTF-8 is read as Latin-1, because old players
 * escape in the code page of their system (`caf%E9`).
 * @param tolerant false to require UTF-8
 * @returns undefined if a percent sign is not followed by two hexadecimal digits, or the path is not UTF-8 but has to
 *   be
 */
export function decodePath(raw: string, tolerant = true): string | undefined {
  if (/%(?![0-9a-f]{2})/i.test(raw)) return undefined;
  const bytes = Buffer.from(
    raw.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
    'latin1',
  );
  try {
    return UTF8.decode(bytes);
  } catch {
    return tolerant ? bytes.toString('latin1') : undefined;
  }
}
