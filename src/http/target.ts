/*
 * What a request-target names (RFC 9112 3.2). Request lines are read as Latin-1, so each character is a byte.
 */

/** A request-target without scheme and host, which clients write that take this server for a proxy: `/a?b` of `http://host/a?b`. */
export function originForm(target: string): string {
  return target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
}

/** The path of a request-target as it came: percent-encoded, without scheme, host and query. Empty when a URL has none. */
export function rawPathOf(target: string): string {
  return originForm(target).split(/[?#]/, 1)[0]!;
}

/** The query of a request-target, without the question mark. */
export function queryOf(target: string): URLSearchParams {
  const start = target.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : target.slice(start + 1));
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Takes the percent-encoding off a path. Its bytes are UTF-8, escaped or not; where they are not valid as such they are
 * Latin-1, because old players escape in the code page of their system (`caf%E9`).
 *
 * @param tolerant false where the bytes have to be UTF-8
 * @returns undefined when a percent sign is followed by something else than two hexadecimal digits, or it is not UTF-8 but has to be
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
