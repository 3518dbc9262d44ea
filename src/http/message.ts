import { WmError } from '../errors.js';

/** A request or response head may not be larger than this; what is longer is refused with 431. */
export const MAX_HEAD_SIZE = 16 * 1024;

/** A request that cannot be served, with the HTTP status that says so. */
export class HttpError extends WmError {
  readonly status: number;

  constructor(status: number, message: string) {
    super('WM_HTTP_MALFORMED', message);
    this.name = 'HttpError';
    this.status = status;
  }
}

/** Header fields in their order, with duplicates; names are compared without regard to case (RFC 9110 5.1). */
export class HeaderFields {
  readonly entries: ReadonlyArray<readonly [name: string, value: string]>;

  constructor(entries: ReadonlyArray<readonly [string, string]> = []) {
    this.entries = entries;
  }

  /** The values of all fields of that name, in order. */
  all(name: string): string[] {
    const wanted = name.toLowerCase();
    return this.entries.filter(([field]) => field.toLowerCase() === wanted).map(([, value]) => value);
  }

  /** The first field of that name. */
  get(name: string): string | undefined {
    const wanted = name.toLowerCase();
    return this.entries.find(([field]) => field.toLowerCase() === wanted)?.[1];
  }

  /**
   * All elements of a comma-separated list field, lower-cased and trimmed, as Connection and Cache-Control have them. A comma in a
   * quoted string separates nothing (RFC 9110 5.6.1).
   */
  tokens(name: string): string[] {
    return this.all(name)
      .flatMap(splitList)
      .map((token) => trimBlanks(token).toLowerCase())
      .filter((token) => token !== '');
  }
}

/** Splits at the commas that are outside of quoted strings (RFC 9110 5.6.4); from a quote that is never closed on, at all. */
function splitList(value: string): string[] {
  if (!value.includes('"')) return value.split(',');
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < value.length; at++) {
    if (value[at] === ',') {
      parts.push(value.slice(start, at));
      start = at + 1;
    } else if (value[at] === '"') {
      const end = endOfQuoted(value, at);
      if (end === undefined) return [...parts, ...value.slice(start).split(',')];
      at = end;
    }
  }
  return [...parts, value.slice(start)];
}

function endOfQuoted(value: string, start: number): number | undefined {
  for (let at = start + 1; at < value.length; at++) {
    if (value[at] === '\\') at++;
    else if (value[at] === '"') return at;
  }
  return undefined;
}

export interface RequestHead {
  readonly method: string;
  /** The request-target as it came: a path, an absolute URL (to a proxy) or `*`. */
  readonly target: string;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1 */
  readonly minorVersion: 0 | 1;
  readonly headers: HeaderFields;
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly minorVersion: 0 | 1;
  readonly headers: HeaderFields;
}

/** How long a body is: a number of bytes, chunked, or up to the end of the connection. */
export type BodyFraming = { kind: 'length'; length: number } | { kind: 'chunked' } | { kind: 'close' };

/**
 * The size in bytes of the head at the start of `bytes`, with its empty line, or 0 when the empty line has not come.
 * Bare LF counts as a line end, as RFC 9112 2.2 allows.
 */
export function headLength(bytes: Buffer): number {
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) {
    if (bytes[at + 1] === 10) return at + 2;
    if (bytes[at + 1] === 13 && bytes[at + 2] === 10) return at + 3;
  }
  return 0;
}

/**
 * A text without the blanks and tabs around it. Nothing else is white space in HTTP (RFC 9110 5.6.3): `trim()` would also remove
 * a no-break space, and what another program on the way takes for a part of the value would be gone here.
 */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Latin-1 but no control characters: what a field value may hold (RFC 9110 5.5).
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

// Blanks inside are borne, because some players do not encode them; control characters are not.
const TARGET = /^[\x21-\x7e\x80-\xff][\x20-\x7e\x80-\xff]*$/;

function splitLines(bytes: Buffer): string[] {
  const lines = bytes.toString('latin1').split('\n');
  return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line)).filter((line) => line !== '');
}

function parseFields(lines: string[]): HeaderFields {
  const entries: Array<[string, string]> = [];
  for (const line of lines) {
    const last = entries.at(-1);
    if (line.startsWith(' ') || line.startsWith('\t')) {
      // The responses of Windows Media Services in the specifications' own samples are folded.
      if (!last) throw new HttpError(400, 'The first header line starts with a blank.');
      if (!FIELD_VALUE.test(line)) throw new HttpError(400, 'A header line is malformed.');
      last[1] = `${last[1]} ${trimBlanks(line)}`;
      continue;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    const value = trimBlanks(line.slice(colon + 1));
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) throw new HttpError(400, 'A header line is malformed.');
    entries.push([name, value]);
  }
  return new HeaderFields(entries);
}

/**
 * Parses a request head (RFC 9112 3 and 5).
 *
 * @param bytes the head up to and with its empty line, as {@link headLength} measures it
 * @throws HttpError 400 for bad syntax, 505 for a major version other than 1
 */
export function parseRequestHead(bytes: Buffer): RequestHead {
  const [first = '', ...rest] = splitLines(bytes);
  // By hand and not by one expression: a long run of blanks would make that one try every pair of them.
  const line = trimBlanks(first);
  const methodEnd = line.indexOf(' ');
  const versionStart = line.lastIndexOf(' ');
  const method = line.slice(0, Math.max(methodEnd, 0));
  const target = trimBlanks(line.slice(methodEnd, versionStart));
  const version = /^HTTP\/(\d)\.(\d)$/.exec(line.slice(versionStart + 1));
  if (!version || !TOKEN.test(method) || !TARGET.test(target)) {
    throw new HttpError(400, 'The request line is malformed.');
  }
  if (version[1] !== '1') throw new HttpError(505, `HTTP/${version[1]} is not spoken here.`);
  const headers = parseFields(rest);
  checkHost(headers);
  return { method, target, minorVersion: version[2] === '0' ? 0 : 1, headers };
}

