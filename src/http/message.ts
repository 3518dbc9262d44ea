import { WmError } from '../errors.js';
import {
  type Field,
  type HeaderFields,
  headLines,
  parseFields,
  serialiseHead,
  TOKEN,
  trimBlanks,
} from '../framing/text-head.js';

export { type Field, HeaderFields, headLength, MAX_HEAD_SIZE } from '../framing/text-head.js';

/** A request that cannot be served, and the HTTP status to answer it with. */
export class HttpError extends WmError {
  readonly status: number;

  constructor(status: number, message: string) {
    super('WM_HTTP_MALFORMED', message);
    this.name = 'HttpError';
    this.status = status;
  }
}

const malformed = (message: string) => new HttpError(400, message);

/** The request line and the header fields of a request. */
export interface RequestHead {
  readonly method: string;
  /** The request-target as received: a path, an absolute URL (to a proxy) or `*`. */
  readonly target: string;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1 */
  readonly minorVersion: 0 | 1;
  readonly headers: HeaderFields;
}

/** @public */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly minorVersion: 0 | 1;
  readonly headers: HeaderFields;
}

/** The length of a body: a number of bytes, chunked, or until the connection ends. */
export type BodyFraming = { kind: 'length'; length: number } | { kind: 'chunked' } | { kind: 'close' };

// Blanks inside are tolerated, because some players do not encode them; control characters are not.
const TARGET = /^[\x21-\x7e\x80-\xff][\x20-\x7e\x80-\xff]*$/;

/**
 * Parses a request head (RFC 9112 3 and 5).
 * @param bytes the head, its empty line included, as measured by {@link headLength}
 * @throws HttpError 400 for bad syntax, 505 for a major version other than 1
 */
export function parseRequestHead(bytes: Buffer): RequestHead {
  const [first = '', ...rest] = headLines(bytes);
  // Not one regular expression: it would try every pair of blanks in a long run of them.
  const line = trimBlanks(first);
  const methodEnd = line.indexOf(' ');
  const versionStart = line.lastIndexOf(' ');
  const method = line.slice(0, Math.max(methodEnd, 0));
  const target = trimBlanks(line.slice(methodEnd, versionStart));
  const version = /^HTTP\/(\d)\.(\d)$/.exec(line.slice(versionStart + 1));
  if (!version || !TOKEN.test(method) || !TARGET.test(target)) {
    throw new HttpError(400, 'The request line is malformed.');
  }
  if (version[1] !== '1') throw new HttpError(505, `HTTP/${version[1]} is not supported.`);
  const headers = parseFields(rest, malformed);
  checkHost(headers);
  return { method, target, minorVersion: version[2] === '0' ? 0 : 1, headers };
}

// The characters of a Host field (RFC 3986 3.2.2, 3.2.3): none that ends the authority of a URL, and no list.
const HOST = /^[\w.~!$&'()*+;=%:[\]\x80-\xff-]*$/;

/** With several names, or a malformed one, two programs on the way can see different hosts (RFC 9112 3.2). */
function checkHost(headers: HeaderFields): void {
  const hosts = headers.all('Host');
  if (hosts.length > 1) throw new HttpError(400, 'A request must name exactly one Host.');
  if (!HOST.test(hosts[0] ?? '')) throw new HttpError(400, 'The Host header is malformed.');
}

/**
 * Parses a response head (RFC 9112 4). Accepts a missing reason phrase, and `ICY` in place of the version.
 * @throws HttpError (status 502) if it is not HTTP
 */
export function parseResponseHead(bytes: Buffer): ResponseHead {
  const [first = '', ...rest] = headLines(bytes);
  const match = /^(?:HTTP\/1\.(\d)|ICY) +(\d{3})(?: (.*))?$/.exec(first.trimEnd());
  if (!match) throw new HttpError(502, 'The answer is not HTTP.');
  const minorVersion = match[1] === '1' ? 1 : 0;
  return { status: Number(match[2]), reason: match[3] ?? '', minorVersion, headers: parseFields(rest, malformed) };
}

function contentLength(headers: HeaderFields): number | undefined {
  const values = new Set(headers.all('Content-Length').flatMap((value) => value.split(',').map(trimBlanks)));
  if (values.size === 0) return undefined;
  const [value = ''] = values;
  // Requests are smuggled past a proxy with two different lengths (RFC 9112 6.3).
  if (values.size > 1 || !/^\d{1,15}$/.test(value)) throw new HttpError(400, 'Content-Length is malformed.');
  return Number(value);
}

/**
 * Returns how the body of a request is delimited (RFC 9112 6.3).
 * @throws HttpError 400 for contradictory or malformed lengths, 501 for a transfer coding other than chunked
 */
export function requestBodyFraming(head: RequestHead): BodyFraming {
  const codings = head.headers.tokens('Transfer-Encoding');
  const length = contentLength(head.headers);
  if (head.headers.get('Transfer-Encoding') === undefined) return { kind: 'length', length: length ?? 0 };
  if (length !== undefined) throw new HttpError(400, 'Content-Length and Transfer-Encoding exclude each other.');
  if (head.minorVersion === 0) throw new HttpError(400, 'HTTP/1.0 has no Transfer-Encoding.');
  if (codings.length > 1 || codings[0] !== 'chunked')
    throw new HttpError(501, 'The only supported transfer coding is chunked.');
  return { kind: 'chunked' };
}

/** Returns how the body of a response to `method` is delimited (RFC 9112 6.3). */
export function responseBodyFraming(head: ResponseHead, method: string): BodyFraming {
  const isTunnel = method === 'CONNECT' && head.status >= 200 && head.status < 300;
  if (method === 'HEAD' || isTunnel || head.status === 204 || head.status === 304 || head.status < 200) {
    return { kind: 'length', length: 0 };
  }
  if (head.headers.tokens('Transfer-Encoding').at(-1) === 'chunked') return { kind: 'chunked' };
  const length = contentLength(head.headers);
  return length === undefined ? { kind: 'close' } : { kind: 'length', length };
}

/**
 * True if the connection stays open after this message (RFC 9112 9.3; Keep-Alive for HTTP/1.0 as in RFC 2068 19.7.1).
 */
export function keepsAlive(head: RequestHead | ResponseHead): boolean {
  const connection = head.headers.tokens('Connection');
  if (connection.includes('close')) return false;
  return head.minorVersion === 1 || connection.includes('keep-alive');
}

/** Serialises a request head. Keeps the case and the order of the fields, because some peers depend on them. */
export function serialiseRequestHead(
  method: string,
  target: string,
  fields: readonly Field[],
  minorVersion: 0 | 1 = 1,
): Buffer {
  if (!/^[\x21-\xff]+$/.test(target)) throw new WmError('WM_USAGE', `"${target}" cannot stand in a request line.`);
  return serialiseHead(`${method} ${target} HTTP/1.${minorVersion}`, fields);
}

/** Serialises a response head. The reason phrase is never empty: some players stop at `HTTP/1.0 200`. */
export function serialiseResponseHead(status: number, fields: readonly Field[], minorVersion: 0 | 1 = 1): Buffer {
  return serialiseHead(`HTTP/1.${minorVersion} ${status} ${reasonPhrase(status)}`, fields);
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

/** Returns the reason phrase of a status; never empty. */
export function reasonPhrase(status: number): string {
  return REASONS[status] ?? 'Unknown';
}
