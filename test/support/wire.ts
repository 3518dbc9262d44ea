import { connect, type Socket } from 'node:net';
import { slowness } from './patience.js';

/** In ms, the maximum wait for data. */
const PATIENCE = 20_000;

/** A TCP peer that sends exactly the bytes of the test and keeps everything it receives. */
export class RawPeer {
  readonly socket: Socket;
  #received: Buffer[] = [];
  #size = 0;
  #ended = false;
  #wakers: Array<() => void> = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#received.push(chunk);
      this.#size += chunk.length;
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', end);
  }

  static connect(port: number): Promise<RawPeer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.removeListener('error', reject);
        resolve(new RawPeer(socket));
      });
    });
  }

  /** All received bytes. */
  get received(): Buffer {
    const all = Buffer.concat(this.#received, this.#size);
    this.#received = [all];
    return all;
  }

  /** True if the other side has closed. */
  get ended(): boolean {
    return this.#ended;
  }

  send(data: string | Buffer): void {
    this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
  }

  /** Sends request lines, each ending with CR LF, and an empty line. */
  request(...lines: string[]): void {
    this.send(`${[...lines, '', ''].join('\r\n')}`);
  }

  /**
   * Waits until `found` returns something for the bytes so far; fails if the connection ends or the time is up first.
   */
  async until<T>(found: (bytes: Buffer) => T | undefined, milliseconds = PATIENCE): Promise<T> {
    const deadline = Date.now() + milliseconds * slowness();
    for (;;) {
      const result = found(this.received);
      if (result !== undefined) return result;
      const left = deadline - Date.now();
      if (this.#ended || left <= 0) {
        const tail = this.received.toString('latin1').slice(0, 400);
        throw new Error(`${this.#ended ? 'The connection ended' : 'Time is up'} after ${this.#size} bytes: ${tail}`);
      }
      await this.#next(left);
    }
  }

  /** Waits until the other side closes, and returns everything received. */
  async untilClosed(milliseconds = PATIENCE): Promise<Buffer> {
    const deadline = Date.now() + milliseconds * slowness();
    while (!this.#ended) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`The connection is still open after ${milliseconds} ms.`);
      await this.#next(left);
    }
    return this.received;
  }

  /** Forgets everything received so far. */
  clear(): void {
    this.#received = [];
    this.#size = 0;
  }

  close(): void {
    this.socket.destroy();
  }

  #next(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wakers.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}

export interface WireResponse {
  readonly statusLine: string;
  readonly status: number;
  /** As received, in order. */
  readonly fields: ReadonlyArray<readonly [name: string, value: string]>;
  /** Returns the value of a field; the case of the name does not matter. */
  field(name: string): string | undefined;
  /** The tokens of all Pragma fields, without surrounding blanks. */
  readonly pragma: readonly string[];
  /** The bytes received after the head so far. */
  readonly body: Buffer;
}

/** Reads a response head; undefined while it is not complete. */
export function parseResponse(bytes: Buffer): WireResponse | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const fields = lines.map((line) => {
    const colon = line.indexOf(': ');
    return [line.slice(0, colon), line.slice(colon + 2)] as const;
  });
  const all = (name: string) =>
    fields.filter(([field]) => field.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  return {
    statusLine,
    status: Number(statusLine.split(' ')[1]),
    fields,
    field: (name) => all(name)[0],
    pragma: all('Pragma').flatMap((value) => [...value.matchAll(/(?:"[^"]*"|[^",])+/g)].map(([token]) => token.trim())),
    body: bytes.subarray(end + 4),
  };
}

/** Reads a response with a Content-Length; undefined while it is not complete. */
export function parseWholeResponse(bytes: Buffer): WireResponse | undefined {
  const response = parseResponse(bytes);
  const length = Number(response?.field('Content-Length') ?? Number.NaN);
  return response && response.body.length >= length ? response : undefined;
}

/** A packet as MS-WMSP frames it, parsed without any code of the program. */
export interface WirePacket {
  readonly b: boolean;
  readonly id: string;
  readonly length: number;
  /** For $C and $E. */
  readonly reason: number;
  readonly location: number;
  readonly incarnation: number;
  readonly afFlags: number;
  readonly packetSize: number;
  readonly payload: Buffer;
}

/** Returns all whole packets at the start of `bytes`; throws if the bytes are not packets. */
export function wirePackets(bytes: Buffer): WirePacket[] {
  const packets: WirePacket[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    if ((bytes[at]! & 0x7f) !== 0x24) throw new Error(`No packet at ${at}: ${bytes.toString('hex', at, at + 16)}`);
    const id = String.fromCharCode(bytes[at + 1]!);
    const length = bytes.readUInt16LE(at + 2);
    if (at + 4 + length > bytes.length) break;
    const hasHead = 'DHM'.includes(id);
    packets.push({
      b: bytes[at] === 0xa4,
      id,
      length,
      reason: hasHead ? -1 : bytes.readUInt32LE(at + 4),
      location: hasHead ? bytes.readUInt32LE(at + 4) : -1,
      incarnation: hasHead ? bytes[at + 8]! : -1,
      afFlags: hasHead ? bytes[at + 9]! : -1,
      packetSize: hasHead ? bytes.readUInt16LE(at + 10) : -1,
      payload: hasHead ? bytes.subarray(at + 12, at + 4 + length) : bytes.subarray(at + 8, at + 4 + length),
    });
    at += 4 + length;
  }
  return packets;
}

/** One of several responses on a connection. */
export interface SequencedResponse extends WireResponse {
  /** True if the body is complete. */
  readonly complete: boolean;
  readonly chunked: boolean;
}

/** Returns all responses on a connection, without the chunked coding; the last one may be incomplete. */
export function parseResponses(bytes: Buffer): SequencedResponse[] {
  const responses: SequencedResponse[] = [];
  let rest = bytes;
  for (let head = parseResponse(rest); head; head = parseResponse(rest)) {
    const chunked = head.field('Transfer-Encoding') === 'chunked';
    const { body, complete, behind } = chunked ? dechunk(head.body) : sized(head);
    responses.push({ ...head, body, complete, chunked });
    if (!complete) break;
    rest = behind;
  }
  return responses;
}

interface CutBody {
  readonly body: Buffer;
  readonly complete: boolean;
  readonly behind: Buffer;
}

function sized({ body, field }: WireResponse): CutBody {
  const length = Number(field('Content-Length') ?? Number.POSITIVE_INFINITY);
  return { body: body.subarray(0, length), complete: body.length >= length, behind: body.subarray(length) };
}

function dechunk(bytes: Buffer): CutBody {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) break;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const start = lineEnd + 2;
    if (bytes.length < start + size + 2) break;
    if (bytes.toString('latin1', start + size, start + size + 2) !== '\r\n') throw new Error('A chunk has no end.');
    if (size === 0) return { body: Buffer.concat(parts), complete: true, behind: bytes.subarray(start + 2) };
    parts.push(bytes.subarray(start, start + size));
    at = start + size + 2;
  }
  return { body: Buffer.concat(parts), complete: false, behind: Buffer.alloc(0) };
}