// What may stand in a Host field (RFC 3986 3.2.2, 3.2.3): nothing that ends the authority of a URL, and no list.
const HOST = /^[\w.~!$&'()*+;=%:[\]\x80-\xff-]*$/;

/** Several names, or what is none, let two programs on the way see two hosts (RFC 9112 3.2). */
function checkHost(headers: HeaderFields): void {
  const hosts = headers.all('Host');
  if (hosts.length > 1) throw new HttpError(400, 'A request names one Host.');
  if (!HOST.test(hosts[0] ?? '')) throw new HttpError(400, 'The Host header is malformed.');
}

/**
 * Parses a response head (RFC 9112 4); a missing reason phrase is accepted, as is `ICY` in the place of the version.
 *
 * @throws HttpError (status 502) when it is not HTTP
 */
export function parseResponseHead(bytes: Buffer): ResponseHead {
  const [first = '', ...rest] = splitLines(bytes);
  const match = /^(?:HTTP\/1\.(\d)|ICY) +(\d{3})(?: (.*))?$/.exec(first.trimEnd());
  if (!match) throw new HttpError(502, 'The answer is not HTTP.');
  const minorVersion = match[1] === '1' ? 1 : 0;
  return { status: Number(match[2]), reason: match[3] ?? '', minorVersion, headers: parseFields(rest) };
}

function contentLength(headers: HeaderFields): number | undefined {
  const values = new Set(headers.all('Content-Length').flatMap((value) => value.split(',').map(trimBlanks)));
  if (values.size === 0) return undefined;
  const [value = ''] = values;
  // Two different lengths are how requests are smuggled past a proxy (RFC 9112 6.3).
  if (values.size > 1 || !/^\d{1,15}$/.test(value)) throw new HttpError(400, 'Content-Length is malformed.');
  return Number(value);
}

/**
 * How the body of a request is delimited (RFC 9112 6.3).
 *
 * @throws HttpError 400 for contradicting or malformed lengths, 501 for a transfer coding other than chunked
 */
export function requestBodyFraming(head: RequestHead): BodyFraming {
  const codings = head.headers.tokens('Transfer-Encoding');
  const length = contentLength(head.headers);
  if (head.headers.get('Transfer-Encoding') === undefined) return { kind: 'length', length: length ?? 0 };
  if (length !== undefined) throw new HttpError(400, 'Content-Length and Transfer-Encoding exclude each other.');
  if (head.minorVersion === 0) throw new HttpError(400, 'HTTP/1.0 has no Transfer-Encoding.');
  if (codings.length > 1 || codings[0] !== 'chunked') throw new HttpError(501, 'Only the chunked coding is known.');
  return { kind: 'chunked' };
}

/** How the body of a response to `method` is delimited (RFC 9112 6.3). */
export function responseBodyFraming(head: ResponseHead, method: string): BodyFraming {
  const isTunnel = method === 'CONNECT' && head.status >= 200 && head.status < 300;
  if (method === 'HEAD' || isTunnel || head.status === 204 || head.status === 304 || head.status < 200) {
    return { kind: 'length', length: 0 };
  }
  if (head.headers.tokens('Transfer-Encoding').at(-1) === 'chunked') return { kind: 'chunked' };
  const length = contentLength(head.headers);
  return length === undefined ? { kind: 'close' } : { kind: 'length', length };
}

/** Whether the connection stays open after this message (RFC 9112 9.3; Keep-Alive for HTTP/1.0 as in RFC 2068 19.7.1). */
export function keepsAlive(head: RequestHead | ResponseHead): boolean {
  const connection = head.headers.tokens('Connection');
  if (connection.includes('close')) return false;
  return head.minorVersion === 1 || connection.includes('keep-alive');
}

export type Field = readonly [name: string, value: string];

function serialise(firstLine: string, fields: readonly Field[]): Buffer {
  let text = `${firstLine}\r\n`;
  for (const [name, value] of fields) {
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) {
      throw new WmError('WM_FAILED', `The header field ${name} would have held a character that HTTP forbids.`);
    }
    text += `${name}: ${value}\r\n`;
  }
  return Buffer.from(`${text}\r\n`, 'latin1');
}

/** A request head as bytes; the case and the order of the fields are kept, since some peers mind them. */
export function serialiseRequestHead(
  method: string,
  target: string,
  fields: readonly Field[],
  minorVersion: 0 | 1 = 1,
): Buffer {
  if (!/^[\x21-\xff]+$/.test(target)) throw new WmError('WM_USAGE', `"${target}" cannot stand in a request line.`);
  return serialise(`${method} ${target} HTTP/1.${minorVersion}`, fields);
}

/** A response head as bytes. The reason phrase is never empty: libmms and xine stop at `HTTP/1.0 200`. */
export function serialiseResponseHead(status: number, fields: readonly Field[], minorVersion: 0 | 1 = 1): Buffer {
  return serialise(`HTTP/1.${minorVersion} ${status} ${reasonPhrase(status)}`, fields);
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  204: 'No Content',
  206: 'Partial Content',
  302: 'Found',
  305: 'Use Proxy',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  411: 'Length Required',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  505: 'HTTP Version Not Supported',
};

/** The reason phrase of a status; never empty. */
export function reasonPhrase(status: number): string {
  return REASONS[status] ?? 'Unknown';
}
