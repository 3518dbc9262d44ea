import {
  type Field,
  type HeaderFields,
  headLength,
  headLines,
  MAX_HEAD_SIZE,
  parseFields,
  serialiseHead,
  TOKEN,
  trimBlanks,
} from '../../framing/text-head.js';
import { RtspError } from './error.js';

/** A request, from a client or a server (RFC 2326 6). */
export interface RtspRequest {
  readonly type: 'request';
  readonly method: string;
  /** The request URL as received, or `*`. */
  readonly url: string;
  readonly headers: HeaderFields;
  readonly body: Buffer;
}

/** A response, from a server or a client (RFC 2326 7). */
export interface RtspResponse {
  readonly type: 'response';
  readonly status: number;
  readonly reason: string;
  readonly headers: HeaderFields;
  readonly body: Buffer;
}

/** A frame of media on the RTSP connection (RFC 2326 10.12). */
export interface InterleavedFrame {
  readonly type: 'frame';
  readonly channel: number;
  /** A view. */
  readonly bytes: Buffer;
}

/** Anything that arrives on a connection: a request, a response, or a `$` frame. */
export type RtspInput = RtspRequest | RtspResponse | InterleavedFrame;

/** The beginning of a field; no first line of a message begins so. */
const FIELD_LINE = /^[A-Za-z][A-Za-z0-9-]{0,40}:[ \t]/;
const LONGEST_NAME = 48;
/** Blank lines inside a head that are tolerated. */
const MAX_TEARS = 4;

type Head = Omit<RtspRequest, 'body'> | Omit<RtspResponse, 'body'>;

const DOLLAR = 0x24;
const FRAME_HEAD = 4;
/** The default limit of a body, in bytes; logs and SDP are far smaller. */
const MAX_BODY = 1024 * 1024;

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  302: 'Moved Temporarily',
  304: 'Not Modified',
  305: 'Use Proxy',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  407: 'Proxy Authentication Required',
  408: 'Request Time-out',
  412: 'Precondition Failed',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Large',
  415: 'Unsupported Media Type',
  451: 'Parameter Not Understood',
  453: 'Not Enough Bandwidth',
  454: 'Session Not Found',
  455: 'Method Not Valid in This State',
  457: 'Invalid Range',
  459: 'Aggregate Operation Not Allowed',
  460: 'Only Aggregate Operation Allowed',
  461: 'Unsupported Transport',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  505: 'RTSP Version Not Supported',
  551: 'Option not supported',
};

/** Returns the reason phrase of a status (RFC 2326 7.1.1); never empty. */
export function rtspReason(status: number): string {
  return REASONS[status] ?? 'Unknown';
}

/** Writes a request; adds Content-Length if there is a body. @throws WmError for a field that must not be sent */
export function serialiseRequest(method: string, url: string, fields: readonly Field[], body?: Buffer): Buffer {
  if (!/^[\x21-\x7e]+$/.test(url)) throw new RtspError(400, 'A URL with blanks cannot be requested.');
  return withBody(`${method} ${url} RTSP/1.0`, fields, body);
}

/** Writes a response; adds Content-Length if there is a body. @throws WmError for a field that must not be sent */
export function serialiseResponse(status: number, fields: readonly Field[], body?: Buffer): Buffer {
  return withBody(`RTSP/1.0 ${status} ${rtspReason(status)}`, fields, body);
}

function withBody(firstLine: string, fields: readonly Field[], body: Buffer | undefined): Buffer {
  if (!body) return serialiseHead(firstLine, fields);
  return Buffer.concat([serialiseHead(firstLine, [...fields, ['Content-Length', `${body.length}`]]), body]);
}

/**
 * Writes the head of an interleaved frame; its packet follows.
 *
 * @param size bytes, at most 65535
 * @returns where the packet begins
 */
