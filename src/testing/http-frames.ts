import { FRAME_HEADER_SIZE } from '../framing/framing.js';

/** A body up to this size is held whole, so that its Content-Length can be corrected, in bytes. */
const HELD_BODY = 1024 * 1024;
const MAX_HEAD = 64 * 1024;
const NOTHING = Buffer.alloc(0);
const HEAD_END = Buffer.from('\r\n\r\n');

type State =
  | { readonly type: 'head' }
  /** A body with a length; `left` in bytes, Infinity up to the end of the connection. */
  | { readonly type: 'body'; left: number; readonly held: Buffer | undefined; framed: boolean | undefined }
  | { readonly type: 'chunks'; framed: boolean | undefined };

/** What to do with frames. */
export interface FrameHandler {
  /**
   * Returns what goes out in place of a whole frame.
   *
   * @param isPush true in the body of a request, where packets have no MMS data packet header (MS-WMHTTP 2.2.3)
   */
  frame(bytes: Buffer, isPush: boolean): Buffer[];
}

/**
 * Finds the `$` frames in the HTTP messages that one side of a connection sends, and writes others in their place.
 * Each frame becomes a chunk of its own; Content-Length of short bodies is corrected. Other bytes pass unchanged.
 */
export class HttpFrames {
  readonly #handler: FrameHandler;
  #state: State = { type: 'head' };
  #isRequest = false;
  #unread: Buffer = NOTHING;
  // Decoded bytes of a body that are not yet a whole frame.
  #part: Buffer = NOTHING;
  // The methods of requests whose responses have not begun, if they are known.
  readonly #methods: string[] = [];

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Notes that the response after those so far is to this request: one to HEAD has no body (RFC 9110 9.3.2). */
  asked(method: string): void {
    this.#methods.push(method);
  }

  /**
   * Takes what is to be sent, in pieces of any size; returns what goes out. The sender may use the bytes again after
   * this, so what does not go out is copied.
   */
  push(bytes: Buffer): Buffer[] {
    const out = this.#take(bytes);
    this.#unread = Buffer.from(this.#unread);
    this.#part = Buffer.from(this.#part);
    return out;
  }

