import { AuthError } from './error.js';

/**
 * One challenge, or the credentials of a request (RFC 9110 11.3 and 11.4): a scheme with a token or with parameters.
 */
export interface SchemeValue {
  /** In lower case. */
  readonly scheme: string;
  /** The token68 of NTLM, Negotiate and Basic. */
  readonly token?: string;
  /** Names in lower case, values without quotes; Latin-1 characters are bytes. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** The most characters of a field value that are read; a head has at most 16384. */
const MAX_VALUE = 16_384;
const MAX_CHALLENGES = 16;
const MAX_PARAMETERS = 32;

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y;
const SPACE = /[ \t]*/y;
const QUOTED = /"([^"\\]*(?:\\.[^"\\]*)*)"/y;

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    if (text.length > MAX_VALUE) throw new AuthError('An authentication field is too long.');
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (!match) return undefined;
    this.#at = pattern.lastIndex;
    return match[1] ?? match[0];
  }

  skip(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  /** Blanks and commas: empty list elements are tolerated (RFC 9110 5.6.1.2). */
  skipSeparators(): boolean {
    let comma = false;
    for (;;) {
      this.take(SPACE);
      if (!this.skip(',')) return comma;
      comma = true;
    }
  }

  /** The value after `name =`; undefined if there is no `=`. */
  value(): string | undefined {
    const before = this.#at;
    this.take(SPACE);
    if (!this.skip('=')) {
      this.#at = before;
      return undefined;
    }
    this.take(SPACE);
    const quoted = this.take(QUOTED);
    if (quoted !== undefined) return quoted.replace(/\\(.)/gs, '$1');
    const token = this.take(TOKEN);
    // The grammar forbids an empty value, but several browsers have sent one, as in opaque=
    if (token === undefined && !this.done && !this.peek(',')) throw new AuthError('A parameter has no value.');
    return token ?? '';
  }

  peek(character: string): boolean {
    return this.#text[this.#at] === character;
  }
}

/**
 * Parses a WWW-Authenticate or Proxy-Authenticate value, which may have several challenges (RFC 9110 11.6.1), or an
 * Authorization value. Reads at most 16 challenges of 32 parameters, in linear time.
 * @throws AuthError for anything that violates the grammar, and for a parameter that occurs twice
 */
export function parseChallenges(value: string): SchemeValue[] {
  const scanner = new Scanner(value);
  const challenges: Array<{ scheme: string; token?: string; parameters: Map<string, string> }> = [];
  scanner.skipSeparators();
  for (let separated = true; !scanner.done; separated = scanner.skipSeparators()) {
    const name = scanner.take(TOKEN)?.toLowerCase();
    if (name === undefined) throw new AuthError('An authentication field is malformed.');
    const current = challenges.at(-1);
    const parameter = current && scanner.value();
    if (current && parameter !== undefined) {
      // The first parameter follows its scheme, each other one a comma.
      if (current.token !== undefined || (!separated && current.parameters.size > 0)) {
        throw new AuthError('An authentication field is malformed.');
      }
      addParameter(current.parameters, name, parameter);
      continue;
    }
    if (!separated || challenges.length >= MAX_CHALLENGES) throw new AuthError('An authentication field is malformed.');
    scanner.take(SPACE);
    const token = scanner.take(TOKEN68);
    challenges.push({ scheme: name, ...(token === undefined ? {} : { token }), parameters: new Map() });
  }
  return challenges;
}

function addParameter(parameters: Map<string, string>, name: string, value: string): void {
  if (parameters.has(name)) throw new AuthError('A parameter comes twice.');
  if (parameters.size >= MAX_PARAMETERS) throw new AuthError('An authentication field has too many parameters.');
  parameters.set(name, value);
}

/**
 * Parses the value of Authorization or Proxy-Authorization (RFC 9110 11.6.2).
 * @throws AuthError if it is malformed or has more than one set of credentials
 */
export function parseCredentials(value: string): SchemeValue {
  const [credentials, ...others] = parseChallenges(value);
  if (!credentials || others.length > 0) throw new AuthError('The credentials are malformed.');
  return credentials;
}

/**
 * Quotes bytes, each given as one Latin-1 character, as in header fields (RFC 9110 5.6.4). Control characters become
 * spaces.
 */
export function quoteBytes(bytes: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a field value must not hold
  return `"${bytes.replace(/[\x00-\x1f\x7f]/g, ' ').replace(/["\\]/g, '\\$&')}"`;
}

/** The same as {@link quoteBytes} for the UTF-8 bytes of a text. */
export function quote(text: string): string {
  return quoteBytes(Buffer.from(text, 'utf8').toString('latin1'));
}

/** Decodes the bytes of a field: UTF-8 if they are valid, else Latin-1, which old clients send (RFC 7617 B.3). */
export function decodeAuthText(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return bytes.toString('latin1');
  }
}

/**
 * Decodes a base64 token (RFC 4648 4), with or without padding.
 * @throws AuthError if it is not base64
 */
export function decodeToken(token: string): Buffer {
  const digits = token.replace(/={1,2}$/, '');
  if (!/^[A-Za-z0-9+/]*$/.test(digits) || digits.length % 4 === 1) {
    throw new AuthError('A token is not in base64.');
  }
  return Buffer.from(digits, 'base64');
}