export function writeFrameHead(into: Buffer, at: number, channel: number, size: number): number {
  into[at] = DOLLAR;
  into[at + 1] = channel;
  into.writeUInt16BE(size, at + 2);
  return at + FRAME_HEAD;
}

/**
 * Reads the stream of an RTSP connection in slices of any size: requests, responses and interleaved frames in any
 * order, from either side. Holds at most one head and its body, or one frame.
 *
 * Skips blank lines between messages: real servers send them.
 */
export class RtspReader {
  readonly #maxBody: number;
  readonly #onBody: ((received: number) => void) | undefined;
  #pending: Buffer = Buffer.alloc(0);
  // Bytes of #pending that have been searched without finding the end of a head.
  #searched = 0;
  #head: { readonly message: Head; readonly size: number; readonly bytes: Buffer } | undefined;
  // Slices kept while more bytes than they hold are needed; joining each at once would take quadratic time.
  #slices: Buffer[] = [];
  #missing = 0;
  #failure: RtspError | undefined;
  #tears = 0;

  /**
   * @param options.maxBody the longest body of a message, in bytes
   * @param options.onBody called with the number of bytes of a body that have arrived, each time that more do
   */
  constructor({ maxBody = MAX_BODY, onBody }: { maxBody?: number; onBody?: (received: number) => void } = {}) {
    this.#onBody = onBody;
    this.#maxBody = maxBody;
  }

  /** True if the bytes so far end in the middle of a message or frame. */
  get midMessage(): boolean {
    return this.#pending.length > 0 || this.#slices.length > 0 || this.#head !== undefined;
  }

