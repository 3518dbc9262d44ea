import type { StreamSwitch } from '../../playback/selection.js';

/**
 * The tokens of all Pragma headers of a message (MS-WMSP 2.2.1.4).
 *
 * Real clients send malformed values (one forgets a line end: `stream-time=0Connection: Close`). So a number is its
 * longest valid prefix, a token that makes no sense counts as absent, and unknown tokens are ignored (2.2.1).
 */
export class PragmaTokens {
  readonly #values: ReadonlyMap<string, string>;

  /** @param lines the values of the Pragma headers, in order */
  constructor(lines: readonly string[]) {
    const values = new Map<string, string>();
    for (const line of lines) {
      for (const [name, value] of splitTokens(line)) if (!values.has(name)) values.set(name, value);
    }
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  /** Returns the text after `=`, without quotes; empty for a token without one. */
  text(name: string): string | undefined {
    return this.#values.get(name.toLowerCase());
  }

  /** Returns an unsigned 32-bit decimal: the leading digits. Undefined if there are none or they are too large. */
  number(name: string): number | undefined {
    const digits = /^\s*(\d{1,10})/.exec(this.text(name) ?? '')?.[1];
    const value = Number(digits);
    return digits === undefined || value > 0xffffffff ? undefined : value;
  }

  /** True if a token that is 0 or 1 is 1; false if it is absent. */
  flag(name: string): boolean {
    return this.number(name) === 1;
  }
}

function* splitTokens(line: string): Generator<readonly [name: string, value: string]> {
  // log-line contains fields with commas of their own and is the only token of its header (2.2.1.4.10).
  const log = /^\s*log-line\s*=/i.exec(line);
  if (log) {
    yield ['log-line', line.slice(log[0].length).trim()];
    return;
  }
  for (const match of line.matchAll(/\s*((?:"[^"]*"?|[^",])+)/g)) {
    const token = match[1]!.trim();
    const equals = token.indexOf('=');
    const name = (equals === -1 ? token : token.slice(0, equals)).trim().toLowerCase();
    const value = equals === -1 ? '' : token.slice(equals + 1).trim();
    if (name !== '') yield [name, value.replace(/^"(.*?)"?$/, '$1')];
  }
}

/**
 * Returns the entries of stream-switch-entry, or undefined if the request has none. The specification's examples also
 * spell it switch-stream-entry. Malformed entries are ignored.
 *
 * @param known the stream numbers of the content. The numbers are hexadecimal by 2.2.1.4.27, but open-source players
 * write decimal, so a number that is unknown as hexadecimal is tried as decimal.
 */
export function streamSwitches(pragma: PragmaTokens, known: ReadonlySet<number>): StreamSwitch[] | undefined {
  const text = pragma.text('stream-switch-entry') ?? pragma.text('switch-stream-entry');
  if (text === undefined || pragma.number('stream-switch-count') === 0) return undefined;
  const stream = (digits: string) => {
    const hexadecimal = Number.parseInt(digits, 16);
    return known.has(hexadecimal) || !/^\d+$/.test(digits) ? hexadecimal : Number.parseInt(digits, 10);
  };
  const switches: StreamSwitch[] = [];
  for (const [, source, destination, level] of text.matchAll(
    /(?:^|\s)([0-9a-f]{1,4}):([0-9a-f]{1,4}):([012])(?![0-9a-f])/gi,
  )) {
    switches.push({
      source: source!.toLowerCase() === 'ffff' ? undefined : stream(source!),
      destination: stream(destination!),
      level: Number(level) as 0 | 1 | 2,
    });
  }
  return switches;
}