  #take(bytes: Buffer): Buffer[] {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    const out: Buffer[] = [];
    for (let before = -1; this.#unread.length > 0 && before !== this.#unread.length; ) {
      before = this.#unread.length;
      if (this.#state.type === 'head') this.#head(out);
      else if (this.#state.type === 'chunks') this.#chunk(this.#state, out);
      else this.#body(this.#state, out);
    }
    return out;
  }

  /** Returns what has not gone out, when the sender ends. */
  end(): Buffer[] {
    const rest = [this.#part, this.#unread].filter(({ length }) => length > 0);
    this.#part = NOTHING;
    this.#unread = NOTHING;
    return rest;
  }

  #head(out: Buffer[]): void {
    const end = this.#unread.indexOf(HEAD_END);
    if (end < 0) {
      if (this.#unread.length > MAX_HEAD) this.#pass(out);
      return;
    }
    const head = this.#unread.subarray(0, end + HEAD_END.length);
    this.#unread = this.#unread.subarray(head.length);
    const text = head.toString('latin1');
    const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(text)?.[1] ?? 200);
    const isResponse = text.startsWith('HTTP/');
    this.#isRequest = !isResponse;
    const method = isResponse && status >= 200 ? this.#methods.shift() : undefined;
    const length = /\r\ncontent-length: *(\d{1,15})/i.exec(text)?.[1];
    const isBodiless = method === 'HEAD' || status < 200 || status === 204 || status === 304 || length === '0';
    if (isBodiless) out.push(head);
    else if (/\r\ntransfer-encoding: *chunked/i.test(text)) {
      out.push(head);
      this.#state = { type: 'chunks', framed: undefined };
    } else if (length === undefined) {
      out.push(head);
      if (isResponse)
        this.#state = { type: 'body', left: Number.POSITIVE_INFINITY, held: undefined, framed: undefined };
    } else {
      const isHeld = Number(length) <= HELD_BODY;
      if (!isHeld) out.push(head);
      this.#state = { type: 'body', left: Number(length), held: isHeld ? head : undefined, framed: undefined };
    }
  }

  #pass(out: Buffer[]): void {
    out.push(this.#unread);
    this.#unread = NOTHING;
  }

  #body(state: Extract<State, { type: 'body' }>, out: Buffer[]): void {
    if (state.held && this.#unread.length < state.left) return;
    const bytes = this.#unread.subarray(0, Math.min(state.left, this.#unread.length));
    this.#unread = this.#unread.subarray(bytes.length);
    state.framed ??= isFramed(bytes);
    const ends = state.left === bytes.length;
    const pieces = state.framed ? this.#frames(bytes, ends) : [bytes];
    if (state.held) {
      const size = pieces.reduce((sum, { length }) => sum + length, 0);
      const head = state.held.toString('latin1').replace(/(\r\ncontent-length: *)\d+/i, `$1${size}`);
      out.push(Buffer.from(head, 'latin1'));
    }
    out.push(...pieces);
    state.left -= bytes.length;
    if (ends) this.#state = { type: 'head' };
  }

  #chunk(state: Extract<State, { type: 'chunks' }>, out: Buffer[]): void {
    const line = this.#unread.indexOf('\r\n');
    if (line < 0) return;
    const size = Number.parseInt(this.#unread.toString('latin1', 0, line), 16);
    const whole = line + 2 + size + 2;
    if (Number.isNaN(size)) {
      this.#pass(out);
      return;
    }
    if (this.#unread.length < whole) return;
    const data = this.#unread.subarray(line + 2, line + 2 + size);
    this.#unread = this.#unread.subarray(whole);
    state.framed ??= isFramed(data);
    const pieces = state.framed ? this.#frames(data, size === 0) : [data].filter(({ length }) => length > 0);
    for (const piece of pieces) {
      // An empty chunk would end the body.
      if (piece.length === 0) out.push(piece);
      else out.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
    }
    if (size > 0) return;
    out.push(Buffer.from('0\r\n\r\n'));
    this.#state = { type: 'head' };
  }

  #frames(bytes: Buffer, ends: boolean): Buffer[] {
    const out: Buffer[] = [];
    let rest = this.#part.length === 0 ? bytes : Buffer.concat([this.#part, bytes]);
    while (rest.length >= FRAME_HEADER_SIZE && (rest[0]! & 0x7f) === 0x24) {
      const size = FRAME_HEADER_SIZE + rest.readUInt16LE(2);
      if (rest.length < size) break;
      out.push(...this.#handler.frame(rest.subarray(0, size), this.#isRequest));
      rest = rest.subarray(size);
    }
    const isBroken = rest.length > 0 && (rest[0]! & 0x7f) !== 0x24;
    this.#part = isBroken || ends ? NOTHING : rest;
    if ((isBroken || ends) && rest.length > 0) out.push(rest);
    return out;
  }
}

function isFramed(bytes: Buffer): boolean {
  return bytes.length > 0 && (bytes[0]! & 0x7f) === 0x24;
}

/** Finds the methods of the requests that a client sends on a connection. */
export class RequestMethods {
  #unread: Buffer = NOTHING;
  // Bytes of a body to be skipped; Infinity once it is not known where the next request begins.
  #skipped = 0;

  /** Takes the next bytes; returns the methods of the requests whose heads are complete. */
  push(bytes: Buffer): string[] {
    const methods: string[] = [];
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    for (;;) {
      const body = Math.min(this.#skipped, this.#unread.length);
      this.#skipped -= body;
      this.#unread = this.#unread.subarray(body);
      const end = this.#unread.indexOf(HEAD_END);
      if (end < 0 || this.#skipped > 0) break;
      const head = this.#unread.toString('latin1', 0, end + HEAD_END.length);
      this.#unread = this.#unread.subarray(end + HEAD_END.length);
      methods.push(head.split(' ', 1)[0] ?? '');
      const length = /\r\ncontent-length: *(\d{1,15})/i.exec(head)?.[1];
      this.#skipped = /\r\ntransfer-encoding:/i.test(head) ? Number.POSITIVE_INFINITY : Number(length ?? 0);
    }
    if (this.#unread.length > MAX_HEAD) this.#unread = NOTHING;
    return methods;
  }
}