  /** The bytes of the message or frame that is not complete yet. */
  get unread(): Buffer {
    return Buffer.concat([...(this.#head ? [this.#head.bytes] : []), this.#pending, ...this.#slices]);
  }

  /**
   * Takes the next bytes of the stream, which must not change while frames from them are in use.
   *
   * @returns the messages and frames that they complete
   * @throws RtspError for bytes that are not RTSP; after that, at every call
   */
  *push(slice: Buffer): Generator<RtspInput, void, undefined> {
    if (this.#failure) throw this.#failure;
    this.#slices.push(slice);
    this.#missing -= slice.length;
    if (this.#missing > 0) {
      if (this.#head) this.#onBody?.(this.#head.size - this.#missing);
      return;
    }
    this.#pending = this.#slices.length === 1 && this.#pending.length === 0 ? slice : this.#joined();
    this.#slices = [];
    this.#missing = 0;
    for (;;) {
      const input = this.#next();
      if (!input) return;
      yield input;
    }
  }

  #joined(): Buffer {
    return Buffer.concat([this.#pending, ...this.#slices]);
  }

  #next(): RtspInput | undefined {
    try {
      if (this.#head) return this.#body(this.#head);
      this.#skipBlankLines();
      if (this.#pending.length === 0) return undefined;
      return this.#pending[0] === DOLLAR ? this.#frame() : this.#message();
    } catch (error) {
      this.#failure = error instanceof RtspError ? error : new RtspError(400, 'A message cannot be read.');
      this.#pending = Buffer.alloc(0);
      throw this.#failure;
    }
  }

  #skipBlankLines(): void {
    let at = 0;
    while (this.#pending[at] === 10 || this.#pending[at] === 13) at++;
    if (at === 0) return;
    this.#pending = this.#pending.subarray(at);
    this.#searched = 0;
  }

  #frame(): InterleavedFrame | undefined {
    if (this.#pending.length < FRAME_HEAD) return undefined;
    const size = this.#pending.readUInt16BE(2);
    if (!this.#has(FRAME_HEAD + size)) return undefined;
    const frame = this.#take(FRAME_HEAD + size);
    return { type: 'frame', channel: frame[1]!, bytes: frame.subarray(FRAME_HEAD) };
  }

  #message(): RtspInput | undefined {
    const start = Math.max(0, this.#searched - 3);
    const found = headLength(this.#pending.subarray(start));
    if (found === 0) {
      this.#searched = this.#pending.length;
      if (this.#pending.length > MAX_HEAD_SIZE) throw new RtspError(413, 'The head of a message is too long.');
      return undefined;
    }
    if (start + found > MAX_HEAD_SIZE) throw new RtspError(413, 'The head of a message is too long.');
    this.#searched = 0;
    if (this.#isField(0) && this.#tears++ < MAX_TEARS) {
      // The rest of a head that was handled already: its blank line came earlier.
      this.#take(start + found);
      return this.#next();
    }
    const message = parseHead(this.#pending.subarray(0, start + found));
    const size = bodySize(message.headers, this.#maxBody);
    if (size === 0 && this.#joinsTornHead(start + found)) return this.#message();
    const bytes = this.#take(start + found);
    this.#tears = 0;
    this.#head = { message, size, bytes };
    return this.#body(this.#head);
  }

  /** Real servers send a blank line in the middle of a head: joins its halves. @returns true if fields follow it */
  #joinsTornHead(end: number): boolean {
    if (!this.#isField(end) || ++this.#tears > MAX_TEARS) return false;
    const cut = this.#pending[end - 2] === 13 ? end - 2 : end - 1;
    this.#pending = Buffer.concat([this.#pending.subarray(0, cut), this.#pending.subarray(end)]);
    this.#searched = cut;
    return true;
  }

  #isField(at: number): boolean {
    return FIELD_LINE.test(this.#pending.toString('latin1', at, at + LONGEST_NAME));
  }

  #body({ message, size }: { readonly message: Head; readonly size: number }): RtspInput | undefined {
    if (size > 0) this.#onBody?.(Math.min(size, this.#pending.length));
    if (!this.#has(size)) return undefined;
    this.#head = undefined;
    return { ...message, body: this.#take(size) } as RtspRequest | RtspResponse;
  }

  #has(size: number): boolean {
    this.#missing = Math.max(0, size - this.#pending.length);
    return this.#missing === 0;
  }

  #take(size: number): Buffer {
    const taken = this.#pending.subarray(0, size);
    this.#pending = this.#pending.subarray(size);
    return taken;
  }
}

function parseHead(bytes: Buffer): Head {
  const [first = '', ...rest] = headLines(bytes);
  const headers = parseFields(rest, (message) => new RtspError(400, message));
  const line = trimBlanks(first);
  const answer = /^RTSP\/1\.\d (\d{3})(?: (.{0,200}))?$/.exec(line);
  if (answer) return { type: 'response', status: Number(answer[1]), reason: answer[2] ?? '', headers };
  const methodEnd = line.indexOf(' ');
  const versionStart = line.lastIndexOf(' ');
  const method = line.slice(0, Math.max(methodEnd, 0));
  const url = trimBlanks(line.slice(methodEnd, Math.max(versionStart, methodEnd)));
  const version = line.slice(versionStart + 1);
  if (!TOKEN.test(method) || url === '' || !/^RTSP\/\d\.\d$/.test(version)) {
    throw new RtspError(400, 'The first line of a message is malformed.');
  }
  if (version !== 'RTSP/1.0') throw new RtspError(505, `${version} is not supported.`);
  return { type: 'request', method, url, headers };
}

function bodySize(headers: HeaderFields, most: number): number {
  // Some clients send EndOfStream back as it came, with a second Content-Length.
  const isEcho = headers.get('X-Notice') !== undefined;
  const values = new Set(
    headers
      .all('Content-Length')
      .map(trimBlanks)
      .slice(isEcho ? -1 : 0),
  );
  const [value = '0'] = values;
  if (values.size > 1 || !/^\d{1,12}$/.test(value)) throw new RtspError(400, 'Content-Length is malformed.');
  if (Number(value) > most) throw new RtspError(413, `A body of ${value} bytes is too long.`);
  return Number(value);
}
