import type { StreamSwitch } from '../playback/selection.js';

/**
 * The tokens of all Pragma headers of a message (MS-WMSP 2.2.1.4).
 *
 * Real clients send malformed values (FFmpeg forgets a line end: `stream-time=0Connection: Close`), so a number is its longest
 * valid prefix and a token that makes no sense is as good as absent; what is unknown is skipped (2.2.1).
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

  /** The text behind `=`, without quotes; empty for a token without one. */
  text(name: string): string | undefined {
    return this.#values.get(name.toLowerCase());
  }

  /** An unsigned decimal of 32 bits: the leading digits. Undefined when there are none or they are too large. */
  number(name: string): number | undefined {
    const digits = /^\s*(\d{1,10})/.exec(this.text(name) ?? '')?.[1];
    const value = Number(digits);
    return digits === undefined || value > 0xffffffff ? undefined : value;
  }

  /** A token that is 0 or 1; absent counts as 0. */
  flag(name: string): boolean {
    return this.number(name) === 1;
  }
}

function* splitTokens(line: string): Generator<readonly [name: string, value: string]> {
  // log-line holds fields that have commas of their own and is the only token of its header (2.2.1.4.10).
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
 * The entries of stream-switch-entry, or undefined when the request has none. The specification's examples also spell it
 * switch-stream-entry. Malformed entries are left out.
 *
 * @param known the stream numbers of the content: the numbers are hexadecimal by 2.2.1.4.27, but FFmpeg, VLC and libmms write
 *   decimal; a number that is unknown as hexadecimal is tried as decimal
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
